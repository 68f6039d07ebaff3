"""Regions of pictures, and sizes that nobody can make a picture of."""

from __future__ import annotations

import numpy as np
import pytest

from sivr.errors import Invalid
from sivr.model.rendering import Viewport
from sivr.services.slices import in_viewport

PIXELS = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.mark.parametrize(
    "viewport",
    [
        Viewport(64, 64, 1, 1, 1e-308, 1e-308),
        Viewport(64, 64, 1, 1, 5e-324, 4),
        Viewport(64, 64, 1, 1, 4, -1e-9),
        Viewport(64, 64, 8 - 1e-12, 0),
        Viewport(64, 64, 0, 7.9999999, 4, 4),
    ],
)
def test_regions_of_almost_nothing_are_refused(viewport: Viewport) -> None:
    with pytest.raises(Invalid, match="source region of viewport is smaller than"):
        in_viewport(PIXELS, viewport)


@pytest.mark.parametrize("size", [1.0, -0.5, 0.02])
def test_parts_of_a_pixel_are_shown(size: float) -> None:
    assert in_viewport(PIXELS, Viewport(64, 64, 1, 1, size, size)).shape == (64, 64)
    assert in_viewport(PIXELS, Viewport(64, 64, 1, 1, size, 7)).shape[0] == 64
