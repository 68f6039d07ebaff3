"""Pictures of volumes: rays through all of it, and planes through it (PS3.18 8.3.5.3)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sivr import codec
from sivr.errors import Invalid, TooLarge
from sivr.gl.farm import Rendered, RenderFarm
from sivr.gl.pick import Picked
from sivr.gl.source import VolumeSource
from sivr.model.cameras import SIDES, basis
from sivr.model.importance import Importance
from sivr.model.parameters import MIN_FOV_MM, Parameters
from sivr.model.pixels import Window
from sivr.model.presets import preset_named
from sivr.model.rendering import (
    PARTS,
    Method,
    Picture,
    PlaneView,
    Sampling,
    TransferFunction,
    Vector,
    Viewpoint,
    VolumeView,
)
from sivr.model.studies import VolumeGrid
from sivr.services import looks
from sivr.services.contents import default_window_of, first_renderable, volume_box
from sivr.services.curves import curve_of, length_of
from sivr.services.loading import SeriesLoader
from sivr.services.open_series import OpenSeries
from sivr.services.pictures import PictureService, check_size, tag
from sivr.services.plane_colors import colored, fused, overlay_of
from sivr.services.refining import joined, stripes

DEFAULT_SIDE = 512

Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float64]


def viewpoint_of(given: Parameters, grid: VolumeGrid) -> Viewpoint:
    """The camera of a request; what it does not say is taken from the anterior view of the whole volume."""
    box = volume_box(grid)
    center = (box.min(axis=0) + box.max(axis=0)) / 2
    distance = float(np.linalg.norm(np.ptp(box, axis=0)))
    toward, up = SIDES[given.orientation or "a"]
    look_at = np.asarray(given.viewpointlookat if given.viewpointlookat is not None else center, dtype=float)
    position = look_at + distance * np.asarray(toward)
    if given.viewpointposition is not None:
        position = np.asarray(given.viewpointposition, dtype=float)
    direction = position - look_at
    if np.linalg.norm(direction) < 1e-9:
        raise Invalid("The viewpoint lies where it looks at.")
    upward = np.asarray(given.viewpointup if given.viewpointup is not None else up, dtype=float)
    if _parallel(direction, upward):
        if given.viewpointup is not None:
            raise Invalid("The parameter viewpointup must not be parallel to the viewing direction.")
        upward = np.asarray((0.0, -1.0, 0.0))
    camera = Viewpoint(_vector(position), _vector(look_at), _vector(upward))
    right, true_up, _ = (np.asarray(axis) for axis in basis(camera))
    shift = given.pan[0] * right + given.pan[1] * true_up
    return Viewpoint(_vector(position + shift), _vector(look_at + shift), _vector(true_up))


def _parallel(a: _Floats, b: _Floats) -> bool:
    return bool(np.linalg.norm(np.cross(a, b)) < 1e-6 * np.linalg.norm(a) * np.linalg.norm(b))


def _vector(values: npt.ArrayLike) -> Vector:
    x, y, z = (float(one) for one in np.asarray(values))
    return (x, y, z)


def whole_height_mm(grid: VolumeGrid) -> float:
    """A height that holds the whole volume from every side, so that turning it does not change its size."""
    return float(np.linalg.norm(np.ptp(volume_box(grid), axis=0)))


def fitting_height_mm(grid: VolumeGrid, viewpoint: Viewpoint, aspect: float) -> float:
    """The least height at which the volume fits into a picture seen from this viewpoint."""
    box = volume_box(grid) - np.asarray(viewpoint.look_at)
    right, up, _ = (np.asarray(axis) for axis in basis(viewpoint))
    high = 2 * float(np.abs(box @ up).max())
    wide = 2 * float(np.abs(box @ right).max())
    return max(high, wide / aspect, 1e-3)


class VolumeService:
    """Makes pictures of volumes by the render workers. Stateless for the caller."""

    def __init__(
        self, loader: SeriesLoader, farm: RenderFarm, pictures: PictureService, *, max_pixels: int
    ) -> None:
        self._loader = loader
        self._farm = farm
        self._pictures = pictures
        self._max_pixels = max_pixels

    def volume_tag(
        self,
        series: OpenSeries,
        resource: str,
        given: Parameters,
        media_type: str,
        over: OpenSeries | None = None,
    ) -> str:
        """The ETag of a complete picture; ``over`` is the series laid over it."""
        plain = msgspec.structs.replace(given, accept=(), view="", unknown_annotation=())
        keys = (series.key,) if over is None else (series.key, over.key)
        return tag(*keys, resource, media_type, msgspec.json.encode(plain).decode())

    async def overlay_of(self, series: OpenSeries, given: Parameters) -> OpenSeries | None:
        """The series to be laid over this one, if one is asked for; raises NotFound, Invalid."""
        return await overlay_of(self._loader, series, given.overlay_series)

    async def volume_view(self, series: OpenSeries, given: Parameters) -> VolumeView:
        """What rendered3d will show; raises Invalid."""
        grid = _grid(series)
        width, height = self._size(given)
        viewpoint = viewpoint_of(given, grid)
        preset = preset_named(given.preset, _modality(series))
        method: Method = given.renderingmethod or (preset.method if given.preset else "volume_rendered")
        function: TransferFunction | None = None
        window = given.window
        surface: float | None = None
        span: tuple[float, float] | None = None
        if method == "volume_rendered":
            own = await self._window(series)
            function = given.transfer or preset.function
            surface = None if given.transfer is not None else preset.surface
            if given.isovalue is not None:
                surface = given.isovalue
                function = looks.one_surface(surface, given.isocolor or looks.ISO_COLOR, function)
            elif function.relative:
                window = window or own
            elif window is not None:
                function, window = looks.moved(function, own, window), None
            function = looks.lit(function, given)
        elif window is None:
            named = given.preset and preset.method == method
            window, span = (preset.window, preset.span) if named else (None, None)
            if window is None and span is None:
                window = await self._window(series)
        return VolumeView(
            method=method,
            viewpoint=viewpoint,
            width=width,
            height=height,
            height_mm=given.fov or whole_height_mm(grid),
            window=window,
            transfer_function=function,
            draft=given.draft,
            refine=given.refine,
            cut=looks.cut_of(given, grid),
            depth_cue=given.depthcue if method == "volume_rendered" else 0.0,
            surface=surface,
            span=span,
        )

    async def pick(
        self, series: OpenSeries, given: Parameters, *, session: str
    ) -> tuple[Picked | None, bool]:
        """The point that a picture shows at ``at``, None where nothing is seen; and whether all of the volume
        was there to look at. Raises Invalid."""
        if given.at is None:
            raise Invalid("The parameter at is missing: pixels from the left and the top of the picture.")
        view = await self.volume_view(series, given)
        if not 0 <= given.at[0] <= view.width or not 0 <= given.at[1] <= view.height:
            raise Invalid("The parameter at lies outside of the picture.")
        # Between the edges of the first pixel lies its center.
        at = (given.at[0] - 0.5, given.at[1] - 0.5)
        async with self._loader.volume(series, coarse=given.draft) as source:
            found, rendered = await self._farm.pick(source, view, at, user=session)
            return found, _of_all(rendered, source).complete

    async def plane_view(self, series: OpenSeries, given: Parameters) -> PlaneView:
        """What renderedmpr will show; raises Invalid."""
        grid = _grid(series)
        if given.renderingmethod == "volume_rendered":
            raise Invalid("A plane is rendered by maximum_ip, minimum_ip or average_ip.")
        width, height = self._size(given)
        viewpoint = viewpoint_of(given, grid)
        curve = curve_of(given)
        if curve is not None:
            fitting_mm = max(MIN_FOV_MM, await length_of(curve) * height / width)
        else:
            fitting_mm = fitting_height_mm(grid, viewpoint, width / height)
        return PlaneView(
            viewpoint=viewpoint,
            width=width,
            height=height,
            height_mm=given.fov or fitting_mm,
            window=given.window or await self._window(series),
            slab_mm=given.mprslab or 0.0,
            method=given.renderingmethod or "average_ip",
            invert=given.invert != _inverted(series),
            marked=bool(given.coloring),
            band=None if given.threshold is None else (given.threshold.low, given.threshold.high),
            curve=curve,
        )

    async def volume(
        self, series: OpenSeries, given: Parameters, media_type: str, *, session: str
    ) -> Picture:
        """A picture of the whole volume; not complete while slices are missing."""
        view = await self.volume_view(series, given)
        own = _inverted(series)
        if given.preset and view.method == preset_named(given.preset, "").method:
            own = own != preset_named(given.preset, "").invert
        invert = view.method != "volume_rendered" and given.invert != own

        async def render(source: VolumeSource, key: str | None, importance: Importance) -> Rendered:
            parts = stripes(view) if view.refine > 1 else (view,)
            return joined(
                [
                    await self._farm.volume(source, part, view_key=key, importance=importance, user=session)
                    for part in parts
                ]
            )

        return await self._picture(series, given, media_type, session, render, invert, view)

    async def plane(
        self,
        series: OpenSeries,
        given: Parameters,
        media_type: str,
        *,
        session: str,
        over: OpenSeries | None = None,
    ) -> Picture:
        """A picture of a plane through the volume, and of another one that is laid over it in color."""
        view = await self.plane_view(series, given)

        async def render(source: VolumeSource, key: str | None, importance: Importance) -> Rendered:
            return await self._farm.plane(source, view, view_key=key, importance=importance, user=session)

        def color(pixels: Pixels) -> Pixels:
            return colored(pixels, given.coloring)

        if over is None:
            return await self._picture(series, given, media_type, session, render, False, view, color)
        window = given.overlay_window or await self._window(over)
        above = msgspec.structs.replace(view, window=window, invert=False, marked=False, band=None)
        colors: list[Rendered] = []

        async def render_both(source: VolumeSource, key: str | None, importance: Importance) -> Rendered:
            below = await render(source, key, importance)
            async with self._loader.volume(over, coarse=_interactive(given)) as other:
                mine = f"{key}/over" if key else None
                drawn = await self._farm.plane(
                    other, above, view_key=mine, importance=importance, user=session
                )
                colors.append(_of_all(drawn, other))
            return _joint(below, colors[0])

        def mixed(pixels: Pixels) -> Pixels:
            return fused(color(pixels), colors[0].pixels, given.overlay_palette, given.overlay_opacity)

        return await self._picture(series, given, media_type, session, render_both, False, view, mixed, over)

    async def _picture(
        self,
        series: OpenSeries,
        given: Parameters,
        media_type: str,
        session: str,
        render: Callable[[VolumeSource, str | None, Importance], Awaitable[Rendered]],
        invert: bool,
        view: VolumeView | PlaneView,
        finish: Callable[[Pixels], Pixels] | None = None,
        over: OpenSeries | None = None,
    ) -> Picture:
        """``finish`` makes color of grey levels, with those of ``over``."""
        started = time.perf_counter()
        key = f"{session}/{given.view}" if given.view else None
        importance = Importance.INTERACTION if given.draft else Importance.REFINEMENT
        timing = dict.fromkeys(PARTS, 0.0)
        with self._pictures.workload.of(importance):
            async with self._loader.volume(series, coarse=_interactive(given)) as source:
                loaded = time.perf_counter()
                rendered = _of_all(await render(source, key, importance), source)
            done = time.perf_counter()

            def encode() -> bytes:
                begun = time.perf_counter()
                pixels = np.bitwise_not(rendered.pixels) if invert else rendered.pixels
                pixels = pixels if finish is None else finish(pixels)
                body = codec.encode(pixels, media_type, given.quality)
                timing["queue"] += (begun - done) * 1000
                timing["encode"] = (time.perf_counter() - begun) * 1000
                return body

            body = await self._pictures.in_thread(encode, importance, session)
        color = rendered.pixels.ndim == 3 or over is not None or bool(given.coloring)
        broken = (*_broken(series), *(_broken(over) if over is not None else ()))
        waited = rendered.timing_ms.get("queue", 0.0)
        timing["queue"] += waited
        timing["load"] = (loaded - started) * 1000
        timing["render"] = (done - loaded) * 1000 - waited
        timing |= {f"gl-{name}": spent for name, spent in rendered.timing_ms.items() if name not in PARTS}
        return Picture(
            body=body,
            media_type=media_type,
            width=rendered.pixels.shape[1],
            height=rendered.pixels.shape[0],
            # Means of voxels and missing slices are no picture of all that is stored.
            lossless=codec.is_lossless(media_type, color, given.quality)
            and not given.draft
            and rendered.reduced == (1, 1, 1)
            and not broken,
            complete=rendered.complete,
            sampling=_sampling(given, rendered),
            timing_ms=timing,
            kind="volume" if isinstance(view, VolumeView) else "plane",
            pixel_mm=view.height_mm / view.height,
            importance=importance,
            quality=given.quality or codec.JPEG_QUALITY,
            warnings=(*broken, *_reduced(rendered)),
            # Where all voxels may fit another time, the same request may get another picture.
            lasting=source.reduced == (1, 1, 1) and (over is None or rendered.reduced == (1, 1, 1)),
        )

    def _size(self, given: Parameters) -> tuple[int, int]:
        width, height = DEFAULT_SIDE, DEFAULT_SIDE
        if given.viewport is not None:
            width, height = given.viewport.width, given.viewport.height
        check_size(width * height, self._max_pixels)
        rays = width * height * given.refine
        if rays > self._max_pixels:
            raise TooLarge(
                f"{given.refine} rays for each of {width} x {height} pixels are {rays}; "
                f"this server makes at most {self._max_pixels}.",
                {"max_pixels": self._max_pixels},
            )
        return width, height

    async def _window(self, series: OpenSeries) -> Window:
        window = await default_window_of(self._loader, series)
        return window if window is not None else Window(128.0, 256.0)


def _grid(series: OpenSeries) -> VolumeGrid:
    if series.stack.volume is None:
        raise Invalid(series.why_no_volume or "This series has no volume.")
    return series.stack.volume


def _modality(series: OpenSeries) -> str:
    return series.stored[0].header.modality


def _sampling(given: Parameters, rendered: Rendered) -> Sampling:
    if rendered.draft:
        return "draft"
    return "converged" if given.refine > 1 else "full"


def _inverted(series: OpenSeries) -> bool:
    position = first_renderable(series)
    if position is None:
        return False
    stored, number = series.header_of(position)
    return stored.header.frames[number].display.invert


def _broken(series: OpenSeries) -> tuple[str, ...]:
    count = len(series.errors)
    if not count:
        return ()
    return (f"{count} of {series.total} slices cannot be decoded and are empty in this volume.",)


def _interactive(given: Parameters) -> bool:
    """A viewer names its view or asks for a draft, and asks again when told that slices were missing.
    Everybody else gets the whole volume at once: half of it would be a wrong picture to them."""
    return (bool(given.view) or given.draft) and given.refine == 1


def _joint(below: Rendered, above: Rendered) -> Rendered:
    """What is true of a picture made of two."""
    waited = below.timing_ms.get("queue", 0.0) + above.timing_ms.get("queue", 0.0)
    return msgspec.structs.replace(
        below,
        complete=below.complete and above.complete,
        reduced=above.reduced if below.reduced == (1, 1, 1) else below.reduced,
        timing_ms=below.timing_ms | {"queue": waited},
    )


def _of_all(rendered: Rendered, source: VolumeSource) -> Rendered:
    """What was drawn from a source, in terms of the voxels as they are stored."""
    k, j, i = (one * other for one, other in zip(rendered.reduced, source.reduced, strict=True))
    complete = rendered.complete and not source.preliminary
    return msgspec.structs.replace(rendered, reduced=(k, j, i), complete=complete)


def _reduced(rendered: Rendered) -> tuple[str, ...]:
    if not rendered.reduced_by or not rendered.complete:
        return ()
    return (f"This volume is larger than the server can hold; it is shown from {rendered.reduced_by} means.",)


def volumetric_metadata(view: VolumeView | PlaneView) -> dict[str, dict[str, Any]]:
    """The Rendered Volumetric Metadata module of a picture, as DICOM JSON (PS3.18 Annex K)."""
    plane = isinstance(view, PlaneView)
    found: dict[str, dict[str, Any]] = {
        "00720510": {"vr": "CS", "Value": ["MPR" if plane else "3D_RENDERING"]},
        "0070120D": {"vr": "CS", "Value": [view.method.upper()]},
        "00701603": {"vr": "FD", "Value": list(view.viewpoint.position)},
        "00701604": {"vr": "FD", "Value": list(view.viewpoint.look_at)},
        "00701605": {"vr": "FD", "Value": list(view.viewpoint.up)},
    }
    if isinstance(view, PlaneView) and view.slab_mm:
        found["00701503"] = {"vr": "FD", "Value": [view.slab_mm]}
    if view.method != "volume_rendered" and view.window is not None:
        found["00281050"] = {"vr": "DS", "Value": [view.window.center]}
        found["00281051"] = {"vr": "DS", "Value": [view.window.width]}
        function = view.window.function.upper().replace("-", "_")
        found["00281056"] = {"vr": "CS", "Value": [function]}
    return dict(sorted(found.items()))
