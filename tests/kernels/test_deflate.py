"""Every stream is read by zlib and ISA-L alike, and gives back what went in."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from isal import igzip_lib

from sivr.kernels.deflate import BLOCK, runs_and_codes

rng = np.random.default_rng(7)


def _geometric(size: int) -> np.ndarray:  # type: ignore[type-arg]
    """Symbols that halve in number: their codes would be longer than the limit."""
    exponents = rng.geometric(0.5, size)
    return np.minimum(exponents, 255).astype(np.uint8)


def _fibonacci() -> np.ndarray:  # type: ignore[type-arg]
    """The counts that make the deepest tree there is."""
    counts = [1, 1]
    while sum(counts) < 100_000:
        counts.append(counts[-1] + counts[-2])
    data = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    rng.shuffle(data)
    return data


DATA = {
    "one byte": np.array([7], np.uint8),
    "two": np.array([0, 255], np.uint8),
    "zeros": np.zeros(100_000, np.uint8),
    "one kind after another": np.r_[np.zeros(1, np.uint8), np.full(70_000, 9, np.uint8)],
    "noise": rng.integers(0, 256, 50_000, np.uint8),
    "near zero": np.rint(rng.normal(0, 2, 300_000)).astype(np.int8).view(np.uint8),
    "deep": _fibonacci(),
    "halving": _geometric(400_000),
    "every byte once": np.arange(256, dtype=np.uint8),
    "blocks": np.r_[
        np.zeros(BLOCK, np.uint8), rng.integers(0, 256, BLOCK, np.uint8), np.full(BLOCK // 4 - 1, 3, np.uint8)
    ],
}


@pytest.mark.parametrize("name", DATA)
def test_other_decoders_read_it(name: str) -> None:
    data = DATA[name]
    body = runs_and_codes(data)
    assert zlib.decompress(body, -15) == data.tobytes()
    assert igzip_lib.decompress(body, igzip_lib.DECOMP_DEFLATE) == data.tobytes()


@pytest.mark.parametrize("length", [*range(1, 40), *range(250, 300), 515, 516, 517, 518, 519, 520, 777])
def test_runs_of_every_length(length: int) -> None:
    parts = [rng.integers(0, 256, 11, np.uint8), np.full(length, 5, np.uint8), np.arange(20, dtype=np.uint8)]
    for lead in range(9):
        data = np.concatenate([np.arange(lead, dtype=np.uint8), *parts, *parts])
        assert zlib.decompress(runs_and_codes(data), -15) == data.tobytes()


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + BLOCK // 4, 2 * BLOCK + 7])
def test_blocks_end_anywhere(size: int) -> None:
    data = np.repeat(rng.integers(0, 9, size // 16 + 1, np.uint8), 16)[:size]
    assert zlib.decompress(runs_and_codes(data), -15) == data.tobytes()


def test_runs_cost_almost_nothing_and_noise_no_more_than_it_is() -> None:
    assert len(runs_and_codes(DATA["zeros"])) < 200
    assert len(runs_and_codes(DATA["noise"])) < DATA["noise"].size * 1.01


def test_threads_do_not_share_their_memory() -> None:
    pieces = [rng.integers(0, 4 + n, 40_000 + n, np.uint8) for n in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for data, body in zip(pieces * 4, pool.map(runs_and_codes, pieces * 4), strict=True):
            assert zlib.decompress(body, -15) == data.tobytes()
