"""Golden pictures of a made-up body, each with what must be seen in it.

``SIVR_GOLDEN=write pytest tests/gl/test_golden.py`` draws them anew.
Look at every one before it is committed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sivr import codec
from sivr.model.cameras import turned, viewpoint_for
from sivr.model.pixels import Window
from sivr.model.presets import PRESETS
from sivr.model.rendering import PlaneView, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer

pytestmark = pytest.mark.usefixtures("current_context")

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "volumes"
CENTER = (48.0, 48.0, 60.0)
ALIKE_DB = 38.0
"""Other drivers round otherwise; anything moved, mirrored or of another color is far below."""


def torso() -> np.ndarray[Any, Any]:
    """In HU, voxels of 1 x 1 x 2 mm: tissue with a spine behind, one bright organ on the patient's left, a
    fist of bone at the right hand, and a plate in front of the belly."""
    k, j, i = np.mgrid[:60, :96, :96].astype(float)
    k *= 2
    voxels = np.full(k.shape, -1000.0)

    def put(inside: Any, value: float) -> None:
        voxels[inside] = value

    trunk = ((i - 48) / 30) ** 2 + ((j - 48) / 20) ** 2 < 1
    put(trunk & (k < 84), 40)
    put((i - 48) ** 2 + (j - 46) ** 2 + (k - 98) ** 2 < 17**2, 60)
    put(((i - 48) ** 2 + (j - 62) ** 2 < 25) & (k < 90) & (np.mod(k, 12) < 9), 700)
    put((i - 62) ** 2 + (j - 44) ** 2 + (k - 52) ** 2 < 100, 260)
    put((i - 10) ** 2 + (j - 48) ** 2 + (k - 40) ** 2 < 49, 1100)
    put((abs(i - 48) < 9) & (abs(j - 24) < 2) & (abs(k - 30) < 7), 1500)
    blurred = np.pad(voxels, 1, mode="edge")
    mean = sum(
        blurred[a : a + 60, b : b + 96, c : c + 96] for a in range(3) for b in range(3) for c in range(3)
    )
    return (mean / 27).astype(np.int16)


def front(preset: str, **options: Any) -> VolumeView:
    return VolumeView(
        **{
            "method": "volume_rendered",
            "viewpoint": viewpoint_for("a", CENTER, 300.0),
            "width": 160,
            "height": 180,
            "height_mm": 140.0,
            "transfer_function": PRESETS[preset].function,
            **options,
        }
    )


PICTURES: dict[str, tuple[VolumeView | PlaneView, str]] = {
    "bone-front": (
        front("ct-bone"),
        "The spine upright in the middle, the plate before it, the fist on the left (the patient's right).",
    ),
    "skin-turned": (
        front("ct-skin", viewpoint=turned(viewpoint_for("a", CENTER, 300.0), 0.7, 0.25)),
        "A skin-colored body turned to the right and seen from below, the fist coming forward on the left.",
    ),
    "soft-tissue-left": (
        front("ct-soft-tissue", viewpoint=viewpoint_for("l", CENTER, 300.0)),
        "From the patient's left: the plate on the left, the spine shining through on the right.",
    ),
    "mip-head": (
        front(
            "ct-bone",
            method="maximum_ip",
            window=Window(300, 1600),
            viewpoint=viewpoint_for("h", CENTER, 300.0),
        ),
        "From above, face up: the plate at the top, the spine below, the fist on the right.",
    ),
    "average-back": (
        front(
            "ct-bone",
            method="average_ip",
            window=Window(-650, 700),
            viewpoint=viewpoint_for("p", CENTER, 300.0),
        ),
        "Like an X-ray from behind: the fist on the right, the round organ left of the spine.",
    ),
    "plane-oblique": (
        PlaneView(
            Viewpoint((148.0, -152.0, 150.0), (53.0, 48.0, 55.0), (0.0, 0.0, 1.0)),
            160,
            160,
            120.0,
            Window(40, 600),
        ),
        "A slanting cut: the grey trunk, the organ brighter in it, white spine above, black air outside.",
    ),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_as_it_was(bench: Any, name: str, path: str) -> None:
    view, sentence = PICTURES[name]
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    textures, cast = renderer(path)
    volume = textures.get(bench(torso(), affine).source)
    got = cast.volume(volume, view) if isinstance(view, VolumeView) else cast.plane(volume, view)
    textures.clear()
    golden = FOLDER / f"{name}.png"
    if os.environ.get("SIVR_GOLDEN") == "write" and path == "gl":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(codec.encode(got, "image/png"))
    want = codec.decode(golden.read_bytes())
    assert got.shape == want.shape
    error = np.mean((got.astype(float) - want) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > ALIKE_DB, sentence


def test_every_golden_has_its_sentence() -> None:
    assert {path.stem for path in FOLDER.glob("*.png")} == set(PICTURES)
