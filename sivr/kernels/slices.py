"""A frame to the screen: stored values to grey levels, then region, flip and size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid

Pixels = npt.NDArray[np.uint8]


def lookup(values: npt.NDArray[Any], table: Pixels, out: Pixels | None = None) -> Pixels:
    """Grey levels of stored ``values`` (any shape, 8 or 16 bit) by a table over all values of their type.

    ``table[value - np.iinfo(values.dtype).min]``; 256 or 65536 entries. Writes to ``out`` when given (same
    shape). Raises Invalid when the table does not cover the type.
    """
    if values.dtype.kind not in "iu" or table.dtype != np.uint8 or table.shape != (256**values.itemsize,):
        raise Invalid("The lookup table does not cover the type of the values.")
    if out is None:
        out = np.empty(values.shape, np.uint8)
    elif out.shape != values.shape or out.dtype != np.uint8:
        raise Invalid("Lookup writes 8-bit pixels of the shape of its values.")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    target = out if out.flags.c_contiguous else np.empty(out.shape, np.uint8)
    source = np.ascontiguousarray(values).reshape(-1)
    if values.dtype.kind == "i":
        # Two's complement as unsigned: the table's halves swap places.
        table = np.concatenate((table[len(table) // 2 :], table[: len(table) // 2]))
        source = source.view(np.uint8 if values.itemsize == 1 else np.uint16)
    _lookup(source, np.ascontiguousarray(table), target.reshape(-1))
    if target is not out:
        out[...] = target
    return out


def resample(
    pixels: Pixels,
    out_width: int,
    out_height: int,
    x: float = 0.0,
    y: float = 0.0,
    width: float | None = None,
    height: float | None = None,
    interpolation: str = "linear",
) -> Pixels:
    """A region of ``pixels`` (h, w) or (h, w, 3) at a new size (PS3.18 8.3.5.1.3).

    The region begins at (x, y), in pixels from the top left corner; its width and height go to the edge by
    default, and flip the picture when negative. Each axis on its own: by ``interpolation`` (a key of
    ``KERNELS`` or "nearest") where enlarged, mean over the covered area where reduced; "nearest" takes the
    nearest pixel either way. Raises Invalid for a region outside the picture.
    """
    rows, columns = pixels.shape[:2]
    width = columns - x if width is None else width
    height = rows - y if height is None else height
    first_x, count_x, weights_x = axis_weights(columns, x, width, out_width, interpolation)
    first_y, count_y, weights_y = axis_weights(rows, y, height, out_height, interpolation)
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    source = np.ascontiguousarray(pixels).reshape(rows, columns, samples)
    out = np.empty((out_height, out_width * samples), np.uint8)
    top = int(first_y.min())
    bottom = int((first_y + count_y).max())
    if out_width == columns and width == columns:
        between = source[top:bottom].reshape(bottom - top, -1).astype(np.float32)
    else:
        between = np.empty((bottom - top, out_width * samples), np.float32)
        _along_rows(source[top:bottom], first_x, count_x, weights_x, between)
    _along_columns(between, first_y - top, count_y, weights_y, out)
    return out.reshape((out_height, out_width) if pixels.ndim == 2 else (out_height, out_width, samples))


def _linear(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    share: npt.NDArray[np.float64] = np.maximum(1 - np.abs(x), 0)
    return share


def _cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Catmull and Rom: the cubic through the stored pixels (Keys, a = -0.5)."""
    x = np.abs(x)
    inner = (1.5 * x - 2.5) * x * x + 1
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


def _lanczos(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Three lobes."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[int, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]]] = {
    "linear": (1, _linear),
    "cubic": (2, _cubic),
    "lanczos": (3, _lanczos),
}
"""How far a stored pixel reaches, and its share at a distance from it."""


def axis_weights(
    size: int, start: float, length: float, out_size: int, interpolation: str = "linear"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Which source pixels, and how much of each, make every output pixel along one axis.

    Returns (first, count, weights[out, tap]); weights of an output pixel sum to 1.
    """
    reach = abs(length)
    if out_size < 1 or not 0 <= start < size or reach <= 0 or start + reach > size + 1e-6:
        raise Invalid("The source region lies outside the picture.")
    step = reach / out_size
    lowest, highest = int(np.floor(start + 1e-9)), max(int(np.ceil(start + reach - 1e-9)) - 1, 0)
    edges = start + np.arange(out_size + 1) * step
    centers = (edges[:-1] + edges[1:]) / 2 - 0.5
    if interpolation == "nearest":
        first = np.clip(np.floor(centers + 0.5).astype(np.int64), lowest, highest)
        count, weights = np.ones_like(first), np.ones((out_size, 1))
    elif step <= 1:
        first, count, weights = _enlarged(np.clip(centers, lowest, highest), lowest, highest, interpolation)
    else:
        first = np.clip(np.floor(edges[:-1] + 1e-9).astype(np.int64), lowest, highest)
        last = np.clip(np.ceil(edges[1:] - 1e-9).astype(np.int64) - 1, first, highest)
        count = last - first + 1
        pixel = first[:, None] + np.arange(int(count.max()))
        covered = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
        weights = np.where(pixel <= last[:, None], np.maximum(covered, 0), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
    if length < 0:
        first, count, weights = first[::-1], count[::-1], weights[::-1]
    return (
        np.ascontiguousarray(first),
        np.ascontiguousarray(count.astype(np.int64)),
        np.ascontiguousarray(weights.astype(np.float32)),
    )


def _enlarged(
    centers: npt.NDArray[np.float64], lowest: int, highest: int, interpolation: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """As ``axis_weights``, around these places; what would lie beyond an end is taken from the end."""
    reach, kernel = KERNELS[interpolation]
    below = np.floor(centers).astype(np.int64)
    pixel = below[:, None] + np.arange(1 - reach, reach + 1)
    share = kernel(centers[:, None] - pixel)
    held = np.clip(pixel, lowest, highest)
    first = held[:, 0]
    weights = np.zeros((len(centers), 2 * reach))
    np.add.at(weights, (np.arange(len(centers))[:, None], held - first[:, None]), share)
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights != 0
    count = weights.shape[1] - np.argmax(used[:, ::-1], axis=1)
    return first, count, weights


@numba.njit(nogil=True, cache=True)
def _lookup(values, table, out):  # type: ignore[no-untyped-def]
    for n in range(values.size):
        out[n] = table[values[n]]


@numba.njit(nogil=True, cache=True)
def _along_rows(source, first, count, weights, out):  # type: ignore[no-untyped-def]
    rows, _, samples = source.shape
    for row in range(rows):
        for n in range(first.size):
            for sample in range(samples):
                total = np.float32(0.0)
                for tap in range(count[n]):
                    total += weights[n, tap] * source[row, first[n] + tap, sample]
                out[row, n * samples + sample] = total


@numba.njit(nogil=True, cache=True, fastmath=True)
def _along_columns(source, first, count, weights, out):  # type: ignore[no-untyped-def]
    width = source.shape[1]
    line = np.empty(width, np.float32)
    for n in range(first.size):
        line[:] = np.float32(0.5)
        for tap in range(count[n]):
            weight = weights[n, tap]
            row = source[first[n] + tap]
            for column in range(width):
                line[column] += weight * row[column]
        target = out[n]
        for column in range(width):
            # Kernels with negative lobes overshoot at sharp edges.
            target[column] = np.uint8(min(max(line[column], np.float32(0.0)), np.float32(255.5)))
