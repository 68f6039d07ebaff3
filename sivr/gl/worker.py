"""A render process: one OpenGL context or none, some volumes, one job at a time.

It ends when its pipe does, so it never outlives the process that started it, and leaves Ctrl-C to that
process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np

from sivr.errors import Canceled, SivrError, Unavailable
from sivr.gl import messages
from sivr.gl.attempt import Attempt, Interrupted
from sivr.gl.context import Context, create, describe, is_software
from sivr.gl.heap import give_large_back
from sivr.gl.messages import (
    Discard,
    Drawn,
    Failed,
    Forget,
    Hello,
    Job,
    Paused,
    Refusal,
    Stop,
    ToWorker,
    Trial,
)
from sivr.gl.pick import picked
from sivr.gl.seat import Seat
from sivr.gl.trial import choose_readback, hold

DRAFT_UPLOAD_S = 0.2
"""A draft shows the slices that can be uploaded in this time; the rest follows."""
AHEAD_S = 0.02
"""How long work ahead may keep a job waiting."""
KEPT_BYTES = 128 * 1024 * 1024
"""Beginnings of pictures that were put aside; beyond it the oldest is drawn from its first row again."""
TURN_S = 20.0
TRIAL_BYTES = 64 << 20
NICENESS = 10
"""A volume takes all cores for long; slices, made in a millisecond by the process that serves, go between."""


def main(pipe: Connection, flags: Any, turn: Any, seat: Seat) -> None:
    """Run until told to stop or the pipe ends; the target of the process. ``flags`` as ``Attempt`` reads
    them; ``turn`` is a lock that workers measure under, one after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    # Before any thread: each takes it from the one that starts it.
    os.nice(NICENESS)
    give_large_back()
    # A pipe that is gone means nobody is there to be told.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            artist, hello = _begin(seat, turn)
        except (SivrError, ImportError, OSError) as error:
            pipe.send_bytes(messages.encode(Refusal(str(error))))
            return
        pipe.send_bytes(messages.encode(hello))
        # Beside the first pictures, which would otherwise wait for compilers one after the other.
        threading.Thread(target=_warm_up, name="sivr-gl-warm-up", daemon=True).start()
        Worker(pipe, flags, artist).run()


def _begin(seat: Seat, turn: Any) -> tuple[Artist, Hello]:
    """Whoever draws here, and what there is to say about it."""
    refused: tuple[str, ...] = ()
    trial: Trial | None = None
    if seat.platform == "auto":
        hardware, trial, refused = _hardware(seat, turn)
        if hardware is not None:
            return hardware
    elif seat.platform != "software":
        return _with_device(seat, create(seat.platform, seat.device, seat.number), turn)
    from sivr.kernels.lanes import LANES, processor

    renderer = f"{processor()}, {LANES} rays at once"
    hello = Hello("software", renderer, "", refused, "cpu", budget_bytes=seat.memory_bytes, trial=trial)
    return SoftwareArtist(seat.memory_bytes), hello


def _hardware(seat: Seat, turn: Any) -> tuple[tuple[Artist, Hello] | None, Trial | None, tuple[str, ...]]:
    """Who draws with a graphics device, where one is there and quicker than the processor; else None, what
    was measured, and why not."""
    try:
        context = create(seat.platform, seat.device, seat.number)
    except Unavailable as error:
        return None, None, (str(error),)
    renderer = describe()["renderer"]
    # A rasterizer on the processor is the slower way to use it; it is measured if it is asked for.
    if is_software(renderer) and seat.device == "all":
        context.release()
        return None, None, ()
    try:
        hardware, hello = _with_device(seat, context, turn)
        with _in_turn(turn):
            trial = hold(hardware.way(), SoftwareArtist(TRIAL_BYTES).way())
    except Exception as error:
        # A driver that fails in any way must not keep pictures from being drawn.
        context.release()
        return None, None, (f"{renderer}: {error}"[:500],)
    if trial.device_wins:
        return (hardware, msgspec.structs.replace(hello, trial=trial)), trial, ()
    hardware.close()
    context.release()
    return None, trial, (f"{renderer}: slower than the processor",)


def _with_device(seat: Seat, context: Context, turn: Any) -> tuple[GlArtist, Hello]:
    from sivr.gl.memory import device_memory, texture_budget
    from sivr.gl.slice import choose_slice_path

    names, memory = describe(), device_memory()
    budget = texture_budget(seat, context.devices, memory, is_software(names["renderer"]))
    artist = GlArtist(budget)
    with _in_turn(turn):
        readback, slices = choose_readback(artist.way()), choose_slice_path()
    hello = Hello(
        context.way, names["renderer"], names["version"], context.refused, slices,
        device=context.device, memory_bytes=memory.total or memory.free, budget_bytes=budget,
        readback=readback,
    )  # fmt: skip
    return artist, hello


