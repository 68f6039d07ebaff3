"""A small volume drawn both ways at the start: is the graphics device quicker than the processor here?"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from sivr.gl.attach import SHARED
from sivr.gl.messages import Trial
from sivr.gl.source import VolumeSource
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import TransferFunction, VolumeView

SIDE = 128
"""Voxels of the volume along each axis."""
PICTURE = 512
LIMIT_S = 1.5
"""For each way; a way that has not drawn twice by then is judged by what it has."""
ROUNDS = 5
_SHELL = TransferFunction("trial", ((400.0, 1.0, 0.8, 0.6, 0.0), (900.0, 1.0, 1.0, 1.0, 0.6)))
"""Half transparent: rays go through all of the volume."""


def hold(device: tuple[Any, Any], processor: tuple[Any, Any], limit_s: float = LIMIT_S) -> Trial:
    """Draw the same pictures both ways; each is given as (volumes, caster), and keeps nothing of it.

    The way back from the device is part of a picture, compiling is not.
    """
    name = f"sivr-trial-{uuid.uuid4().hex}"
    path = SHARED / name
    voxels = _spheres()
    try:
        path.write_bytes(voxels.tobytes() + b"\1" * SIDE)
        source = VolumeSource(
            key=name,
            shm_name=name,
            shape=voxels.shape,
            dtype="int16",
            slope=1.0,
            intercept=0.0,
            lps_from_ijk=((1.0, 0, 0, 0), (0, 1.0, 0, 0), (0, 0, 1.0, 0), (0, 0, 0, 1.0)),
            status_offset=voxels.nbytes,
        )
        return Trial(_best_ms(device, source, limit_s), _best_ms(processor, source, limit_s))
    finally:
        path.unlink(missing_ok=True)


def _best_ms(way: tuple[Any, Any], source: VolumeSource, limit_s: float) -> float:
    volumes, caster = way
    center = ((SIDE - 1) / 2,) * 3
    window = Window(500.0, 1000.0, "linear-exact")
    viewpoint = viewpoint_for("a", center, 4.0 * SIDE)
    views = [
        VolumeView(
            method="volume_rendered", viewpoint=viewpoint, width=PICTURE, height=PICTURE,
            height_mm=1.4 * SIDE, transfer_function=_SHELL,
        ),
        VolumeView(
            method="maximum_ip", viewpoint=viewpoint, width=PICTURE, height=PICTURE,
            height_mm=1.4 * SIDE, window=window,
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
