"""Volumes in shared memory, a context of this process, and a farm of one worker."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sivr.gl.farm import RenderFarm
from sivr.gl.source import VolumeSource

SHARED = Path("/dev/shm")


class Bench:
    """A volume in shared memory whose slices can be made ready one by one."""

    def __init__(
        self,
        voxels: np.ndarray[Any, Any],
        affine: np.ndarray[Any, Any] | None = None,
        *,
        slope: float = 1.0,
        intercept: float = 0.0,
        padding: int | None = None,
        ready: bool = True,
    ) -> None:
        self.voxels = voxels
        name = f"sivr-test-{uuid.uuid4().hex}"
        self.path = SHARED / name
        self.path.write_bytes(np.ascontiguousarray(voxels).tobytes() + bytes([int(ready)]) * len(voxels))
        affine = np.eye(4) if affine is None else affine
        self.source = VolumeSource(
            key=name,
            shm_name=name,
            shape=voxels.shape,
            dtype=str(voxels.dtype),
            slope=slope,
            intercept=intercept,
            lps_from_ijk=tuple(tuple(float(x) for x in row) for row in affine),
            status_offset=voxels.nbytes,
            padding_value=padding,
        )

    def make_ready(self, *slices: int) -> None:
        """Raise flags, as a loader does."""
        with self.path.open("r+b") as file:
            for k in slices:
                file.seek(self.source.status_offset + k)
                file.write(b"\1")


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes volumes in shared memory, and removes them."""
    made: list[Bench] = []

    def make(*args: Any, **options: Any) -> Bench:
        made.append(Bench(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.path.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def current_context() -> Iterator[None]:
    """An OpenGL context in this process; workers have their own."""
    from sivr.errors import Unavailable
    from sivr.gl import context

    try:
        device = os.environ.get("SIVR_TEST_GL_DEVICE", "all")
        made = context.create("auto", int(device) if device.isdigit() else device)
    except Unavailable as error:
        pytest.skip(str(error))
    yield
    made.release()


@pytest.fixture(params=["egl", "software"])
async def farm(request: pytest.FixtureRequest) -> AsyncIterator[RenderFarm]:
    """One worker, a queue of four; with OpenGL and without."""
    async with RenderFarm(
        workers=1, queue_limit=4, texture_budget_bytes=64 << 20, platform=request.param
    ) as made:
        await made.started()
        yield made