@contextlib.contextmanager
def _in_turn(turn: Any) -> Iterator[None]:
    """Measure while no other worker does."""
    # One that dies in its turn must not keep the others from theirs.
    mine = turn.acquire(timeout=TURN_S)
    try:
        yield
    finally:
        if mine:
            turn.release()


def _warm_up() -> None:
    from sivr.kernels.warm import warm_up_rays

    warm_up_rays()


class Worker:
    """The loop of a render process."""

    def __init__(self, pipe: Connection, flags: Any, artist: Artist) -> None:
        self._pipe = pipe
        self._flags = flags
        self._artist = artist
        self._aside: OrderedDict[int, Attempt] = OrderedDict()

    def run(self) -> None:
        """Answer jobs until Stop; raises EOFError when the other side is gone."""
        while True:
            message = self._next()
            match message:
                case Job():
                    self._do(message)
                case Discard(id=number):
                    self._aside.pop(number, None)
                case Forget(key=key):
                    self._artist.forget(key)
                case Stop():
                    return

    def _next(self) -> ToWorker:
        """The next message; until it comes, work ahead."""
        while not self._pipe.poll() and self._artist.prepare():
            pass
        message: ToWorker = messages.decode_to_worker(self._pipe.recv_bytes())
        return message

    def _do(self, job: Job) -> None:
        attempt = self._aside.pop(job.id, None) or Attempt(self._flags, job.id)
        try:
            drawn, body = self._artist.draw(job, attempt)
        except Interrupted:
            self._put_aside(job.id, attempt)
            self._pipe.send_bytes(messages.encode(Paused(job.id, attempt.rows, attempt.total)))
            return
        except Exception as error:
            # A picture that fails must not take the textures of everybody else with it.
            kind = type(error).__name__ if isinstance(error, SivrError) else "Unavailable"
            text = str(error) if isinstance(error, SivrError) else f"The picture cannot be drawn ({error!r})."
            view = job.volume or job.plane
            total = attempt.total or (view.height if view is not None else 0)
            failed = Failed(job.id, kind, text[:500], attempt.rows, total)
            self._pipe.send_bytes(messages.encode(failed))
            return
        self._pipe.send_bytes(messages.encode(drawn))
        self._pipe.send_bytes(body)

    def _put_aside(self, number: int, attempt: Attempt) -> None:
        self._aside[number] = attempt
        while sum(one.size_bytes for one in self._aside.values()) > KEPT_BYTES:
            self._aside.popitem(last=False)


class Artist:
    """Draws jobs; what it needs is imported when it is made."""

    _volumes: Any
    _caster: Any

    def way(self) -> tuple[Any, Any]:
        """The volumes and who draws them."""
        return self._volumes, self._caster

    def forget(self, key: str) -> None:
        """The voxels of this volume go away."""
        self._volumes.forget(key)

    def prepare(self) -> bool:
        """Work ahead a little; returns whether there was anything to do."""
        return bool(self._volumes.prepare(AHEAD_S))

    def draw(self, job: Job, attempt: Attempt) -> tuple[Drawn, Any]:
        """The picture and what there is to say about it; raises what drawing does, Canceled, Interrupted."""
        started = time.perf_counter()
        draft = job.volume is not None and job.volume.draft
        volume = self._volumes.get(job.source, DRAFT_UPLOAD_S if draft else None, attempt)
        ready = volume.slices_ready
        # A complete volume looks the same however often it is loaded.
        attempt.begin(volume.factors if volume.complete else (id(volume), volume.version))
        updated = time.perf_counter()
        if job.volume is not None and job.pick is not None:
            pixels = picked(volume, job.volume, job.pick).view(np.uint8)
        elif job.volume is not None:
            pixels = self._caster.volume(volume, job.volume, attempt)
        elif job.plane is not None:
            pixels = self._caster.plane(volume, job.plane, attempt)
        else:
            raise Canceled("The job asks for nothing.")
        self._volumes.trim()
        done = time.perf_counter()
        timing = {"update": (updated - started) * 1000, "draw": (done - updated) * 1000}
        answer = Drawn(job.id, pixels.shape, ready, len(volume.shared.ready), volume.factors, draft, timing)
        return answer, np.ascontiguousarray(pixels).reshape(-1).data


class GlArtist(Artist):
    """With OpenGL, in the context that is current."""

    def __init__(self, budget_bytes: int) -> None:
        from sivr.gl.raycast import Raycaster
        from sivr.gl.textures import TextureCache

        self._volumes = TextureCache(budget_bytes)
        self._caster = Raycaster(self._volumes)

    def close(self) -> None:
        """Give the device's memory back."""
        self._volumes.clear()


class SoftwareArtist(Artist):
    """With the processor alone."""

    def __init__(self, budget_bytes: int) -> None:
        from sivr.gl.software import SoftwareCaster, SoftwareVolumes

        self._volumes = SoftwareVolumes(budget_bytes)
        self._caster = SoftwareCaster()
