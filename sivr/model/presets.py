"""Named transfer functions: how modality values become color and opacity in a rendered volume."""

from __future__ import annotations

from typing import Literal

import msgspec

from sivr.errors import Invalid
from sivr.model.rendering import TransferFunction

Scale = Literal["absolute", "relative"]
"""Modality values (HU), or fractions of a window for modalities whose values have no fixed meaning."""
Point = tuple[float, float, float, float, float]


class Preset(msgspec.Struct, frozen=True):
    """A transfer function under a name, with what it is good for."""

    name: str
    label: str
    modalities: tuple[str, ...]
    function: TransferFunction


def _preset(name: str, label: str, modalities: tuple[str, ...], scale: Scale, *points: Point) -> Preset:
    function = TransferFunction(name=name, points=points, relative=scale == "relative")
    return Preset(name, label, modalities, function)


_CT = ("CT",)
_MR = ("MR",)
_PET = ("PT", "NM")

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _preset(
            "ct-bone", "Bone", _CT, "absolute",
            (210, 0.45, 0.20, 0.12, 0.0),
            (320, 0.76, 0.54, 0.38, 0.10),
            (520, 0.93, 0.84, 0.70, 0.45),
            (1000, 1.0, 0.97, 0.90, 0.8),
            (3000, 1.0, 1.0, 1.0, 0.95),
        ),
        _preset(
            "ct-skin", "Skin", _CT, "absolute",
            (-500, 0.62, 0.40, 0.30, 0.0),
            (-250, 0.80, 0.58, 0.46, 0.25),
            (0, 0.92, 0.72, 0.60, 0.6),
            (300, 0.95, 0.80, 0.70, 0.8),
            (3000, 1.0, 1.0, 1.0, 0.95),
        ),
        _preset(
            "ct-soft-tissue", "Soft tissue", _CT, "absolute",
            (-160, 0.75, 0.55, 0.30, 0.0),
            (-60, 0.85, 0.65, 0.40, 0.008),
            (20, 0.72, 0.28, 0.20, 0.03),
            (90, 0.85, 0.42, 0.32, 0.09),
            (200, 0.90, 0.72, 0.60, 0.2),
            (450, 1.0, 0.95, 0.86, 0.55),
            (3000, 1.0, 1.0, 1.0, 0.9),
        ),
        _preset(
            "ct-lung", "Lung", _CT, "absolute",
            (-860, 0.15, 0.25, 0.45, 0.0),
            (-780, 0.35, 0.55, 0.75, 0.02),
            (-650, 0.60, 0.78, 0.90, 0.05),
            (-450, 0.95, 0.85, 0.80, 0.12),
            (-300, 0.90, 0.70, 0.60, 0.02),
            (-150, 0.80, 0.60, 0.50, 0.0),
            (300, 1.0, 0.95, 0.85, 0.0),
            (800, 1.0, 0.98, 0.92, 0.25),
        ),
        _preset(
            "ct-angio", "Vessels", _CT, "absolute",
            (170, 0.45, 0.05, 0.03, 0.0),
            (240, 0.75, 0.14, 0.09, 0.12),
            (330, 0.92, 0.32, 0.21, 0.4),
            (480, 0.98, 0.66, 0.48, 0.6),
            (700, 1.0, 0.92, 0.80, 0.75),
            (3000, 1.0, 1.0, 1.0, 0.95),
        ),
        _preset(
            "mr-default", "Surface", _MR, "relative",
            (0.12, 0.30, 0.22, 0.18, 0.0),
            (0.25, 0.62, 0.46, 0.38, 0.12),
            (0.5, 0.85, 0.70, 0.60, 0.4),
            (0.8, 0.96, 0.90, 0.84, 0.7),
            (1.2, 1.0, 1.0, 1.0, 0.85),
        ),
        _preset(
            "mr-angio", "Vessels", _MR, "relative",
            (0.55, 0.40, 0.05, 0.03, 0.0),
            (0.7, 0.75, 0.15, 0.10, 0.15),
            (0.9, 0.95, 0.45, 0.30, 0.5),
            (1.3, 1.0, 0.90, 0.80, 0.9),
        ),
        _preset(
            "pet-default", "Hot", _PET, "relative",
            (0.04, 0.05, 0.02, 0.10, 0.0),
            (0.15, 0.30, 0.05, 0.25, 0.02),
            (0.4, 0.80, 0.15, 0.10, 0.10),
            (0.7, 1.0, 0.55, 0.05, 0.3),
            (1.0, 1.0, 0.95, 0.55, 0.6),
        ),
    )
}  # fmt: skip

DEFAULT_OF_MODALITY: dict[str, str] = {
    "CT": "ct-bone",
    "MR": "mr-default",
    "PT": "pet-default",
    "NM": "pet-default",
}


def preset_for(name: str, modality: str) -> TransferFunction:
    """The transfer function of a preset, or the modality's own where ``name`` is empty.

    Raises Invalid for an unknown name.
    """
    preset = PRESETS.get(name or DEFAULT_OF_MODALITY.get(modality, "mr-default"))
    if preset is None:
        raise Invalid(f"There is no preset of this name; there are {', '.join(PRESETS)}.")
    return preset.function
