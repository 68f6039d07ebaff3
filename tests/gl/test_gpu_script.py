"""The script that fills in a card's figures says so where there is no card."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sivr.gl import devices

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def test_without_a_card_nothing_is_measured(tmp_path: Path) -> None:
    if any(not device.software and not device.problem for device in devices.probe()):
        pytest.skip("There is a graphics card here.")
    out = tmp_path / "gpu.json"
    ran = subprocess.run(
        [sys.executable, SCRIPT, "--json", out], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("GPU: not measured (") and not out.exists()
