"""Objects by their hash: complete, durable, never swept while somebody stores them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from sivr.errors import NotFound, Unavailable
from sivr.store.blobs import Blobs
from tests.services.stored import exists

BODY = b"0123456789" * 1000
SHA = hashlib.sha256(BODY).hexdigest()
SWEEP = """
import sys
from pathlib import Path
from sivr.store.blobs import Blobs

def pause(event, arguments):
    if event == "os.remove":
        print("removing", flush=True)
        sys.stdin.readline()

blobs = Blobs(Path(sys.argv[1]))
sys.addaudithook(pause)
print(blobs.remove_old(sys.argv[2], 3600), flush=True)
"""
"""A sweeper that stops between its look at the object and the removal."""


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def put(blobs: Blobs, tmp_path: Path, body: bytes = BODY, name: str = "part") -> str:
    """Store these bytes; their hash."""
    path = tmp_path / name
    path.write_bytes(body)
    sha256 = hashlib.sha256(body).hexdigest()
    blobs.adopt(path, sha256)
    assert not path.exists()
    return sha256


def test_adopt_and_read(blobs: Blobs, tmp_path: Path) -> None:
    assert not exists(blobs, SHA)
    assert put(blobs, tmp_path) == SHA
    assert exists(blobs, SHA)
    assert blobs.size(SHA) == len(BODY)
    with blobs.open(SHA) as file:
        assert file.read() == BODY
    assert blobs.read(SHA, 5, 10) == BODY[5:15]
    assert blobs.read(SHA, 0, len(BODY)) == BODY
    assert blobs.read(SHA, len(BODY) - 3, 10) == BODY[-3:]
    assert blobs.read(SHA, len(BODY) + 3, 10) == b""
    assert blobs.read(SHA, 0, 0) == b""


def test_again_and_while_somebody_reads(blobs: Blobs, tmp_path: Path) -> None:
    put(blobs, tmp_path)
    with blobs.open(SHA) as file:
        put(blobs, tmp_path)
        assert file.read() == BODY
    assert blobs.read(SHA, 0, len(BODY)) == BODY


def test_absent_and_cut_objects(blobs: Blobs, tmp_path: Path) -> None:
    for ask in (blobs.open, blobs.size):
        with pytest.raises(NotFound):
            ask(SHA)
    with pytest.raises(NotFound):
        blobs.read(SHA, 0, 1)
    assert not blobs.holds(SHA, len(BODY))
    put(blobs, tmp_path)
    assert blobs.holds(SHA, len(BODY))
    (tmp_path / "blobs" / SHA[:2] / SHA[2:4] / SHA).write_bytes(b"cut")
    assert not blobs.holds(SHA, len(BODY))
    assert blobs.remove_old(SHA, 0)
    assert not exists(blobs, SHA)


@pytest.mark.parametrize("name", ["", "..", "../../etc/passwd", SHA.upper(), SHA[:-1], SHA + "0", SHA + "\n"])
def test_names_that_are_no_hashes(blobs: Blobs, tmp_path: Path, name: str) -> None:
    for ask in (blobs.open, blobs.size, partial(blobs.remove_old, older_than_s=0)):
        with pytest.raises(NotFound):
            ask(name)
    (tmp_path / "part").write_bytes(BODY)
    with pytest.raises(NotFound):
        blobs.adopt(tmp_path / "part", name)
    assert (tmp_path / "part").exists()


def test_what_is_gone_cannot_be_adopted(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        blobs.adopt(tmp_path / "nothing", SHA)
    assert not exists(blobs, SHA)


def test_sweeping_takes_only_the_old(blobs: Blobs, tmp_path: Path) -> None:
    old, young = put(blobs, tmp_path, b"old"), put(blobs, tmp_path, b"young")
    (tmp_path / "blobs" / "ab").mkdir(exist_ok=True)
    (tmp_path / "blobs" / "ab" / "stray").write_text("not ours")
    for sha256 in (old,):
        os.utime(tmp_path / "blobs" / sha256[:2] / sha256[2:4] / sha256, (1, 1))
    assert [one for group in blobs.groups(3600) for one in group] == [old]
    assert sorted(one for group in blobs.groups(0) for one in group) == sorted([old, young])
    # Stored again by somebody else since the sweeper looked.
    put(blobs, tmp_path, b"old")
    assert not blobs.remove_old(old, 3600)
    assert exists(blobs, old)
    assert blobs.remove_old(old, 0)
    assert not blobs.remove_old(old, 0)
    assert exists(blobs, young)


def test_what_another_process_sweeps_is_stored_again(blobs: Blobs, tmp_path: Path) -> None:
    put(blobs, tmp_path)
    os.utime(tmp_path / "blobs" / SHA[:2] / SHA[2:4] / SHA, (1, 1))
    command = [sys.executable, "-c", SWEEP, str(tmp_path / "blobs"), SHA]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sweeper:
        assert sweeper.stdin and sweeper.stdout
        assert sweeper.stdout.readline() == "removing\n"
        storing = threading.Thread(target=put, args=(blobs, tmp_path))
        storing.start()
        # Time enough for a store that does not wait for the sweeper.
        storing.join(0.5)
        sweeper.stdin.write("go on\n")
        sweeper.stdin.flush()
        assert sweeper.stdout.readline() == "True\n"
        storing.join()
    assert blobs.read(SHA, 0, len(BODY)) == BODY


def test_many_at_once(blobs: Blobs, tmp_path: Path) -> None:
    def store(number: int) -> None:
        for turn in range(20):
            put(blobs, tmp_path, BODY, f"part{number}")
            put(blobs, tmp_path, f"{number}/{turn}".encode(), f"part{number}")
            blobs.remove_old(SHA, 3600)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert blobs.read(SHA, 0, len(BODY)) == BODY
    assert sum(len(group) for group in blobs.groups(0)) == 81


def test_health(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.health(0) == ""
    assert "MB left" in blobs.health(1 << 60)
    (tmp_path / "blobs").rmdir()
    assert "does not answer" in blobs.health(0)


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Blobs(tmp_path / "file" / "blobs")
