"""What is different where the processor draws alone: voxels are read where they lie."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from sivr.errors import Canceled, Invalid, TooLarge
from sivr.gl.farm import RenderFarm
from sivr.gl.software import SoftwareCaster, SoftwareVolume, SoftwareVolumes
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import PlaneView, TransferFunction, Viewpoint, VolumeView

rng = np.random.default_rng(11)
WINDOW = Window(500, 1001, "linear-exact")
GLASS = TransferFunction("glass", ((0, 0.2, 0.3, 0.4, 0), (300, 0.9, 0.5, 0.3, 0.05), (1000, 1, 1, 1, 0.9)))
OBLIQUE = Viewpoint((130.0, -180.0, 90.0), (12.0, 10.0, 8.0), (0.1, 0.0, 1.0))


def grey(values: Any) -> Any:
    return np.rint(np.clip((np.asarray(values, float) + 0.5) / 1001, 0, 1) * 255)


def from_feet(shape: tuple[int, ...], method: str = "maximum_ip") -> VolumeView:
    depth, rows, columns = shape
    center = ((columns - 1) / 2, (rows - 1) / 2, (depth - 1) / 2)
    return VolumeView(method, viewpoint_for("f", center, 500.0), columns, rows, float(rows), WINDOW)  # type: ignore[arg-type]


def test_the_nearest_slice_stands_in_without_a_copy(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (16, 9, 13)).astype(np.int16)
    made = bench(voxels, ready=False)
    volumes, caster = SoftwareVolumes(1 << 20), SoftwareCaster(2)
    volume = volumes.get(made.source)
    assert not caster.volume(volume, from_feet(voxels.shape)).any()
    made.make_ready(0, 8)
    volumes.get(made.source)
    assert volume.voxels().shown is not None
    got = caster.volume(volume, from_feet(voxels.shape)).astype(int)
    assert np.abs(got - grey(voxels[[0, 8]].max(axis=0))).max() <= 1
    center = viewpoint_for("f", (6.0, 4.0, 5.0), 100.0)
    plane = caster.plane(volume, PlaneView(center, 13, 9, 9.0, WINDOW))
    assert np.abs(plane.astype(int) - grey(voxels[8])).max() <= 1, "slice 5 looks like slice 8"
    coarse = caster.volume(volume, VolumeView("volume_rendered", OBLIQUE, 40, 36, 40.0, None, GLASS))
    made.make_ready(*range(16))
    volumes.get(made.source)
    assert volume.complete and volume.voxels().shown is None
    got = caster.volume(volume, from_feet(voxels.shape)).astype(int)
    assert np.abs(got - grey(voxels.max(axis=0))).max() <= 1
    # The stand-ins of a coarse volume, copied into one of its own, look the same.
    copied = bench(voxels[[0] * 4 + [8] * 12])
    again = caster.volume(
        volumes.get(copied.source), VolumeView("volume_rendered", OBLIQUE, 40, 36, 40.0, None, GLASS)
    )
    assert np.abs(coarse.astype(int) - again).max() <= 1


@pytest.mark.parametrize("shape", [(1, 8, 9), (8, 1, 9), (8, 9, 1), (2, 3, 2), (5, 7, 4), (1, 1, 1)])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8"])
def test_volumes_of_few_voxels(bench: Any, shape: tuple[int, int, int], dtype: str) -> None:
    voxels = rng.integers(0, 250, shape).astype(dtype)
    volumes, caster = SoftwareVolumes(1 << 20), SoftwareCaster(1)
    volume = volumes.get(bench(voxels).source)
    got = caster.volume(volume, from_feet(shape)).astype(int)
    assert np.abs(got - grey(voxels.max(axis=0))).max() <= 1
    composite = caster.volume(volume, VolumeView("volume_rendered", OBLIQUE, 30, 30, 30.0, None, GLASS))
    assert composite.shape == (30, 30, 3)


def test_padding_in_a_range_of_methods(bench: Any) -> None:
    voxels = rng.integers(100, 900, (12, 10, 11)).astype(np.int16)
    voxels[:, :, :4] = -2000
    voxels[3:5, 2:6, 6:9] = -2000
    volumes, caster = SoftwareVolumes(1 << 20), SoftwareCaster(2)
    volume = volumes.get(bench(voxels, padding=-2000).source)
    masked = np.ma.masked_equal(voxels, -2000)
    for method, flat in (
        ("maximum_ip", masked.max(axis=0)),
        ("minimum_ip", masked.min(axis=0)),
        ("average_ip", masked.astype(float).mean(axis=0)),
    ):
        got = caster.volume(volume, from_feet(voxels.shape, method)).astype(int)
        want = np.where(np.ma.getmaskarray(flat), 0, grey(np.ma.filled(flat, 0)))
        assert np.abs(got - want).max() <= 1, method


def test_voxels_are_not_held_twice(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (64, 64, 64)).astype(np.int16)
    volume = SoftwareVolume(bench(voxels).source)
    volume.update()
    assert volume.size_bytes() < voxels.nbytes / 4
    other = SoftwareVolume(bench(voxels.astype(np.int32)).source)
    assert other.size_bytes() > voxels.nbytes


def test_the_oldest_go_when_there_are_too_many(bench: Any) -> None:
    made = [bench(rng.integers(0, 9, (32, 32, 32)).astype(np.int16)) for _ in range(3)]
    volumes = SoftwareVolumes(10_000)
    for one in made:
        volumes.get(one.source)
        volumes.trim()
    assert volumes.keys() == [made[2].source.key]


def test_a_picture_is_abandoned_and_the_next_one_is_drawn(bench: Any) -> None:
    voxels = np.full((40, 40, 40), 200, np.int16)
    volumes, caster = SoftwareVolumes(1 << 20), SoftwareCaster(2)
    volume = volumes.get(bench(voxels).source)
    view = VolumeView("volume_rendered", OBLIQUE, 400, 400, 60.0, None, GLASS)
    asked = threading.Event()

    def check() -> None:
        asked.set()
        raise Canceled("Nobody waits.")

    with pytest.raises(Canceled):
        caster.volume(volume, view, check)
    assert asked.is_set()
    assert caster.volume(volume, view, lambda: None).any()


def test_what_is_too_large_is_refused(bench: Any) -> None:
    volumes, caster = SoftwareVolumes(1 << 20), SoftwareCaster(1)
    volume = volumes.get(bench(np.zeros((4, 4, 4), np.int16)).source)
    with pytest.raises(TooLarge):
        caster.plane(volume, PlaneView(OBLIQUE, 20_000, 10, 10.0, WINDOW))
    with pytest.raises(Invalid):
        caster.plane(volume, PlaneView(OBLIQUE, 10, 10, 10.0, WINDOW, slab_mm=-1.0))


async def test_without_a_graphics_device_the_processor_draws(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (8, 9, 10)).astype(np.int16)
    async with RenderFarm(workers=1, texture_budget_bytes=1 << 20, platform="software") as farm:
        picture = await farm.volume(bench(voxels).source, from_feet(voxels.shape))
        assert np.abs(picture.pixels.astype(int) - grey(voxels.max(axis=0))).max() <= 1
        assert farm.health()["context"] == "software"
