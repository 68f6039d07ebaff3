"""Compiled kernels find a place, even where the package cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sivr.kernels import cache

SCRIPT = """
import numpy as np
from sivr.kernels.slices import lookup
print(lookup(np.zeros(2, np.uint8), np.arange(256, dtype=np.uint8)).tolist())
import os; print(os.environ["NUMBA_CACHE_DIR"])
"""


def test_a_given_folder_is_used(tmp_path: Path) -> None:
    environment = {**os.environ, cache.VARIABLE: str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["[0, 0]", str(tmp_path)]
    assert list(tmp_path.rglob("*.nbc"))


def test_the_first_usable_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    good = tmp_path / "good"
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr(cache, "_candidates", lambda: [file / "below", good])
    assert cache.choose_cache() == good
    assert os.environ[cache.VARIABLE] == str(good)
    assert good.stat().st_mode & 0o077 == 0, "what lies there is executed"


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr(cache, "_candidates", lambda: [shared])
    chosen = cache.choose_cache()
    assert chosen != shared and chosen.is_dir()
    chosen.rmdir()
