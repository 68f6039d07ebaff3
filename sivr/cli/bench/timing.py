"""How long something takes on this machine: repeated for a moment, the median counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a host can do."""

    group: str
    what: str
    value: float
    unit: str
    means: str = ""
    """What that is good for, in words of its users."""


def median_ms(work: Callable[[], object], seconds: float, least: int = 3) -> float:
    """Median milliseconds of one call, called for so long and at least so often, after one to warm up."""
    work()
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < until:
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)
