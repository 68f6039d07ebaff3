"""Every benchmark, one after the other; the table they make together, as Markdown and JSON, and a plot of it.

python benchmarks/suite.py [--out docs/benchmarks] [--quick] [--only PART ...] [--again]

``--again`` measures nothing and writes table and plot anew from what was measured last; with ``--only`` the
rows of those parts replace what they measured before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measure import Row, machine, save, show

from sivr.cli.bench import plot

HERE = Path(__file__).resolve().parent
PARTS = (
    "codecs.py",
    "volumes.py",
    "converged.py",
    "frames.py",
    "first_slice.py",
    "first_volume.py",
    "storage.py",
    "scaling.py",
    "load.py",
    "seamless.py",
    "first_load.py",
    "gpu.py",
)


def measure(parts: tuple[str, ...], quick: bool) -> tuple[dict[str, list[Row]], list[str]]:
    """Rows by part, and the parts that broke."""
    found: dict[str, list[Row]] = {}
    broken = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in parts:
            print(f"== {part}", flush=True)
            file = Path(scratch) / f"{part}.json"
            command = [sys.executable, str(HERE / part), "--json", str(file)]
            if quick:
                command += ["--rounds", "1"]
            # Some parts say by their exit code that a target was missed; that is no breakage.
            code = subprocess.run(command).returncode
            if file.is_file():
                found[part] = rows_of(json.loads(file.read_text()))
            elif code:
                broken.append(part)
    return found, broken


def rows_of(saved: dict[str, Any]) -> list[Row]:
    """The rows of a saved table."""
    return [
        Row(**{name: value for name, value in row.items() if name in Row.__struct_fields__})
        for row in saved["rows"]
    ]


def by_part(out: Path | None) -> dict[str, list[Row]]:
    """What was measured last, by part."""
    file = out / "table.json" if out else None
    if file is None or not file.is_file():
        return {}
    saved = json.loads(file.read_text())
    parts = [row.get("part", "") for row in saved["rows"]]
    found: dict[str, list[Row]] = {}
    for part, row in zip(parts, rows_of(saved), strict=True):
        found.setdefault(part, []).append(row)
    return found


def write(out: Path, found: dict[str, list[Row]], again: bool) -> None:
    """table.json, table.md and table.svg; with ``again`` as of the day and the machine of the last one."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [row for part in found for row in found[part]]
    before = json.loads((out / "table.json").read_text()) if again else {}
    save(out / "table.json", rows)
    saved = json.loads((out / "table.json").read_text())
    saved |= {name: before[name] for name in ("machine", "date") if name in before}
    names = [part for part in found for _ in found[part]]
    for row, part in zip(saved["rows"], names, strict=True):
        row["part"] = part
    (out / "table.json").write_text(json.dumps(saved, indent=1) + "\n")
    title = "Measured against peers: ratio reached / ratio promised"
    ratios = [
        plot.Ratio(row.what, row.ratio / row.target, f"{row.ratio:.1f} of {row.target:g}")
        for row in rows
        # Some rows are there to be known, and promise nothing.
        if row.target
    ]
    (out / "table.svg").write_text(plot.ratios(title, ratios))
    (out / "table.md").write_text(
        f"# Measured by `make bench`\n\n{saved['date']}, {saved['machine']}. {gpu(found)}\n\n"
        f"{count(rows)}\n\n![Ratios](table.svg)\n\n{show(rows)}\n\n"
        "The tables of the paper, measured by `sivr bench paper`: [paper.md](paper.md).\n"
    )


def gpu(found: dict[str, list[Row]]) -> str:
    """The graphics card that was measured."""
    rows = found.get("gpu.py")
    return f"GPU: {rows[0].note}." if rows else "GPU: not measured."


def count(rows: list[Row]) -> str:
    """How many of the targets are reached."""
    promised = [row for row in rows if row.target]
    return f"{sum(row.reached for row in promised)} of {len(promised)} targets are reached."


def main() -> int:
    """Run them; 1 when one of them broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="folder for table.md, table.json and table.svg")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these, keep the other rows")
    parser.add_argument("--again", action="store_true", help="measure nothing, write the last table anew")
    given = parser.parse_args()
    known = by_part(given.out) if given.only or given.again else {}
    found, broken = ({}, []) if given.again else measure(tuple(given.only or PARTS), given.quick)
    found = {part: rows for part, rows in (known | found).items() if rows}
    rows = [row for part in found for row in found[part]]
    print(f"\n{machine()}\n{gpu(found)}\n\n{show(rows)}\n\n{count(rows)}")
    if broken:
        print("broken:", ", ".join(broken))
    if given.out:
        write(given.out, found, given.again)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
