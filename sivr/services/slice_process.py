"""A process that makes pictures of frames: stored values in shared memory to encoded bytes, nothing else.

It has no other threads to quarrel with over the interpreter's lock, and ends when its socket does.
"""

from __future__ import annotations

import contextlib
import mmap
import signal
import socket
import time
from collections import OrderedDict
from pathlib import Path

import msgspec
import numpy as np

from sivr import codec
from sivr.errors import SivrError
from sivr.model.pixels import FrameDisplay, PixelFormat, Window
from sivr.model.rendering import Coloring, Interpolation, Viewport
from sivr.services import slices
from sivr.services.segments import FOLDER

SLOT_BYTES = 2 * 1024 * 1024
"""Room of a slot for values, and as much again for the picture made of them."""
SLOTS = 2
"""Jobs that one process may have: the next is there when the last one is done."""
MESSAGE_BYTES = 64 * 1024
MAPPED = 32
"""Segments kept mapped."""


class SliceJob(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A frame and how to show it."""

    id: int
    slot: int
    segment: str
    """Name of the shared memory that holds the values; empty where they were copied to the slot."""
    offset: int
    dtype: str
    shape: tuple[int, ...]
    form: PixelFormat
    display: FrameDisplay
    window: Window | None
    invert: bool
    viewport: Viewport | None
    media_type: str
    quality: int | None
    coloring: Coloring
    interpolation: Interpolation


class ForgetSegment(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A segment that goes away: its memory is free only when nobody maps it any more."""

    segment: str


class SliceMade(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The picture lies in the second half of the job's slot."""

    id: int
    size: int
    width: int
    height: int
    color: bool
    render_ms: float
    encode_ms: float


class SliceNotMade(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Somebody else has to make it: the memory is gone, the picture too large, or the frame at fault."""

    id: int


class Ready(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The process can work."""


Order = SliceJob | ForgetSegment
Answer = SliceMade | SliceNotMade | Ready
_orders = msgspec.msgpack.Decoder(Order)
_answers = msgspec.msgpack.Encoder()


def main(pipe: socket.socket, slots: str) -> None:
    """Make pictures until the socket ends; the target of the process. ``slots`` names its shared memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    # A socket or memory that is gone means nobody is there to be told: the node ended while this began.
    with contextlib.suppress(OSError):
        maker = _Maker(slots)
        pipe.setblocking(True)
        pipe.send(_answers.encode(Ready()))
        while body := pipe.recv(MESSAGE_BYTES):
            match _orders.decode(body):
                case SliceJob() as job:
                    pipe.send(_answers.encode(maker.make(job)))
                case ForgetSegment(segment=name):
                    maker.forget(name)


class _Maker:
    def __init__(self, slots: str) -> None:
        with (FOLDER / slots).open("r+b") as file:
            self._slots = memoryview(mmap.mmap(file.fileno(), 0))
        self._mapped: OrderedDict[str, mmap.mmap] = OrderedDict()

    def make(self, job: SliceJob) -> SliceMade | SliceNotMade:
        """One picture."""
        try:
            return self._make(job)
        except (SivrError, OSError, ValueError):
            return SliceNotMade(job.id)

    def forget(self, name: str) -> None:
        """Unmap a segment."""
        mapped = self._mapped.pop(name, None)
        if mapped is not None:
            mapped.close()

    def _make(self, job: SliceJob) -> SliceMade | SliceNotMade:
        begun = time.perf_counter()
        start = job.slot * 2 * SLOT_BYTES
        memory = self._segment(job.segment) if job.segment else self._slots[start : start + SLOT_BYTES]
        count = int(np.prod(job.shape, dtype=np.int64))
        values = np.frombuffer(memory, np.dtype(job.dtype), count, job.offset).reshape(job.shape)
        pixels = slices.shown_as(job.form, job.display, values, job.window, job.invert, job.coloring)
        # Held any longer it would keep the memory from being given back.
        del values, memory
        pixels = slices.in_viewport(pixels, job.viewport, job.interpolation)
        rendered = time.perf_counter()
        body = codec.encode(pixels, job.media_type, job.quality)
        if len(body) > SLOT_BYTES:
            return SliceNotMade(job.id)
        self._slots[start + SLOT_BYTES : start + SLOT_BYTES + len(body)] = body
        done = time.perf_counter()
        return SliceMade(
            job.id,
            len(body),
            pixels.shape[1],
            pixels.shape[0],
            pixels.ndim == 3,
            (rendered - begun) * 1000,
            (done - rendered) * 1000,
        )

    def _segment(self, name: str) -> mmap.mmap:
        found = self._mapped.get(name)
        if found is None:
            with Path(FOLDER / name).open("rb") as file:
                found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._mapped[name] = found
            while len(self._mapped) > MAPPED:
                self._mapped.popitem(last=False)[1].close()
        else:
            self._mapped.move_to_end(name)
        return found


decode_answer = msgspec.msgpack.Decoder(Answer).decode
encode_order = msgspec.msgpack.Encoder().encode
