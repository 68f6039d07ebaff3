"""Volumes as textures: slice by slice, reduced where too large, dropped when too many."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import VolumeView

pytestmark = pytest.mark.usefixtures("current_context")
rng = np.random.default_rng(8)


def shown(textures: Any, made: Any, method: str = "maximum_ip") -> Any:
    """The whole volume from the head, pixel-aligned with the texture's voxels, flipped to array order."""
    from sivr.gl.raycast import Raycaster

    volume = textures.get(made.source)
    depth, rows, columns = made.voxels.shape
    _, fj, fi = volume.factors
    center = ((columns // fi * fi - 1) / 2, (rows // fj * fj - 1) / 2, (depth - 1) / 2)
    view = VolumeView(
        method, viewpoint_for("f", center, 500.0), columns // fi, rows // fj, float(rows // fj * fj),
        Window(500, 1001, "linear-exact"),
    )  # type: ignore[arg-type]  # fmt: skip
    return Raycaster(textures).volume(volume, view).astype(int)


def grey(values: Any) -> Any:
    return np.rint(np.clip((np.asarray(values, float) + 0.5) / 1001, 0, 1) * 255).astype(int)


def cache(budget: int = 64 << 20, max_axis: int | None = None) -> Any:
    from sivr.gl.textures import TextureCache

    return TextureCache(budget, max_axis)


def test_slices_appear_and_the_nearest_stands_in(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (16, 8, 9)).astype(np.int16)
    made = bench(voxels, ready=False)
    textures = cache()
    volume = textures.get(made.source)
    assert volume.slices_ready == 0 and not volume.complete
    made.make_ready(0, 8)
    assert np.abs(shown(textures, made) - grey(voxels[[0, 8]].max(axis=0))).max() <= 1
    assert volume._shown.tolist() == [0] * 4 + [8] * 12
    made.make_ready(4)
    textures.get(made.source)
    assert set(volume._shown) == {0, 4, 8}
    made.make_ready(*range(16))
    assert np.abs(shown(textures, made) - grey(voxels.max(axis=0))).max() <= 1
    assert volume.complete and (volume._shown == np.arange(16)).all()
    assert volume.update() == 0


def test_in_little_time_a_coarse_volume_comes_first(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (64, 8, 9)).astype(np.int16)
    made = bench(voxels)
    textures = cache()
    volume = textures.get(made.source, limit_s=0.0)
    assert volume.slices_ready == 4 and set(volume._shown) == {0, 16, 32, 48}
    while textures.prepare(0.001):
        assert volume.slices_ready > 4
    assert volume.complete and volume.half is not None
    assert np.abs(shown(textures, made) - grey(voxels.max(axis=0))).max() <= 1


def test_a_canceled_upload_goes_on_later(bench: Any) -> None:
    from sivr.errors import Canceled

    voxels = rng.integers(0, 1000, (64, 8, 9)).astype(np.int16)
    made = bench(voxels)
    textures = cache()
    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Canceled("nobody waits")

    with pytest.raises(Canceled):
        textures.get(made.source, check=check)
    volume = textures.get(made.source, limit_s=0.0)
    assert 3 <= volume.slices_ready < 64
    assert np.abs(shown(textures, made) - grey(voxels.max(axis=0))).max() <= 1


def test_axes_beyond_the_limit_are_reduced(bench: Any) -> None:
    voxels = np.repeat(np.repeat(rng.integers(0, 1000, (5, 20, 30)), 2, axis=1), 2, axis=2).astype(np.uint16)
    made = bench(voxels)
    textures = cache(max_axis=32)
    volume = textures.get(made.source)
    assert volume.factors == (1, 2, 2) and volume.reduced and volume.shape == (5, 20, 30)
    # Blocks are uniform here, so their means are the voxels, and their centers must be where voxels were.
    assert np.abs(shown(textures, made) - grey(voxels[:, ::2, ::2].max(axis=0))).max() <= 1


def test_slices_are_joined_where_there_are_too_many(bench: Any) -> None:
    voxels = np.repeat(rng.integers(0, 1000, (10, 8, 9)), 4, axis=0).astype(np.int16)
    made = bench(voxels, ready=False)
    textures = cache(max_axis=10)
    made.make_ready(0, 1, 2, 3, 20)
    volume = textures.get(made.source)
    assert volume.factors == (4, 1, 1) and volume.slices_ready == 5
    made.make_ready(*range(40))
    assert np.abs(shown(textures, made) - grey(voxels.max(axis=0))).max() <= 1


@pytest.mark.parametrize(
    ("shape", "limit", "budget", "factors"),
    [
        ((96, 1996, 2457), 2048, 1 << 30, (1, 1, 2)),
        ((96, 1996, 2457), 2048, 400 << 20, (1, 2, 2)),
        ((555, 512, 512), 2048, 1 << 30, (1, 1, 1)),
        ((5000, 64, 64), 2048, 1 << 30, (3, 1, 1)),
        ((8, 8, 8), 2048, 100, (3, 2, 2)),
        ((1, 1, 1), 2048, 1, (1, 1, 1)),
    ],
)
def test_reduction(
    shape: tuple[int, int, int], limit: int, budget: int, factors: tuple[int, int, int]
) -> None:
    from sivr.gl.textures import reduction

    assert reduction(shape, 2, limit, budget) == factors


def test_the_oldest_volume_goes_first(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (16, 16, 16)).astype(np.int16)
    size = voxels.nbytes
    textures = cache(budget=int(size * 3.3))
    made = [bench(voxels) for _ in range(4)]
    for one in made[:3]:
        textures.get(one.source)
    textures.get(made[0].source)
    textures.get(made[3].source)
    assert textures.keys() == [made[2].source.key, made[0].source.key, made[3].source.key]
    assert textures.used_bytes() <= textures.budget_bytes
    for one in made:
        assert np.abs(shown(textures, one) - grey(voxels.max(axis=0))).max() <= 1
    textures.clear()
    assert textures.used_bytes() == 0


def test_a_tiny_budget_still_shows_something(bench: Any) -> None:
    voxels = rng.integers(0, 1000, (32, 32, 32)).astype(np.int16)
    textures = cache(budget=8192)
    made = bench(voxels)
    volume = textures.get(made.source)
    assert volume.reduced and volume.size_bytes() <= 8192
    assert shown(textures, made).max() > 100


def test_the_same_key_with_other_voxels_is_another_volume(bench: Any) -> None:
    import msgspec

    textures = cache()
    one, other = bench(np.zeros((4, 4, 4), np.uint8)), bench(np.full((4, 4, 4), 200, np.uint8))
    assert shown(textures, one).max() == 0
    other.source = msgspec.structs.replace(other.source, key=one.source.key)
    assert shown(textures, other).max() == grey(200)
    assert len(textures.keys()) == 1


def test_unknown_types_are_refused(bench: Any) -> None:
    with pytest.raises(Invalid, match="complex64"):
        cache().get(bench(np.zeros((2, 2, 2), np.complex64)).source)


def test_every_format_has_its_row() -> None:
    from sivr.gl.textures import FORMAT_OF_DTYPE, FORMATS

    assert set(FORMAT_OF_DTYPE.values()) == set(FORMATS)
    for name, one in FORMATS.items():
        assert one.dtype == name


def test_ranges_leave_padding_out(bench: Any) -> None:
    voxels = rng.integers(100, 900, (8, 8, 8)).astype(np.int16)
    voxels[2] = -2000
    volume = cache().get(bench(voxels, padding=-2000, slope=2.0, intercept=1.0).source)
    low, high = volume.value_range()
    assert low >= 201 and high == voxels.max() * 2 + 1
    assert volume.typical_range()[1] <= high


def test_many_volumes_in_turn_stay_within_the_budget(bench: Any) -> None:
    from sivr.model.presets import PRESETS

    voxels = rng.integers(0, 1000, (32, 32, 32)).astype(np.int16)
    textures = cache(budget=5 * voxels.nbytes)
    made = [bench(voxels) for _ in range(8)]
    function = next(iter(PRESETS.values())).function
    for turn in range(3):
        for one in made:
            volume = textures.get(one.source)
            volume.distance_map(function)
            volume.extremes(True)
            textures.trim()
            while textures.prepare(1.0):
                pass
            assert textures.used_bytes() <= textures.budget_bytes, turn
            assert not volume.reduced and textures.keys()[-1] == one.source.key
            assert np.abs(shown(textures, one) - grey(voxels.max(axis=0))).max() <= 1
    assert 2 <= len(textures.keys()) < len(made)


def test_all_textures_of_a_volume_are_counted(bench: Any) -> None:
    from sivr.model.presets import PRESETS

    voxels = rng.integers(0, 1000, (32, 32, 48)).astype(np.int16)
    textures = cache()
    volume = textures.get(bench(voxels).source)
    assert volume.size_bytes() == voxels.nbytes
    volume.extremes(True)
    volume.extremes(False)
    blocks = 2 * 2 * 3
    assert volume.size_bytes() == voxels.nbytes + 2 * blocks * 2
    volume.distance_map(next(iter(PRESETS.values())).function)
    bricks = 8 * 8 * 12
    assert volume.size_bytes() == voxels.nbytes + 2 * blocks * 2 + bricks
    while textures.prepare(1.0):
        pass
    assert volume.size_bytes() == voxels.nbytes + 2 * blocks * 2 + bricks + voxels.size // 8 * 8


OPENED_IN_TURN = """
import sys, uuid
from pathlib import Path
import numpy as np
from sivr.gl import context
from sivr.gl.heap import give_large_back
give_large_back()
made = context.create("egl")
if not context.is_software(context.describe()["renderer"]):
    print("hardware"); sys.exit()
from sivr.gl.source import VolumeSource
from sivr.gl.textures import TextureCache

def anonymous():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon"))

shape, budget = (64, 256, 256), 48 << 20
name = f"sivr-test-{uuid.uuid4().hex}"
path = Path("/dev/shm") / name
voxels = np.random.default_rng(1).integers(0, 1000, shape).astype(np.int16)
path.write_bytes(voxels.tobytes() + bytes([1]) * shape[0])
try:
    textures, peak, opened = TextureCache(budget), 0, 0
    affine = tuple(tuple(float(r == c) for c in range(4)) for r in range(4))
    def get(n):
        textures.get(VolumeSource(f"{name}-{n}", name, shape, "int16", 1.0, 0.0, affine, voxels.nbytes))
        textures.trim()
    get(0)
    before = anonymous() - textures.used_bytes()
    for n in range(1, 40):
        get(n)
        opened += voxels.nbytes
        peak = max(peak, anonymous() - before)
    print(opened, peak, budget)
finally:
    path.unlink()
"""


def test_memory_of_the_process_stays_within_the_budget() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OPENED_IN_TURN], capture_output=True, text=True, timeout=120, check=True
    )
    if "hardware" in ran.stdout:
        pytest.skip("Textures lie on the graphics card here.")
    opened, peak, budget = (int(word) for word in ran.stdout.split())
    assert opened > 3 * budget and peak < 1.5 * budget
