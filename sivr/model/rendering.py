"""What picture is asked for: PS3.18 8.3.5 parameters as plain values, and what comes back."""

from __future__ import annotations

from typing import Literal

import msgspec

from sivr.model.importance import Importance
from sivr.model.pixels import Window

Method = Literal["volume_rendered", "maximum_ip", "minimum_ip", "average_ip"]
Orientation = Literal["a", "p", "r", "l", "h", "f"]
MediaType = Literal["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"]
Sampling = Literal["draft", "full", "converged"]
"""How closely a volume was sampled: less than a ray per pixel, one, several with shorter steps."""
CurveForm = Literal["straightened", "stretched"]
Vector = tuple[float, float, float]
Interpolation = Literal["nearest", "linear", "cubic", "lanczos"]
"""How pixels between stored ones are made where a picture is enlarged."""


class Viewport(msgspec.Struct, frozen=True):
    """PS3.18 8.3.5.1.3: output size and the source region; negative width or height flips."""

    width: int
    height: int
    x: float = 0.0
    y: float = 0.0
    region_width: float | None = None
    region_height: float | None = None


class Band(msgspec.Struct, frozen=True):
    """Modality values from ``low`` to ``high``, ends included, to be highlighted."""

    low: float
    high: float
    color: tuple[int, int, int] = (255, 64, 64)
    """Red, green, blue; laid over the picture half transparent."""


class Coloring(msgspec.Struct, frozen=True):
    """What makes color of a grey frame, after window and inversion."""

    palette: str = ""
    """A name of ``model.palettes``; empty for grey."""
    band: Band | None = None

    def __bool__(self) -> bool:
        return bool(self.palette) or self.band is not None


class Viewpoint(msgspec.Struct, frozen=True):
    """An orthographic camera in patient LPS mm (PS3.18 8.3.5.3, PS3.3 C.11.30)."""

    position: Vector
    look_at: Vector
    up: Vector


class TransferFunction(msgspec.Struct, frozen=True):
    """Modality value to color and opacity, piecewise linear.

    ``points`` are (value, red, green, blue, opacity), value ascending, the rest 0..1; opacity is per
    millimeter-normalized unit step (``opacity_unit_mm``), so that pictures do not depend on the step.
    """

    name: str
    points: tuple[tuple[float, float, float, float, float], ...]
    opacity_unit_mm: float = 1.0
    ambient: float = 0.2
    diffuse: float = 0.8
    specular: float = 0.2
    relative: bool = False
    """Values are not modality values but fractions, 0 and 1 being the ends of the view's window; without a
    window, the darkest value of the volume and the one that all but its brightest voxels stay below."""


class Box(msgspec.Struct, frozen=True):
    """All that is kept, in voxels along i, j, k: voxel n reaches from n - 0.5 to n + 0.5."""

    low: Vector
    high: Vector
    lps_from_ijk: tuple[tuple[float, float, float, float], ...]
    """Of these voxels, as ``VolumeSource`` says it: what is drawn may be means of several."""


class ClipPlane(msgspec.Struct, frozen=True):
    """A plane in patient LPS mm; what lies on the side its normal points to is taken away."""

    point: Vector
    normal: Vector


class Lasso(msgspec.Struct, frozen=True):
    """A closed line drawn over a view: what is seen inside of it, from the front to the back, is taken
    away."""

    viewpoint: Viewpoint
    height_mm: float
    """Of the picture that was drawn on."""
    points: tuple[tuple[float, float], ...]
    """Corners, to the right and up from the picture's center, in heights of the picture; crossed lines leave
    what they enclose twice (even-odd)."""
    outside: bool = False
    """What is seen outside of it is taken away instead."""


class Cut(msgspec.Struct, frozen=True):
    """What is taken away from a volume before it is shown. Every picture says it anew."""

    box: Box | None = None
    planes: tuple[ClipPlane, ...] = ()
    """At most ``MAX_PLANES``."""
    lassos: tuple[Lasso, ...] = ()
    """At most ``MAX_LASSOS``."""


