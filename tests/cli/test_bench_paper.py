"""``sivr bench paper``: pictures of a generated record, really stored and shown, beside the paper's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sivr.cli.bench.line import LINES
from sivr.cli.bench.paper_records import FORMATS, PAPER, over_line_ms


def test_the_least_time_over_a_line() -> None:
    none, slow, _ = LINES
    # 75 kB are 0.6 Mbit: 800 ms at 750 kbit/s, and a round trip.
    assert over_line_ms(75.0, slow) == pytest.approx(900.0)
    assert over_line_ms(75.0, none) == 0.0


def test_the_paper_s_findings_hold_in_its_own_figures() -> None:
    for record in PAPER.values():
        for sizes in record["sizes_kb"].values():
            assert sizes["WebP"] < sizes["PNG"]
        assert max(record["load_s"]) < 1.2 * min(record["load_s"])


# The first start on a machine compiles the drawing code, which a busy one takes its time for.
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_record_a(tmp_path: Path) -> None:
    out, work = tmp_path / "out", tmp_path / "work"
    work.mkdir()
    command = [sys.executable, "-m", "sivr", "bench", "paper", "--records", "a", "--quick", "--out", str(out)]
    done = subprocess.run(
        [*command, "--folder", str(work), "--json", "-"],
        capture_output=True,
        text=True,
        timeout=580,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    (record,) = json.loads(done.stdout)["records"]
    assert (record["columns"], record["rows"], record["slices"]) == (512, 512, 10)
    assert record["load_s"].keys() == {"both"}
    assert {(one["line"], one["kind"], one["format"]) for one in record["pictures"]} == {
        (line.name, kind, name) for line in LINES for kind in ("2D", "3D") for name in FORMATS
    }
    for one in record["pictures"]:
        line = next(line for line in LINES if line.name == one["line"])
        # No picture can be quicker than its bytes on the line it came over.
        assert one["median_ms"] >= over_line_ms(one["size_bytes"] / 1000, line)
    for kind in ("2D", "3D"):
        sizes = record["sizes_bytes"][kind]
        assert sizes["WebP"] < sizes["WebP lossless"]
        assert all(size > 1000 for size in sizes.values())
    page = (out / "paper.md").read_text()
    for name in ("paper-sizes.svg", "paper-load.svg", "paper-times.svg"):
        assert f"]({name})" in page
        assert ElementTree.parse(out / name).getroot().tag.endswith("svg")
    assert f"{record['sizes_bytes']['2D']['PNG'] / 1000:.1f}" in page
    assert list(work.iterdir()) == []
