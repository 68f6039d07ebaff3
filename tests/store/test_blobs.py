"""Objects by their hash: complete, durable, never swept while somebody stores them."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import secrets
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from sivr.crypto import new_study_key
from sivr.dicom.phantom import write_phantom
from sivr.dicom.read import read_header
from sivr.errors import Gone, Invalid, NotFound, Unavailable
from sivr.store.blobs import Blobs
from sivr.store.sealing import CHUNK_BYTES, MAGIC, Form, StudyKey, is_sealed
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


KEY = StudyKey(b"k" * 16, new_study_key())
FORMS = {
    "raw": Form(),
    "compressed": Form(True),
    "encrypted": Form(False, "aes-256-gcm"),
    "both": Form(True, "aes-256-gcm"),
}


def key_of(key_id: bytes) -> bytes:
    if key_id != KEY.id:
        raise Gone("erased")
    return KEY.key


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A store of each kind in turn."""
    return Blobs(tmp_path / "blobs", request.param, key_of)


def put(blobs: Blobs, tmp_path: Path, body: bytes = BODY, name: str = "part") -> str:
    """Store these bytes; their hash."""
    path = tmp_path / name
    path.write_bytes(body)
    sha256 = hashlib.sha256(body).hexdigest()
    blobs.adopt(path, sha256, key=KEY if blobs.encrypts else None)
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
    out = bytearray(20)
    assert blobs.read_into(SHA, 7, memoryview(out)) == 20
    assert out == BODY[7:27]
    assert blobs.read_into(SHA, len(BODY) - 4, memoryview(out)) == 4
    assert out[:4] == BODY[-4:]


def test_again_and_while_somebody_reads(blobs: Blobs, tmp_path: Path) -> None:
    put(blobs, tmp_path)
    with blobs.open(SHA) as file:
        put(blobs, tmp_path)
        assert file.read() == BODY
    assert blobs.read(SHA, 0, len(BODY)) == BODY


def test_absent_and_cut_objects(blobs: Blobs, tmp_path: Path) -> None:
    for ask in (blobs.open, blobs.size, partial(blobs.read_into, offset=0, out=memoryview(bytearray(1)))):
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


def path_of(tmp_path: Path, sha256: str) -> Path:
    return tmp_path / "blobs" / sha256[:2] / sha256[2:4] / sha256


def test_kinds_lie_side_by_side(tmp_path: Path) -> None:
    stored = {}
    for name, form in FORMS.items():
        body = name.encode() + BODY
        sha256 = put(Blobs(tmp_path / "blobs", form, key_of), tmp_path, body)
        assert is_sealed(path_of(tmp_path, sha256).read_bytes()) == (name != "raw")
        stored[sha256] = body
    for form in FORMS.values():
        blobs = Blobs(tmp_path / "blobs", form, key_of)
        assert {sha256: blobs.read(sha256, 0, 1 << 30) for sha256 in stored} == stored
        assert all(blobs.holds(sha256, len(body)) for sha256, body in stored.items())


def test_another_kind_takes_an_object_s_place(tmp_path: Path) -> None:
    reader = Blobs(tmp_path / "blobs", Form(), key_of)
    for form in (*FORMS.values(), *reversed(FORMS.values())):
        put(Blobs(tmp_path / "blobs", form, key_of), tmp_path)
        assert reader.read(SHA, 10, 100) == BODY[10:110]


def test_what_only_looks_sealed_is_kept_as_it_is(blobs: Blobs, tmp_path: Path) -> None:
    for number, body in enumerate((MAGIC, MAGIC + BODY, MAGIC + bytes(200))):
        sha256 = put(blobs, tmp_path, body, f"part{number}")
        assert blobs.read(sha256, 0, 1 << 30) == body
        with blobs.open(sha256) as file:
            assert file.read() == body


@pytest.mark.parametrize("name", [name for name in FORMS if name != "raw"])
def test_damage_is_told_and_healed_by_storing_again(name: str, tmp_path: Path) -> None:
    # An object stored as it came has no seal; sivr verify compares it with its hash.
    blobs = Blobs(tmp_path / "blobs", FORMS[name], key_of)
    put(blobs, tmp_path)
    path = path_of(tmp_path, SHA)
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:60], whole[:-20] + b"x" * 20, whole[:30] + b"?" + whole[31:]):
        path.write_bytes(broken)
        with pytest.raises((Invalid, Gone)):
            blobs.read(SHA, 0, 1 << 30)
        with pytest.raises((Invalid, Gone)), blobs.open(SHA) as file:
            file.read()
    path.write_bytes(whole[:-1])
    assert not blobs.holds(SHA, len(BODY))
    put(blobs, tmp_path)
    assert blobs.holds(SHA, len(BODY))
    assert blobs.read(SHA, 0, 1 << 30) == BODY