MAX_PLANES = 4
MAX_LASSOS = 8


class VolumeView(msgspec.Struct, frozen=True):
    """One picture of a volume by ray casting."""

    method: Method
    viewpoint: Viewpoint
    width: int
    height: int
    height_mm: float
    """Height of the picture in the patient; the width follows from the aspect. Pixels are square."""
    window: Window | None = None
    transfer_function: TransferFunction | None = None
    draft: bool = False
    """True while the viewer moves: lower quality is welcome when it is quicker."""
    refine: int = 1
    """Rays per pixel. With more than one, steps are shorter too: the converged picture of a view at rest."""
    cut: Cut | None = None
    depth_cue: float = 0.0
    """How much darker the farthest point of a composite is than the nearest: 0 not at all, 1 black."""
    surface: float | None = None
    """Modality value of a composite's only surface (of a relative function, a fraction as its values): what
    is as bright is opaque in the transfer function's last color, the rest is not there."""
    span: tuple[float, float] | None = None
    """Of a projection without a window: fractions of what is typical of the volume, shown black and white."""


class Curve(msgspec.Struct, frozen=True):
    """A drawn line along which a plane is curved (curved MPR); the picture shows it from left to right."""

    points: tuple[Vector, ...]
    """LPS mm; the curve goes through all of them in this order."""
    form: CurveForm = "straightened"
    """Straightened: what lies across the curve. Stretched: the surface that a line of one direction sweeps
    along the curve, unrolled."""
    up: Vector | None = None
    """What is up in the picture as far as it lies across the curve; None: what turns least along it."""
    turn_deg: float = 0.0
    """Turn about the curve, counterclockwise for somebody whom it comes toward."""
    shift_mm: tuple[float, float] = (0.0, 0.0)
    """How far the picture's center lies right of the curve's middle, and above it."""


class PlaneView(msgspec.Struct, frozen=True):
    """One plane through a volume, with a slab around it (MPR)."""

    viewpoint: Viewpoint
    """The plane goes through look_at, its normal points to position, up is up in the picture."""
    width: int
    height: int
    height_mm: float
    window: Window
    slab_mm: float = 0.0
    method: Method = "average_ip"
    invert: bool = False
    marked: bool = False
    """The picture is (h, w, 3): grey levels, 255 where the value lies in the band, 255 where is no image."""
    band: tuple[float, float] | None = None
    """Modality values, ends included."""
    curve: Curve | None = None
    """The plane follows this instead of lying where the viewpoint looks."""


PARTS = ("queue", "load", "decode", "render", "encode")
"""Where the time of a picture goes: waiting for a thread or worker, waiting for data, reading and decoding
what this picture alone needs, drawing, encoding."""


class Picture(msgspec.Struct, frozen=True):
    """An encoded picture, ready to be sent."""

    body: bytes
    media_type: str
    width: int
    height: int
    lossless: bool
    complete: bool
    """False when slices were still missing or a coarse volume was shown: do not cache, ask again."""
    timing_ms: dict[str, float] = {}
    """For Server-Timing: ``PARTS``, and under other names what is contained in them."""
    kind: Literal["frame", "thumbnail", "filmstrip", "movie", "volume", "plane"] = "frame"
    importance: Importance = Importance.REFINEMENT
    quality: int | None = None
    """1..100 of a lossy picture."""
    sampling: Sampling | None = None
    """Of a volume."""
    pixel_mm: float | None = None
    """Side of a pixel in the patient, of a volume or plane; along a curve for a curved one."""
    warnings: tuple[str, ...] = ()
    """What the reader must know of this picture, e.g. slices that could not be decoded."""
    lasting: bool = True
    """Whether the same request will give the same picture as long as the series stays as it is."""
    missing: tuple[int, ...] = ()
    """Of a film strip: frames in reading order, from 1, whose tiles are empty."""
