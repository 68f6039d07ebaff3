"""The scripted newcomer on a whole installation, and how it fails."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.flows.system import System

STEPS = [
    "log in", "institution", "patient", "upload", "index", "open", "contents", "slice", "volume", "log out",
]  # fmt: skip


def smoke(system: System, login: str, password: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sivr", "smoke", system.web, "--login", login, *more]
    environment = {**os.environ, "SIVR_PASSWORD": password}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_every_step_and_a_second_time(sivr_system: System) -> None:
    login, password = sivr_system.physicians[0]
    for expected in ("24 stored, 0 there already", "0 stored, 24 there already"):
        done = smoke(sivr_system, login, password, "--ca", str(sivr_system.ca))
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [line[4:16].strip() for line in lines] == STEPS
        assert expected in lines[3]


def test_wrong_password_is_one_line(sivr_system: System) -> None:
    done = smoke(sivr_system, "nobody", "wrong", "--ca", str(sivr_system.ca))
    assert done.returncode == 1
    assert done.stderr.startswith("FAILED log in: ")
    assert "Traceback" not in done.stderr


def test_an_unknown_authority_is_not_trusted(sivr_system: System) -> None:
    done = smoke(sivr_system, *sivr_system.physicians[0])
    assert done.returncode == 1
    assert "is not trusted" in done.stderr


def test_an_administrator_may_not_store(sivr_system: System) -> None:
    done = smoke(sivr_system, *sivr_system.admin, "--ca", str(sivr_system.ca))
    assert done.returncode == 1
    assert "FAILED institution: This user may not store at any institution." in done.stderr
