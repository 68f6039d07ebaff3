"""The arithmetic of the benchmark of slow lines: what counts as shown, and when."""

from __future__ import annotations

import itertools
import json

import pytest
import seamless

EVENTS = [
    {"t": 0.0, "index": 5},
    {"t": 100.0, "index": 6},
    {"t": 200.0, "index": 7},
    {"t": 3000.0, "index": 6},
]
PAINTS = [
    {"t": 20.0, "index": 5, "quality": "preview"},
    {"t": 230.0, "index": 7, "quality": "preview"},
    {"t": 700.0, "index": 7, "quality": "lossy q20"},
    {"t": 1100.0, "index": 7, "quality": "lossless"},
    {"t": 3100.0, "index": 6, "quality": "lossless"},
]


def test_a_slice_left_before_its_picture_came_was_never_shown() -> None:
    assert seamless.shown_after(EVENTS, PAINTS) == [20.0, seamless.NEVER, 30.0, 100.0]


def test_a_picture_at_rest_is_of_the_slice_of_the_rest() -> None:
    assert seamless.at_rest(EVENTS, PAINTS, ("lossless", "lossy")) == [500.0, 100.0]
    assert seamless.at_rest(EVENTS, PAINTS, ("lossless",)) == [900.0, 100.0]
    assert seamless.at_rest(EVENTS[:1], [], ("lossless",)) == [seamless.NEVER]


@pytest.mark.parametrize(("values", "found"), [([1.0], 1.0), (list(range(1, 101)), 95), ([], seamless.NEVER)])
def test_percentiles(values: list[float], found: float) -> None:
    assert seamless.p95(values) == found


def test_the_recorded_scroll_turns_back_jumps_and_rests() -> None:
    wheel = json.loads((seamless.HERE / "traces" / "scroll.json").read_text())["wheel"]
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(wheel)]
    assert sum(gap > seamless.REST_MS for gap in gaps) >= 10
    assert sum(80 <= gap <= 120 for gap in gaps) > len(gaps) / 2, "ten slices a second"
    assert any(abs(notches) >= 10 for _, notches in wheel)
    assert {1, -1} <= {notches for _, notches in wheel}
