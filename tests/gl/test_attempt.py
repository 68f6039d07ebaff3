"""Pictures drawn in several attempts are the same as those drawn in one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sivr.errors import Canceled
from sivr.gl.attempt import CANCELED, PAUSED, Attempt, Interrupted
from sivr.gl.picture import BAND_PIXELS, WHOLE_PIXELS
from sivr.gl.software import SoftwareCaster
from sivr.model.pixels import Window
from sivr.model.rendering import PlaneView, TransferFunction, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer

rng = np.random.default_rng(5)
GLASS = TransferFunction("glass", ((0, 0.2, 0.3, 0.4, 0), (300, 0.9, 0.5, 0.3, 0.05), (1000, 1, 1, 1, 0.9)))
OBLIQUE = Viewpoint((130.0, -180.0, 90.0), (12.0, 10.0, 8.0), (0.1, 0.0, 1.0))
WINDOW = Window(500, 1000)
SIDE = 500
VIEWS: dict[str, VolumeView | PlaneView] = {
    "composite": VolumeView("volume_rendered", OBLIQUE, SIDE, SIDE, 40.0, None, GLASS),
    "refined": VolumeView("volume_rendered", OBLIQUE, SIDE, SIDE, 40.0, None, GLASS, refine=3),
    "projection": VolumeView("maximum_ip", OBLIQUE, SIDE, SIDE, 40.0, WINDOW),
    "plane": PlaneView(OBLIQUE, SIDE, SIDE, 30.0, WINDOW, slab_mm=5.0),
}
NUMBER = 7


class Flags:
    """The words of a worker, whose pause is raised at every so many looks."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.looks = 0

    def __getitem__(self, word: int) -> int:
        self.looks += word == PAUSED
        return NUMBER if word == PAUSED and self.looks % self.every == 0 else 0


def draw(caster: Any, volume: Any, view: VolumeView | PlaneView, attempt: Attempt | None) -> Any:
    if isinstance(view, PlaneView):
        return caster.plane(volume, view, attempt)
    return caster.volume(volume, view, attempt)


@pytest.fixture(params=[*PATHS, "two threads"])
def path(request: pytest.FixtureRequest) -> str:
    if request.param == "gl":
        request.getfixturevalue("current_context")
    return str(request.param)


@pytest.fixture
def drawing(path: str, bench: Any) -> tuple[Any, Any, Any]:
    made = bench(rng.integers(0, 1000, (18, 20, 24)).astype(np.int16))
    volumes, caster = renderer(path if path == "gl" else "software")
    if path == "software":
        caster = SoftwareCaster(1)
    return volumes.get(made.source), caster, (volumes, bench)


@pytest.mark.parametrize("name", VIEWS)
def test_interruptions_do_not_change_a_picture(name: str, path: str, drawing: Any) -> None:
    volume, caster, (volumes, bench) = drawing
    other = volumes.get(bench(rng.integers(0, 1000, (9, 9, 9)).astype(np.int16)).source)
    whole = draw(caster, volume, VIEWS[name], None)
    # Between two bands, and for refined pictures between two passes of one.
    attempt = Attempt(Flags(every=5), NUMBER)
    interruptions = 0
    rows = [0]
    while True:
        try:
            attempt.begin("complete")
            got = draw(caster, volume, VIEWS[name], attempt)
            break
        except Interrupted:
            interruptions += 1
            rows.append(attempt.rows)
            # What is drawn in between, of another volume and of the same size, leaves no trace.
            draw(caster, other, VIEWS["composite"], None)
    # With two threads the one that asks may hardly get a band.
    assert path == "two threads" or (interruptions >= 1 and rows[-1] > 0)
    assert rows == sorted(rows)
    assert np.array_equal(got, whole)


def test_rows_of_another_state_are_drawn_again(path: str, drawing: Any) -> None:
    volume, caster, (volumes, bench) = drawing
    other = volumes.get(bench(rng.integers(0, 1000, (18, 20, 24)).astype(np.int16)).source)
    view = VIEWS["composite"]
    flags = Flags(every=4)
    attempt = Attempt(flags, NUMBER)
    caster = SoftwareCaster(1) if path != "gl" else caster
    with pytest.raises(Interrupted):
        attempt.begin("before")
        draw(caster, volume, view, attempt)
    assert attempt.rows > 0 and attempt.size_bytes > 0
    flags.every = 10**9
    attempt.begin("after")
    assert np.array_equal(draw(caster, other, view, attempt), draw(caster, other, view, None))


def test_a_canceled_picture_ends_after_the_tile_that_is_drawn(drawing: Any) -> None:
    volume, caster, _ = drawing
    words = [0, 0]
    attempt = Attempt(words, NUMBER)
    attempt.begin("complete")
    words[CANCELED] = NUMBER
    with pytest.raises(Canceled):
        draw(caster, volume, VIEWS["composite"], attempt)
    assert attempt.rows < attempt.total == SIDE
    with pytest.raises(Canceled):
        attempt.begin("complete")


def test_words_of_other_jobs_are_nothing() -> None:
    Attempt([NUMBER + 1, NUMBER - 1], NUMBER)()


def test_small_pictures_are_drawn_at_once_by_a_device(bench: Any, current_context: None) -> None:
    volumes, caster = renderer("gl")
    volume = volumes.get(bench(rng.integers(0, 1000, (9, 9, 9)).astype(np.int16)).source)
    side = int(WHOLE_PIXELS**0.5)
    flags = Flags(every=10**9)
    caster.volume(volume, VolumeView("maximum_ip", OBLIQUE, side, side, 40.0, WINDOW), Attempt(flags, NUMBER))
    assert flags.looks == 0
    caster.volume(volume, VolumeView("maximum_ip", OBLIQUE, 512, 512, 40.0, WINDOW), Attempt(flags, NUMBER))
    assert flags.looks == -(-512 // (BAND_PIXELS // 512)) - 1
