"""Pictures that come back by two buffers are those that come back at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sivr.errors import Canceled
from sivr.gl.attempt import CANCELED, PAUSED, Attempt, Interrupted
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.presets import PRESETS
from sivr.model.rendering import PlaneView, VolumeView

pytestmark = pytest.mark.usefixtures("current_context")
WINDOW = Window(500, 1001, "linear-exact")
AT = viewpoint_for("a", (11.5, 11.5, 11.5), 100.0)
FUNCTION = next(iter(PRESETS.values())).function
WIDTH, HEIGHT = 330, 420
VIEWS: dict[str, Any] = {
    "maximum": VolumeView("maximum_ip", AT, WIDTH, HEIGHT, 40.0, WINDOW),
    "composite": VolumeView("volume_rendered", AT, WIDTH, HEIGHT, 40.0, WINDOW, FUNCTION),
    "plane": PlaneView(AT, WIDTH, HEIGHT, 40.0, WINDOW),
}


@pytest.fixture
def drawn(bench: Any) -> Any:
    """Draws a view, at once or by buffers."""
    from tests.gl.paths import renderer

    voxels = np.random.default_rng(5).integers(0, 1000, (24, 24, 24)).astype(np.int16)
    textures, caster = renderer("gl")
    volume = textures.get(bench(voxels).source)

    def draw(view: Any, streams: bool, check: Any = None) -> Any:
        caster.streams = streams
        return (caster.plane if isinstance(view, PlaneView) else caster.volume)(volume, view, check)

    return draw


class Calls:
    """Counts the pauses between bands, and makes something happen at one of them."""

    def __init__(self, at: int = 10**9, happens: Any = None) -> None:
        self.count, self.at, self.happens = 0, at, happens

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.happens()


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("banded", [False, True])
def test_pictures_are_the_same(drawn: Any, name: str, banded: bool) -> None:
    calls = Calls()
    plain = drawn(VIEWS[name], False, calls if banded else None)
    bands = calls.count
    streamed = drawn(VIEWS[name], True, calls if banded else None)
    assert np.array_equal(plain, streamed) and plain.max() > plain.min()
    assert calls.count == 2 * bands and (bands >= 2) is banded


def test_a_canceled_picture_leaves_nothing_to_the_next(drawn: Any) -> None:
    def cancel() -> None:
        raise Canceled("Nobody waits.")

    plain = drawn(VIEWS["maximum"], False)
    for at in (1, 2):
        with pytest.raises(Canceled):
            drawn(VIEWS["maximum"], True, Calls(at, cancel))
        assert np.array_equal(drawn(VIEWS["maximum"], True, Calls()), plain)


def test_an_interrupted_picture_is_gone_on_with(drawn: Any) -> None:
    class Paused(Attempt):
        """Interrupted at its second pause."""

        pauses = 0

        def __call__(self) -> None:
            self.pauses += 1
            self._flags[PAUSED] = self._number if self.pauses == 2 else 0
            super().__call__()

    flags = [0, 0]
    flags[CANCELED] = 0
    plain = drawn(VIEWS["composite"], False)
    attempt = Paused(flags, 7)
    with pytest.raises(Interrupted):
        drawn(VIEWS["composite"], True, attempt)
    assert 0 < attempt.rows < HEIGHT
    assert np.array_equal(drawn(VIEWS["composite"], True, attempt), plain)
