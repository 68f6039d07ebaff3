"""Unfinished files: parts on disk that grow while a sender sends, resumable after a lost connection."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sivr.errors import Exhausted, Invalid, Unavailable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHUNK = 1 << 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Digest(msgspec.Struct, frozen=True):
    """Hashes and size of a complete file."""

    sha256: str
    md5: str
    size_bytes: int


class Part:
    """One file being received, opened for appending at ``offset``. Blocking: for threads, one at a time.

    Whatever fails, the file holds the first bytes of what was sent and nothing else, so that the sender may
    go on from its size. Raises Unavailable when what had arrived is gone.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not offset:
                # Never write into a file that may have got a second name: make a new one.
                path.unlink(missing_ok=True)
            flags = os.O_RDWR | os.O_CLOEXEC | (0 if offset else os.O_CREAT | os.O_EXCL)
            # Not buffered: a buffer that could not be written would be written again on closing.
            self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        except FileNotFoundError as error:
            raise _gone() from error
        except OSError as error:
            raise disk_error(error) from error
        try:
            # What arrived earlier is hashed again: the hash states of a crashed process are gone.
            while self.size < offset:
                piece = self._file.read(min(_CHUNK, offset - self.size))
                if not piece:
                    raise _gone()
                self._count(piece)
            self._file.truncate(self.size)
        except OSError as error:
            self._file.close()
            raise disk_error(error) from error
        except Unavailable:
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

    def close(self, pieces: Iterable[bytes] = ()) -> Digest:
        """Append the last pieces, put everything on disk, tell the hashes; raises Exhausted."""
        try:
            with self._file:
                try:
                    self.write(pieces)
                finally:
                    # Half a piece may have been written before the disk was full.
                    self._file.truncate(self.size)
                    os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error) from error
        return Digest(self._sha256.hexdigest(), self._md5.hexdigest(), self.size)

    def _count(self, piece: bytes) -> None:
        self._sha256.update(piece)
        self._md5.update(piece)
        self.size += len(piece)


class Inbox:
    """Parts below a folder, ``<upload>/<file>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._distrust_other_boots()
        except OSError as error:
            raise disk_error(error) from error

    def path(self, upload_id: str, file_id: str) -> Path:
        """Where a file's part lies; raises Invalid for names that are none."""
        if not (_NAME.fullmatch(upload_id) and _NAME.fullmatch(file_id)):
            raise Invalid("A file's id is made of up to 64 letters, digits, _ and -.")
        return self._folder / upload_id / file_id

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
        """Forget uploads that nobody added to for so long; how many they were."""
        limit = time.time() - age_s
        removed = 0
        for folder in self._folders():
            try:
                newest = max(one.stat().st_mtime for one in (folder, *folder.iterdir()))
            except OSError:
                # Files come and go while we look; the next look will tell.
                continue
            if newest < limit:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _folders(self) -> list[Path]:
        return [one for one in self._folder.iterdir() if not one.name.startswith(".")]

    def _distrust_other_boots(self) -> None:
        """Forget what came before this host was started: after a power cut a file may have its size but not
        its content, and nobody would notice. Nothing of it was acknowledged; it is sent again."""
        try:
            boot = _BOOT.read_text()
        except OSError:
            return
        note = self._folder / f".boot-{socket.gethostname()}"
        known = note.read_text() if note.exists() else boot
        if known != boot:
            for folder in self._folders():
                shutil.rmtree(folder, ignore_errors=True)
        note.write_text(boot)


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


def _gone() -> Unavailable:
    return Unavailable("The part of the file that had arrived is gone; please send it again.")
