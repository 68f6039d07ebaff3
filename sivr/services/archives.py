"""Zip archives from strangers: members unpacked one by one, within limits."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path, PurePosixPath

import msgspec

from sivr.errors import Invalid
from sivr.store.inbox import Digest, disk_error

MAGIC = b"PK\x03\x04"
EMPTY_MAGIC = b"PK\x05\x06"
_CHUNK = 1 << 20
_RATIO_FROM_BYTES = 64 << 20
"""Smaller members and archives may be packed as tightly as they like: blank pictures are."""
_DIRECTORY_BYTES = 64 << 20
"""Largest table of contents; zipfile reads it at once."""
_LONGEST_NAME = 1024
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others unpack megabytes at a time from a few bytes, or take as much memory as the archive wants."""
_SYSTEM_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "System Volume Information"})
_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR"})


class ArchiveLimits(msgspec.Struct, frozen=True):
    """What an archive may hold."""

    members: int = 200_000
    total_bytes: int = 64 << 30
    member_bytes: int = 8 << 30
    ratio: int = 200


class Member(msgspec.Struct, frozen=True):
    """A member, unpacked to a file, or why it was not."""

    number: int
    name: str
    digest: Digest | None
    reason: str = ""
    ignored: bool = False
    """True for what computers leave in folders; nobody has to hear of each."""


def is_archive(path: Path) -> bool:
    """Whether the file begins as a zip archive and is no DICOM file (whose first 128 bytes mean nothing)."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[:4] in (MAGIC, EMPTY_MAGIC) and head[128:] != b"DICM"


def unpack(archive: Path, limits: ArchiveLimits, target: Path) -> Generator[Member, None, None]:
    """Unpack one member at a time to ``target``; take it away before asking for the next.

    Names are labels only and never become paths. Blocking: for threads. Raises Invalid when the whole archive
    is unreadable or over a limit, Exhausted when the disk is full.
    """
    try:
        with _Careful(archive) as file, zipfile.ZipFile(file) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            _require_within(entries, limits, archive.stat().st_size)
            for number, entry in enumerate(entries):
                yield _unpack_one(opened, entry, number, limits, target)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise Invalid("The zip archive is damaged.") from error
    except OSError as error:
        if error.errno == errno.EINVAL:
            # The archive says that something lies before its beginning.
            raise Invalid("The zip archive is damaged.") from error
        raise disk_error(error) from error


class _Careful(io.FileIO):
    """A file that nobody reads into memory as a whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = os.fstat(self.fileno()).st_size - self.tell()
        if size > _DIRECTORY_BYTES:
            raise Invalid("The archive's table of contents is too large.")
        return super().read(max(size, 0)) or b""


def _require_within(entries: list[zipfile.ZipInfo], limits: ArchiveLimits, packed: int) -> None:
    if len(entries) > limits.members:
        raise Invalid(f"The archive holds {len(entries)} files; {limits.members} are allowed.")
    declared = sum(entry.file_size for entry in entries)
    if declared > limits.total_bytes:
        raise Invalid(
            f"The archive unpacks to {declared // 1_000_000} MB; "
            f"{limits.total_bytes // 1_000_000} MB are allowed."
        )
    # Members may share their packed bytes, each one harmless by itself.
    if declared > _RATIO_FROM_BYTES and declared > limits.ratio * packed:
        raise Invalid("The archive is packed so tightly that it looks like a zip bomb.")


def _is_ignored(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts:
        return True
    return (
        parts[-1] in _SYSTEM_FILES or parts[-1].startswith("._") or not _SYSTEM_FOLDERS.isdisjoint(parts[:-1])
    )


def _unpack_one(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, limits: ArchiveLimits, target: Path
) -> Member:
    name = entry.filename[:_LONGEST_NAME]

    def refused(reason: str) -> Member:
        return Member(number, name, None, reason)

    if _is_ignored(entry.filename):
        return Member(number, name, None, ignored=True)
    if entry.flag_bits & 0x1:
        return refused("The file is encrypted.")
    if entry.compress_type not in _METHODS:
        return refused("The file is packed by a method that is not accepted here; use plain zip.")
    if entry.file_size > limits.member_bytes:
        return refused("The file is larger than this node accepts.")
    if entry.file_size > _RATIO_FROM_BYTES and entry.file_size > limits.ratio * max(entry.compress_size, 1):
        return refused("The file is packed so tightly that it looks like a zip bomb.")
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with opened.open(entry) as source, _new_file(target) as file:
            # Never more than the archive says: zipfile ends there.
            while piece := source.read(_CHUNK):
                size += len(piece)
                _write(file, piece)
                sha256.update(piece)
                md5.update(piece)
            _sync(file)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error):
        return refused("The file is damaged inside the archive.")
    except OSError as error:
        if error.errno == errno.EINVAL:
            return refused("The file is damaged inside the archive.")
        raise disk_error(error) from error
    if size < entry.file_size:
        return refused("The file is cut off inside the archive.")
    return Member(number, name, Digest(sha256.hexdigest(), md5.hexdigest(), size))


def _new_file(target: Path) -> io.FileIO:
    try:
        target.unlink(missing_ok=True)
        return io.FileIO(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except OSError as error:
        raise disk_error(error) from error


def _write(file: io.FileIO, piece: bytes) -> None:
    left = memoryview(piece)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise disk_error(error) from error


def _sync(file: io.FileIO) -> None:
    try:
        os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error) from error
