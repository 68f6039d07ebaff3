"""Log lines: all of them, in order, in the form that was asked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

START = "import logging, threading, os; from pathlib import Path; from sivr.roles.logs import start_logging\n"
LOG = "start_logging('info', 'json', Path(FILE)); log = logging.getLogger('sivr.test')\n"


def lines_of(program: str, file: Path) -> list[dict[str, object]]:
    """What a program logged into a file."""
    code = START + (LOG + program).replace("FILE", repr(str(file)))
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_lines_of_many_threads_are_whole_and_none_is_lost(tmp_path: Path) -> None:
    program = """
def write(thread):
    for number in range(3000):
        log.info('one', extra={'thread_number': thread, 'number': number})
threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
[one.start() for one in threads]; [one.join() for one in threads]
"""
    found = lines_of(program, tmp_path / "log")
    for thread in range(4):
        assert [one["number"] for one in found if one["thread_number"] == thread] == list(range(3000))
    assert {"time", "level", "logger", "event"} <= found[0].keys()
    assert (found[0]["level"], found[0]["logger"], found[0]["event"]) == ("info", "sivr.test", "one")


def test_a_warning_is_written_at_once_with_all_before_it(tmp_path: Path) -> None:
    program = """
log.info('first'); log.warning('second', extra={'path': Path('/a'), 'name_given': 'a\\udcff'})
try:
    1 / 0
except ZeroDivisionError:
    log.exception('third')
log.info('never written')
os._exit(0)
"""
    found = lines_of(program, tmp_path / "log")
    assert [one["event"] for one in found] == ["first", "second", "third"]
    assert (found[1]["path"], found[1]["name_given"]) == ("/a", "a\udcff")
    assert "ZeroDivisionError" in str(found[2]["error"])


def test_information_is_written_soon(tmp_path: Path) -> None:
    program = """
import time
log.info('first')
while not Path(FILE).read_text():
    time.sleep(0.01)
os._exit(0)
"""
    assert [one["event"] for one in lines_of(program, tmp_path / "log")] == ["first"]
