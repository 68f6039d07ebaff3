"""``sivr bench`` on this host: every part is there, and encoders it times really write what decoders read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sivr.cli.bench.host_storage import ENCODERS, decode_rows, seal_rows
from sivr.dicom.phantom import write_phantom
from sivr.dicom.syntax import SYNTAXES


def test_every_syntax_is_written_and_read_back(tmp_path: Path) -> None:
    (file, *_) = write_phantom(tmp_path, "head", (1, 64, 64))
    # Syntaxes whose slice comes back changed are left out of the rows.
    assert [row.what for row in decode_rows(file, 0.0)] == [SYNTAXES[uid].name for uid in ENCODERS]


def test_what_is_sealed_comes_back(tmp_path: Path) -> None:
    (file, *_) = write_phantom(tmp_path, "head", (1, 64, 64))
    rows = seal_rows(file, tmp_path, 0.0)
    assert len(rows) == 4
    assert all(np.isfinite(row.value) and row.value > 0 for row in rows)
    assert list(tmp_path.iterdir()) == [file]


# The first start on a machine compiles the drawing code, which a busy one takes its time for.
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_this_host(tmp_path: Path) -> None:
    before = {path.name for path in Path("/dev/shm").glob("sivr-bench*")}
    done = subprocess.run(
        [sys.executable, "-m", "sivr", "bench", "--quick", "--json", "-"],
        capture_output=True,
        text=True,
        timeout=580,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows = found["rows"]
    assert {row["group"] for row in rows} == {"slice", "volume", "decode", "store", "disk", "memory", "https"}
    assert all(row["value"] > 0 for row in rows), rows
    assert found["renderer"] in done.stderr
    assert "physicians scrolling at 5 slices/s each" in done.stderr
    # It leaves nothing behind: no files, no shared memory, no processes that write them.
    assert list(tmp_path.iterdir()) == []
    assert {path.name for path in Path("/dev/shm").glob("sivr-bench*")} <= before
