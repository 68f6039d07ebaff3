"""Derived files: what was made from objects and can be made again, sealed like them with their study's key.

For acceleration structures, coarse volumes, thumbnails. It is a cache: a file may be gone at any time (the
disk was wanted, the study's key was erased, the power failed while it was written), and then ``open`` raises
NotFound and whoever needs it makes it again. What ``read`` hands out is what was written, or it raises
NotFound; never anything else. A file has a study and a name; put the digest of the series it was made from
and the version of its form into the name, so that an old file is never taken for a new one::

    derived.write(study_uid, f"{series_uid}/{digest}/bricks.1", [head, values.data])
    with derived.open(study_uid, f"{series_uid}/{digest}/bricks.1") as file:
        file.read_into(0, memoryview(array).cast("B"))

Everything is synchronous and meant for threads, several at once.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sivr.errors import Gone, Invalid, NotFound
from sivr.store import sealing
from sivr.store.blobs import no_keys
from sivr.store.inbox import disk_error
from sivr.store.sealing import Form, Layout, StudyKey

log = logging.getLogger("sivr.derived")

_MISSING = "There is no such derived file."


def _no_study_key(study_uid: str) -> StudyKey:
    raise Invalid("This node has no master key to encrypt with.")


class DerivedFile:
    """An open derived file; a context manager. Ranges are read in any order, from any thread."""

    def __init__(self, descriptor: int, layout: Layout) -> None:
        self._descriptor = descriptor
        self._layout = layout
        self.size = layout.size
        """Bytes that were written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """A range, shorter where the file ends; raises NotFound where it is damaged."""
        out = bytearray(max(0, min(length, self.size - offset)))
        self.read_into(offset, memoryview(out))
        return bytes(out)

    def read_into(self, offset: int, out: memoryview) -> int:
        """As ``read``, into memory that is there (bytes, contiguous, writable); how many bytes there were."""
        with _lost():
            return sealing.read_into(self._descriptor, self._layout, offset, out)


class Derived:
    """Derived files below a folder, ``<study>/<file>``, both hashed.

    ``form`` is that of objects; ``key_for`` finds or makes a study's key, ``key_of`` finds it by its id.
    """

    def __init__(
        self,
        folder: Path,
        form: Form | None = None,
        key_for: Callable[[str], StudyKey] = _no_study_key,
        key_of: Callable[[bytes], bytes] = no_keys,
    ) -> None:
        self._folder = folder
        self._form = form or Form()
        self._key_for = key_for
        self._key_of = key_of

    def write(self, study_uid: str, name: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Keep the pieces, one after the other, under this name, in place of what was there.

        Readers see the old file or all of the new one. Raises Exhausted when the disk is full, Unavailable
        when the disk or the database does not answer.
        """
        path = self._path(study_uid, name)
        key = self._key_for(study_uid) if self._form.cipher is not None else None
        source = io.BytesIO(b"".join(pieces))
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        fresh = path.with_name(f".{secrets.token_hex(16)}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                sealing.seal(source, file, _bound_name(study_uid, name), size=size, form=self._form, key=key)
            # Not put on the disk by force: what a power cut damages is found damaged, and made again.
            fresh.replace(path)
        except OSError as error:
            raise disk_error(error) from error
        finally:
            fresh.unlink(missing_ok=True)

    def open(self, study_uid: str, name: str) -> DerivedFile:
        """A file that was written under this name; raises NotFound."""
        path = self._path(study_uid, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(_MISSING) from error
        except OSError as error:
            raise disk_error(error) from error
        try:
            with _lost():
                return DerivedFile(
                    descriptor,
                    sealing.read_layout(descriptor, _bound_name(study_uid, name), self._key_of),
                )
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, NotFound):
                # It will never be of use again.
                path.unlink(missing_ok=True)
            raise

    def remove(self, study_uid: str, name: str | None = None) -> None:
        """Forget a file, or all of a study."""
        if name is None:
            shutil.rmtree(self._study(study_uid), ignore_errors=True)
        else:
            self._path(study_uid, name).unlink(missing_ok=True)

    def trim(self, budget_bytes: int) -> int:
        """Remove the oldest files until all together need no more than this; the bytes that went."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*/*"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                found.append((facts.st_mtime, facts.st_size, path))
        surplus = sum(size for _, size, _ in found) - budget_bytes
        removed = 0
        for _, size, path in sorted(found, key=lambda one: one[0]):
            if removed >= surplus:
                break
            path.unlink(missing_ok=True)
            removed += size
        return removed

    def _study(self, study_uid: str) -> Path:
        return self._folder / hashlib.sha256(study_uid.encode()).hexdigest()

    def _path(self, study_uid: str, name: str) -> Path:
        return self._study(study_uid) / hashlib.sha256(name.encode()).hexdigest()


def _bound_name(study_uid: str, name: str) -> bytes:
    """What the file is sealed as: moved to another study or name it does not open."""
    return hashlib.sha256(f"derived {study_uid}\0{name}".encode()).digest()


@contextmanager
def _lost() -> Iterator[None]:
    """A cache says of what it cannot read any more that it is not there."""
    try:
        yield
    except (Invalid, Gone) as error:
        log.info("a derived file is dropped", extra={"reason": error.message})
        raise NotFound(_MISSING) from error
