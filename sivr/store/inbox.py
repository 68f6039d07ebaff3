"""Unfinished files: parts on disk that grow while a sender sends, resumable after a lost connection."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sivr.errors import Conflict, Exhausted, Invalid, Unavailable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHUNK = 1 << 20
_TRIES = 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Digest(msgspec.Struct, frozen=True):
    """Hashes and size of a complete file."""

    sha256: str
    md5: str
    size_bytes: int


class Part:
    """One file being received, opened for appending at ``offset``; None begins it anew.

    Blocking: for threads, one at a time. Nobody else, in this process or another, opens the file until
    ``release``: what was hashed is what lies there. Whatever fails, the file holds the first bytes of what
    was sent and nothing else, so that the sender may go on from its size. Raises Conflict with the right
    offset, Unavailable while somebody else has the file.
    """

    def __init__(self, path: Path, offset: int | None) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _open_alone(path, anew=offset is None)
        except OSError as error:
            raise disk_error(error) from error
        try:
            here = os.fstat(self._file.fileno()).st_size
            if offset is not None and offset != here:
                raise Conflict(
                    f"The file goes on at byte {here}, not at {offset}.", {"reason": "offset", "offset": here}
                )
            # What arrived earlier is hashed again: the hash states of a crashed process are gone.
            while piece := self._file.read(_CHUNK):
                self._count(piece)
        except OSError as error:
            self._file.close()
            raise disk_error(error) from error
        except Conflict:
            self._file.close()
            raise

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append; raises Exhausted when the disk is full."""
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[self._file.write(left) :]
                self._count(piece)
        except OSError as error:
            raise disk_error(error) from error

    def finish(self, pieces: Iterable[bytes] = ()) -> Digest:
        """Append the last pieces, put everything on disk, tell the hashes; raises Exhausted."""
        try:
            try:
                self.write(pieces)
            finally:
                # Half a piece may have been written before the disk was full.
                self._file.truncate(self.size)
                os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error) from error
        return Digest(self._sha256.hexdigest(), self._md5.hexdigest(), self.size)

    def release(self) -> None:
        """Others may have the file."""
        self._file.close()

    def _count(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._md5.update(piece)
        self.size += len(piece)


class Inbox:
    """Parts below a folder, ``<upload>/<boot>/<file>``.

    After a power cut a file may have its size but not its content, and nobody would notice. So a part is
    trusted only under the boot of the operating system that wrote it (its kernel still holds what the disk
    does not), and each boot has folders of its own: what another one wrote is not there for this one, and its
    sender begins anew. Nothing of it was acknowledged.

    The boot's id and nothing else decides. A host's name does not tell one machine over time: a container
    gets a new one at every start, and two machines may have the same. Nor is anything deleted at start: in a
    folder that hosts share, another id may be that of a host that is receiving at this moment. What nobody
    comes back for is swept. Where the system does not number its boots every part is trusted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._boot = _boot_id()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error) from error

    def path(self, upload_id: str, file_id: str) -> Path:
        """Where a file's part lies; raises Invalid for names that are none."""
        if not (_NAME.fullmatch(upload_id) and _NAME.fullmatch(file_id)):
            raise Invalid("A file's id is made of up to 64 letters, digits, _ and -.")
        return self._folder / upload_id / self._boot / file_id

    def size(self, upload_id: str, file_id: str) -> int:
        """Bytes that arrived."""
        return size_of(self.path(upload_id, file_id))

    def remove(self, upload_id: str) -> None:
        """Forget an upload's parts."""
        if _NAME.fullmatch(upload_id):
            shutil.rmtree(self._folder / upload_id, ignore_errors=True)

    def free_bytes(self) -> int:
        """Room left where the parts lie."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise disk_error(error) from error

    def remove_older_than(self, age_s: float) -> int:
        """Forget parts that nobody added to for so long; how many uploads are gone with them."""
        limit = time.time() - age_s
        removed = 0
        for upload in self._folder.iterdir():
            if not _NAME.fullmatch(upload.name):
                continue
            try:
                newest = {boot: _newest(boot) for boot in upload.iterdir()}
                last = max(newest.values(), default=upload.stat().st_mtime)
            except OSError:
                # Files come and go while we look; the next look will tell.
                continue
            old = [boot for boot, moment in newest.items() if moment < limit]
            if last < limit:
                old = [upload]
                removed += 1
            for one in old:
                shutil.rmtree(one, ignore_errors=True)
        return removed


def _boot_id() -> str:
    """What the kernel calls this start of the operating system; one word for all where it does not say."""
    try:
        found = _BOOT.read_text().strip()
    except OSError:
        found = ""
    return found if _NAME.fullmatch(found) else "unnumbered"


def _newest(path: Path) -> float:
    """When this or anything below it was last changed, seconds since 1970."""
    return max(one.stat().st_mtime for one in (path, *path.rglob("*")))


def size_of(path: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def disk_error(error: OSError) -> Exhausted | Unavailable:
    """The domain's word for what the disk says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exhausted("The disk of this node is full; the file was not stored.")
    return Unavailable(f"The data folder does not answer: {error.strerror}.")


def _open_alone(path: Path, *, anew: bool) -> io.FileIO:
    for _ in range(_TRIES):
        # Not buffered: a buffer that could not be written would be written again on closing.
        file = io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            facts = os.fstat(file.fileno())
            if _is_still(path, facts):
                # Never begin anew in a file that may have got a second name: make a new one.
                if not anew or (facts.st_size == 0 and facts.st_nlink == 1):
                    return file
                path.unlink(missing_ok=True)
        except BlockingIOError as error:
            file.close()
            raise _busy() from error
        except BaseException:
            file.close()
            raise
        file.close()
    raise _busy()


def _is_still(path: Path, facts: os.stat_result) -> bool:
    """Whether the name still means the opened file, which its former holder may have moved."""
    try:
        return os.path.samestat(path.stat(), facts)
    except FileNotFoundError:
        return False


def _busy() -> Unavailable:
    return Unavailable("The file is being received from another sender; please try again in a moment.")
