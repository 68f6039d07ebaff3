"""DICOM objects by the SHA-256 of their content. Where sealing and object storage come in later.

Nobody outside this file knows that an object is a file. Reading is synchronous, for threads.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sivr.errors import NotFound, SivrError
from sivr.store.inbox import disk_error

_HASH = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Objects below a folder, ``ab/cd/<sha256>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._durable: set[Path] = set()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error) from error

    def adopt(self, path: Path, sha256: str) -> None:
        """Take over a complete file of the same file system as the object; durable when this returns.

        Raises Exhausted when the disk is full.
        """
        target = self._path(sha256)
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            self._make_durable(target.parent)
            # Also over the same object: its age starts anew, so that no sweeper takes it for abandoned.
            os.utime(path)
            with self._moving():
                path.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise disk_error(error) from error

    def open(self, sha256: str) -> BinaryIO:
        """The whole object as a seekable stream; raises NotFound."""
        try:
            return self._path(sha256).open("rb")
        except FileNotFoundError as error:
            raise NotFound("The stored object is missing.") from error

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        """A range of the object; raises NotFound. Shorter where the object ends."""
        try:
            descriptor = os.open(self._path(sha256), os.O_RDONLY)
        except FileNotFoundError as error:
            raise NotFound("The stored object is missing.") from error
        try:
            pieces = []
            while length > 0:
                piece = os.pread(descriptor, length, offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            os.close(descriptor)

    def size(self, sha256: str) -> int:
        """Bytes of the object; raises NotFound."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise NotFound("The stored object is missing.") from error

    def holds(self, sha256: str, size_bytes: int) -> bool:
        """Whether the object is there in its full size."""
        try:
            return self.size(sha256) == size_bytes
        except NotFound:
            return False

    def groups(self, older_than_s: float) -> Iterator[list[str]]:
        """All objects that have been here for so long, some thousands at a time."""
        limit = time.time() - older_than_s
        for first in sorted(self._folder.glob("??")):
            group: list[str] = []
            for path in first.glob("??/*"):
                if _HASH.fullmatch(path.name) and _modified(path) <= limit:
                    group.append(path.name)
            if group:
                yield group

    def remove_old(self, sha256: str, older_than_s: float) -> bool:
        """Remove the object if it is still that old; whether it was."""
        path = self._path(sha256)
        # An object that is being stored again meanwhile is young again, and stays.
        with self._moving():
            if _modified(path) > time.time() - older_than_s:
                return False
            path.unlink(missing_ok=True)
            return True

    def free_bytes(self) -> int:
        """Room left where the objects lie."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError as error:
            raise disk_error(error) from error

    def health(self, free_limit_bytes: int) -> str:
        """An empty string when objects can be stored, else one sentence."""
        try:
            free = self.free_bytes()
        except SivrError as error:
            return error.message
        if free < free_limit_bytes:
            return f"The data folder has only {free // 1_000_000} MB left."
        return ""

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Alone among all threads and processes that share the folder: between a sweeper's look at an object
        and its removal nobody may store the same object anew, because that one may be acknowledged."""
        descriptor = os.open(self._folder / ".moving", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_durable(self, folder: Path) -> None:
        """Make the folder; a new one is only as durable as its entry in the folder above."""
        if folder in self._durable:
            return
        folder.mkdir(parents=True, exist_ok=True)
        above = folder
        while above != self._folder:
            above = above.parent
            _sync_folder(above)
        self._durable.add(folder)

    def _path(self, sha256: str) -> Path:
        if not _HASH.fullmatch(sha256):
            raise NotFound("This is not the hash of an object.")
        return self._folder / sha256[:2] / sha256[2:4] / sha256


def _modified(path: Path) -> float:
    """When the file was adopted, seconds since 1970; the far future where it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
