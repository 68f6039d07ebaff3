"""Small blocks of a volume: the range of values in each, which are empty, and how far the next full one is.

A ray that knows the distance to the nearest visible brick leaps there instead of sampling air.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sivr.kernels.tiles import TILE, tile_ranges

Array = npt.NDArray[Any]
FAR = 255
"""Largest distance stored, in bricks."""
BRICK = TILE
"""Voxels along each side of a brick."""


def brick_ranges(
    low: Array, high: Array, source: npt.NDArray[np.int64], out: tuple[Array, Array] | None = None
) -> tuple[Array, Array]:
    """Ranges of bricks from those of tiles.

    ``low`` and ``high`` (slices, tile rows, tile columns); slice k of the volume shows slice ``source[k]``.
    Returns two arrays (ceil(len(source)/BRICK), tile rows, tile columns).
    """
    bricks = -(-len(source) // BRICK)
    if out is None:
        out = (np.empty((bricks, *low.shape[1:]), low.dtype), np.empty((bricks, *low.shape[1:]), low.dtype))
    _brick_ranges(low, high, source, out[0], out[1])
    return out


def volume_brick_ranges(voxels: Array) -> tuple[Array, Array]:
    """Least and largest value of every brick of ``voxels[k, j, i]``, one voxel beyond each side included."""
    tiles = [tile_ranges(image) for image in voxels]
    low, high = np.stack([tile[0] for tile in tiles]), np.stack([tile[1] for tile in tiles])
    return brick_ranges(low, high, np.arange(len(voxels)))


def occupied_bricks(
    low: Array, high: Array, visible: npt.NDArray[np.bool_], first: float, step: float
) -> npt.NDArray[np.uint8]:
    """1 for every brick whose range holds a visible value.

    ``visible[n]`` tells whether values from ``first + n * step`` to ``first + (n + 1) * step`` are; its first
    and last entries stand for everything below and above.
    """
    before = np.zeros(len(visible) + 1, np.int64)
    np.cumsum(visible, out=before[1:])
    out = np.empty(low.shape, np.uint8)
    _occupied(low.reshape(-1), high.reshape(-1), before, float(first), float(step), out.reshape(-1))
    return out


def distance_field(occupied: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Chebyshev distance in bricks to the nearest occupied one, 0 in it, at most 255.

    Every brick nearer than this is empty.
    """
    out = np.where(occupied != 0, 0, FAR).astype(np.uint8)
    _spread(out)
    return out


def quick_distance_field(occupied: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """As ``distance_field``, but never too far rather than exact: of blocks of 2 x 2 x 2 bricks.

    An eighth of the time; rays take 2-10% longer through it. For what is shown once.
    """
    blocks = np.empty(tuple(-(-count // 2) for count in occupied.shape), np.uint8)
    _any_of_blocks(occupied, blocks)
    out = np.empty_like(occupied)
    _within_blocks(occupied, distance_field(blocks), out)
    return out


@numba.njit(nogil=True, cache=True)
def _any_of_blocks(occupied, out):  # type: ignore[no-untyped-def]
    depth, rows, columns = occupied.shape
    for k in range(out.shape[0]):
        for j in range(out.shape[1]):
            found = out[k, j]
            found[:] = 0
            for kk in range(2 * k, min(2 * k + 2, depth)):
                for jj in range(2 * j, min(2 * j + 2, rows)):
                    line = occupied[kk, jj]
                    for i in range(columns // 2):
                        found[i] |= line[2 * i] | line[2 * i + 1]
                    if columns % 2:
                        found[columns // 2] |= line[columns - 1]


@numba.njit(nogil=True, cache=True)
def _within_blocks(occupied, blocks, out):  # type: ignore[no-untyped-def]
    depth, rows, columns = occupied.shape
    wide = np.empty(2 * blocks.shape[2], np.uint8)
    for k in range(depth):
        for j in range(rows):
            line = blocks[k >> 1, j >> 1]
            for i in range(line.size):
                # The brick may lie at that side of its block, and the occupied one at this side of its.
                away = np.int32(line[i])
                least = np.uint8(1 if away == 0 else 255 if away > 127 else 2 * away - 1)
                wide[2 * i] = least
                wide[2 * i + 1] = least
            filled, target = occupied[k, j], out[k, j]
            for i in range(columns):
                target[i] = np.uint8(0) if filled[i] else wide[i]


@numba.njit(nogil=True, cache=True)
def _brick_ranges(low, high, source, out_low, out_high):  # type: ignore[no-untyped-def]
    count = source.size
    rows, columns = low.shape[1], low.shape[2]
    for brick in range(out_low.shape[0]):
        begin = max(brick * BRICK - 1, 0)
        end = min((brick + 1) * BRICK + 1, count)
        out_low[brick] = low[source[begin]]
        out_high[brick] = high[source[begin]]
        for k in range(begin + 1, end):
            if source[k] == source[k - 1]:
                continue
            slice_low, slice_high = low[source[k]], high[source[k]]
            for row in range(rows):
                for column in range(columns):
                    out_low[brick, row, column] = min(out_low[brick, row, column], slice_low[row, column])
                    out_high[brick, row, column] = max(out_high[brick, row, column], slice_high[row, column])


@numba.njit(nogil=True, cache=True)
def _occupied(low, high, before, first, step, out):  # type: ignore[no-untyped-def]
    last = before.size - 2
    for n in range(low.size):
        a = int(min(max(np.floor((low[n] - first) / step), 0.0), float(last)))
        b = int(min(max(np.floor((high[n] - first) / step), 0.0), float(last)))
        out[n] = 1 if before[b + 1] > before[a] else 0


@numba.njit(nogil=True, cache=True)
def _spread(field):  # type: ignore[no-untyped-def]
    """Two sweeps with unit weights over half of the 26 neighbors each: exact for the Chebyshev metric.

    Neighbors of the rows that a sweep has finished are combined first, three reads a row instead of thirteen.
    """
    depth, rows, columns = field.shape
    line = np.empty(columns, np.uint8)
    for sweep in range(2):
        for kk in range(depth):
            k = kk if sweep == 0 else depth - 1 - kk
            before_k = k - 1 if sweep == 0 else k + 1
            for jj in range(rows):
                j = jj if sweep == 0 else rows - 1 - jj
                before_j = j - 1 if sweep == 0 else j + 1
                line[:] = np.uint8(255)
                if 0 <= before_k < depth:
                    for near in range(max(j - 1, 0), min(j + 2, rows)):
                        other = field[before_k, near]
                        for i in range(columns):
                            line[i] = min(line[i], other[i])
                if 0 <= before_j < rows:
                    other = field[k, before_j]
                    for i in range(columns):
                        line[i] = min(line[i], other[i])
                row = field[k, j]
                previous = np.int64(254)
                for ii in range(columns):
                    i = ii if sweep == 0 else columns - 1 - ii
                    least = np.int64(line[i])
                    if i > 0:
                        least = min(least, np.int64(line[i - 1]))
                    if i < columns - 1:
                        least = min(least, np.int64(line[i + 1]))
                    least = min(min(least, previous), np.int64(254)) + 1
                    value = min(np.int64(row[i]), least)
                    row[i] = np.uint8(value)
                    previous = value
