"""DICOM objects by the SHA-256 of their content. Where sealing and object storage come in later.

Nobody outside this file knows that an object is a file. Reading is synchronous, for threads.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sivr.errors import NotFound
from sivr.store.inbox import disk_error

_HASH = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Objects below a folder, ``ab/cd/<sha256>``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def adopt(self, path: Path, sha256: str) -> None:
        """Take over a complete file of the same file system as the object; durable when this returns.

        Raises Exhausted when the disk is full.
        """
        target = self._path(sha256)
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            _make_durable_folder(target.parent, self._folder)
            # Also over the same object: its age starts anew, so that no sweeper takes it for abandoned.
            os.utime(path)
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

    def exists(self, sha256: str) -> bool:
        """Whether the object is there."""
        return self._path(sha256).exists()

    def size(self, sha256: str) -> int:
        """Bytes of the object; raises NotFound."""
        try:
            return self._path(sha256).stat().st_size
        except FileNotFoundError as error:
            raise NotFound("The stored object is missing.") from error

    def remove(self, sha256: str) -> None:
        """Remove the object; an absent one is fine."""
        self._path(sha256).unlink(missing_ok=True)

    def hashes(self, older_than_s: float = 0.0) -> Iterator[str]:
        """Every object that has been here for so long."""
        limit = time.time() - older_than_s
        for path in self._folder.glob("??/??/*"):
            if _HASH.fullmatch(path.name) and path.stat().st_mtime <= limit:
                yield path.name

    def free_bytes(self) -> int:
        """Room left where the objects lie."""
        return shutil.disk_usage(self._folder).free

    def health(self, free_limit_bytes: int) -> str:
        """An empty string when objects can be stored, else one sentence."""
        try:
            free = self.free_bytes()
        except OSError as error:
            return f"The data folder does not answer: {error.strerror}."
        if free < free_limit_bytes:
            return f"The data folder has only {free // 1_000_000} MB left."
        return ""

    def _path(self, sha256: str) -> Path:
        if not _HASH.fullmatch(sha256):
            raise NotFound("This is not the hash of an object.")
        return self._folder / sha256[:2] / sha256[2:4] / sha256


def _make_durable_folder(folder: Path, root: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    # A new folder is only as durable as its entry in the folder above.
    while folder != root:
        folder = folder.parent
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
