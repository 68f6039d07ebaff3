"""The range of values in every tile of a slice, from which those of a volume's bricks are made."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
TILE = 4
"""Voxels along each side of a tile, and of a brick: 10-20% faster than 8 and 40% than 16 on real tissue."""
LOWEST = {"uint8": 0, "uint16": 0, "int16": -32768, "float32": -(10**9)}
"""What ranges take padding for, by type: nothing real is lower."""


def tile_ranges(image: Array) -> tuple[Array, Array]:
    """Least and largest value of every tile of one slice (rows, columns), one value beyond each side
    included, as interpolation reaches there.

    Returns two arrays (ceil(rows/TILE), ceil(columns/TILE)) of the slice's type.
    """
    shape = tiles_of((1, *image.shape))[1:]
    low, high = np.empty(shape, image.dtype), np.empty(shape, image.dtype)
    put_tile_ranges(image, None, low, high)
    return low, high


def put_tile_ranges(image: Array, padding: int | None, low: Array, high: Array) -> None:
    """As ``tile_ranges``, into arrays that are there; voxels that are ``padding`` count as the lowest."""
    lowest = image.dtype.type(LOWEST[image.dtype.name])
    hidden = image.dtype.type(padding) if padding is not None and fits(padding, image.dtype) else lowest
    _tile_ranges(np.ascontiguousarray(image), hidden, lowest, low, high)


def tiles_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape of the tile ranges of a volume's slices."""
    return shape[0], -(-shape[1] // TILE), -(-shape[2] // TILE)


def fits(value: int, dtype: np.dtype[Any]) -> bool:
    """Whether the type can hold the value."""
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return bool(info.min <= value <= info.max)


@numba.njit(nogil=True, cache=True)
def _tile_ranges(image, padding, lowest, low, high):  # type: ignore[no-untyped-def]
    """Seven times as fast as the same with a loop over the rows of a tile: each voxel is read once, and both
    loops over columns are of the kind that the compiler turns into vectors."""
    rows, columns = image.shape
    tall, wide = low.shape
    # The range of the rows of a tile, one more on the left and, where the slice ends, copies of the last.
    least = np.empty(TILE * wide + 2, image.dtype)
    most = np.empty(TILE * wide + 2, image.dtype)
    last = rows - 1
    for tile_row in range(tall):
        top = TILE * tile_row
        a, b, c = image[max(top - 1, 0)], image[top], image[min(top + 1, last)]
        d, e, f = image[min(top + 2, last)], image[min(top + 3, last)], image[min(top + 4, last)]
        for column in range(columns):
            va = lowest if a[column] == padding else a[column]
            vb = lowest if b[column] == padding else b[column]
            vc = lowest if c[column] == padding else c[column]
            vd = lowest if d[column] == padding else d[column]
            ve = lowest if e[column] == padding else e[column]
            vf = lowest if f[column] == padding else f[column]
            least[column + 1] = min(min(min(va, vb), min(vc, vd)), min(ve, vf))
            most[column + 1] = max(max(max(va, vb), max(vc, vd)), max(ve, vf))
        least[0], most[0] = least[1], most[1]
        for column in range(columns + 1, TILE * wide + 2):
            least[column], most[column] = least[columns], most[columns]
        for tile in range(wide):
            n = TILE * tile
            low[tile_row, tile] = min(
                min(min(least[n], least[n + 1]), min(least[n + 2], least[n + 3])),
                min(least[n + 4], least[n + 5]),
            )
            high[tile_row, tile] = max(
                max(max(most[n], most[n + 1]), max(most[n + 2], most[n + 3])),
                max(most[n + 4], most[n + 5]),
            )
