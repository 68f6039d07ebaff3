"""DICOM objects by the SHA-256 of their content, as they came or sealed. Where object storage comes in later.

Nobody outside this file knows that an object is a file, and how it is stored: the file itself says that
(``sivr.store.sealing``), so that objects of all kinds lie side by side. Reading is synchronous, for threads.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sivr.errors import Gone, Invalid, NotFound, SivrError
from sivr.store import sealing
from sivr.store.inbox import disk_error
from sivr.store.sealing import Form, Layout, StudyKey

_HASH = re.compile(r"[0-9a-f]{64}")
_LAYOUTS = 64
_BELIEVED_S = 30.0
"""How long an opened layout is used without asking for its key again, which may have been erased."""
_BUFFER_BYTES = 64 * 1024


def no_keys(key_id: bytes) -> bytes:
    """Where a node has no master key."""
    raise Invalid("This object is encrypted, and this node has no master key to open it with.")


class Blobs:
    """Objects below a folder, ``ab/cd/<sha256>``.

    ``form`` says how new objects are stored, ``key_of`` finds a study's key by its id (raises Gone for one
    that was erased). Objects that are not as they were sealed raise Invalid wherever they are read.
    """

    def __init__(
        self, folder: Path, form: Form | None = None, key_of: Callable[[bytes], bytes] = no_keys
    ) -> None:
        self._folder = folder
        self.form = form or Form()
        """How new objects are stored."""
        self._key_of = key_of
        self._layouts: OrderedDict[str, tuple[tuple[int, int, int], float, Layout]] = OrderedDict()
        self._layouts_lock = threading.Lock()
        self._durable: set[Path] = set()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error) from error

    @property
    def encrypts(self) -> bool:
        """Whether new objects need the key of their study."""
        return self.form.cipher is not None

    def adopt(
        self, path: Path, sha256: str, *, key: StudyKey | None = None, starts: Iterable[int] = ()
    ) -> None:
        """Take over a complete file of the same file system as the object; durable when this returns.

        ``key`` is that of its study, needed where objects are encrypted; ``starts`` are the offsets where its
        frames begin, which are then read without their neighbors. Raises Exhausted when the disk is full.
        """
        target = self._path(sha256)
        try:
            with path.open("rb") as file:
                beginning = file.read(len(sealing.MAGIC))
                # What looks like a sealed file without being one is sealed, or it would be taken for one.
                if not self.form.raw or sealing.is_sealed(beginning):
                    self._adopt_sealed(file, target, sha256, key, starts)
                else:
                    os.fsync(file.fileno())
                    self._make_durable(target.parent)
                    # Also over the same object: its age starts anew, so that no sweeper takes it away.
                    os.utime(path)
                    with self._moving():
                        path.replace(target)
                    _sync_folder(target.parent)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error) from error

    def _adopt_sealed(
        self, file: BinaryIO, target: Path, sha256: str, key: StudyKey | None, starts: Iterable[int]
    ) -> None:
        unfinished = self._folder / ".sealing"
        unfinished.mkdir(mode=0o700, exist_ok=True)
        fresh = unfinished / secrets.token_hex(16)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as sealed:
                name = bytes.fromhex(sha256)
                sealing.seal(file, sealed, name, size=size, form=self.form, key=key, starts=starts)
                sealed.flush()
                os.fsync(sealed.fileno())
            self._make_durable(target.parent)
            with self._moving():
                fresh.replace(target)
            _sync_folder(target.parent)
        finally:
            fresh.unlink(missing_ok=True)

    def open(self, sha256: str) -> BinaryIO:
        """The whole object as a seekable stream; raises NotFound."""
        descriptor = self._open(sha256)
        try:
            layout = self._layout(descriptor, sha256)
        except BaseException:
            os.close(descriptor)
            raise
        if layout is None:
            return os.fdopen(descriptor, "rb")
        return io.BufferedReader(SealedReader(descriptor, layout), _BUFFER_BYTES)

    def read(self, sha256: str, offset: int, length: int) -> bytes:
        """A range of the object; raises NotFound. Shorter where the object ends."""
        descriptor = self._open(sha256)
        try:
            layout = self._layout(descriptor, sha256)
            if layout is not None:
                out = bytearray(max(0, min(length, layout.size - offset)))
                sealing.read_into(descriptor, layout, offset, memoryview(out))
                return bytes(out)
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

    def read_into(self, sha256: str, offset: int, out: memoryview) -> int:
        """As ``read``, into memory that is there (bytes, contiguous, writable); how many bytes there were."""
        descriptor = self._open(sha256)
        try:
            layout = self._layout(descriptor, sha256)
            if layout is not None:
                return sealing.read_into(descriptor, layout, offset, out)
            done = 0
            while done < len(out) and (more := os.preadv(descriptor, [out[done:]], offset + done)):
                done += more
            return done
        finally:
            os.close(descriptor)

    def fetch(self, sha256: str, ranges: Iterable[tuple[int, int]]) -> int:
        """Let the system read these ranges (offset, length) ahead while other things are done; how many bytes
        of the disk they are. What is the matter with the object is left to whoever reads it."""
        total = 0
        with suppress(SivrError, OSError):
            descriptor = self._open(sha256)
            try:
                layout = self._layout(descriptor, sha256)
                for offset, length in ranges:
                    begin, end = offset, offset + length
                    if layout is not None:
                        begin, end = sealing.stored_range(layout, begin, end)
                    os.posix_fadvise(descriptor, begin, end - begin, os.POSIX_FADV_WILLNEED)
                    total += end - begin
            finally:
                os.close(descriptor)
        return total

    def size(self, sha256: str) -> int:
        """Bytes of the object, stored as it may be; raises NotFound."""
        descriptor = self._open(sha256)
        try:
            layout = self._layout(descriptor, sha256)
            return os.fstat(descriptor).st_size if layout is None else layout.size
        finally:
            os.close(descriptor)

    def holds(self, sha256: str, size_bytes: int) -> bool:
        """Whether the object is there in its full size, and its key too."""
        try:
            return self.size(sha256) == size_bytes
        except (NotFound, Invalid, Gone):
            return False

    def _open(self, sha256: str) -> int:
        try:
            return os.open(self._path(sha256), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound("The stored object is missing.") from error

    def _layout(self, descriptor: int, sha256: str) -> Layout | None:
        """How the open file is sealed; None for one that is as it came."""
        facts = os.fstat(descriptor)
        # The same name may mean another file by now.
        stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
        with self._layouts_lock:
            known = self._layouts.get(sha256)
            if known is not None and known[0] == stamp and known[1] > time.monotonic():
                self._layouts.move_to_end(sha256)
                return known[2]
        if not sealing.is_sealed(os.pread(descriptor, len(sealing.MAGIC), 0)):
            return None
        layout = sealing.read_layout(descriptor, bytes.fromhex(sha256), self._key_of)
        with self._layouts_lock:
            self._layouts[sha256] = (stamp, time.monotonic() + _BELIEVED_S, layout)
            while len(self._layouts) > _LAYOUTS:
                self._layouts.popitem(last=False)
        return layout

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

    def remove_unfinished(self, older_than_s: float) -> None:
        """Remove what killed processes left half sealed."""
        limit = time.time() - older_than_s
        for path in (self._folder / ".sealing").glob("*"):
            if _modified(path) <= limit:
                path.unlink(missing_ok=True)

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


class SealedReader(io.RawIOBase):
    """A sealed file as a stream of what was sealed. Owns the descriptor; for one thread at a time."""

    def __init__(self, descriptor: int, layout: Layout) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._layout = layout
        self._position = 0
        self._begin = 0
        self._chunk = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """As of raw streams: less than asked for where a chunk ends."""
        out = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        at = self._position
        if at >= self._layout.size:
            return 0
        if not self._begin <= at < self._begin + len(self._chunk):
            self._begin, end = sealing.chunk_around(self._layout, at)
            chunk = bytearray(end - self._begin)
            sealing.read_into(self._descriptor, self._layout, self._begin, memoryview(chunk))
            self._chunk = bytes(chunk)
        piece = memoryview(self._chunk)[at - self._begin :][: len(out)]
        out[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = max(0, offset + (0, self._position, self._layout.size)[whence])
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):
                os.close(self._descriptor)
        super().close()


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
