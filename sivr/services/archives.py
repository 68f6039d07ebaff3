"""Zip archives from strangers: members unpacked one by one, within limits."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sivr.errors import Invalid
from sivr.store.inbox import Digest, disk_error

MAGIC = b"PK\x03\x04"
EMPTY_MAGIC = b"PK\x05\x06"
_CHUNK = 1 << 20
_RATIO_FROM_BYTES = 64 << 20
"""Members smaller than this may be packed as tightly as they like: blank pictures are."""
_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


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


def is_archive(path: Path) -> bool:
    """Whether the file begins as a zip archive."""
    with path.open("rb") as file:
        return file.read(4) in (MAGIC, EMPTY_MAGIC)


def unpack(archive: Path, limits: ArchiveLimits, target: Path) -> Iterator[Member]:
    """Unpack one member at a time to ``target``; take it away before asking for the next.

    Names are labels only and never become paths. Blocking: for threads. Raises Invalid when the whole archive
    is unreadable or over a limit.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > limits.members:
                raise Invalid(f"The archive holds {len(entries)} files; {limits.members} are allowed.")
            declared = sum(entry.file_size for entry in entries)
            if declared > limits.total_bytes:
                raise Invalid(
                    f"The archive unpacks to {declared // 1_000_000} MB; "
                    f"{limits.total_bytes // 1_000_000} MB are allowed."
                )
            for number, entry in enumerate(entries):
                if not any(junk in entry.filename for junk in _JUNK):
                    yield _unpack_one(opened, entry, number, limits, target)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise Invalid("The zip archive is damaged.") from error


def _unpack_one(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int, limits: ArchiveLimits, target: Path
) -> Member:
    name = entry.filename
    if entry.flag_bits & 0x1:
        return Member(number, name, None, "The file is encrypted.")
    if entry.file_size > limits.member_bytes:
        return Member(number, name, None, "The file is larger than this node accepts.")
    packed = max(entry.compress_size, 1)
    if entry.file_size > _RATIO_FROM_BYTES and entry.file_size > limits.ratio * packed:
        return Member(number, name, None, "The file is packed so tightly that it looks like a zip bomb.")
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with opened.open(entry) as source, target.open("wb") as file:
            while piece := source.read(_CHUNK):
                size += len(piece)
                if size > entry.file_size:
                    return Member(number, name, None, "The file is larger than the archive says.")
                try:
                    file.write(piece)
                except OSError as error:
                    raise disk_error(error) from error
                sha256.update(piece)
                md5.update(piece)
            file.flush()
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, zlib.error) as error:
        return Member(
            number, name, None, f"The file is damaged inside the archive: {error}.".replace("..", ".")
        )
    if size < entry.file_size:
        return Member(number, name, None, "The file is cut off inside the archive.")
    return Member(number, name, Digest(sha256.hexdigest(), md5.hexdigest(), size))
