"""Lookup and resample against plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.kernels.slices import KERNELS, axis_weights, lookup, resample

rng = np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", ">i2", ">u2"])
def test_lookup_of_every_type(dtype: str) -> None:
    info = np.iinfo(np.dtype(dtype))
    table = rng.integers(0, 256, 256**info.dtype.itemsize).astype(np.uint8)
    values = rng.integers(info.min, info.max, (31, 17), endpoint=True).astype(dtype)
    values[0, :2] = info.min, info.max
    want = table[values.astype(np.int64) - info.min]
    assert np.array_equal(lookup(values, table), want)
    out = np.zeros((31, 34), np.uint8)
    assert np.array_equal(lookup(values[::-1], table, out[:, ::2]), want[::-1])
    assert np.array_equal(out[:, ::2], want[::-1])
    readonly = values.view()
    readonly.flags.writeable = False
    assert np.array_equal(lookup(readonly, table), want)


def test_lookup_refuses_what_its_table_does_not_cover() -> None:
    table = np.zeros(256, np.uint8)
    for values in (np.zeros(3, np.uint16), np.zeros(3, np.float32), np.zeros(3, np.int32)):
        with pytest.raises(Invalid):
            lookup(values, table)
    with pytest.raises(Invalid):
        lookup(np.zeros(3, np.uint8), table, np.zeros(4, np.uint8))


def plainly(pixels: np.ndarray[Any, Any], out: int, start: float, length: float, axis: int) -> Any:
    """One axis resampled pixel by pixel, in double precision."""
    source = np.moveaxis(pixels.astype(float), axis, 0)
    step = abs(length) / out
    highest = int(np.ceil(start + abs(length) - 1e-9)) - 1
    lowest = int(np.floor(start))
    rows = []
    for n in range(out):
        if step <= 1:
            at = min(max(start + (n + 0.5) * step - 0.5, lowest), highest)
            low = int(np.floor(at))
            high = min(low + 1, highest)
            rows.append(source[low] * (1 - at + low) + source[high] * (at - low))
        else:
            a, b = start + n * step, start + (n + 1) * step
            total, weight = 0.0, 0.0
            for pixel in range(lowest, highest + 1):
                part = max(0.0, min(b, pixel + 1) - max(a, pixel))
                total, weight = total + part * source[pixel], weight + part
            rows.append(total / weight)
    if length < 0:
        rows.reverse()
    return np.moveaxis(np.stack(rows), 0, axis)


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(
    "given",
    [
        (40, 30, 0, 0, 40, 30),
        (80, 60, 0, 0, 40, 30),
        (97, 41, 0, 0, 40, 30),
        (20, 15, 0, 0, 40, 30),
        (7, 11, 0, 0, 40, 30),
        (1, 1, 0, 0, 40, 30),
        (50, 9, 3.5, 2.25, 20.25, 19.5),
        (40, 30, 0, 0, -40, 30),
        (33, 44, 1, 2, -21, -17.5),
        (64, 64, 39, 29, 1, 1),
        (64, 8, 10, 0, 0.5, 30),
    ],
)
def test_resample_equals_numpy(given: tuple[Any, ...], color: bool) -> None:
    pixels = rng.integers(0, 256, (30, 40, 3) if color else (30, 40)).astype(np.uint8)
    width, height, x, y, region_width, region_height = given
    want = plainly(plainly(pixels, width, x, region_width, 1), height, y, region_height, 0)
    got = resample(pixels, *given)
    assert got.shape == ((height, width, 3) if color else (height, width))
    assert np.abs(got - want).max() <= 1


def test_resample_to_its_own_size_changes_nothing() -> None:
    pixels = rng.integers(0, 256, (30, 40)).astype(np.uint8)
    assert np.array_equal(resample(pixels, 40, 30), pixels)
    assert np.array_equal(resample(pixels, 40, 30, 0, 0, -40, -30), pixels[::-1, ::-1])
    assert np.array_equal(resample(pixels[::-1, ::2], 20, 30), pixels[::-1, ::2])


def keys(x: float) -> float:
    """Catmull and Rom's cubic, as Keys wrote it."""
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def lanczos(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0


@pytest.mark.parametrize(("name", "reach", "kernel"), [("cubic", 2, keys), ("lanczos", 3, lanczos)])
@pytest.mark.parametrize("given", [(80, 0.0, 40.0), (97, 3.5, 20.25), (64, 39.0, 1.0), (50, 5.0, -30.0)])
def test_smooth_kernels_equal_their_formulas(name: str, reach: int, kernel: Any, given: Any) -> None:
    pixels = rng.integers(0, 256, (3, 40)).astype(np.uint8)
    out, start, length = given
    lowest, highest = int(np.floor(start)), int(np.ceil(start + abs(length) - 1e-9)) - 1
    want = np.zeros((3, out))
    for n in range(out):
        at = min(max(start + (n + 0.5) * abs(length) / out - 0.5, lowest), highest)
        taps = range(int(np.floor(at)) - reach + 1, int(np.floor(at)) + reach + 1)
        shares = [kernel(at - tap) for tap in taps]
        for tap, share in zip(taps, shares, strict=True):
            want[:, n] += share / sum(shares) * pixels[:, min(max(tap, lowest), highest)]
    want = np.clip(want, 0, 255)
    if length < 0:
        want = want[:, ::-1]
    got = resample(pixels, out, 3, start, 0, length, 3, name)
    assert np.abs(got - want).max() <= 1


@pytest.mark.parametrize("name", [*KERNELS, "nearest"])
def test_no_interpolation_changes_a_picture_of_its_own_size_or_an_even_one(name: str) -> None:
    pixels = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    assert np.array_equal(resample(pixels, 40, 30, interpolation=name), pixels)
    even = np.full((30, 40), 200, np.uint8)
    assert (resample(even, 91, 77, 1.5, 2.5, 20, 20, name) == 200).all()


def test_nearest_repeats_and_leaves_out_whole_pixels() -> None:
    pixels = rng.integers(0, 256, (4, 6)).astype(np.uint8)
    large = resample(pixels, 18, 12, interpolation="nearest")
    assert np.array_equal(large, pixels.repeat(3, axis=0).repeat(3, axis=1))
    assert np.array_equal(resample(large, 6, 4, interpolation="nearest"), pixels)


def test_regions_outside_are_refused() -> None:
    for given in [(40, 0, 1), (-1, 10, 5), (0, 41, 5), (0, 0, 5), (0, 10, 0)]:
        with pytest.raises(Invalid):
            axis_weights(40, given[0], given[1], given[2])
