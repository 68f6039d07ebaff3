"""What a picture request asks for, read from its query string: the rules of PS3.18 8.3.5 as one table.

Pure parsing: text in, frozen values out, one sentence (Invalid, NotAcceptable, TooLarge) for every rule
that is broken. Unknown parameters are ignored, as PS3.18 8.3.2 asks. Besides the standard's parameters:

- ``preset`` name of a transfer function, ``fov`` height of a volume picture in mm, ``pan`` shift of its
  center in mm (right, up), ``invert=yes`` black for white;
- ``draft=yes`` lower quality and a volume that is still loading are welcome when that is quicker;
- ``refine`` rays per pixel, 1 to 16: with more than one, steps are shorter too and the picture is converged;
- ``palette`` one of the well-known color palettes of PS3.6 Annex B, or ``grey``, for grey frames and planes;
- ``threshold=low,high[,rrggbb]`` modality values that are highlighted, half transparent;
- ``interpolation`` how enlarged frames are made: ``nearest linear cubic lanczos``;
- ``overlay=no``, ``shutter=no`` a frame without the overlays or the display shutter of its object;
- of film strips and movies, ``frames=first-last`` in reading order from 1, ``step`` every so many of them, of
  movies ``fps`` frames a second, of film strips ``tile`` the
  side of a tile in pixels, ``columns`` tiles in a row;
- ``curve`` points of a line, ``x,y,z;x,y,z;...`` in LPS mm, along which a plane is curved, ``curveform`` how,
  ``curveup`` what is up in it, ``curveturn`` degrees about the line (``model.rendering.Curve``);
- ``overlay_series`` UID of a series of the same study and frame of reference laid over a plane in color, with
  ``overlay_window`` (as window), ``overlay_palette`` and ``overlay_opacity`` (0 to 1);
- ``points`` of the patient whose values are asked for, ``x,y,z;x,y,z;...`` in LPS mm;
- ``transfer`` a transfer function of one's own, ``opacity`` a factor of its density, ``light`` its ambient,
  diffuse and specular, ``depthcue`` how much darker the farthest is, ``isovalue`` and ``isocolor`` one
  surface instead; ``crop``, ``clip`` and ``cut`` what is taken away (``sivr.model.volume_parameters``);
- ``view`` an opaque key: of the pictures asked for under one key only the newest matters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, cast, get_args

import msgspec

from sivr.errors import Invalid, NotAcceptable, TooLarge
from sivr.model import volume_parameters as volumes
from sivr.model.palettes import GREY, PALETTES
from sivr.model.pixels import VoiFunction, Window
from sivr.model.rendering import (
    Band,
    ClipPlane,
    Coloring,
    CurveForm,
    Interpolation,
    Lasso,
    MediaType,
    Method,
    Orientation,
    TransferFunction,
    Vector,
    Viewport,
)

Resource = Literal["rendered", "rendered3d", "renderedmpr", "thumbnail", "filmstrip", "cine", "values"]
Query = Mapping[str, Sequence[str]]
"""Parameter names (lower case) to the values given for them, in order."""

MAX_AXIS = 8192
MAX_PIXELS = 32 * 1024 * 1024
REMEMBERED_LENGTH = 512
"""Longer texts are read anew each time, so that strangers cannot fill the memory with them."""
MAX_REFINE = 16
MIN_TILE, MAX_TILE = 16, 512
MAX_COLUMNS = 64
MAX_POINTS = 100
"""Of a curve, or asked about at once."""
MIN_FPS = 0.1
MAX_FPS = 100.0
MIN_FOV_MM = 0.1
MAX_FOV_MM = 100_000.0
ANNOTATIONS = ("patient", "technique")
ICC_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")
LOSSY: tuple[MediaType, ...] = ("image/jpeg", "image/webp", "image/avif")
"""Media types whose quality can be chosen."""
FRAME_MEDIA_TYPES: tuple[MediaType, ...] = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
)
"""What a picture can be sent as; the first is the default (PS3.18 Table 8.7.4-1), WebP and AVIF are ours."""

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_INTEGER = re.compile(r"[+-]?\d{1,9}")
_FRAME_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_VIEW_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_UID = re.compile(r"[0-9.]{1,96}")
_PRESET = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_RGB = re.compile(r"[0-9a-fA-F]{6}")


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a picture request may say; None (or the default) where it says nothing."""

    accept: tuple[str, ...] = ()
    """Media ranges of the ``accept`` query parameter, which goes before the header of that name."""
    annotation: tuple[str, ...] = ()
    unknown_annotation: tuple[str, ...] = ()
    """Keywords that are not the standard's: to be ignored with a Warning header."""
    quality: int | None = None
    viewport: Viewport | None = None
    window: Window | None = None
    iccprofile: str = "no"
    renderingmethod: Method | None = None
    orientation: Orientation | None = None
    viewpointposition: Vector | None = None
    viewpointlookat: Vector | None = None
    viewpointup: Vector | None = None
    mprslab: float | None = None
    """Millimeters, more than 0."""
    renderedvolumetricmetadata: bool = False
    preset: str = ""
    fov: float | None = None
    """Height of the picture in the patient, mm."""
    pan: tuple[float, float] = (0.0, 0.0)
    """Shift of the picture's center in its own plane, mm to the right and up."""
    draft: bool = False
    refine: int = 1
    """Rays per pixel."""
    view: str = ""
    invert: bool = False
    palette: str = ""
    """A name of ``model.palettes``; empty for grey."""
    threshold: Band | None = None
    interpolation: Interpolation = "linear"
    overlay: bool = True
    """Whether the overlays of the object are drawn."""
    shutter: bool = True
    """Whether the display shutter of the object hides what is outside of it."""
    frames: tuple[int, int] | None = None
    """First and last frame of a film strip or movie in reading order, from 1; None for the whole series."""
    step: int = 1
    """Every so many of these frames."""
    fps: float | None = None
    """Frames of a movie in a second; None for what the series asks for."""
    tile: int = 96
    """Side of the square that each frame is fitted into, pixels."""
    columns: int = 8
    """Tiles in a row."""
    curve: tuple[Vector, ...] = ()
    """Points that the plane is bent along, LPS mm; empty for a flat one."""
    curveform: CurveForm | None = None
    curveup: Vector | None = None
    curveturn: float | None = None
    """Degrees."""
    overlay_series: str = ""
    """UID; empty where nothing is laid over the plane."""
    overlay_window: Window | None = None
    overlay_palette: str = ""
    """A name of ``model.palettes``; empty for the usual one."""
    overlay_opacity: float = 0.5
    """0 to 1."""
    points: tuple[Vector, ...] = ()
    """LPS mm."""

    transfer: TransferFunction | None = None
    opacity: float = 1.0
    light: tuple[float, float, float] | None = None
    """Ambient, diffuse, specular."""
    depthcue: float = 0.0
    isovalue: float | None = None
    isocolor: tuple[float, float, float] | None = None
    at: tuple[float, float] | None = None
    """Of a pick: pixels from the left and top edge of the picture."""
    crop: tuple[Vector, Vector] | None = None
    """Voxels kept, from and to."""
    clip: tuple[ClipPlane, ...] = ()
    cut: tuple[Lasso, ...] = ()

    @property
    def coloring(self) -> Coloring:
        """What makes color of a grey frame."""
        return Coloring(self.palette, self.threshold)


