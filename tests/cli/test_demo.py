"""What ``sivr demo`` says when it starts again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sivr.cli.init import Plan, write
from tests.flows.system import free_ports


@pytest.mark.slow
def test_a_later_start_vouches_for_no_password(tmp_path: Path) -> None:
    port = str(free_ports(1))
    here = "localhost"
    write(tmp_path / "demo", Plan(web=here, toplevel=here, institution=here, render=(here,), port=int(port)))
    (tmp_path / "demo" / "demo-data").write_text("made before\n")
    command = [sys.executable, "-m", "sivr", "demo", str(tmp_path / "demo"), "--port", port]
    told = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                told.append(line)
                if "Ctrl-C" in line:
                    break
            demo.send_signal(signal.SIGTERM)
            demo.stdout.read()
            assert demo.wait(60) == 0
        finally:
            demo.kill()
    text = "".join(told)
    assert text.index("takes about a minute") < text.index("SIVR is running at")
    assert text.index("as first made") < text.index("demo-admin-2022")
