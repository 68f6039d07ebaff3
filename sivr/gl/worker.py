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
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from sivr.errors import Canceled, SivrError, Unavailable
from sivr.gl import messages
from sivr.gl.context import Platform, create, describe, is_software
from sivr.gl.messages import Cancel, Drawn, Failed, Forget, Hello, Job, Refusal, Stop, ToWorker

DRAFT_UPLOAD_S = 0.2
"""A draft shows the slices that can be uploaded in this time; the rest follows."""
AHEAD_S = 0.02
"""How long work ahead may keep a job waiting."""
NICENESS = 10
"""A volume takes all cores for long; slices, made in a millisecond by the process that serves, go between."""


def main(pipe: Connection, platform: Platform, device: int, texture_budget_bytes: int) -> None:
    """Run until told to stop or the pipe ends; the target of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    # Before any thread: each takes it from the one that starts it.
    os.nice(NICENESS)
    # A pipe that is gone means nobody is there to be told.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            artist, hello = _begin(platform, device, texture_budget_bytes)
        except (SivrError, ImportError, OSError) as error:
            pipe.send_bytes(messages.encode(Refusal(str(error))))
            return
        pipe.send_bytes(messages.encode(hello))
        # Beside the first pictures, which would otherwise wait for compilers one after the other.
        threading.Thread(target=_warm_up, name="sivr-gl-warm-up", daemon=True).start()
        Worker(pipe, artist).run()


def _begin(platform: Platform, device: int, budget_bytes: int) -> tuple[Artist, Hello]:
    """Whoever draws here, and what there is to say about it."""
    refused: tuple[str, ...] = ()
    if platform != "software":
        try:
            context = create(platform, device)
        except Unavailable as error:
            if platform != "auto":
                raise
            refused = (str(error),)
        else:
            names = describe()
            if platform != "auto" or not is_software(names["renderer"]):
                hardware = GlArtist(budget_bytes)
                return hardware, Hello(
                    context.way, names["renderer"], names["version"], context.refused, hardware.slice_path()
                )
            # A rasterizer on the processor is the slower way to use it.
            context.release()
    from sivr.kernels.lanes import LANES, processor

    renderer = f"{processor()}, {LANES} rays at once"
    return SoftwareArtist(budget_bytes), Hello("software", renderer, "", refused, "cpu")


def _warm_up() -> None:
    from sivr.kernels.warm import warm_up

    warm_up()


class Worker:
    """The loop of a render process."""

    def __init__(self, pipe: Connection, artist: Artist) -> None:
        self._pipe = pipe
        self._artist = artist
        self._waiting: deque[ToWorker] = deque()

    def run(self) -> None:
        """Answer jobs until Stop; raises EOFError when the other side is gone."""
        while True:
            message = self._waiting.popleft() if self._waiting else self._next()
            match message:
                case Job():
                    self._do(message)
                case Forget(key=key):
                    self._artist.forget(key)
                case Stop():
                    return
                case Cancel():
                    continue

    def _next(self) -> ToWorker:
        """The next message; until it comes, work ahead."""
        while not self._pipe.poll() and self._artist.prepare():
            pass
        return self._receive()

    def _receive(self) -> ToWorker:
        message: ToWorker = messages.decode_to_worker(self._pipe.recv_bytes())
        return message

    def _do(self, job: Job) -> None:
        try:
            drawn, body = self._artist.draw(job, lambda: self._check(job.id))
        except Exception as error:
            # A picture that fails must not take the textures of everybody else with it.
            kind = type(error).__name__ if isinstance(error, SivrError) else "Unavailable"
            text = str(error) if isinstance(error, SivrError) else f"The picture cannot be drawn ({error!r})."
            self._pipe.send_bytes(messages.encode(Failed(job.id, kind, text[:500])))
            return
        self._pipe.send_bytes(messages.encode(drawn))
        self._pipe.send_bytes(body)

    def _check(self, job: int) -> None:
        """Between bands of a picture: has it been canceled? Other messages wait for their turn."""
        while self._pipe.poll():
            message = self._receive()
            if isinstance(message, Cancel):
                if message.id == job:
                    raise Canceled("Nobody waits for this picture any more.")
            else:
                self._waiting.append(message)


class Artist:
    """Draws jobs; what it needs is imported when it is made."""

    _volumes: Any
    _caster: Any

    def forget(self, key: str) -> None:
        """The voxels of this volume go away."""
        self._volumes.forget(key)

    def prepare(self) -> bool:
        """Work ahead a little; returns whether there was anything to do."""
        return bool(self._volumes.prepare(AHEAD_S))

    def draw(self, job: Job, check: Callable[[], None]) -> tuple[Drawn, Any]:
        started = time.perf_counter()
        draft = job.volume is not None and job.volume.draft
        volume = self._volumes.get(job.source, DRAFT_UPLOAD_S if draft else None, check)
        ready = volume.slices_ready
        updated = time.perf_counter()
        if job.volume is not None:
            pixels = self._caster.volume(volume, job.volume, None if draft else check)
        elif job.plane is not None:
            pixels = self._caster.plane(volume, job.plane, check)
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

    def slice_path(self) -> str:
        """cpu or gl: which shows a stored frame faster here."""
        from sivr.gl.slice import choose_slice_path

        return choose_slice_path()


class SoftwareArtist(Artist):
    """With the processor alone."""

    def __init__(self, budget_bytes: int) -> None:
        from sivr.gl.software import SoftwareCaster, SoftwareVolumes

        self._volumes = SoftwareVolumes(budget_bytes)
        self._caster = SoftwareCaster()
