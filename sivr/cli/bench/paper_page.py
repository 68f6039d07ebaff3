"""The paper's tables, measured here, as a Markdown page with plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sivr.cli.bench import plot
from sivr.cli.bench.line import LINES
from sivr.cli.bench.paper_records import (
    NOTES,
    PAPER,
    Kind,
    Record,
    load_rows,
    size_rows,
    time_rows,
)
from sivr.cli.bench.report import markdown
from sivr.errors import Invalid

_KINDS: tuple[Kind, ...] = ("2D", "3D")
_SHOWN = ("PNG", "WebP", "JPEG")


def write_page(folder: Path, records: Sequence[Record], result: Mapping[str, Any]) -> list[Path]:
    """Write paper.md and its plots into a folder, which is made; the files. Raises Invalid."""
    pages: dict[str, Callable[[], str]] = {
        "paper-sizes.svg": lambda: _sizes(records),
        "paper-load.svg": lambda: _load(records),
        "paper-times.svg": lambda: _times(records),
        "paper.md": lambda: _page(records, result),
    }
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in pages.items():
            (folder / name).write_text(make(), encoding="utf-8")
            written.append(folder / name)
    except OSError as error:
        raise Invalid(f"{folder} cannot be written: {error.strerror}.") from error
    return written


def _page(records: Sequence[Record], result: Mapping[str, Any]) -> str:
    return f"""# The paper's tables, measured here

By `sivr bench paper` on {result["date"]}, {result["machine"]}.{_busy(result["load"])}

## Table 1: size of a picture

![Sizes](paper-sizes.svg)

{markdown(*size_rows(records))}

## Table 2: loading a record

![Loading](paper-load.svg)

{markdown(*load_rows(records))}

## Figure 5: time of a picture

![Times](paper-times.svg)

{markdown(*time_rows(records))}

## Notes

{chr(10).join(f"- {note}" for note in NOTES)}
"""


def _busy(load: float) -> str:
    """What else the machine did; nothing to be said of an idle one."""
    if load < 1.5:
        return ""
    return f" The machine had other work too (load {load:g}): alone, times are shorter."


def _labels(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(one.letter for one in records)


def _sizes(records: Sequence[Record]) -> str:
    def panel(kind: Kind) -> plot.Panel:
        having = [one for one in records if kind in one.sizes_bytes]
        values = []
        for name in ("PNG", "WebP"):
            values.append(tuple(one.sizes_bytes[kind][name] / 1000 for one in having))
            values.append(tuple(PAPER[one.letter]["sizes_kb"][kind][name] for one in having))
        title = "Slice, 512 x 512" if kind == "2D" else "Volume, 512 x 512"
        return plot.Panel(title=title, labels=_labels(having), values=tuple(values), unit="kB")

    names = ("PNG, ours", "PNG, paper", "WebP, ours", "WebP, paper")
    return plot.bars("Size of a picture of records A to D", names, [panel(kind) for kind in _KINDS], 2)


def _load(records: Sequence[Record]) -> str:
    panel = plot.Panel(
        title="Whole record in memory",
        labels=tuple(f"{one.letter} ({one.size_bytes / 1e6:.0f} MB)" for one in records),
        values=(
            tuple(one.load_s.get("raw") for one in records),
            tuple(one.load_s.get("both") for one in records),
            tuple(PAPER[one.letter]["load_s"][3] for one in records),
            tuple(one.first_slice_ms / 1000 for one in records),
        ),
        unit="s, logarithmic",
        log=True,
    )
    names = ("raw, ours", "compressed and encrypted, ours", "the same, paper", "first slice, ours")
    return plot.bars("Loading a record", names, [panel], 1)


def _times(records: Sequence[Record]) -> str:
    panels = []
    for line in LINES:
        for kind in _KINDS:
            having = [one for one in records if kind in one.sizes_bytes]
            panels.append(
                plot.Panel(
                    title=f"{'Slice' if kind == '2D' else 'Volume'}, "
                    + ("no limit" if line.name == "none" else line.name),
                    labels=_labels(having),
                    values=tuple(
                        tuple(_time(one, kind, line.name, name) for one in having) for name in _SHOWN
                    ),
                    unit="ms",
                    log=True,
                )
            )
    return plot.bars("Time of a picture, from the asking to the last byte (logarithmic)", _SHOWN, panels, 2)


def _time(record: Record, kind: Kind, line: str, name: str) -> float | None:
    for one in record.pictures:
        if (one.kind, one.line, one.format) == (kind, line, name):
            return one.median_ms
    return None
