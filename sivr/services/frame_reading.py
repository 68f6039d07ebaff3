"""From stored bytes to decoded frames and slices, in threads; what goes wrong comes back as a sentence."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, TypeVar

import numpy as np

from sivr.dicom.pixels import (
    decode_frame,
    decode_frames,
    has_other_bits,
    plain_frame,
    settle,
    stored_dtype,
)
from sivr.dicom.volume import blend, frame_voxels, slice_sources
from sivr.errors import Exhausted, Gone, Invalid, SivrError
from sivr.model.studies import FrameAddress, InstanceHeader, VoxelScale
from sivr.services.open_series import Array, OpenSeries
from sivr.services.pixel_memory import PixelMemory
from sivr.services.segments import Segment
from sivr.store.blobs import Blobs
from sivr.store.index import StoredInstance

log = logging.getLogger("sivr.loading")
T = TypeVar("T")

Found = dict[int, Array | str]
"""Decoded values, or the sentence why there are none, by place in reading order."""
_WHOLE = threading.BoundedSemaphore(2)
"""Objects whose frames cannot be read alone are decoded whole, which may take much memory: few at once."""


FETCHED_BYTES = 512 * 1024 * 1024
"""How much of a series is fetched ahead at once: what others read must stay in the system's cache too."""


class FrameReader:
    """Reads and decodes frames. Every method is synchronous, thread-safe, and never raises."""

    def __init__(self, blobs: Blobs, memory: PixelMemory) -> None:
        self._blobs = blobs
        self._memory = memory

    def fetch(self, series: OpenSeries, positions: Iterable[int]) -> None:
        """Let the system read what frames are made of ahead, in this order: a disk answers many questions at
        once sooner than one after the other. Frames inside of an object are asked for exactly; the system by
        itself would read far beyond each, most of the object for a few of its frames."""
        left = FETCHED_BYTES
        for sha256, places in itertools.groupby(positions, lambda one: series.header_of(one)[0].sha256):
            parts: list[tuple[int, int]] = []
            for position in places:
                stored, number = series.header_of(position)
                frames = stored.header.frames
                parts += frames[number].parts if number < len(frames) else ()
            left -= self._blobs.fetch(sha256, parts)
            if left <= 0:
                return

    def read(self, series: OpenSeries, position: int) -> Found:
        """Decode a frame; where frames cannot be read alone, every frame of the instance."""
        stored, number = series.header_of(position)
        frames = stored.header.frames
        if number < len(frames) and frames[number].parts:
            return {position: self.read_frame(stored, number)}
        return self._read_all(series, stored, position)

    def read_frame(self, stored: StoredInstance, number: int) -> Array | str:
        """One frame (from 0) that can be read alone."""
        return guarded(lambda: self._read_one(stored, number))

    def whole(self, stored: StoredInstance, read: Callable[[BinaryIO], T]) -> T:
        """What ``read`` makes of the whole object; unlike the others raises what goes wrong."""
        with self._blobs.open(stored.sha256) as file:
            return read(file)

    def encoded(self, stored: StoredInstance, number: int) -> bytes:
        """The encoded bytes of a frame (from 0) that can be read alone, else none; raises what goes wrong."""
        parts = stored.header.frames[number].parts
        return b"".join(self._blobs.read(stored.sha256, offset, length) for offset, length in parts)

    def _read_one(self, stored: StoredInstance, number: int) -> Array:
        form = stored.header.pixel_format
        if form is not None and (place := plain_frame(stored.header, number, stored_dtype(form))) is not None:
            values = np.empty((form.rows, form.columns), stored_dtype(form))
            self._fill(stored, place, values)
            if has_other_bits(form):
                settle(form, values, values)
            return values
        return _checked(stored.header, decode_frame(stored.header, number, self.encoded(stored, number)))

    def _read_all(self, series: OpenSeries, stored: StoredInstance, wanted: int) -> Found:
        found: Found = {}

        def each() -> Array:
            with _WHOLE, self._blobs.open(stored.sha256) as file:
                for number, values in enumerate(decode_frames(stored.header, file), start=1):
                    place = series.position.get(FrameAddress(stored.header.instance_uid, number))
                    if place is not None:
                        found[place] = _checked(stored.header, values)
            last = found.get(wanted)
            if last is None or isinstance(last, str):
                raise Invalid("The object ends before this frame.")
            return last

        outcome = guarded(each)
        for position in series.together(wanted):
            found.setdefault(
                position, outcome if isinstance(outcome, str) else "The object ends before this frame."
            )
        return found

    def read_into(self, series: OpenSeries, position: int, segment: Segment, k: int) -> Found:
        """As ``read``, and the frame is put into slice k of the volume as well."""
        stored, number = series.header_of(position)
        if (place := plain_frame(stored.header, number, segment.dtype)) is not None:
            return {position: guarded(lambda: self._read_plain(stored, place, segment, k))}
        found = self.read(series, position)
        values = found[position]
        if not isinstance(values, str):
            found[position] = guarded(lambda: _put(segment, k, values))
        return found

    def _fill(self, stored: StoredInstance, place: tuple[int, int], samples: Array) -> None:
        offset, length = place
        if self._blobs.read_into(stored.sha256, offset, samples.data.cast("B")) < length:
            raise Invalid("The object ends before this frame.")

    def _read_plain(self, stored: StoredInstance, place: tuple[int, int], segment: Segment, k: int) -> Array:
        """Samples that need no decoding, from the disk to where they belong."""
        form = stored.header.pixel_format
        assert form is not None
        if (form.rows, form.columns) != segment.shape[1:]:
            raise Invalid("This frame does not have the size that its header says.")
        samples = _room(segment.shape[1:], segment.dtype)
        self._fill(stored, place, samples)
        if has_other_bits(form):
            settle(form, samples, samples)
        return _put(segment, k, samples)

    def slice_voxels(self, series: OpenSeries, k: int, scale: VoxelScale) -> tuple[Found, Array | None]:
        """Slice k of a volume from its frames, brought to a common scale or resampled between, and what was
        decoded on the way; None when a frame of it is broken."""
        grid = series.stack.volume
        assert grid is not None
        decoded: Found = {}
        parts: list[tuple[Array, float]] = []
        for position, weight in slice_sources(grid, k):
            values: Array | str | None = self._memory.peek(series, position)
            if values is None:
                values = series.errors.get(position)
            if values is None:
                decoded.update(self.read(series, position))
                values = decoded[position]
            if isinstance(values, str):
                return decoded, None
            stored, number = series.header_of(position)
            part = _voxels(scale, stored.header, number, values)
            if isinstance(part, str):
                return decoded, None
            parts.append((part, weight))
        made = parts[0][0] if len(parts) == 1 else guarded(lambda: blend(parts, scale))
        return decoded, None if isinstance(made, str) else made


