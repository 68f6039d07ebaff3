"""Shared memory for the voxels of a series, one segment each, seen by the render workers too.

Layout: ``voxels[k, j, i]`` first, then one status byte per slice (0 missing, 1 ready), then, from the next
multiple of 64 bytes on, the least and the largest value of every tile of each slice, as
``sivr.kernels.tiles`` makes them: who decodes a slice has it in its cache, and no worker needs to read it
again. Slices are written as into a file, not through the mapping: that spares the system a fault for every
page and the zeroes that would be overwritten, and where no memory is left it is an error that can be told,
while a mapping would end the process. One write a slice, for the system lets one thread at a time write into
a file; the small rest is reserved and mapped. A segment's name tells the node and the process, so that what
a killed process left behind can be removed at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import threading
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.errors import Exhausted
from sivr.kernels.tiles import put_tile_ranges, tiles_of

log = logging.getLogger("sivr.segments")

FOLDER = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lives on Linux, not a temporary file
MEMORY_LEFT_BYTES = 256 * 1024 * 1024
"""What the machine must have left for everything else after a segment is made."""
_NO_ROOM = "The server has too little memory left for this volume; its slices can be read one by one."
_ALIGNMENT = 64
_numbers = itertools.count(1)
_live: dict[str, Segment] = {}
_promising = threading.Lock()
_lingering: list[SharedMemory] = []
_lingering_lock = threading.Lock()


class Segment:
    """The voxels of one volume. Blocking to create: do it in a thread."""

    def __init__(
        self,
        prefix: str,
        shape: tuple[int, int, int],
        dtype: npt.DTypeLike,
        *,
        padding: int | None = None,
        factors: tuple[int, int, int] = (1, 1, 1),
        mapped: bool = False,
    ) -> None:
        """``factors``: voxels of the series that one voxel is the mean of, along k, j and i; ``padding`` is
        the voxel that is no image. With ``mapped`` the memory is taken at once, so that ``voxels`` may be
        written to; else slices come by ``put`` only. Raises Exhausted when the machine has no shared memory
        left for it."""
        kind = np.dtype(dtype)
        self.shape = shape
        self.dtype = kind
        self.factors = factors
        self.shown = False
        """Whether somebody has been given a picture of it before it was whole."""
        self._mapped = mapped
        self._padding = padding
        self.status_offset, self.ranges_offset, self.size_bytes = _layout(shape, kind)
        self.name = f"{prefix}-{os.getpid()}-{next(_numbers)}"
        self._lock = threading.Lock()
        self._closed = False
        self._writers = 0
        self._slice_bytes = int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
        with _promising:
            if self.size_bytes > room():
                raise Exhausted(_NO_ROOM)
            _live[self.name] = self
        try:
            self._memory = SharedMemory(self.name, create=True, size=self.size_bytes)
            self._file = os.open(FOLDER / self.name, os.O_RDWR | os.O_CLOEXEC)
        except BaseException:
            del _live[self.name]
            if (begun := self.__dict__.get("_memory")) is not None:
                begun.unlink()
            raise
        try:
            begin = 0 if mapped else self.status_offset
            os.posix_fallocate(self._file, begin, self.size_bytes - begin)
        except OSError as error:
            self.close()
            if error.errno not in (errno.ENOSPC, errno.ENOMEM):
                raise
            raise Exhausted(_NO_ROOM) from error
        # frombuffer keeps the mapping alive for every view; np.ndarray(buffer=...) would not, and a view of
        # a closed segment would end the process.
        memory = self._memory.buf
        assert memory is not None
        count = self.status_offset // kind.itemsize
        self.voxels: npt.NDArray[Any] = np.frombuffer(memory, kind, count).reshape(shape)
        self.ready: npt.NDArray[np.uint8] = np.frombuffer(memory, np.uint8, shape[0], self.status_offset)
        tiles = tiles_of(shape)
        count = int(np.prod(tiles, dtype=np.int64))
        self._ranges = np.frombuffer(memory, kind, 2 * count, self.ranges_offset).reshape(2, *tiles)

    @property
    def reduced(self) -> bool:
        """Whether voxels are means of several voxels of the series."""
        return self.factors != (1, 1, 1)

    @property
    def promised_bytes(self) -> int:
        """What its missing slices will take yet."""
        if self._closed:
            return 0
        ready: npt.NDArray[np.uint8] | None = self.__dict__.get("ready")
        if ready is None:
            # It is being made.
            return self.size_bytes
        missing = 0 if self._mapped else ready.size - int(np.count_nonzero(ready))
        return missing * self._slice_bytes

    def put(self, k: int, image: npt.NDArray[Any] | int) -> npt.NDArray[Any] | None:
        """Slice k is this image, or this value everywhere; it is ready when this returns. For threads.

        Returns the slice where it lies now; None where the segment is closed. What is ready stays as it is.
        Raises Exhausted when no memory is left for it; it is missing then.
        """
        values = np.full(self.shape[1:], image, self.dtype) if isinstance(image, int) else image
        values = np.ascontiguousarray(values, self.dtype)
        if values.shape != self.shape[1:]:
            raise ValueError("The image does not have the size of a slice.")
        with self._written() as writable:
            if not writable:
                return None
            kept: npt.NDArray[Any] = self.voxels[k]
            if self.ready[k]:
                return kept
            put_tile_ranges(values, self._padding, self._ranges[0, k], self._ranges[1, k])
            try:
                self._write(values, k * self._slice_bytes)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.ENOMEM):
                    raise
                raise Exhausted(_NO_ROOM) from error
            self.ready[k] = 1
            return kept

    def _write(self, values: npt.NDArray[Any], at: int) -> None:
        left = values.data.cast("B")
        while left:
            done = os.pwrite(self._file, left, at)
            left, at = left[done:], at + done

    @contextlib.contextmanager
    def _written(self) -> Iterator[bool]:
        """Keep the file open meanwhile: its number may be another file's as soon as it is closed. False
        when it is closed already and nobody looks at the voxels any more."""
        with self._lock:
            writable = not self._closed
            self._writers += writable
        try:
            yield writable
        finally:
            if writable:
                with self._lock:
                    self._writers -= 1
                    last = self._closed and not self._writers
                if last:
                    self.release()

    def close(self) -> None:
        """Give the memory back; pictures that are still being made from it finish undisturbed."""
        if self.retire():
            self.release()

    def retire(self) -> bool:
        """The quick part of ``close``: nobody finds it by its name any more. Whether ``release``, which takes
        some ten milliseconds for as many megabytes, is left to the caller."""
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            last = not self._writers
        del _live[self.name]
        with contextlib.suppress(FileNotFoundError):
            self._memory.unlink()
        return last

    def release(self) -> None:
        """The rest of ``close``. For threads."""
        os.close(self._file)
        self.__dict__.pop("voxels", None)
        self.__dict__.pop("ready", None)
        self.__dict__.pop("_ranges", None)
        with _lingering_lock:
            _lingering.append(self._memory)
        release_lingering()


def size_of(shape: tuple[int, int, int], dtype: npt.DTypeLike) -> int:
    """Bytes of a segment for a volume."""
    return _layout(shape, np.dtype(dtype))[2]


def _layout(shape: tuple[int, int, int], kind: np.dtype[Any]) -> tuple[int, int, int]:
    status = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    ranges = -(-(status + shape[0]) // _ALIGNMENT) * _ALIGNMENT
    return status, ranges, ranges + 2 * int(np.prod(tiles_of(shape), dtype=np.int64)) * kind.itemsize


def release_lingering() -> int:
    """Unmap closed segments that nobody looks at any more; returns how many are still being looked at."""
    with _lingering_lock:
        still = []
        for memory in _lingering:
            try:
                memory.close()
            except BufferError:
                still.append(memory)
        _lingering[:] = still
        return len(still)


def remove_leftovers(prefix: str) -> int:
    """Remove segments of processes that are gone (killed before they could clean up); returns how many."""
    removed = 0
    own = re.compile(re.escape(prefix) + r"-(\d+)-\d+")
    for path in FOLDER.glob(f"{prefix}-*") if FOLDER.is_dir() else ():
        match = own.fullmatch(path.name)
        if match is None or path.name in _live or _alive(int(match[1])):
            continue
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            removed += 1
    if removed:
        log.info("removed shared memory left behind", extra={"segments": removed})
    return removed


def _alive(pid: int) -> bool:
    # Our own number can only be that of a predecessor here: what is ours and alive stands in _live.
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def room() -> int:
    """Bytes a segment may have beside what the others will take yet. Asked before any is taken: a tmpfs takes
    all of the machine's memory and the kernel kills somebody before it says that it is full."""
    room = 1 << 62
    if FOLDER.is_dir():
        there = os.statvfs(FOLDER)
        room = there.f_bavail * there.f_frsize
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                room = min(room, int(line.split()[1]) * 1024 - MEMORY_LEFT_BYTES)
    return room - sum(segment.promised_bytes for segment in list(_live.values()))
