"""Ranges of bricks that came with the slices give the pictures that ranges found by the worker give."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from sivr.gl.ready import ReadyVolume
from sivr.gl.software import SoftwareCaster, SoftwareVolume
from sivr.gl.source import VolumeSource
from sivr.kernels.tiles import LOWEST
from sivr.model.pixels import Window
from sivr.model.rendering import Method, Viewpoint, VolumeView
from sivr.services.segments import Segment

SHAPE = (23, 30, 37)
CASES = [("int16", None), ("int16", -2000), ("uint16", None), ("uint16", 60000), ("uint8", 255)]


@pytest.fixture(params=CASES, ids=str)
def segment(request: pytest.FixtureRequest) -> Iterator[Segment]:
    dtype, padding = request.param
    random = np.random.default_rng(7)
    values = np.zeros(SHAPE)
    values[5:18, 6:20, 8:30] = 90
    values += random.integers(0, 20, SHAPE)
    made = Segment("sivr-test-ranges", SHAPE, dtype, padding=padding)
    try:
        for k, image in enumerate(values.astype(dtype)):
            if padding is not None:
                image[:4] = padding
            made.put(k, image)
        yield made
    finally:
        made.close()


def sources(segment: Segment) -> tuple[VolumeSource, VolumeSource]:
    """The segment as a volume, with the ranges that lie in it and without."""
    rows = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    given = VolumeSource(
        key=segment.name,
        shm_name=segment.name,
        shape=segment.shape,
        dtype=segment.voxels.dtype.name,
        slope=10.0,
        intercept=-200.0,
        lps_from_ijk=rows,
        status_offset=segment.status_offset,
        padding_value=segment._padding,
        ranges_offset=segment.ranges_offset,
    )
    return given, msgspec.structs.replace(given, ranges_offset=None)


@pytest.mark.parametrize("missing", [0, 8])
@pytest.mark.parametrize("factors", [(1, 1, 1), (2, 1, 2)])
def test_bricks_are_the_same(segment: Segment, missing: int, factors: tuple[int, int, int]) -> None:
    if missing:
        segment.ready[:] = 0
        segment.ready[::missing] = 1
    dtype = segment.voxels.dtype.name
    one, other = (ReadyVolume(source, dtype, LOWEST[dtype], factors) for source in sources(segment))
    for volume in (one, other):
        assert volume.update() > 0
        assert volume.complete == (missing == 0)
    for low, high in zip(one.brick_ranges(), other.brick_ranges(), strict=True):
        assert (low == high).all()
    assert one.value_range() == other.value_range()


@pytest.mark.parametrize("method", ["volume_rendered", "maximum_ip", "minimum_ip", "average_ip"])
@pytest.mark.parametrize("missing", [0, 8])
def test_pictures_are_the_same(segment: Segment, method: Method, missing: int) -> None:
    if missing:
        segment.ready[:] = 0
        segment.ready[::missing] = 1
    view = VolumeView(
        method=method,
        viewpoint=Viewpoint((60.0, -80.0, 30.0), (18.0, 15.0, 11.0), (0.0, 0.0, 1.0)),
        width=48,
        height=48,
        height_mm=50.0,
        window=None if method == "volume_rendered" else Window(300.0, 1200.0, "linear-exact"),
    )
    pictures = []
    for source in sources(segment):
        volume = SoftwareVolume(source)
        volume.update()
        pictures.append(SoftwareCaster(threads=1).volume(volume, view))
    assert pictures[0].any()
    assert (pictures[0] == pictures[1]).all()
