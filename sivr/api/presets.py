"""The transfer functions a viewer can name."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr.api.routing import Routes
from sivr.model.pixels import Window
from sivr.model.presets import DEFAULT_OF_MODALITY, PRESETS
from sivr.model.rendering import Method

routes = Routes()


class PresetItem(msgspec.Struct, frozen=True):
    """A named way to show a volume; points are (value, red, green, blue, opacity)."""

    name: str
    label: str
    modalities: tuple[str, ...]
    default_for: tuple[str, ...]
    relative: bool
    """True where values are fractions of the window, False where they are modality values."""
    points: tuple[tuple[float, float, float, float, float], ...]
    renderingmethod: Method
    """What is shown where the request names no method."""
    light: tuple[float, float, float]
    """Ambient, diffuse, specular."""
    window: Window | None
    """Of a projection; None is the series' own, or what is typical of the volume."""
    surface: float | None
    """The value that is shown as a surface, in the scale of the points."""


class PresetList(msgspec.Struct, frozen=True):
    """All presets."""

    items: tuple[PresetItem, ...]


_LIST = PresetList(
    tuple(
        PresetItem(
            name=preset.name,
            label=preset.label,
            modalities=preset.modalities,
            default_for=tuple(m for m, name in DEFAULT_OF_MODALITY.items() if name == preset.name),
            relative=preset.function.relative,
            points=preset.function.points,
            renderingmethod=preset.method,
            light=(preset.function.ambient, preset.function.diffuse, preset.function.specular),
            window=preset.window,
            surface=preset.surface,
        )
        for preset in PRESETS.values()
    )
)


@routes.get("/presets", summary="Named transfer functions for rendered3d", response=PresetList)
async def presets(request: web.Request) -> PresetList:
    """The same for everybody."""
    return _LIST
