"""Commands that need a password say what to do where nobody can be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sivr.cli.init import Plan, write


def without_terminal(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SIVR_PASSWORD"}
    return subprocess.run(
        [sys.executable, "-m", "sivr", *arguments],
        input=given,
        env=environment,
        capture_output=True,
        text=True,
        # Its own session has no controlling terminal, whoever runs the tests.
        start_new_session=True,
        timeout=60,
    )


@pytest.fixture
def user_add(tmp_path: Path) -> list[str]:
    plan = Plan(web="localhost", toplevel="localhost", institution="localhost", render=("localhost",))
    return ["user", "add", "--config", str(write(tmp_path, plan)[0]), "--login", "ada"]


@pytest.mark.parametrize("given", ["", "typed-blindly\n"])
def test_smoke_names_both_ways(given: str) -> None:
    done = without_terminal("smoke", "https://localhost:1", "--login", "ana", given=given)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "SIVR_PASSWORD" in done.stderr
    assert "--password-stdin" in done.stderr


def test_user_add_names_its_way(user_add: list[str]) -> None:
    done = without_terminal(*user_add)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "--password-stdin" in done.stderr


def test_an_empty_standard_input_is_no_password(user_add: list[str]) -> None:
    for command in (["smoke", "https://localhost:1", "--login", "ana"], user_add):
        done = without_terminal(*command, "--password-stdin")
        assert (done.returncode, done.stderr) == (2, "sivr: There is no password on standard input.\n")


def test_user_add_reads_standard_input(user_add: list[str]) -> None:
    done = without_terminal(*user_add, "--password-stdin", given="correct-horse-battery\n")
    assert (done.returncode, done.stderr) == (0, "")
