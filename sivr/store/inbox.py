"""Unfinished files: parts on disk that grow while a sender sends, resumable after a lost connection."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sivr.errors import Exhausted, Invalid, Unavailable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CHUNK = 1 << 20


class Digest(msgspec.Struct, frozen=True):
    """Hashes and size of a complete file."""

    sha256: str
    md5: str
    size_bytes: int


class Part:
    """One file being received, opened for appending at ``offset``. Blocking: for threads.

    Raises Unavailable when what had arrived is gone.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = path.open("r+b" if offset else "w+b")
        except OSError as error:
            raise disk_error(error) from error
        # What arrived earlier is hashed again: the hash states of a crashed process are gone.
        while self.size < offset:
            piece = self._file.read(min(_CHUNK, offset - self.size))
            if not piece:
                self._file.close()
                raise Unavailable("The part of the file that had arrived is gone; please send it again.")
            self._count(piece)
        self._file.truncate()

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append; raises Exhausted when the disk is full."""
        try:
            for piece in pieces:
                self._file.write(piece)
                self._count(piece)
        except OSError as error:
            raise disk_error(error) from error

    def close(self, pieces: Iterable[bytes] = ()) -> Digest:
        """Append the last pieces, put everything on disk, tell the hashes; raises Exhausted."""
        with self._file:
            self.write(pieces)
            try:
                self._file.flush()
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
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, upload_id: str, file_id: str) -> Path:
        """Where a file's part lies; raises Invalid for names that are none."""
        if not (_NAME.fullmatch(upload_id) and _NAME.fullmatch(file_id)):
            raise Invalid("A file's id is made of up to 64 letters, digits, _ and -.")
        return self._folder / upload_id / file_id

    def size(self, upload_id: str, file_id: str) -> int:
        """Bytes that arrived."""
        try:
            return self.path(upload_id, file_id).stat().st_size
        except FileNotFoundError:
            return 0

    def remove(self, upload_id: str) -> None:
        """Forget an upload's parts."""
        if _NAME.fullmatch(upload_id):
            shutil.rmtree(self._folder / upload_id, ignore_errors=True)

    def remove_older_than(self, age_s: float) -> int:
        """Forget uploads that nobody added to for so long; how many they were."""
        limit = time.time() - age_s
        removed = 0
        for folder in self._folder.iterdir():
            newest = max((one.stat().st_mtime for one in folder.iterdir()), default=folder.stat().st_mtime)
            if newest < limit:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed


def disk_error(error: OSError) -> Exhausted | Unavailable:
    """The domain's word for what the disk says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Exhausted("The disk of this node is full; the file was not stored.")
    return Unavailable(f"The data folder does not answer: {error.strerror}.")
