"""Brick ranges, occupancy and distances against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from sivr.kernels.bricks import (
    BRICK,
    brick_ranges,
    distance_field,
    occupied_bricks,
    quick_distance_field,
    volume_brick_ranges,
)
from sivr.kernels.tiles import put_tile_ranges, tile_ranges

rng = np.random.default_rng(4)


@pytest.mark.parametrize("shape", [(16, 16, 16), (13, 18, 7), (1, 1, 1), (5, 4, 9)])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "float32"])
def test_ranges_reach_one_voxel_beyond(shape: tuple[int, int, int], dtype: str) -> None:
    size = BRICK
    voxels = rng.integers(0, 200, shape).astype(dtype)
    low, high = volume_brick_ranges(voxels)
    assert low.shape == tuple(-(-n // size) for n in shape) and low.dtype == voxels.dtype
    for k, j, i in np.ndindex(*low.shape):
        block = voxels[
            max(k * size - 1, 0) : (k + 1) * size + 1,
            max(j * size - 1, 0) : (j + 1) * size + 1,
            max(i * size - 1, 0) : (i + 1) * size + 1,
        ]
        assert (low[k, j, i], high[k, j, i]) == (block.min(), block.max())


@pytest.mark.parametrize("shape", [(512, 512), (9, 6), (1, 1)])
@pytest.mark.parametrize(("dtype", "lowest"), [("int16", -32768), ("uint16", 0), ("uint8", 0)])
def test_padding_counts_as_the_lowest(shape: tuple[int, int], dtype: str, lowest: int) -> None:
    image = rng.integers(3, 9, shape).astype(dtype)
    seen = np.where(image == 5, np.array(lowest).astype(dtype), image)
    wanted = tile_ranges(seen)
    for padding, given in ((5, image), (None, seen), (1 << 20, seen)):
        low, high = np.empty_like(wanted[0]), np.empty_like(wanted[1])
        put_tile_ranges(given, padding, low, high)
        assert np.array_equal(low, wanted[0]) and np.array_equal(high, wanted[1])


def test_missing_slices_show_others() -> None:
    voxels = rng.integers(0, 200, (3, 9, 9)).astype(np.int16)
    source = np.array([0, 0, 0, 0, 2, 2, 2, 2, 2])
    tiles = [tile_ranges(image) for image in voxels]
    got = brick_ranges(np.stack([t[0] for t in tiles]), np.stack([t[1] for t in tiles]), source)
    want = volume_brick_ranges(voxels[source])
    assert np.array_equal(got[0], want[0]) and np.array_equal(got[1], want[1])


def test_occupied_bricks_hold_a_visible_value() -> None:
    low = rng.integers(-50, 150, (4, 5, 6)).astype(np.int16)
    high = (low + rng.integers(0, 60, low.shape)).astype(np.int16)
    visible = np.array([False, False, True, False, False, True, False, True])  # below 0, six tens, from 70 on
    got = occupied_bricks(low, high, visible, -10.0, 10.0)
    for place in np.ndindex(*low.shape):
        values = np.arange(low[place], high[place] + 1)
        bins = np.clip((values + 10) // 10, 0, 7)
        assert got[place] == visible[bins].any()


@pytest.mark.parametrize("filled", [0, 1, 3, 40])
def test_distances_are_chebyshev(filled: int) -> None:
    occupied = np.zeros((9, 7, 12), np.uint8)
    occupied.reshape(-1)[rng.choice(occupied.size, filled, replace=False)] = 1
    places = np.argwhere(occupied)
    got = distance_field(occupied)
    for place in np.ndindex(*occupied.shape):
        want = np.abs(places - place).max(axis=1).min() if filled else 255
        assert got[place] == want


@pytest.mark.parametrize("shape", [(9, 7, 12), (8, 8, 8), (1, 1, 3), (1, 1, 601)])
@pytest.mark.parametrize("filled", [0, 1, 3])
def test_quick_distances_are_never_too_far(shape: tuple[int, int, int], filled: int) -> None:
    occupied = np.zeros(shape, np.uint8)
    occupied.reshape(-1)[rng.choice(occupied.size, filled, replace=False)] = 1
    exact, got = distance_field(occupied), quick_distance_field(occupied)
    assert ((got == 0) == (exact == 0)).all() and (got <= exact).all()
    # Nor much too near: a block of two bricks, on either side.
    assert (got.astype(int) >= np.minimum(exact.astype(int) - 3, 252)).all()


def test_far_distances_end_at_255() -> None:
    occupied = np.zeros((1, 1, 400), np.uint8)
    occupied[0, 0, 0] = 1
    got = distance_field(occupied)[0, 0]
    assert np.array_equal(got, np.minimum(np.arange(400), 255))
