"""Histograms of volumes against numpy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sivr.services.histograms import HistogramQuery, count
from tests.gl.conftest import Bench


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*given: Any, **options: Any) -> Bench:
        made.append(Bench(*given, **options))
        return made[-1]

    yield make
    for one in made:
        one.path.unlink(missing_ok=True)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
@pytest.mark.parametrize("slope", [1.0, -0.5])
def test_counts_equal_numpy(bench: Any, dtype: str, slope: float) -> None:
    rng = np.random.default_rng(3)
    voxels = rng.integers(0, 250, (7, 30, 20)).astype(dtype)
    values = voxels.astype(float) * slope + 10
    source = bench(voxels, slope=slope, intercept=10.0).source
    found = count(source, HistogramQuery(bins=37))
    want, edges = np.histogram(values, bins=37)
    assert (found.low, found.high) == (edges[0], edges[-1])
    # A value on the edge between two bins may be counted in either.
    assert np.abs(np.cumsum(found.counts) - np.cumsum(want)).max() <= 40
    assert sum(found.counts) == found.voxels == voxels.size and found.complete
    assert (found.below, found.above) == (0, 0)
    part = count(source, HistogramQuery(bins=13, low=-40.3, high=80.4))
    want, _ = np.histogram(values, bins=13, range=(-40.3, 80.4))
    assert np.abs(np.array(part.counts) - want).max() <= 1
    assert part.below == (values < -40.3).sum() and part.above == (values > 80.4).sum()


def test_what_is_missing_or_padding_is_left_out(bench: Any) -> None:
    voxels = np.arange(600, dtype=np.int16).reshape(6, 10, 10)
    voxels[:, 0] = -2000
    made = bench(voxels, padding=-2000, ready=False)
    assert count(made.source, HistogramQuery(bins=4)).voxels == 0
    made.make_ready(2)
    found = count(made.source, HistogramQuery(bins=4))
    assert (found.low, found.high, found.voxels, found.complete) == (210.0, 299.0, 90, False)


def test_all_voxels_alike(bench: Any) -> None:
    found = count(bench(np.full((2, 8, 8), 7, np.int16)).source, HistogramQuery(bins=2))
    assert found.low <= 7 < found.high and sum(found.counts) == 128
