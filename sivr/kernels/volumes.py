"""Whole volumes: smaller copies, histograms, and projections to check GL against."""

from __future__ import annotations

from typing import Any, Literal

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def reduce_slice(image: Array, rows: int, columns: int) -> Array:
    """Mean over blocks of ``rows`` x ``columns`` values of one slice; blocks at the far edges may be
    smaller."""
    if rows == columns == 1:
        return image
    out = np.empty((-(-image.shape[0] // rows), -(-image.shape[1] // columns)), image.dtype)
    _reduce_slice(np.ascontiguousarray(image), rows, columns, out)
    return out


def add_blocks(
    image: Array,
    rows: int,
    columns: int,
    padding: int | None,
    totals: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> None:
    """Add a slice to the sums and numbers of its voxels in blocks of ``rows`` x ``columns``; voxels that are
    ``padding`` are left out. ``totals`` and ``counts`` (ceil(rows/..), ceil(columns/..)); integers only."""
    missing = padding is not None
    _add_blocks(image, rows, columns, missing, padding if missing else 0, totals, counts)


def block_means(
    totals: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], empty: int, dtype: npt.DTypeLike
) -> Array:
    """Means of what was added, rounded half to even; ``empty`` where nothing was."""
    means = np.rint(totals / np.maximum(counts, 1))
    means[counts == 0] = empty
    return means.astype(dtype)


def replace(image: Array, old: int, new: int) -> Array:
    """A copy of a slice with every ``old`` value replaced."""
    out = image.copy()
    _replace(out.reshape(-1), old, new)
    return out


def histogram(values: Array, low: float, high: float, bins: int) -> npt.NDArray[np.int64]:
    """How many values lie in each of ``bins`` equal steps from low to high; those outside are counted in the
    first and last."""
    counts = np.zeros(bins, np.int64)
    _histogram(np.ascontiguousarray(values).reshape(-1), float(low), float(high), counts)
    return counts


def project(voxels: Array, axis: Literal[0, 1, 2], method: Literal["max", "min", "mean"]) -> Array:
    """Largest, least or mean value along one axis of ``voxels[k, j, i]``."""
    if method == "mean":
        return np.asarray(np.mean(voxels, axis=axis, dtype=np.float64))
    reduced: Array = voxels.max(axis=axis) if method == "max" else voxels.min(axis=axis)
    return reduced


def half_with_gradient(voxels: Array, limit: int) -> npt.NDArray[np.int16]:
    """The volume at half resolution with its gradient: (k, j, i, 4) int16 of d/di, d/dj, d/dk and value.

    Values are means of 2 x 2 x 2 voxels scaled to +-32767 where ``limit`` is the type's largest value
    (signed) or to 0..32767 (unsigned); gradients are central differences per half-resolution voxel, halved
    so that they fit.
    """
    depth, rows, columns = (-(-n // 2) for n in voxels.shape)
    half = np.empty((depth, rows, columns), np.float32)
    _half(voxels, half)
    half *= np.float32(32767.0 / limit)
    out = np.empty((depth, rows, columns, 4), np.int16)
    _gradient(half, out)
    return out


@numba.njit(nogil=True, cache=True)
def _reduce_slice(image, rows, columns, out):  # type: ignore[no-untyped-def]
    width = image.shape[1]
    line = np.empty(width, np.float32)
    whole = width // columns
    for row in range(out.shape[0]):
        top, bottom = row * rows, min((row + 1) * rows, image.shape[0])
        line[:] = np.float32(0.0)
        # Whole rows first: this loop runs over neighbors and is vectorized.
        for source in range(top, bottom):
            values = image[source]
            for column in range(width):
                line[column] += np.float32(values[column])
        scale = np.float32(1.0) / np.float32((bottom - top) * columns)
        for column in range(whole):
            total = line[column * columns]
            for n in range(column * columns + 1, (column + 1) * columns):
                total += line[n]
            out[row, column] = np.rint(total * scale)
        if whole < out.shape[1]:
            total = line[whole * columns]
            for n in range(whole * columns + 1, width):
                total += line[n]
            out[row, whole] = np.rint(total / np.float32((bottom - top) * (width - whole * columns)))


@numba.njit(nogil=True, cache=True)
def _add_blocks(image, rows, columns, missing, padding, totals, counts):  # type: ignore[no-untyped-def]
    width = image.shape[1]
    for row in range(image.shape[0]):
        values, total, count = image[row], totals[row // rows], counts[row // rows]
        for block in range(total.size):
            end = min((block + 1) * columns, width)
            added = np.int64(0)
            number = np.int64(0)
            for column in range(block * columns, end):
                value = np.int64(values[column])
                if not missing or value != padding:
                    added += value
                    number += 1
            total[block] += added
            count[block] += number


@numba.njit(nogil=True, cache=True)
def _replace(values, old, new):  # type: ignore[no-untyped-def]
    for n in range(values.size):
        if values[n] == old:
            values[n] = new


@numba.njit(nogil=True, cache=True)
def _histogram(values, low, high, counts):  # type: ignore[no-untyped-def]
    scale = counts.size / (high - low)
    last = counts.size - 1
    for n in range(values.size):
        place = (values[n] - low) * scale
        counts[int(min(max(place, 0.0), float(last)))] += 1


@numba.njit(nogil=True, cache=True, fastmath=True)
def _half(voxels, out):  # type: ignore[no-untyped-def]
    depth, rows, columns = voxels.shape
    for k in range(out.shape[0]):
        k1 = min(2 * k + 1, depth - 1)
        for j in range(out.shape[1]):
            j1 = min(2 * j + 1, rows - 1)
            a, b = voxels[2 * k, 2 * j], voxels[2 * k, j1]
            c, d = voxels[k1, 2 * j], voxels[k1, j1]
            for i in range(out.shape[2]):
                i0 = 2 * i
                i1 = min(i0 + 1, columns - 1)
                out[k, j, i] = np.float32(0.125) * (
                    np.float32(a[i0]) + np.float32(a[i1]) + np.float32(b[i0]) + np.float32(b[i1])
                    + np.float32(c[i0]) + np.float32(c[i1]) + np.float32(d[i0]) + np.float32(d[i1])
                )  # fmt: skip


@numba.njit(nogil=True, cache=True)
def _gradient(values, out):  # type: ignore[no-untyped-def]
    depth, rows, columns = values.shape
    for k in range(depth):
        k0, k1 = max(k - 1, 0), min(k + 1, depth - 1)
        for j in range(rows):
            j0, j1 = max(j - 1, 0), min(j + 1, rows - 1)
            for i in range(columns):
                i0, i1 = max(i - 1, 0), min(i + 1, columns - 1)
                # Differences of two values reach twice the range of one; halved they fit 16 bits.
                out[k, j, i, 0] = np.int16((values[k, j, i1] - values[k, j, i0]) * np.float32(0.5))
                out[k, j, i, 1] = np.int16((values[k, j1, i] - values[k, j0, i]) * np.float32(0.5))
                out[k, j, i, 2] = np.int16((values[k1, j, i] - values[k0, j, i]) * np.float32(0.5))
                out[k, j, i, 3] = np.int16(values[k, j, i])
