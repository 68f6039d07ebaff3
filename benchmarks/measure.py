"""Peers alternating in one run, by CPU time: wall time moves with the machine's load, ratios hardly do."""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np


class Timing(msgspec.Struct, frozen=True):
    """Milliseconds of one call, or a median of many."""

    cpu_ms: float
    wall_ms: float


def timed(work: Callable[[], object]) -> Timing:
    """CPU time of this process (all threads, children not) and wall time of one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Timing((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)


def alternate(works: dict[str, Sequence[Callable[[], Timing]]], rounds: int = 3) -> dict[str, Timing]:
    """Medians of every name's calls, one name after the other in each round, after one call to warm up."""
    found: dict[str, list[Timing]] = {name: [] for name in works}
    for calls in works.values():
        calls[0]()
    for _ in range(rounds):
        for name, calls in works.items():
            found[name] += [call() for call in calls]
    return {
        name: Timing(
            statistics.median(one.cpu_ms for one in all_of), statistics.median(one.wall_ms for one in all_of)
        )
        for name, all_of in found.items()
    }


class Row(msgspec.Struct, frozen=True):
    """A line of the table: our figure, the peer's, their ratio and what was promised."""

    what: str
    ours: str
    peer: str
    ratio: float
    target: float
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the ratio is at least the target."""
        return self.ratio >= self.target


def psnr(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    """Of two 8-bit pictures, dB; infinite where they are the same."""
    error = float(np.mean((a.astype(np.float64) - b) ** 2))
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def machine() -> str:
    """Processor, cores and system, without the host's name."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        cores = sum(line.startswith("processor") for line in lines)
    except (OSError, StopIteration):
        return model
    return f"{model}, {cores} cores, Linux {platform.machine()}, Python {platform.python_version()}"


def verdict(row: Row) -> str:
    """Whether the promise was kept; empty for a row that makes none."""
    if not row.target:
        return ""
    return "reached" if row.reached else "NOT reached"


def show(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | ours | peer | ratio | at least | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.ours} | {row.peer} | {row.ratio:.2f} | "
        f"{format(row.target, 'g') if row.target else ''} | "
        f"{verdict(row)}{' (' + row.note + ')' if row.note else ''} |"
        for row in rows
    ]
    return "\n".join(lines)


def save(path: Path, rows: Sequence[Row]) -> None:
    """The rows as JSON, with the machine they were measured on."""
    path.write_text(
        json.dumps(
            {
                "machine": machine(),
                "date": time.strftime("%Y-%m-%d"),
                "rows": [msgspec.to_builtins(row) | {"reached": row.reached} for row in rows],
            },
            indent=1,
        )
        + "\n"
    )
