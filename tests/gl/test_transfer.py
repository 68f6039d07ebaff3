"""Transfer functions as tables."""

from __future__ import annotations

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.gl.transfer import ENTRIES, placed, table_of, visible_values
from sivr.model.rendering import TransferFunction

POINTS = ((-100.0, 0.1, 0.2, 0.3, 0.0), (0.0, 0.4, 0.5, 0.6, 0.0), (300.0, 1.0, 1.0, 1.0, 0.5))


def test_tables_follow_the_points() -> None:
    table = table_of(TransferFunction("x", POINTS), step_mm=1.0)
    assert (table.low, table.high) == (-100, 300)
    assert table.colors.shape == (ENTRIES, 4)
    assert np.allclose(table.colors[0], POINTS[0][1:], atol=1e-6)
    assert np.allclose(table.colors[-1], POINTS[-1][1:], atol=1e-6)


def test_opacity_composes_over_steps() -> None:
    function = TransferFunction("x", POINTS, opacity_unit_mm=2.0)
    once = table_of(function, 2.0).colors[:, 3].astype(float)
    half = table_of(function, 1.0).colors[:, 3].astype(float)
    assert np.allclose(1 - (1 - half) ** 2, once, atol=1e-6)


def test_visible_values_are_those_with_opacity() -> None:
    flags, first, step = visible_values(TransferFunction("x", POINTS))
    values = first + (np.arange(len(flags)) + 0.5) * step
    assert not flags[values < -step].any()
    assert flags[values > step].all()
    assert flags[-1], "above the last point it stays visible"
    spike = TransferFunction("x", ((0, 1, 1, 1, 0), (500, 1, 1, 1, 0), (500, 1, 1, 1, 1), (1e6, 1, 1, 1, 0)))
    assert visible_values(spike)[0].any()
    hidden = TransferFunction("x", ((0, 1, 1, 1, 0), (1, 1, 1, 1, 0)))
    assert not visible_values(hidden)[0].any()


def test_relative_functions_are_placed() -> None:
    relative = TransferFunction("x", ((0.0, 1, 1, 1, 0), (1.0, 1, 1, 1, 1)), relative=True)
    assert [point[0] for point in placed(relative, (50, 250)).points] == [50, 250]
    assert placed(relative, (50, 50)).points[1][0] > 50
    absolute = TransferFunction("x", POINTS)
    assert placed(absolute, (50, 250)) is absolute


@pytest.mark.parametrize(
    "points",
    [(), POINTS[:1], POINTS[::-1], ((0, 0, 0, 0, 0), (0, 1, 1, 1, 1)), ((0, 0, 0, 0, 0), (1, 2, 0, 0, 0)),
     ((0, 0, 0, 0, 0), (float("nan"), 0, 0, 0, 0))],
)  # fmt: skip
def test_broken_functions_are_refused(points: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(Invalid):
        table_of(TransferFunction("x", points), 1.0)  # type: ignore[arg-type]
