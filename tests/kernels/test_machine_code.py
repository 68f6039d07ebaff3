"""Machine code of programs is kept between runs, and only sound code is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sivr.kernels import cache, machine_code

SCRIPT = """
import numpy as np
from sivr.kernels import lanes, machine_code
from sivr.kernels.lanes import FLOAT, LANES, Program

made = []
keep = machine_code.keep
machine_code.keep = lambda name, code: (made.append(name), keep(name, code))
program = Program("double", source="pointer", target="pointer")
lane = program.constants(list(range(LANES)), lanes.INT)
everyone = lane.equals(lane)
value = program.gather(program["source"], lane, FLOAT, FLOAT, everyone)
program.scatter(program["target"], lane, value + value)
double = program.compile()
source, target = np.arange(LANES, dtype=np.float32), np.zeros(LANES, np.float32)
double(source.ctypes.data, target.ctypes.data)
assert (target == 2 * source).all()
print(len(made))
"""


def run(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, cache.VARIABLE: str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True, env=environment
    )


def said(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return out.strip()


def test_what_was_compiled_is_loaded_by_the_next_process(tmp_path: Path) -> None:
    # Several begin at once on an empty folder, as render workers do.
    both = [run(tmp_path), run(tmp_path)]
    assert {said(one) for one in both} <= {"0", "1"}
    files = list(tmp_path.glob("*" + machine_code.SUFFIX))
    assert len(files) == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert said(run(tmp_path)) == "0"


@pytest.mark.parametrize(
    "damage", [lambda body: body[:-3], lambda body: body[:60] + bytes([body[60] ^ 1]) + body[61:]]
)
def test_damaged_code_is_made_again(tmp_path: Path, damage: object) -> None:
    assert said(run(tmp_path)) == "1"
    (file,) = tmp_path.glob("*" + machine_code.SUFFIX)
    sound = file.read_bytes()
    file.write_bytes(damage(sound))  # type: ignore[operator]
    assert said(run(tmp_path)) == "1"
    assert said(run(tmp_path)) == "0"


def test_code_under_another_name_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    machine_code.keep("one", b"code")
    assert machine_code.load("one") == b"code"
    (tmp_path / ("one" + machine_code.SUFFIX)).rename(tmp_path / ("other" + machine_code.SUFFIX))
    assert machine_code.load("other") is None


def test_names_differ_with_processor_and_source() -> None:
    names = {machine_code.name_of(*parts) for parts in [("a", "b"), ("a", "c"), ("ab", ""), ("b", "a")]}
    assert len(names) == 4


def test_old_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(machine_code, "MOST_FILES", 2)
    for number in range(4):
        machine_code.keep(str(number), b"code")
        os.utime(tmp_path / (str(number) + machine_code.SUFFIX), (number, number))
    machine_code.keep("new", b"code")
    assert machine_code.load("new") == b"code" and machine_code.load("3") == b"code"
    assert machine_code.load("0") is None


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file"))
    machine_code.keep("one", b"code")
    assert machine_code.load("one") is None
