"""Every benchmark, one after the other; the table they make together, as Markdown and JSON.

python benchmarks/suite.py [--out docs/benchmarks] [--quick]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Row, machine, save, show

HERE = Path(__file__).resolve().parent
PARTS = ("codecs.py", "volumes.py", "frames.py", "first_slice.py")


def main() -> int:
    """Run them; 1 when one of them broke."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, help="folder for table.md and table.json")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    given = parser.parse_args()
    rows: list[Row] = []
    broken = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in PARTS:
            print(f"== {part}", flush=True)
            found = Path(scratch) / f"{part}.json"
            command = [sys.executable, str(HERE / part), "--json", str(found)]
            if given.quick:
                command += ["--rounds", "1"]
            if subprocess.run(command).returncode:
                broken.append(part)
            if found.is_file():
                for row in json.loads(found.read_text())["rows"]:
                    row.pop("reached")
                    rows.append(Row(**row))
    print(f"\n{machine()}\n\n{show(rows)}")
    if broken:
        print("broken:", ", ".join(broken))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        save(given.out / "table.json", rows)
        date = json.loads((given.out / "table.json").read_text())["date"]
        (given.out / "table.md").write_text(
            f"# Measured by `make bench`\n\n{date}, {machine()}. GPU: not measured.\n\n{show(rows)}\n"
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
