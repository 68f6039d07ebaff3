"""Stripes of a view: together they are its picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sivr.gl.farm import Rendered
from sivr.model.cameras import lps_of_pixel
from sivr.model.rendering import Viewpoint, VolumeView
from sivr.services.refining import LEAST_ROWS, RAYS_AT_ONCE, joined, stripes

LOOKING = Viewpoint((130.0, -180.0, 90.0), (22.0, 20.0, 30.0), (0.1, 0.0, 1.0))


@pytest.mark.parametrize(
    ("width", "height", "refine"), [(512, 512, 16), (8000, 37, 16), (300, 1000, 4), (9, 7, 2)]
)
def test_stripes_show_the_rows_of_the_view(width: int, height: int, refine: int) -> None:
    view = VolumeView("volume_rendered", LOOKING, width, height, 211.0, refine=refine)
    found = stripes(view)
    assert sum(part.height for part in found) == height
    top = 0
    for part in found:
        assert part.width == width and part.refine == refine
        assert part.height == found[0].height or part is found[-1]
        assert part.height <= max(LEAST_ROWS, RAYS_AT_ONCE / width / refine)
        for row, column in ((0, 0), (part.height - 1, width - 1)):
            mine = lps_of_pixel(part.viewpoint, width, part.height, part.height_mm, column, row)
            whole = lps_of_pixel(view.viewpoint, width, height, view.height_mm, column, top + row)
            assert math.dist(mine, whole) < 1e-9
        top += part.height


def test_joined_stripes_are_one_picture() -> None:
    first = Rendered(
        np.ones((4, 6, 3), np.uint8), True, {"queue": 1.0, "draw": 2.0}, slices_ready=9, slices_total=9
    )
    second = Rendered(
        np.full((2, 6, 3), 7, np.uint8), False, {"queue": 0.5, "draw": 1.0}, slices_ready=9, slices_total=9
    )
    one = joined([first, second])
    assert one.pixels.shape == (6, 6, 3) and one.pixels[3].max() == 1 and one.pixels[4].min() == 7
    assert one.timing_ms == {"queue": 1.5, "draw": 3.0}
    assert not one.complete and one.slices_total == 9
