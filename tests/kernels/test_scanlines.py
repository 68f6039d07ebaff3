"""Filtered lines are undone by plain numpy, after the text of the standard."""

from __future__ import annotations

import numpy as np
import pytest

from sivr.kernels.scanlines import WIDE, filtered

rng = np.random.default_rng(3)


def _undone(lines: np.ndarray, step: int) -> np.ndarray:  # type: ignore[type-arg]
    """PNG 1.2, section 6."""
    height, width = lines.shape[0], lines.shape[1] - 1
    out = np.zeros((height + 1, width + step), np.int64)
    for y in range(height):
        kind = int(lines[y, 0])
        for x in range(width):
            a, b, c = int(out[y + 1, x]), int(out[y, x + step]), int(out[y, x])
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            guess = (0, a, b, (a + b) // 2, nearest)[kind]
            out[y + 1, x + step] = (int(lines[y, 1 + x]) + guess) & 255
    return out[1:, step:].astype(np.uint8)


def _soft(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.clip(np.cumsum(rng.normal(0, 5, shape), axis=1) + 120, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3, 63, WIDE, WIDE + 1, WIDE + 2, 2 * WIDE, 130, 259])
@pytest.mark.parametrize("samples", [0, 3])
def test_every_width(width: int, samples: int) -> None:
    shape = (9, width, samples) if samples else (9, width)
    for pixels in (_soft(*shape), rng.integers(0, 256, shape, np.uint8)):
        lines = filtered(pixels)
        assert lines.shape == (9, 1 + width * max(samples, 1))
        assert np.array_equal(_undone(lines, max(samples, 1)), pixels.reshape(9, -1))


def test_every_filter_is_used_where_it_serves() -> None:
    ramp = np.add.outer(np.arange(40) * 3, np.arange(200)).astype(np.uint8)
    noise = np.zeros((40, 200), np.uint8)
    noise[:, ::20] = rng.integers(0, 9, (40, 10))
    column = np.repeat(rng.integers(0, 256, (1, 200), np.uint8), 40, axis=0)
    row = np.repeat(rng.integers(0, 256, (40, 1), np.uint8), 200, axis=1)
    kinds = {int(filtered(one)[20, 0]) for one in (ramp, noise, column, row, _soft(40, 200))}
    assert {1, 2} <= kinds
    smooth = np.clip(
        np.add.outer(np.sin(np.arange(60) / 9), np.cos(np.arange(300) / 7)) * 50
        + 128
        + rng.normal(0, 3, (60, 300)),
        0,
        255,
    ).astype(np.uint8)
    assert {3, 4} & {int(kind) for kind in filtered(smooth)[:, 0]}


def test_a_narrow_window_is_not_averaged() -> None:
    few = (np.clip(_soft(64, 256).astype(int) - 110, 0, 20) * 12).astype(np.uint8)
    assert 3 not in filtered(few)[:, 0]


def test_lines_longer_than_sums_of_16_bits_hold() -> None:
    pixels = rng.integers(0, 256, (2, 40_000), np.uint8)
    assert np.array_equal(_undone(filtered(pixels), 1), pixels)
