"""Rays through volumes on the processor alone, for machines without a graphics device.

The same pictures as ``raycast`` draws with OpenGL, by programs over lanes that read the voxels where they
lie in shared memory: nothing is uploaded, nothing is reduced. Several times quicker than OpenGL on a CPU
rasterizer.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import numpy.typing as npt

from sivr.errors import Invalid, TooLarge
from sivr.gl import camera, curves, cuts, passes
from sivr.gl.attempt import Attempt
from sivr.gl.ready import ReadyVolume
from sivr.gl.source import VolumeSource
from sivr.gl.transfer import ENTRIES, function_of, table_of, window_of
from sivr.kernels import composite, projection, slab
from sivr.kernels.bricks import BRICK
from sivr.kernels.cuts import CutArrays
from sivr.kernels.slices import resample
from sivr.kernels.tiles import LOWEST
from sivr.kernels.voxels import LEAST_COLUMNS, MOST_VOXELS, Voxels
from sivr.model.pixels import Window
from sivr.model.rendering import Curve, Method, PlaneView, TransferFunction, VolumeView

Check = Callable[[], None]
Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]

FULL_STEP = 1.0
"""Ray step of a finished picture, in voxels of the finest axis; drafts take two."""
DRAFT_STEP = 2.0
BAND_SLACK = 0.01
"""In voxel values, how far beside the ends of a band a value may lie and still count as inside."""
FLAT = 0.02
"""Gradient, in parts of a transfer function's range per mm, that counts as half a surface."""
SHALLOW = 1e-9
"""As ``FLAT``, of views that show one surface only: anything is steep."""
BAND = 16
"""Rows that one thread draws at a time, and after which a picture may be abandoned."""
CHECK_S = 0.01
"""How often is asked whether to go on while only other threads draw."""
MOST_PIXELS_A_SIDE = 16384
KEPT = 4
"""Transfer functions whose empty bricks are remembered."""

_HELD_AS = {
    "bool": "uint8", "uint8": "uint8", "int8": "int16", "uint16": "uint16", "int16": "int16",
    "uint32": "float32", "int32": "float32", "float16": "float32", "float32": "float32",
    "float64": "float32",
}  # fmt: skip
_BEST: dict[Method, projection.Best] = {
    "maximum_ip": "largest",
    "minimum_ip": "least",
    "average_ip": "mean",
}
_OTHER: dict[projection.Best, projection.Best] = {"largest": "least", "least": "largest", "mean": "mean"}


class SoftwareVolume(ReadyVolume):
    """One volume as far as its slices are ready, read where it lies."""

    def __init__(self, source: VolumeSource) -> None:
        held = _HELD_AS.get(source.dtype)
        if held is None:
            raise Invalid(f"Volumes of type {source.dtype[:16]} cannot be rendered.")
        if source.shape[2] < LEAST_COLUMNS:
            held = "float32"
        if int(np.prod(source.shape, dtype=np.int64)) > MOST_VOXELS:
            raise TooLarge("Volumes of 2^31 voxels and more cannot be rendered without a graphics device.")
        super().__init__(source, held, LOWEST[held], (1, 1, 1))
        # Types that programs do not read are held a second time.
        self._own = None if held == source.dtype else np.zeros(source.shape, held)
        self._distances: OrderedDict[object, tuple[int, npt.NDArray[np.uint8]]] = OrderedDict()
        self._extremes: dict[bool, tuple[int, _Floats]] = {}

    def _put(self, k: int, image: npt.NDArray[Any]) -> None:
        if self._own is not None:
            self._own[k] = image

    def _holds_images(self) -> bool:
        return self._own is not None

    def voxels(self) -> Voxels:
        """For programs: what is shown at present."""
        if self._own is not None:
            return Voxels(self._own)
        padded = self.source.padding_value is not None and bool((self._low == self.lowest).any())
        return Voxels(
            self.shared.voxels,
            None if self.complete else self._shown,
            self.source.padding_value if padded else None,
        )

    def size_bytes(self) -> int:
        """What this volume takes beside its voxels in shared memory."""
        total = 0 if self._ranges_given else int(self._low.nbytes + self._high.nbytes)
        total += self._own.nbytes if self._own is not None else 0
        return total + sum(field.nbytes for _, field in self._distances.values())

    def distance_map(self, function: TransferFunction, *, draft: bool = False) -> npt.NDArray[np.uint8]:
        """Distances of bricks to what this function shows; less exact where they are made for a draft, or
        for slices that more will soon come between."""
        for quick in (False, True) if draft or not self.complete else (False,):
            known = self._distances.get((function.points, quick))
            if known is not None and known[0] == self.version:
                break
        else:
            known = self._distances[function.points, quick] = (
                self.version,
                self.distances(function, quick=quick),
            )
        self._distances.move_to_end((function.points, quick))
        while len(self._distances) > KEPT:
            self._distances.popitem(last=False)
        return known[1]

    def extremes(self, largest: bool) -> _Floats:
        """The largest (least) voxel of each block that projections skip at once."""
        known = self._extremes.get(largest)
        if known is None or known[0] != self.version:
            values = self.brick_ranges()[1 if largest else 0]
            step = (1 << projection.BLOCK_BITS) // BRICK
            for axis in range(3):
                starts = np.arange(0, values.shape[axis], step)
                values = (np.maximum if largest else np.minimum).reduceat(values, starts, axis=axis)
            known = self._extremes[largest] = (self.version, np.ascontiguousarray(values, np.float32))
        return known[1]

    def prepare(self, limit_s: float) -> bool:
        """Take in slices while nobody asks; returns whether there were any."""
        return bool(self.update(limit_s))


