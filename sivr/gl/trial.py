"""A small volume drawn both ways at the start: is the graphics device quicker than the processor here?"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sivr.gl.attach import SHARED
from sivr.gl.messages import Readback, Trial
from sivr.gl.source import VolumeSource
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import PlaneView, TransferFunction, VolumeView

SIDE = 128
"""Voxels of the volume along each axis."""
PICTURE = 512
LIMIT_S = 1.5
"""For each way; a way that has not drawn twice by then is judged by what it has."""
ROUNDS = 5
READBACK_LIMIT_S = 0.3
READBACK_ROUNDS = 10
WINDOW = Window(500.0, 1000.0, "linear-exact")
_SHELL = TransferFunction("trial", ((400.0, 1.0, 0.8, 0.6, 0.0), (900.0, 1.0, 1.0, 1.0, 0.6)))
"""Half transparent: rays go through all of the volume."""


def hold(device: tuple[Any, Any], processor: tuple[Any, Any], limit_s: float = LIMIT_S) -> Trial:
    """Draw the same pictures both ways; each is given as (volumes, caster), and keeps nothing of it.

    The way back from the device is part of a picture, compiling is not.
    """
    with _phantom() as source:
        return Trial(_best_ms(device, source, limit_s), _best_ms(processor, source, limit_s))


def choose_readback(device: tuple[Any, Any], limit_s: float = READBACK_LIMIT_S) -> Readback:
    """Let a caster of OpenGL stream its pictures if that is quicker here; planes, for they cost the device
    least and the way back most."""
    volumes, caster = device
    with _phantom() as source:
        volume = volumes.get(source)
        view = PlaneView(
            viewpoint_for("a", ((SIDE - 1) / 2,) * 3, 4.0 * SIDE), PICTURE, PICTURE, SIDE, WINDOW
        )

        def draw(streams: bool) -> float:
            caster.streams = streams
            started = time.perf_counter()
            caster.plane(volume, view, _go_on)
            return (time.perf_counter() - started) * 1000

        try:
            times: dict[bool, list[float]] = {False: [draw(False)], True: [draw(True)]}
            until = time.perf_counter() + limit_s
            while len(times[True]) < READBACK_ROUNDS and time.perf_counter() < until:
                for streams in (False, True):
                    times[streams].append(draw(streams))
        finally:
            volumes.forget(source.key)
    found = Readback(min(times[False]), min(times[True]))
    caster.streams = found.streams
    return found


def _go_on() -> None:
    """Nobody cancels this one."""


@contextmanager
def _phantom() -> Iterator[VolumeSource]:
    """Nested shells in shared memory."""
    name = f"sivr-trial-{os.getpid()}-{uuid.uuid4().hex}"
    path = SHARED / name
    voxels = _spheres()
    try:
        path.write_bytes(voxels.tobytes() + b"\1" * SIDE)
        yield VolumeSource(
            key=name,
            shm_name=name,
            shape=voxels.shape,
            dtype="int16",
            slope=1.0,
            intercept=0.0,
            lps_from_ijk=((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0)),
            status_offset=voxels.nbytes,
        )
    finally:
        path.unlink(missing_ok=True)


def _best_ms(way: tuple[Any, Any], source: VolumeSource, limit_s: float) -> float:
    volumes, caster = way
    center = ((SIDE - 1) / 2,) * 3
    viewpoint = viewpoint_for("a", center, 4.0 * SIDE)
    views = [
        VolumeView(
            method="volume_rendered", viewpoint=viewpoint, width=PICTURE, height=PICTURE,
            height_mm=1.4 * SIDE, transfer_function=_SHELL,
        ),
        VolumeView(
            method="maximum_ip", viewpoint=viewpoint, width=PICTURE, height=PICTURE,
            height_mm=1.4 * SIDE, window=WINDOW,
        ),
    ]  # fmt: skip
    volume = volumes.get(source)

    def draw() -> float:
        started = time.perf_counter()
        for view in views:
            caster.volume(volume, view)
        return (time.perf_counter() - started) * 1000 / len(views)

    try:
        draw()
        return _least(draw, limit_s)
    finally:
        volumes.forget(source.key)


def _least(draw: Callable[[], float], limit_s: float) -> float:
    until = time.perf_counter() + limit_s
    times = [draw()]
    while len(times) < ROUNDS and time.perf_counter() < until:
        times.append(draw())
    return min(times)


def _spheres() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Nested shells with a little noise, as tissue has."""
    axis = np.arange(SIDE, dtype=np.float32) - SIDE / 2
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    noise = np.random.default_rng(3).normal(0.0, 15.0, radius.shape)
    values = 500 + 400 * np.sin(radius / 5) * (radius < SIDE / 2.2) - 500 * (radius >= SIDE / 2.2)
    voxels: np.ndarray[Any, np.dtype[np.int16]] = (values + noise).astype(np.int16)
    return voxels