def test_without_its_key_an_object_is_closed(tmp_path: Path) -> None:
    put(Blobs(tmp_path / "blobs", FORMS["both"], key_of), tmp_path)
    with pytest.raises(Invalid, match="no master key"):
        Blobs(tmp_path / "blobs").read(SHA, 0, 1)

    def erased(key_id: bytes) -> bytes:
        raise Gone("erased")

    shredded = Blobs(tmp_path / "blobs", FORMS["both"], erased)
    with pytest.raises(Gone):
        shredded.open(SHA)
    assert not shredded.holds(SHA, len(BODY))


def test_streams_of_objects_seek_as_files_do(blobs: Blobs, tmp_path: Path) -> None:
    body = bytes(range(256)) * 6000
    sha256 = put(blobs, tmp_path, body)
    with blobs.open(sha256) as file:
        assert file.seek(0, os.SEEK_END) == len(body)
        assert file.read(1) == b""
        assert file.seek(-5, os.SEEK_END) == len(body) - 5
        assert file.read() == body[-5:]
        file.seek(700_000)
        assert file.read(300_000) == body[700_000:1_000_000]
        file.seek(-10, os.SEEK_CUR)
        assert file.tell() == 999_990
        assert file.read(3) == body[999_990:999_993]
        file.seek(len(body) + 100)
        assert file.read(10) == b""


def test_headers_are_read_out_of_sealed_objects(blobs: Blobs, tmp_path: Path) -> None:
    [path] = write_phantom(tmp_path / "in", "ramp", (3, 16, 16), multi_frame=True)
    header = read_header(path)
    body = path.read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    starts = [frame.parts[0][0] for frame in header.frames]
    blobs.adopt(path, sha256, key=KEY, starts=starts)
    with blobs.open(sha256) as file:
        assert read_header(file) == header
    for frame in header.frames:
        [(offset, length)] = frame.parts
        assert blobs.read(sha256, offset, length) == body[offset : offset + length]


def test_what_was_left_half_sealed_goes(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs", FORMS["both"], key_of)
    put(blobs, tmp_path)
    left = tmp_path / "blobs" / ".sealing" / "left"
    left.write_bytes(b"half")
    blobs.remove_unfinished(3600)
    assert left.exists()
    os.utime(left, (1, 1))
    blobs.remove_unfinished(3600)
    assert list(left.parent.iterdir()) == []
    assert [one for group in blobs.groups(0) for one in group] == [SHA]


def cached(path: Path, offset: int) -> bool:
    """Whether the system has this page of a file in its cache.

    Asked of mincore(2): a read that must not wait starts the system's own reading ahead, so that
    asking would change the answer.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    page = offset // mmap.PAGESIZE
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped)) + page * mmap.PAGESIZE
        state = ctypes.c_ubyte()
        if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(1), ctypes.byref(state)):
            raise OSError(ctypes.get_errno(), "mincore")
    return bool(state.value & 1)


def forget(path: Path) -> None:
    """Take a file out of the system's cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def test_what_is_fetched_is_in_the_system_s_cache_and_nothing_else(blobs: Blobs, tmp_path: Path) -> None:
    frame = 1 << 20
    body = secrets.token_bytes(32 * frame)
    sha256 = put(blobs, tmp_path, body)
    path = path_of(tmp_path, sha256)
    blobs.size(sha256)
    forget(path)
    try:
        if any(cached(path, at * frame + frame // 2) for at in range(32)):
            pytest.skip("this file system forgets nothing")
    except OSError:
        pytest.skip("this file system does not tell what is in its cache")
    wanted = blobs.fetch(sha256, [(4 * frame, frame), (20 * frame, frame)])
    # Where frames lie in chunks, whole chunks are wanted.
    assert 2 * frame <= wanted <= 4 * CHUNK_BYTES + 4096
    deadline = time.monotonic() + 20
    while not all(cached(path, at * frame + frame // 2) for at in (4, 20)):
        assert time.monotonic() < deadline, "not fetched"
        time.sleep(0.01)
    assert not cached(path, 12 * frame) and not cached(path, 28 * frame)
    assert blobs.read(sha256, 20 * frame, frame) == body[20 * frame : 21 * frame]


def test_fetching_what_is_not_there_does_nothing(blobs: Blobs, tmp_path: Path) -> None:
    assert blobs.fetch(SHA, [(0, 10)]) == 0
    put(blobs, tmp_path)
    assert blobs.fetch(SHA, [(0, 100), (9_999, 1), (20_000, 5)]) > 0
