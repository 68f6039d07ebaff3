"""Machine code of programs over lanes, kept between runs in the folder of compiled kernels.

A file is named after everything its code depends on and carries a checksum: what is damaged, or of another
processor or version of LLVM, is not found and made again. Several processes may read and write at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from sivr.kernels.cache import VARIABLE

SUFFIX = ".lanes"
MOST_FILES = 128
"""Of the oldest, as many as are beyond this go when a new one is written: sources of former versions."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def name_of(*parts: str) -> str:
    """Under which the code is kept that was made from these."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The code kept under a name; None when there is none, or what is there is damaged."""
    folder = _folder()
    if folder is None:
        return None
    try:
        body = (folder / (name + SUFFIX)).read_bytes()
    except OSError:
        return None
    digest, code = body[:_DIGEST_BYTES], body[_DIGEST_BYTES:]
    return code if _digest(name, code) == digest else None


def keep(name: str, code: bytes) -> None:
    """Keep code under a name, if there is a place for it."""
    folder = _folder()
    if folder is None:
        return
    fresh = folder / f".{secrets.token_hex(8)}"
    with contextlib.suppress(OSError):
        try:
            fresh.write_bytes(_digest(name, code) + code)
            # Never in place: another process may be reading it, and would run half of it.
            fresh.replace(folder / (name + SUFFIX))
            _trim(folder)
        finally:
            fresh.unlink(missing_ok=True)


def _digest(name: str, code: bytes) -> bytes:
    return hashlib.sha256(name.encode() + code).digest()


def _trim(folder: Path) -> None:
    found = sorted(folder.glob("*" + SUFFIX), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[MOST_FILES:]:
        path.unlink(missing_ok=True)


def _folder() -> Path | None:
    given = os.environ.get(VARIABLE)
    return Path(given) if given else None
