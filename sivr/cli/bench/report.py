"""What every benchmark prints: aligned tables, percentiles, the machine, and JSON."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sivr import __version__
from sivr.errors import Invalid


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that ``part`` (0..1) of the values do not exceed; NaN when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(part * len(ordered)) - 1))]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other: the first to the left, the others to the right unless they are sentences."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if n == 0 or _is_text(n, rows) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *(line(row) for row in rows)])


def _is_text(column: int, rows: Sequence[Sequence[str]]) -> bool:
    return any(cell.count(" ") > 1 for cell in (row[column] for row in rows))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def milliseconds(value: float) -> str:
    """With as many digits as mean something."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def memory_bytes() -> int:
    """Of this machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """Processor, cores, memory and system, without the host's name."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            model = value.strip()
            break
    count = cores()
    return (
        f"{model}, {count} core{'s' if count > 1 else ''}, {memory_bytes() / 1e9:.0f} GB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def load() -> str:
    """What else the machine is doing, as a sentence; empty when it is idle."""
    busy = os.getloadavg()[0]
    if busy < 0.5:
        return ""
    return f"Other work was running (load {busy:.1f} on {cores()} cores): an idle machine is faster."


def heading(what: str) -> dict[str, Any]:
    """What stands above every result in JSON."""
    return {
        "what": what,
        "version": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 2),
    }


def write_json(where: str, result: Mapping[str, Any]) -> None:
    """To a file, or to standard output where it is called ``-``; raises Invalid."""
    body = msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n"
    if where == "-":
        sys.stdout.write(body.decode())
        return
    try:
        Path(where).write_bytes(body)
    except OSError as error:
        raise Invalid(f"{where} cannot be written: {error.strerror}.") from error
