"""Refined pictures in stripes: each a small job, between which those of others are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from sivr.gl.farm import Rendered
from sivr.model.cameras import add, basis, scaled
from sivr.model.rendering import Viewpoint, VolumeView

RAYS_AT_ONCE = 512 * 512 * 2
"""A stripe has about so many: a tenth of a second on two cores."""
LEAST_ROWS = 16


def stripes(view: VolumeView) -> tuple[VolumeView, ...]:
    """The view as views of its rows from top to bottom, whose pictures one below the other are its own."""
    rows = max(LEAST_ROWS, RAYS_AT_ONCE // (view.width * view.refine) // LEAST_ROWS * LEAST_ROWS)
    _, up, _ = basis(view.viewpoint)
    pixel_mm = view.height_mm / view.height
    found = []
    for top in range(0, view.height, rows):
        height = min(rows, view.height - top)
        shift = scaled(up, ((view.height - height) / 2 - top) * pixel_mm)
        looking = view.viewpoint
        viewpoint = Viewpoint(add(looking.position, shift), add(looking.look_at, shift), looking.up)
        found.append(
            msgspec.structs.replace(view, viewpoint=viewpoint, height=height, height_mm=pixel_mm * height)
        )
    return tuple(found)


def joined(drawn: Sequence[Rendered]) -> Rendered:
    """One picture of several, from top to bottom."""
    timing: dict[str, float] = {}
    for one in drawn:
        for name, spent in one.timing_ms.items():
            timing[name] = timing.get(name, 0.0) + spent
    return msgspec.structs.replace(
        drawn[-1],
        pixels=np.concatenate([one.pixels for one in drawn]),
        complete=all(one.complete for one in drawn),
        timing_ms=timing,
    )
