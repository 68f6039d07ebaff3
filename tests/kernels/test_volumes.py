"""Reduction, gradients, histogram and projections against plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sivr.kernels.volumes import half_with_gradient, histogram, project, reduce_slice, replace

rng = np.random.default_rng(6)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (1, 3), (4, 1)])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8"])
def test_reduced_slices_are_means(factors: tuple[int, int], dtype: str) -> None:
    image = rng.integers(0, 255, (13, 17)).astype(dtype)
    got = reduce_slice(image, *factors)
    for row, column in np.ndindex(*got.shape):
        block = image[
            row * factors[0] : (row + 1) * factors[0], column * factors[1] : (column + 1) * factors[1]
        ]
        assert abs(float(got[row, column]) - block.mean()) <= 0.5 + 1e-9


def test_replace_leaves_the_original() -> None:
    image = np.array([[1, 2], [2, 3]], np.int16)
    assert replace(image, 2, -9).tolist() == [[1, -9], [-9, 3]]
    assert image.tolist() == [[1, 2], [2, 3]]


def test_histogram_counts_everything() -> None:
    values = rng.integers(-500, 1500, (40, 50)).astype(np.int16)
    got = histogram(values, 0, 1000, 10)
    inside = np.clip(values, 0, 999)
    assert np.array_equal(got, np.histogram(inside, 10, (0, 1000))[0])


@pytest.mark.parametrize(("name", "how"), [("max", np.max), ("min", np.min), ("mean", np.mean)])
def test_projections(name: Any, how: Any) -> None:
    voxels = rng.integers(-500, 1500, (4, 5, 6)).astype(np.int16)
    for axis in (0, 1, 2):
        assert np.array_equal(project(voxels, axis, name), how(voxels, axis=axis))  # type: ignore[arg-type]


@pytest.mark.parametrize(("dtype", "limit"), [("int16", 32767), ("uint16", 65535), ("uint8", 255)])
@pytest.mark.parametrize("shape", [(8, 10, 12), (7, 9, 5), (2, 2, 2)])
def test_half_volume_with_gradient(dtype: str, limit: int, shape: tuple[int, int, int]) -> None:
    voxels = rng.integers(0, min(limit, 4000), shape).astype(dtype)
    pad = [(0, n % 2) for n in shape]
    full = np.pad(voxels, pad, mode="edge").astype(float)
    half = full.reshape(
        full.shape[0] // 2, 2, full.shape[1] // 2, 2, full.shape[2] // 2, 2
    ).mean(axis=(1, 3, 5))  # fmt: skip
    half *= 32767 / limit
    got = half_with_gradient(voxels, limit).astype(float)
    assert got.shape == (*half.shape, 4)
    assert np.abs(got[..., 3] - half).max() <= 1.01
    edge = np.pad(half, 1, mode="edge")
    for channel, axis in ((0, 2), (1, 1), (2, 0)):
        core = [slice(1, -1)] * 3
        ahead, behind = list(core), list(core)
        ahead[axis], behind[axis] = slice(2, None), slice(None, -2)
        want = (edge[tuple(ahead)] - edge[tuple(behind)]) / 2
        assert np.abs(got[..., channel] - want).max() <= 1.01