_ROOM = threading.local()


def _room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A buffer of this thread's own for one frame: fresh memory costs as much as reading into it."""
    room: Array | None = getattr(_ROOM, "samples", None)
    if room is None or room.shape != shape or room.dtype != dtype:
        room = _ROOM.samples = np.empty(shape, dtype)
    return room


def _put(segment: Segment, k: int, values: Array) -> Array:
    """The values where they are kept now; values may be a thread's own buffer. Whoever waits for the frame
    has it, even where there is no memory for the volume."""
    kept: Array | None = None
    with contextlib.suppress(Exhausted):
        kept = segment.put(k, values)
    return values.copy() if kept is None else kept


class Unread(str):
    """A sentence why there are no values at present; the object itself may be sound."""

    __slots__ = ()


def guarded(work: Callable[[], Array]) -> Array | str:
    """What ``work`` returns, or one sentence why it cannot: a broken frame must not stop the others."""
    try:
        return work()
    except (Invalid, Gone) as error:
        return error.message
    except SivrError as error:
        return Unread(error.message)
    except (OSError, MemoryError):
        log.exception("a stored object cannot be read")
        return Unread("The stored object cannot be read at present; please ask again.")
    except Exception:
        log.exception("decoding failed")
        return "This frame cannot be decoded."


def _voxels(scale: VoxelScale, header: InstanceHeader, number: int, values: Array) -> Array | str:
    return guarded(lambda: frame_voxels(scale, header, number, values))


def _checked(header: InstanceHeader, values: Array) -> Array:
    """The decoded frame if it has the size its header promises; raises Invalid."""
    form = header.pixel_format
    if form is not None and values.shape[:2] != (form.rows, form.columns):
        raise Invalid("This frame does not have the size that its header says.")
    return values
