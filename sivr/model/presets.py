"""Named ways to show a volume: transfer functions (how modality values become color and opacity), projections
with a window, surfaces. Each was looked at on real series; ``docs/pictures/presets.jpg`` shows those of CT
and PET."""

from __future__ import annotations

from typing import Literal

import msgspec

from sivr.errors import Invalid
from sivr.model.pixels import Window
from sivr.model.rendering import Method, TransferFunction

Scale = Literal["absolute", "relative"]
"""Modality values (HU), or fractions of a window for modalities whose values have no fixed meaning."""
Point = tuple[float, float, float, float, float]


class Preset(msgspec.Struct, frozen=True):
    """A transfer function under a name, with what it is good for."""

    name: str
    label: str
    modalities: tuple[str, ...]
    function: TransferFunction
    """What color and opacity are, also where the preset shows a projection."""
    method: Method = "volume_rendered"
    window: Window | None = None
    """Of a projection; None is the series' own."""
    span: tuple[float, float] | None = None
    """Of a projection without a window: fractions of what is typical of the volume (0 its darkest, 1 what all
    but its brightest stay below) that are shown black and white."""
    surface: float | None = None
    """The one value that is shown as a surface; of a relative function, a fraction as its values."""
    invert: bool = False
    """Black for white."""


Light = tuple[float, float, float]
_USUAL: Light = (0.2, 0.8, 0.2)
_SOFT: Light = (0.35, 0.65, 0.05)
"""For haze, whose gradients are mostly noise."""


def _preset(
    name: str,
    label: str,
    modalities: tuple[str, ...],
    scale: Scale,
    *points: Point,
    light: Light = _USUAL,
) -> Preset:
    ambient, diffuse, specular = light
    function = TransferFunction(
        name, points, ambient=ambient, diffuse=diffuse, specular=specular, relative=scale == "relative"
    )
    return Preset(name, label, modalities, function)


def _projection(
    name: str,
    label: str,
    of: Preset,
    method: Method,
    window: tuple[float, float] | None = None,
    span: tuple[float, float] | None = None,
    invert: bool = False,
) -> Preset:
    return Preset(
        name,
        label,
        of.modalities,
        of.function,
        method=method,
        window=None if window is None else Window(*window, "linear-exact"),
        span=span,
        invert=invert,
    )


def _surface(
    name: str,
    label: str,
    modalities: tuple[str, ...],
    scale: Scale,
    value: float,
    color: tuple[float, float, float],
) -> Preset:
    beyond = value + (1000 if scale == "absolute" else 1)
    function = TransferFunction(
        name, ((value, *color, 0.0), (beyond, *color, 1.0)), relative=scale == "relative"
    )
    return Preset(name, label, modalities, function, surface=value)


_CT = ("CT",)
_MR = ("MR",)
_PET = ("PT", "NM")

_XA = ("XA", "RF")