def _decimal(name: str, text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise Invalid(f"The parameter {name} needs decimal numbers, not '{text[:32]}'.")
    value = float(text)
    if not math.isfinite(value):
        raise Invalid(f"The parameter {name} has a number that is too large.")
    return value


def _vector(name: str, text: str) -> Vector:
    parts = text.split(",")
    if len(parts) != 3:
        raise Invalid(f"The parameter {name} needs three decimals: x,y,z in patient LPS millimeters.")
    x, y, z = (_decimal(name, part) for part in parts)
    return (x, y, z)


def _up(name: str, text: str) -> Vector:
    vector = _vector(name, text)
    if math.hypot(*vector) < 1e-9:
        raise Invalid(f"The parameter {name} must not be the zero vector.")
    return vector


def _points(least: int) -> Callable[[str, str], tuple[Vector, ...]]:
    def parse(name: str, text: str) -> tuple[Vector, ...]:
        parts = text.split(";")
        if not least <= len(parts) <= MAX_POINTS:
            raise Invalid(f"The parameter {name} needs {least} to {MAX_POINTS} points: x,y,z;x,y,z;...")
        return tuple(_vector(name, part) for part in parts)

    return parse


def _series_uid(name: str, text: str) -> str:
    if not _UID.fullmatch(text):
        raise Invalid(f"The parameter {name} is not a UID.")
    return text


def _opacity(name: str, text: str) -> float:
    value = _decimal(name, text)
    if not 0 <= value <= 1:
        raise Invalid(f"The parameter {name} must be 0 to 1.")
    return value


def _positive(name: str, text: str) -> float:
    value = _decimal(name, text)
    if value <= 0:
        raise Invalid(f"The parameter {name} must be more than 0.")
    return value


def _fov(name: str, text: str) -> float:
    value = _positive(name, text)
    if not MIN_FOV_MM <= value <= MAX_FOV_MM:
        raise Invalid(f"The parameter fov must be {MIN_FOV_MM:g} to {MAX_FOV_MM:g} mm.")
    return value


def _pan(name: str, text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise Invalid("The parameter pan needs two decimals: right,up in millimeters.")
    right, up = (_decimal(name, part) for part in parts)
    return (right, up)


def _at(name: str, text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise Invalid("The parameter at needs two decimals: pixels from the left and from the top.")
    column, row = (_decimal(name, part) for part in parts)
    return (column, row)


def _size(text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) < 1:
        raise Invalid("The parameter viewport needs a width and a height that are whole numbers above 0.")
    return int(text)


def _viewport(name: str, text: str) -> Viewport:
    """PS3.18 8.3.5.1.3: ``vw,vh[,[sx],[sy],[sw],[sh]]``; elided middle values keep their commas."""
    parts = text.split(",")
    if not 2 <= len(parts) <= 6:
        raise Invalid("The parameter viewport needs 'width,height' or 'width,height,x,y,w,h'.")
    width, height = _size(parts[0]), _size(parts[1])
    given = [_decimal(name, part) if part else None for part in parts[2:]] + [None] * (6 - len(parts))
    x, y, region_width, region_height = given
    if (x is not None and x < 0) or (y is not None and y < 0):
        raise Invalid("The parameter viewport must not begin left of or above the picture.")
    if region_width == 0 or region_height == 0:
        raise Invalid("The parameter viewport must not name an empty source region.")
    if width > MAX_AXIS or height > MAX_AXIS or width * height > MAX_PIXELS:
        raise TooLarge(
            f"A picture of {width} x {height} is larger than this server makes "
            f"({MAX_AXIS} on an axis, {MAX_PIXELS} pixels).",
            {"max_axis": MAX_AXIS, "max_pixels": MAX_PIXELS},
        )
    return Viewport(
        width=width, height=height, x=x or 0.0, y=y or 0.0,
        region_width=region_width, region_height=region_height,
    )  # fmt: skip


def _window(name: str, text: str) -> Window:
    """PS3.18 8.3.5.1.4: ``center,width,function``, all three, in this order."""
    parts = text.split(",")
    if len(parts) != 3 or not all(parts):
        raise Invalid("The parameter window needs all three of center,width,function.")
    center, width = _decimal(name, parts[0]), _decimal(name, parts[1])
    function = parts[2].strip().lower()
    if function not in get_args(VoiFunction):
        raise Invalid(f"The window function must be one of {', '.join(get_args(VoiFunction))}.")
    least = 1.0 if function == "linear" else 0.0
    # PS3.3 C.11.2.1.2: a linear width is at least 1, the others are above 0.
    if width < least or width == 0:
        raise Invalid(f"The width of a {function} window must be {'at least 1' if least else 'more than 0'}.")
    return Window(center=center, width=width, function=cast(VoiFunction, function))


def _quality(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= 100:
        raise Invalid("The parameter quality must be a whole number from 1 to 100.")
    return int(text)


def _refine(name: str, text: str) -> int:
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= MAX_REFINE:
        raise Invalid(f"The parameter refine must be a whole number from 1 to {MAX_REFINE}.")
    return int(text)


def _frames(name: str, text: str) -> tuple[int, int]:
    found = _FRAME_RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise Invalid("The parameter frames must be first-last, counted from 1 in reading order.")
    return first, last


def _fps(name: str, text: str) -> float:
    value = _positive(name, text)
    if not MIN_FPS <= value <= MAX_FPS:
        raise Invalid(f"The parameter fps must be {MIN_FPS:g} to {MAX_FPS:g} frames a second.")
    return value


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        if not _INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise Invalid(f"The parameter {name} must be a whole number from {low} to {high}.")
        return int(text)

    return parse


def _one_of(name: str, allowed: Sequence[str]) -> Callable[[str, str], str]:
    def parse(_: str, text: str) -> str:
        word = text.lower()
        if word not in allowed:
            raise Invalid(f"The parameter {name} must be one of {', '.join(allowed)}.")
        return word

    return parse


def _yes(name: str, text: str) -> bool:
    word = text.lower()
    if word not in ("yes", "no"):
        raise Invalid(f"The parameter {name} must be yes or no.")
    return word == "yes"


def _icc(name: str, text: str) -> str:
    word = _one_of(name, ICC_PROFILES)(name, text)
    if word != "no":
        raise Invalid("Pictures are sent without an embedded ICC profile here; use iccprofile=no.")
    return word


def _matches(name: str, pattern: re.Pattern[str]) -> Callable[[str, str], str]:
    def parse(_: str, text: str) -> str:
        if not pattern.fullmatch(text):
            raise Invalid(f"The parameter {name} may have 1 to 64 letters, digits, and _ . - only.")
        return text

    return parse


def _palette(name: str, text: str) -> str:
    word = _one_of(name, (GREY, *PALETTES))(name, text)
    return "" if word == GREY else word


def _threshold(name: str, text: str) -> Band:
    parts = text.split(",")
    if len(parts) not in (2, 3):
        raise Invalid("The parameter threshold needs low,high or low,high,rrggbb.")
    low, high = _decimal(name, parts[0]), _decimal(name, parts[1])
    if low > high:
        raise Invalid("The parameter threshold needs the lower value first.")
    if len(parts) == 2:
        return Band(low, high)
    if not _RGB.fullmatch(parts[2]):
        raise Invalid("The color of threshold must be six hexadecimal digits: rrggbb.")
    red, green, blue = bytes.fromhex(parts[2])
    return Band(low, high, (red, green, blue))


def _with_decimals(parse: Callable[[str, str, volumes.Decimal], Any]) -> Callable[[str, str], Any]:
    def read_(name: str, text: str) -> Any:
        return parse(name, text, _decimal)

    return read_


def _unsupported(name: str, text: str) -> None:
    raise Invalid(f"The parameter {name} is not supported by this server.")


_MPR: frozenset[Resource] = frozenset({"renderedmpr"})
_VALUES: frozenset[Resource] = frozenset({"values"})
_EVERY: frozenset[Resource] = frozenset(get_args(Resource)) - _VALUES
_VOLUMES: frozenset[Resource] = frozenset({"rendered3d", "renderedmpr"})
_FRAMES: frozenset[Resource] = frozenset({"rendered"})
_PICTURES: frozenset[Resource] = _VOLUMES | _FRAMES
_STRIPS: frozenset[Resource] = frozenset({"filmstrip"})
_CINE: frozenset[Resource] = frozenset({"cine"})
_MANY = _STRIPS | _CINE
_FLAT = _FRAMES | _MANY
"""What shows stored frames."""
_RAYS: frozenset[Resource] = frozenset({"rendered3d"})


class Rule(msgspec.Struct, frozen=True):
    """How one parameter is read, and on which resources it has a meaning."""

    parse: Callable[[str, str], Any]
    resources: frozenset[Resource]


RULES: dict[str, Rule] = {
    "quality": Rule(_quality, _EVERY),
    "viewport": Rule(_viewport, _EVERY - _STRIPS),
    "window": Rule(_window, _PICTURES | _MANY),
    "iccprofile": Rule(_icc, _PICTURES),
    "renderingmethod": Rule(_one_of("renderingmethod", get_args(Method)), _VOLUMES),
    "orientation": Rule(_one_of("orientation", get_args(Orientation)), _VOLUMES),
    "viewpointposition": Rule(_vector, _VOLUMES),
    "viewpointlookat": Rule(_vector, _VOLUMES),
    "viewpointup": Rule(_up, _VOLUMES),
    "mprslab": Rule(_positive, _MPR),
    "renderedvolumetricmetadata": Rule(_yes, _VOLUMES),
    "swivelrange": Rule(_unsupported, frozenset({"rendered3d"})),
    "animationstepsize": Rule(_unsupported, _VOLUMES),
    "animationrate": Rule(_unsupported, _VOLUMES),
    "volumetriccurvepoint": Rule(_unsupported, _MPR),
    "volumeinputreference": Rule(_unsupported, _VOLUMES),
    "preset": Rule(_matches("preset", _PRESET), frozenset({"rendered3d"})),
    "fov": Rule(_fov, _VOLUMES),
    "pan": Rule(_pan, _VOLUMES),
    "draft": Rule(_yes, _PICTURES),
    "refine": Rule(_refine, frozenset({"rendered3d"})),
    "transfer": Rule(_with_decimals(volumes.transfer), _RAYS),
    "opacity": Rule(_with_decimals(volumes.factor), _RAYS),
    "light": Rule(_with_decimals(volumes.light), _RAYS),
    "depthcue": Rule(_with_decimals(volumes.part), _RAYS),
    "isovalue": Rule(_decimal, _RAYS),
    "isocolor": Rule(volumes.color, _RAYS),
    "at": Rule(_at, _RAYS),
    "crop": Rule(_with_decimals(volumes.crop), _RAYS),
    "clip": Rule(_with_decimals(volumes.clip), _RAYS),
    "cut": Rule(_with_decimals(volumes.cut), _RAYS),
    "view": Rule(_matches("view", _VIEW_KEY), _PICTURES | _CINE),
    "invert": Rule(_yes, _PICTURES | _MANY),
    "palette": Rule(_palette, _FLAT | _MPR),
    "threshold": Rule(_threshold, _FLAT | _MPR),
    "interpolation": Rule(_one_of("interpolation", get_args(Interpolation)), _FRAMES | _CINE),
    "overlay": Rule(_yes, _FLAT),
    "shutter": Rule(_yes, _FLAT),
    "frames": Rule(_frames, _MANY),
    "step": Rule(_whole(1, 999_999), _MANY),
    "fps": Rule(_fps, _CINE),
    "tile": Rule(_whole(MIN_TILE, MAX_TILE), _STRIPS),
    "columns": Rule(_whole(1, MAX_COLUMNS), _STRIPS),
    "curve": Rule(_points(2), _MPR),
    "curveform": Rule(_one_of("curveform", get_args(CurveForm)), _MPR),
    "curveup": Rule(_up, _MPR),
    "curveturn": Rule(_decimal, _MPR),
    "overlay_series": Rule(_series_uid, _MPR | _VALUES),
    "overlay_window": Rule(_window, _MPR),
    "overlay_palette": Rule(_one_of("overlay_palette", (GREY, *PALETTES)), _MPR),
    "overlay_opacity": Rule(_opacity, _MPR),
    "points": Rule(_points(1), _VALUES),
}
"""One row per parameter; ``accept`` and ``annotation`` are lists and read apart."""


def read(query: Query, resource: Resource) -> Parameters:
    """The parameters of a request for this resource; raises Invalid (400) and TooLarge (413)."""
    values: dict[str, Any] = {}
    for name, rule in RULES.items():
        given = query.get(name, ())
        if not given or resource not in rule.resources:
            continue
        if len(given) > 1:
            raise Invalid(f"The parameter {name} is given more than once.")
        values[name] = rule.parse(name, given[0].strip())
    if "accept" in query:
        values["accept"] = tuple(
            part.strip() for text in query["accept"] for part in text.split(",") if part.strip()
        )
        if not values["accept"]:
            raise Invalid("The parameter accept is empty.")
    if "annotation" in query and resource in _PICTURES:
        values["annotation"], values["unknown_annotation"] = _annotation(query["annotation"])
    read_ = Parameters(**values)
    _check_together(read_, resource)
    return read_


def _annotation(given: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """PS3.18 8.3.5.1.1: keywords; an empty list or something that is no keyword is an error."""
    words = [word.strip().lower() for text in given for word in text.split(",")]
    if not all(re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", word) for word in words):
        raise Invalid("The parameter annotation must be a list of keywords: patient, technique.")
    known = tuple(dict.fromkeys(word for word in words if word in ANNOTATIONS))
    return known, tuple(dict.fromkeys(word for word in words if word not in ANNOTATIONS))


def _check_together(given: Parameters, resource: Resource) -> None:
    view = given.viewport
    whole = view is None or (view.x, view.y, view.region_width, view.region_height) == (0.0, 0.0, None, None)
    if resource not in ("rendered", "cine") and not whole:
        raise Invalid("A source region in viewport has no meaning here; give only the width and the height.")
    viewpoint = (given.viewpointposition, given.viewpointlookat, given.viewpointup)
    if given.orientation is not None and any(part is not None for part in viewpoint):
        raise Invalid("The parameter orientation must not be combined with viewpoint parameters.")
    if given.curve:
        if given.orientation is not None or any(part is not None for part in viewpoint):
            raise Invalid("A curve says where its picture lies; give no orientation or viewpoint with it.")
    elif any(part is not None for part in (given.curveform, given.curveup, given.curveturn)):
        raise Invalid("The parameters curveform, curveup and curveturn have no meaning without curve.")
    if given.curve and given.renderedvolumetricmetadata:
        raise Invalid("A plane along a curve has no viewpoint; ask for the curve instead.")
    if given.transfer is not None and given.preset:
        raise Invalid(
            "The parameters transfer and preset both name a transfer function; give only one of them."
        )
    if given.draft and given.refine > 1:
        raise Invalid("The parameters draft and refine ask for opposites; give only one of them.")
    position, look_at = given.viewpointposition, given.viewpointlookat
    if position is not None and look_at is not None and math.dist(position, look_at) < 1e-9:
        raise Invalid("The parameters viewpointposition and viewpointlookat must be different points.")
    if position is not None and look_at is not None and given.viewpointup is not None:
        _check_up(position, look_at, given.viewpointup)


def _check_up(position: Vector, look_at: Vector, up: Vector) -> None:
    direction = [a - b for a, b in zip(position, look_at, strict=True)]
    x = direction[1] * up[2] - direction[2] * up[1]
    y = direction[2] * up[0] - direction[0] * up[2]
    z = direction[0] * up[1] - direction[1] * up[0]
    if math.hypot(x, y, z) < 1e-6 * math.hypot(*direction) * math.hypot(*up):
        raise Invalid("The parameter viewpointup must not be parallel to the viewing direction.")


class MediaRange(msgspec.Struct, frozen=True):
    """One entry of an Accept list (RFC 9110 12.5.1)."""

    type: str
    subtype: str
    weight: float = 1.0
    part_type: str = ""
    """For multipart/related: the media type of the parts."""

    def matches(self, media_type: str) -> int:
        """How closely this range names the type: 0 not at all, 1 ``*/*``, 2 ``image/*``, 3 itself."""
        kind, _, sub = media_type.partition("/")
        if (self.type, self.subtype) == (kind, sub):
            return 3
        if (self.type, self.subtype) == (kind, "*"):
            return 2
        return 1 if (self.type, self.subtype) == ("*", "*") else 0


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator is not inside a quoted string."""
    parts, quoted, current = [], False, ""
    for char in text:
        if char == '"':
            quoted = not quoted
        if char == separator and not quoted:
            parts.append(current)
            current = ""
        else:
            current += char
    parts.append(current)
    return [part.strip() for part in parts if part.strip()]


def media_ranges(text: str) -> tuple[MediaRange, ...]:
    """An Accept header (or accept parameter) as ranges; entries nobody can read are left out."""
    # A browser says the same with every picture.
    return (_remembered_ranges if len(text) <= REMEMBERED_LENGTH else _media_ranges)(text)


def _media_ranges(text: str) -> tuple[MediaRange, ...]:
    found = []
    for entry in _split(text, ","):
        kind, *attributes = _split(entry, ";")
        main, slash, sub = kind.lower().partition("/")
        if not (main and slash and sub):
            continue
        weight, part_type = 1.0, ""
        for attribute in attributes:
            name, _, value = attribute.partition("=")
            value = value.strip().strip('"')
            if name.strip().lower() == "q":
                weight = min(1.0, max(0.0, float(value))) if _DECIMAL.fullmatch(value) else 0.0
            elif name.strip().lower() == "type":
                part_type = value.lower()
        found.append(MediaRange(type=main, subtype=sub, weight=weight, part_type=part_type))
    return tuple(found)


_remembered_ranges = lru_cache(maxsize=256)(_media_ranges)


def choose_media_type(accept: Sequence[str], header: str, offered: Sequence[str]) -> str:
    """The media type to answer with (PS3.18 8.7.8): ``accept``, else the Accept header, else the default.

    ``offered`` begins with the default, which also settles ties and wildcards. Raises NotAcceptable.
    """
    ranges = media_ranges(",".join(accept)) if accept else media_ranges(header)
    if not ranges and not accept:
        return offered[0]
    best, best_weight = "", 0.0
    for media_type in offered:
        closest, weight = 0, 0.0
        for one in ranges:
            match = one.matches(media_type)
            if match > closest:
                closest, weight = match, one.weight
        if weight > best_weight:
            best, best_weight = media_type, weight
    if not best:
        raise NotAcceptable(
            f"Pictures can be sent as {', '.join(offered)} only.", {"media_types": list(offered)}
        )
    return best


def choose_part_type(accept: Sequence[str], header: str, offered: Sequence[str]) -> str | None:
    """The type of the parts when the caller accepts multipart/related, else None."""
    ranges = media_ranges(",".join(accept)) if accept else media_ranges(header)
    for one in sorted(ranges, key=lambda found: -found.weight):
        if one.type == "multipart" and one.subtype in ("related", "*") and one.weight > 0:
            if one.part_type in ("", "*/*", "image/*"):
                return offered[0]
            if one.part_type in offered:
                return one.part_type
    return None