class SoftwareVolumes:
    """Volumes that were drawn, the least recently used dropped when they outgrow the budget."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._volumes: OrderedDict[str, SoftwareVolume] = OrderedDict()

    def get(
        self, source: VolumeSource, limit_s: float | None = None, check: Check | None = None
    ) -> SoftwareVolume:
        """A volume, with the slices that are ready by now, or as many as fit into the time."""
        volume = self._volumes.get(source.key)
        if volume is None or volume.source != source:
            volume = self._volumes[source.key] = SoftwareVolume(source)
        self._volumes.move_to_end(source.key)
        volume.update(limit_s, check)
        return volume

    def prepare(self, limit_s: float) -> bool:
        """Work ahead for the volume used last; returns whether there was anything to do."""
        return bool(self._volumes) and next(reversed(self._volumes.values())).prepare(limit_s)

    def trim(self) -> None:
        """Drop what was used least recently until all fits, but never the last one used."""
        while len(self._volumes) > 1 and self.used_bytes() > self.budget_bytes:
            self._volumes.popitem(last=False)

    def used_bytes(self) -> int:
        """What all volumes take."""
        return sum(volume.size_bytes() for volume in self._volumes.values())

    def keys(self) -> list[str]:
        """Volumes held, the least recently used first."""
        return list(self._volumes)

    def forget(self, key: str) -> None:
        """Drop a volume if it is here."""
        self._volumes.pop(key, None)

    def clear(self) -> None:
        """Drop everything."""
        self._volumes.clear()


class SoftwareCaster:
    """Draws views of volumes with some threads of this process."""

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(max(1, self._threads - 1), thread_name_prefix="rays")
        self.full_step = FULL_STEP

    def volume(self, volume: SoftwareVolume, view: VolumeView, check: Check | None = None) -> Pixels:
        """A picture of the whole volume: (h, w, 3) when composite, else (h, w).

        Drafts are drawn at half the size; refined ones take more samples. Raises Canceled when ``check``
        does, TooLarge for more pixels than a side may have.
        """
        _refuse_size(view.width, view.height)
        color = view.method == "volume_rendered"
        if not volume.slices_ready:
            return np.zeros((view.height, view.width, 3) if color else (view.height, view.width), np.uint8)
        width, height = view.width, view.height
        if view.draft:
            width, height = max(1, -(-width // 2)), max(1, -(-height // 2))
        draw = self._composite if color else self._projection
        pixels = draw(volume, view, width, height, check)
        if (width, height) != (view.width, view.height):
            pixels = resample(pixels, view.width, view.height)
        return pixels

    def plane(self, volume: SoftwareVolume, view: PlaneView, check: Check | None = None) -> Pixels:
        """A picture of a plane or slab: (h, w), black outside the volume."""
        _refuse_size(view.width, view.height)
        if view.method == "volume_rendered":
            raise Invalid("A plane is shown by its maximum, minimum or average, not by a transfer function.")
        size = volume.shape[::-1]
        out = _canvas(view.width, view.height, np.float32)
        rays, columns = np.zeros((4, 3)), None
        if view.curve is not None:
            samples = curves.slab_samples(view.slab_mm, volume.lps_from_texel, size)
            columns = np.full((out.shape[1], curves.NUMBERS), np.nan, np.float32)
            columns[: view.width] = _columns(volume, view, view.curve)
        else:
            flat = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, volume.lps_from_texel)
            samples = camera.slab_samples(view.viewpoint, flat, volume.lps_from_texel, size, view.slab_mm)
            rays = np.stack([flat.origin, flat.right, flat.down, flat.direction])
        if not volume.slices_ready:
            size_of = (view.height, view.width, 3) if view.marked else (view.height, view.width)
            return np.zeros(size_of, np.uint8)
        parameters = _parameters(rays, size, samples.first_mm, samples.step_mm)
        best = _best(volume, view.method)
        voxels = volume.voxels()

        def draw(top: int, end: int, number: int) -> None:
            slab.slab(voxels, best, parameters, samples.count, out, top, end, columns)

        self._draw(out, check, draw)
        values = out[: view.height, : view.width]
        levels = _shown(values, volume, view.window, view.invert)
        return _marked(levels, values, volume, view.band) if view.marked else levels

    def _composite(
        self, volume: SoftwareVolume, view: VolumeView, width: int, height: int, check: Check | None
    ) -> Pixels:
        function = function_of(view, volume.typical_range)
        rays = _rays(volume, view, width, height)
        knows: composite.Knows = (
            "surface" if view.surface is not None else "cut" if view.cut or view.depth_cue else "plain"
        )
        cut, more = None, _parameters()
        slope, intercept = volume.source.slope, volume.source.intercept
        if knows != "plain":
            found = cuts.cuts_for(view, rays, volume.lps_from_texel, volume.shape[::-1])
            cut = _cut_arrays(found)
            surface = 0.0 if view.surface is None else (function.points[0][0] - intercept) / slope
            more = _parameters(
                found.near_mm, found.per_mm, view.depth_cue, surface, 1.0 if slope > 0 else -1.0
            )
        refined = view.refine > 1 and not view.draft
        finest = float(np.linalg.norm(volume.lps_from_texel[:3, :3], axis=0).min())
        step = finest * (DRAFT_STEP if view.draft else passes.STEP if refined else self.full_step)
        table = table_of(function, step)
        reach = table.high - table.low
        per_value = (ENTRIES - 1) / reach
        # One surface is a surface however shallow.
        flat = SHALLOW if view.surface is not None else FLAT * reach / abs(slope)

        def parameters(rays: camera.Rays, opaque: float) -> _Floats:
            return _parameters(
                rays.origin, rays.right, rays.down, rays.direction, _inverse(rays.direction),
                volume.shape[::-1],
                step, 1 / step, slope * per_value, (intercept - table.low) * per_value + 0.5,
                # Gradients come as differences over two voxels.
                0.5 * rays.lps_from_gradient, rays.toward,
                function.ambient, function.diffuse, function.specular, flat,
                1 - opaque,
                more,
            )  # fmt: skip

        opacity = np.ascontiguousarray(table.colors[:, 3])
        colors = composite.packed_colors(table.colors[:, :3])
        distance = volume.distance_map(function, draft=view.draft)
        voxels = volume.voxels()
        if refined:
            every = [parameters(one.rays(rays, step), passes.OPAQUE) for one in passes.passes(view.refine)]
            sums = np.empty((*_canvas(width, height, np.uint8).shape, 3), np.float32)

            def add(top: int, end: int, number: int) -> None:
                if number == 0:
                    sums[top:end] = 0
                composite.accumulate(
                    voxels, distance, opacity, colors, every[number], sums, top, end, knows, cut
                )

            self._draw(sums, check, add, len(every))
            return _rounded(sums[:height, :width], len(every))
        given = parameters(rays, composite.OPAQUE)
        out = _canvas(width, height, np.uint32)

        def draw(top: int, end: int, number: int) -> None:
            composite.composite(voxels, distance, opacity, colors, given, out, top, end, knows, cut)

        self._draw(out, check, draw)
        return np.ascontiguousarray(out.view(np.uint8).reshape(*out.shape, 4)[:height, :width, :3])

    def _projection(
        self, volume: SoftwareVolume, view: VolumeView, width: int, height: int, check: Check | None
    ) -> Pixels:
        window = window_of(view, volume.typical_range, volume.value_range)
        rays = _rays(volume, view, width, height)
        best = _best(volume, view.method)
        axis = int(np.abs(rays.direction).argmax())
        cut = None
        floor = _floor(volume, window, best)
        if view.cut is not None:
            cut = _cut_arrays(cuts.cuts_for(view, rays, volume.lps_from_texel, volume.shape[::-1]))
            floor = _nothing_yet(best)
        parameters = _parameters(
            rays.origin, rays.right, rays.down, rays.direction, _inverse(rays.direction), volume.shape[::-1],
            floor,
        )  # fmt: skip
        extremes = np.zeros((1, 1, 1), np.float32) if best == "mean" else volume.extremes(best == "largest")
        voxels = volume.voxels()
        out = _canvas(width, height, np.float32)
        samples = passes.LAYERS if view.refine > 1 and not view.draft else 1
        if best == "mean" or (best == "least" and voxels.padding is not None):
            # Means are of the voxels themselves, and nothing lies between a voxel and padding.
            samples = 1

        def draw(top: int, end: int, number: int) -> None:
            projection.project(voxels, best, extremes, parameters, axis, out, top, end, samples, cut)

        self._draw(out, check, draw)
        return _shown(out[:height, :width], volume, window, invert=False)

    def _draw(
        self,
        out: npt.NDArray[Any],
        check: Check | None,
        draw: Callable[[int, int, int], None],
        times: int = 1,
    ) -> None:
        """Draw all rows in bands, each by the next free thread, as many times as asked for; ``check`` may
        raise Canceled or Interrupted between them. An Attempt keeps the rows that are finished then, and
        goes on below them the next time."""
        rows = out.shape[0]
        attempt = check if isinstance(check, Attempt) else None
        kept = attempt.resume(out.shape) if attempt is not None else None
        first = 0
        if kept is not None:
            first = len(kept)
            out[:first] = kept
        bands = iter(range(first, rows, BAND))
        finished = bytearray(-(-(rows - first) // BAND))
        abandoned = threading.Event()

        def work(check: Check | None) -> None:
            for top in bands:
                for number in range(times):
                    if abandoned.is_set():
                        return
                    if check and (top > first or number):
                        check()
                    draw(top, min(top + BAND, rows), number)
                finished[(top - first) // BAND] = True

        helpers = [self._pool.submit(work, None) for _ in range(self._threads - 1)]
        try:
            work(check)
            while check and wait(helpers, CHECK_S).not_done:
                check()
        except BaseException:
            abandoned.set()
            raise
        finally:
            wait(helpers)
            if attempt is not None:
                done = finished.find(0)
                attempt.keep(out[: rows if done < 0 else first + done * BAND])
        for helper in helpers:
            helper.result()


def _rays(volume: SoftwareVolume, view: VolumeView, width: int, height: int) -> camera.Rays:
    """Through the middles of the pixels drawn, which in a draft are larger than those of the view."""
    rays = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, volume.lps_from_texel)
    if (width, height) == (view.width, view.height):
        return rays
    across, along = view.width / width, view.height / height
    origin = rays.origin + (across - 1) / 2 * rays.right + (along - 1) / 2 * rays.down
    return camera.Rays(
        origin, rays.right * across, rays.down * along, rays.direction, rays.toward, rays.lps_from_gradient
    )


def _columns(volume: SoftwareVolume, view: PlaneView, curve: Curve) -> _Floats:
    path = curves.path_of(curve)
    return curves.columns(
        path, curve.shift_mm, view.width, view.height, view.height_mm, volume.lps_from_texel
    )


def _rounded(sums: _Floats, count: int) -> Pixels:
    """The mean of ``count`` pictures of 0..1."""
    pixels: Pixels = np.minimum(sums * np.float32(255 / count) + np.float32(0.5), 255).astype(np.uint8)
    return pixels


def _parameters(*values: Any) -> _Floats:
    flat = [np.ravel(np.asarray(value, np.float64)) for value in values]
    return np.concatenate(flat or [np.zeros(0)]).astype(np.float32)


def _inverse(direction: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1.0 / np.where(np.abs(direction) < 1e-12, 1e-12, direction)


def _canvas(width: int, height: int, dtype: Any) -> npt.NDArray[Any]:
    """Room for a picture, its sides rounded up to whole squares of pixels."""
    side = composite.TILE
    return np.empty((-(-height // side) * side, -(-width // side) * side), dtype)


def _best(volume: SoftwareVolume, method: Method) -> projection.Best:
    """What is looked for among stored values: a negative slope turns them around."""
    best = _BEST[method]
    return _OTHER[best] if volume.source.slope < 0 else best


def _floor(volume: SoftwareVolume, window: Window, best: projection.Best) -> float:
    """The voxel that the window shows black (white) already, where the search for more (less) may begin."""
    beyond = _nothing_yet(best)
    if window.function == "sigmoid" or best == "mean":
        return beyond
    center, width = window.center, window.width
    if window.function == "linear":
        center, width = center - 0.5, width - 1
    slope, intercept = volume.source.slope, volume.source.intercept
    end = center - width / 2 if (best == "largest") == (slope > 0) else center + width / 2
    return (end - intercept) / slope


def _nothing_yet(best: projection.Best) -> float:
    """What every voxel is more (less) than."""
    return -1e9 if best == "largest" else 1e9


def _cut_arrays(found: cuts.Cuts) -> CutArrays:
    masks = np.stack(found.masks) if found.masks else np.zeros((0, cuts.SIDE, cuts.SIDE), np.uint8)
    ends = _parameters(found.low, found.high, found.planes, found.along)
    return CutArrays(ends, _parameters(found.cells), masks)


def _shown(values: _Floats, volume: SoftwareVolume, window: Window, invert: bool) -> Pixels:
    """Voxel values through the modality and a window (PS3.3 C.11.2.1.2); what is no number is black."""
    if not window.width > 0 or not np.isfinite([window.center, window.width]).all():
        raise Invalid("The width of a window must be more than 0.")
    there = ~np.isnan(values)
    value = values * np.float32(volume.source.slope) + np.float32(volume.source.intercept)
    center, width = window.center, window.width
    if window.function == "sigmoid":
        with np.errstate(over="ignore"):
            grey = 1 / (1 + np.exp(np.float32(-4 / width) * (value - np.float32(center))))
    else:
        if window.function == "linear":
            center, width = center - 0.5, width - 1
        from_low = value - np.float32(center - width / 2)
        grey = np.clip(from_low / np.float32(width), 0, 1) if width > 0 else (from_low > 0).astype(np.float32)
    if invert:
        grey = 1 - grey
    return np.where(there, grey * np.float32(255) + np.float32(0.5), 0).astype(np.uint8)


def _marked(
    levels: Pixels, values: _Floats, volume: SoftwareVolume, band: tuple[float, float] | None
) -> Pixels:
    """Grey levels, which values lie in the band, and where there are none: (h, w, 3)."""
    marked = np.zeros((*levels.shape, 3), np.uint8)
    marked[..., 0] = levels
    if band is not None:
        value = values * np.float32(volume.source.slope) + np.float32(volume.source.intercept)
        slack = abs(volume.source.slope) * BAND_SLACK
        with np.errstate(invalid="ignore"):
            marked[..., 1] = 255 * ((value >= band[0] - slack) & (value <= band[1] + slack))
    marked[..., 2] = 255 * np.isnan(values)
    return marked


def _refuse_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise Invalid("A picture must have at least one pixel.")
    if max(width, height) > MOST_PIXELS_A_SIDE:
        raise TooLarge(f"Pictures end at {MOST_PIXELS_A_SIDE} pixels per side on this machine.")
