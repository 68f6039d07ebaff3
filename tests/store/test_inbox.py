"""Parts of files: what arrived is kept, nothing else is in them, one sender at a time."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sivr.errors import Conflict, Exhausted, Invalid, Unavailable
from sivr.store.inbox import Inbox, Part, disk_error

BODY = bytes(range(256)) * 5000
HOLD = """
import sys
from pathlib import Path
from sivr.store.inbox import Part
part = Part(Path(sys.argv[1]), None)
part.write([b"0123456789"])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "upload" / "file"


def receive(path: Path, offset: int | None, *pieces: bytes) -> str:
    """The hash of the part after these pieces."""
    part = Part(path, offset)
    try:
        part.write(pieces)
        digest = part.finish()
    finally:
        part.release()
    assert digest.size_bytes == path.stat().st_size
    assert digest.md5 == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return digest.sha256


def test_in_one_go_and_in_parts(path: Path) -> None:
    whole = hashlib.sha256(BODY).hexdigest()
    assert receive(path, None, BODY) == whole
    receive(path, None, BODY[:7])
    receive(path, 7, BODY[7:1000], BODY[1000:1_000_000])
    assert receive(path, 1_000_000, BODY[1_000_000:]) == whole
    assert receive(path, len(BODY)) == whole
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("offset", [0, 3, 9, 11, 10**15])
def test_wrong_offsets_say_the_right_one(path: Path, offset: int) -> None:
    receive(path, None, b"0123456789")
    with pytest.raises(Conflict) as conflict:
        Part(path, offset)
    assert conflict.value.details == {"reason": "offset", "offset": 10}
    assert path.read_bytes() == b"0123456789"


def test_what_is_gone_begins_at_nothing(path: Path) -> None:
    with pytest.raises(Conflict) as conflict:
        Part(path, 10)
    assert conflict.value.details["offset"] == 0


def test_one_sender_at_a_time(path: Path) -> None:
    first = Part(path, None)
    first.write([b"first"])
    for offset in (None, 0, 5):
        with pytest.raises(Unavailable, match="another sender"):
            Part(path, offset)
    first.finish()
    # Still held: what was hashed is judged and moved by its holder.
    with pytest.raises(Unavailable):
        Part(path, None)
    first.release()
    receive(path, 5, b" second")
    assert path.read_bytes() == b"first second"


async def test_one_process_at_a_time(path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    with pytest.raises(Unavailable, match="another sender"):
        Part(path, None)
    holder.kill()
    await holder.communicate()
    receive(path, 10, b"abc")
    assert path.read_bytes() == b"0123456789abc"


def test_a_part_that_was_moved_is_not_written_to(path: Path) -> None:
    receive(path, None, b"stored")
    stored = path.rename(path.with_name("stored"))
    receive(path, None, b"new")
    assert stored.read_bytes() == b"stored"


def test_a_full_disk_keeps_what_fitted(path: Path) -> None:
    part = Part(path, None)
    part.write([b"0123456789"])
    # A device that is full stands in for a file system that is.
    with open("/dev/full", "r+b", buffering=0) as full:
        real = os.dup(part._file.fileno())
        os.dup2(full.fileno(), part._file.fileno())
        with pytest.raises(Exhausted, match="full"):
            part.write([b"abc"])
        os.dup2(real, part._file.fileno())
        os.close(real)
    assert part.finish().size_bytes == 10
    part.release()
    receive(path, 10, b"abc")
    assert path.read_bytes() == b"0123456789abc"


def test_names_that_are_none(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    for name in ("..", "a/b", "", "a" * 65, "a\0", ".hidden", "č"):
        with pytest.raises(Invalid):
            inbox.path(name, "file")
        with pytest.raises(Invalid):
            inbox.path("upload", name)
        inbox.remove(name)
    assert (tmp_path / "inbox").is_dir()


def test_sizes_and_removal(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    assert inbox.size("u", "f") == 0
    receive(inbox.path("u", "f"), None, b"12345")
    assert inbox.size("u", "f") == 5
    inbox.remove("u")
    inbox.remove("u")
    assert inbox.size("u", "f") == 0
    assert inbox.free_bytes() > 0


def test_sweeping(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    for upload in ("old", "young", "grown"):
        receive(inbox.path(upload, "a"), None, b"1")
        receive(inbox.path(upload, "b"), None, b"2")
    boot = inbox.path("old", "a").parent.name
    for aged in ("old/{}/a", "old/{}/b", "old/{}", "old", "young/{}/a", "grown/{}/a", "grown/{}", "grown"):
        os.utime(tmp_path / "inbox" / aged.format(boot), (1, 1))
    (tmp_path / "inbox" / "empty").mkdir()
    assert inbox.remove_older_than(3600) == 1
    assert {one.name for one in (tmp_path / "inbox").iterdir()} == {"young", "grown", "empty"}
    # What another boot left goes, while the upload goes on.
    other = tmp_path / "inbox" / "young" / "another-boot"
    receive(other / "c", None, b"3")
    for aged in (other / "c", other):
        os.utime(aged, (1, 1))
    assert inbox.remove_older_than(3600) == 0
    assert not other.exists()
    assert inbox.size("young", "b") == 1


def under_another_boot(path: Path) -> Path:
    """As if this part had been received before a reboot, or by another host that shares the folder."""
    moved = path.parent.rename(path.parent.with_name("another-boot"))
    return moved / path.name


def test_parts_of_before_a_power_cut_are_not_trusted(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    receive(inbox.path("u", "f"), None, b"12345")
    assert Inbox(tmp_path / "inbox").size("u", "f") == 5
    under_another_boot(inbox.path("u", "f"))
    again = Inbox(tmp_path / "inbox")
    assert again.size("u", "f") == 0
    with pytest.raises(Conflict) as conflict:
        Part(again.path("u", "f"), 5)
    assert conflict.value.details["offset"] == 0


def test_parts_of_other_hosts_go_on(tmp_path: Path) -> None:
    mine = Inbox(tmp_path / "inbox")
    part = Part(mine.path("u", "f"), None)
    part.write([b"01234"])
    theirs = under_another_boot(mine.path("u", "f"))
    started = Inbox(tmp_path / "inbox")
    # The same file here, at the same time: each host has what it received and nothing else.
    receive(started.path("u", "f"), None, b"abc")
    part.write([b"56789"])
    assert part.finish().sha256 == hashlib.sha256(b"0123456789").hexdigest()
    part.release()
    assert theirs.read_bytes() == b"0123456789"
    assert started.size("u", "f") == 3
    started.remove("u")
    assert not theirs.exists()


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Inbox(tmp_path / "file" / "inbox")
    with pytest.raises(Unavailable):
        Part(tmp_path / "file" / "upload" / "part", None)


def test_words_of_disks() -> None:
    assert isinstance(disk_error(OSError(errno.ENOSPC, "x")), Exhausted)
    assert isinstance(disk_error(OSError(errno.EDQUOT, "x")), Exhausted)
    assert isinstance(disk_error(OSError(errno.EIO, "x")), Unavailable)