_FUNCTIONS: dict[str, Preset] = {
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
            "ct-vessels-glass", "Vessels in glass", _CT, "absolute",
            (-300, 0.55, 0.62, 0.70, 0.0),
            (-150, 0.62, 0.70, 0.78, 0.006),
            (60, 0.66, 0.74, 0.80, 0.008),
            (150, 0.70, 0.16, 0.12, 0.012),
            (220, 0.85, 0.15, 0.10, 0.30),
            (400, 1.0, 0.45, 0.32, 0.75),
            (700, 0.98, 0.93, 0.84, 0.35),
            (3000, 1.0, 1.0, 0.96, 0.5),
        ),
        _preset(
            "ct-cardiac", "Heart", _CT, "absolute",
            (60, 0.45, 0.10, 0.08, 0.0),
            (110, 0.62, 0.18, 0.14, 0.05),
            (180, 0.80, 0.34, 0.24, 0.18),
            (260, 0.93, 0.56, 0.38, 0.42),
            (420, 0.99, 0.82, 0.62, 0.65),
            (800, 1.0, 0.96, 0.88, 0.8),
            (3000, 1.0, 1.0, 1.0, 0.9),
        ),
        _preset(
            "ct-muscle", "Muscle", _CT, "absolute",
            (-60, 0.70, 0.48, 0.20, 0.0),
            (-10, 0.62, 0.26, 0.18, 0.02),
            (30, 0.66, 0.20, 0.15, 0.22),
            (80, 0.78, 0.30, 0.24, 0.45),
            (180, 0.86, 0.62, 0.50, 0.55),
            (400, 0.96, 0.92, 0.84, 0.8),
            (3000, 1.0, 1.0, 1.0, 0.95),
        ),
        _preset(
            "ct-abdomen", "Organs with contrast", _CT, "absolute",
            (40, 0.45, 0.22, 0.12, 0.0),
            (80, 0.60, 0.28, 0.16, 0.02),
            (120, 0.72, 0.36, 0.22, 0.10),
            (180, 0.88, 0.48, 0.30, 0.30),
            (280, 0.98, 0.78, 0.52, 0.5),
            (500, 1.0, 0.95, 0.85, 0.75),
            (3000, 1.0, 1.0, 1.0, 0.9),
        ),
        _preset(
            "ct-airways",
            "Airways",
            _CT,
            "absolute",
            (-890, 0.30, 0.70, 0.85, 0.0),
            (-780, 0.40, 0.80, 0.92, 0.025),
            (-640, 0.60, 0.90, 0.95, 0.10),
            (-500, 0.75, 0.88, 0.88, 0.04),
            (-420, 0.80, 0.85, 0.85, 0.0),
            (500, 1.0, 0.96, 0.90, 0.0),
            (1400, 1.0, 0.98, 0.95, 0.02),
            light=_SOFT,
        ),
        _preset(
            "ct-glass", "Glass body", _CT, "absolute",
            (-600, 0.55, 0.65, 0.75, 0.0),
            (-350, 0.65, 0.75, 0.85, 0.025),
            (-150, 0.62, 0.70, 0.78, 0.012),
            (150, 0.75, 0.72, 0.65, 0.015),
            (300, 0.95, 0.88, 0.72, 0.15),
            (700, 1.0, 0.96, 0.86, 0.6),
            (3000, 1.0, 1.0, 1.0, 0.9),
        ),
        _preset(
            "ct-fat", "Fat", _CT, "absolute",
            (-190, 0.75, 0.58, 0.20, 0.0),
            (-140, 0.90, 0.72, 0.30, 0.10),
            (-90, 0.98, 0.84, 0.45, 0.30),
            (-50, 0.92, 0.70, 0.42, 0.06),
            (-20, 0.80, 0.45, 0.35, 0.0),
            (300, 0.95, 0.90, 0.82, 0.0),
            (900, 1.0, 0.98, 0.94, 0.35),
        ),
        _preset(
            "ct-dense", "Metal and teeth", _CT, "absolute",
            (200, 0.55, 0.60, 0.66, 0.0),
            (500, 0.65, 0.70, 0.76, 0.02),
            (1300, 0.80, 0.80, 0.78, 0.05),
            (1700, 1.0, 0.86, 0.45, 0.4),
            (2300, 1.0, 0.95, 0.75, 0.85),
            (3000, 1.0, 1.0, 1.0, 0.98),
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
            "mr-brain", "Soft tissue", _MR, "relative",
            (0.22, 0.35, 0.25, 0.22, 0.0),
            (0.35, 0.50, 0.36, 0.30, 0.012),
            (0.50, 0.72, 0.52, 0.44, 0.06),
            (0.65, 0.90, 0.76, 0.62, 0.22),
            (0.85, 1.0, 0.93, 0.82, 0.5),
            (1.3, 1.0, 1.0, 1.0, 0.7),
        ),
        _preset(
            "mr-glass", "Glass", _MR, "relative",
            (0.08, 0.45, 0.60, 0.75, 0.0),
            (0.18, 0.55, 0.70, 0.82, 0.02),
            (0.40, 0.70, 0.75, 0.80, 0.006),
            (0.75, 0.95, 0.85, 0.65, 0.03),
            (1.0, 1.0, 0.92, 0.75, 0.3),
            (1.4, 1.0, 1.0, 0.95, 0.7),
            light=_SOFT,
        ),
        _preset(
            "pet-glass", "Body and foci", _PET, "relative",
            (0.02, 0.35, 0.50, 0.70, 0.0),
            (0.06, 0.45, 0.60, 0.78, 0.012),
            (0.20, 0.50, 0.58, 0.72, 0.006),
            (0.60, 0.95, 0.60, 0.10, 0.02),
            (1.0, 1.0, 0.75, 0.20, 0.25),
            (2.0, 1.0, 0.98, 0.80, 0.8),
            light=_SOFT,
        ),
        _preset(
            "xa-vessels", "Vessels", _XA, "relative",
            (0.45, 0.40, 0.06, 0.04, 0.0),
            (0.60, 0.72, 0.16, 0.10, 0.12),
            (0.80, 0.94, 0.42, 0.28, 0.5),
            (1.2, 1.0, 0.90, 0.80, 0.85),
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

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        *_FUNCTIONS.values(),
        _surface("ct-surface-bone", "Bone surface", _CT, "absolute", 300, (0.93, 0.88, 0.76)),
        _surface("ct-surface-skin", "Skin surface", _CT, "absolute", -300, (0.87, 0.68, 0.57)),
        _surface("mr-surface", "Skin surface", _MR, "relative", 0.16, (0.80, 0.72, 0.66)),
        _surface("pet-surface", "Foci as surfaces", _PET, "relative", 0.8, (0.95, 0.55, 0.15)),
        _projection("ct-mip", "MIP, vessels", _FUNCTIONS["ct-angio"], "maximum_ip", (300, 700)),
        _projection("ct-mip-bone", "MIP, bone", _FUNCTIONS["ct-bone"], "maximum_ip", (900, 1800)),
        _projection("ct-minip", "MinIP, airways", _FUNCTIONS["ct-airways"], "minimum_ip", (-850, 400)),
        _projection("ct-average", "As an X-ray", _FUNCTIONS["ct-bone"], "average_ip", (-350, 1300)),
        _projection("mr-mip", "MIP, vessels", _FUNCTIONS["mr-angio"], "maximum_ip", span=(0.25, 1.6)),
        _projection("pet-mip", "MIP", _FUNCTIONS["pet-default"], "maximum_ip", span=(0.0, 1.4), invert=True),
        _projection("xa-mip", "MIP", _FUNCTIONS["xa-vessels"], "maximum_ip", span=(0.2, 1.2)),
    )
}

DEFAULT_OF_MODALITY: dict[str, str] = {
    "CT": "ct-bone",
    "MR": "mr-default",
    "PT": "pet-default",
    "NM": "pet-default",
    "XA": "xa-vessels",
    "RF": "xa-vessels",
}


def preset_named(name: str, modality: str) -> Preset:
    """A preset, or the modality's own where ``name`` is empty; raises Invalid for an unknown name."""
    preset = PRESETS.get(name or DEFAULT_OF_MODALITY.get(modality, "mr-default"))
    if preset is None:
        raise Invalid(f"There is no preset of this name; there are {', '.join(PRESETS)}.")
    return preset


def preset_for(name: str, modality: str) -> TransferFunction:
    """The transfer function of a preset, as ``preset_named``."""
    return preset_named(name, modality).function
