"""Rays through volume textures: composite with shading, projections, planes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.errors import Invalid, TooLarge
from sivr.gl import camera, curves, cuts, passes
from sivr.gl.masks import Masks
from sivr.gl.picture import Easel, Pixels
from sivr.gl.program import Program
from sivr.gl.textures import EXTREME_BRICKS, TextureCache, VolumeTexture
from sivr.gl.transfer import ENTRIES, function_of, table_of, window_of
from sivr.kernels.bricks import BRICK
from sivr.model.pixels import Window
from sivr.model.rendering import Method, PlaneView, VolumeView

Check = Callable[[], None]

FULL_STEP = 0.75
"""Ray step of a finished picture, in voxels of the finest axis; drafts take one (51 dB and more)."""
OPAQUE = 0.98
"""Opacity at which rays end."""
NO_BAND = (1e30, -1e30)
BAND_SLACK = 1e-6
"""In parts of a texture's range: so far beside the ends of a band a value still counts as inside."""
FLAT = 0.02
"""Gradient, in parts of a transfer function's range per mm, that counts as half a surface."""
SHALLOW = 1e-9
"""As ``FLAT``, of views that show one surface only: anything is steep."""
FUNCTIONS = {"linear": 0, "linear-exact": 1, "sigmoid": 2}
_DEFINES: dict[Method, tuple[str, ...]] = {
    "maximum_ip": ("MAXIMUM",),
    "minimum_ip": ("MINIMUM",),
    "average_ip": (),
}
_OPPOSITE: dict[Method, Method] = {
    "maximum_ip": "minimum_ip",
    "minimum_ip": "maximum_ip",
    "average_ip": "average_ip",
}


class Raycaster:
    """Draws views of volumes with one context; everything compiled is kept."""

    def __init__(self, textures: TextureCache) -> None:
        self._textures = textures
        self._easel = Easel()
        self._programs: dict[tuple[str, tuple[str, ...]], Program] = {}
        self._table, self._columns = (int(handle) for handle in GL.glGenTextures(2))
        self._masks = Masks()
        self.full_step = FULL_STEP

    @property
    def streams(self) -> bool:
        """Whether a band of a picture comes back while the next is drawn."""
        return self._easel.streams

    @streams.setter
    def streams(self, on: bool) -> None:
        self._easel.streams = on

    def volume(self, volume: VolumeTexture, view: VolumeView, check: Check | None = None) -> Pixels:
        """A picture of the whole volume: (h, w, 3) when composite, else (h, w).

        Drafts are drawn at half the size, and composites from half resolution; refined ones take more
        samples. Raises Canceled when ``check`` does, TooLarge for more pixels than the device can draw.
        """
        self._refuse_size(view.width, view.height)
        size = (view.width, view.height)
        if view.draft:
            size = (max(1, -(-view.width // 2)), max(1, -(-view.height // 2)))
        color = view.method == "volume_rendered"
        if not volume.slices_ready:
            return _black(view.width, view.height, color)
        if color:
            refined = self._use_composite(volume, view, size)
            if refined:
                return self._easel.mean(*size, refined, check)
        else:
            self._use_projection(volume, view, size)
        if size == (view.width, view.height):
            return self._easel.picture(*size, color, check)
        self._easel.draw(*size, check)
        self._easel.enlarge(size, (view.width, view.height))
        return self._easel.read(view.width, view.height, color)

    def plane(self, volume: VolumeTexture, view: PlaneView, check: Check | None = None) -> Pixels:
        """A picture of a plane or slab: (h, w), black outside the volume."""
        self._refuse_size(view.width, view.height)
        if view.method == "volume_rendered":
            raise Invalid("A plane is shown by its maximum, minimum or average, not by a transfer function.")
        size, affine = volume.shape[::-1], volume.lps_from_texel
        rays = columns = None
        if view.curve is not None:
            columns = curves.columns(
                curves.path_of(view.curve),
                view.curve.shift_mm,
                view.width,
                view.height,
                view.height_mm,
                affine,
            )
            samples = curves.slab_samples(view.slab_mm, affine, size)
        else:
            rays = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, affine)
            samples = camera.slab_samples(view.viewpoint, rays, affine, size, view.slab_mm)
        if not volume.slices_ready:
            return _black(view.width, view.height, view.marked)
        _, defines = self._projection(volume, view.method)
        defines = (
            *defines,
            *(() if columns is None else ("CURVED",)),
            *(("MARKED",) if view.marked else ()),
        )
        program = self._program("plane.frag", defines)
        textures: dict[str, tuple[int, Any, int]] = {"volume": (0, GL.GL_TEXTURE_3D, volume.handle)}
        if rays is not None:
            self._set_rays(program, rays, volume.shape, (1.0, 1.0))
        elif columns is not None:
            program.set(size=(float(size[0]), float(size[1]), float(size[2])))
            self._upload_columns(columns)
            textures["columns"] = (1, GL.GL_TEXTURE_2D, self._columns)
        self._set_values(program, volume, view.window, view.invert)
        program.set(samples=samples.count, first=samples.first_mm, step=samples.step_mm)
        if view.marked:
            # Values come back from the texture as single floats, a little beside what they were.
            slack = abs(volume.value_scale[0]) * BAND_SLACK
            low, high = view.band or NO_BAND
            program.set(band=(low - slack, high + slack))
        self._bind(program, **textures)
        return self._easel.picture(view.width, view.height, view.marked, check)

    def _use_composite(
        self, volume: VolumeTexture, view: VolumeView, size: tuple[int, int]
    ) -> list[Callable[[], None]]:
        """Make the program ready; what is returned makes it ready for each pass of a refined picture."""
        function = function_of(view, volume.typical_range)
        half = volume.half if view.draft else None
        halved = 2 if half is not None else 1
        factors = (volume.factors[0] * halved, volume.factors[1] * halved, volume.factors[2] * halved)
        shape = tuple(-(-n // halved) for n in volume.shape)
        affine = camera.lps_from_texel(volume.source.lps_from_ijk, factors)
        rays = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, affine)
        finest = float(np.linalg.norm(affine[:3, :3], axis=0).min())
        # From half resolution a step of a voxel is two of the volume's; without it, the same is skipped over.
        refined = view.refine > 1 and not view.draft
        step = finest * (passes.STEP if refined else self.full_step)
        if view.draft:
            step = finest * (1.0 if half is not None else 2.0)
        table = table_of(function, step)
        distances = volume.distance_map(function)
        defines = ("HALF",) if half is not None else ()
        if view.cut is not None or view.depth_cue or view.surface is not None:
            defines = (*defines, "CUT")
        if view.surface is not None:
            defines = (*defines, "SURFACE")
        program = self._program("composite.frag", defines)
        scale = (view.width / size[0], view.height / size[1])
        self._set_rays(program, rays, shape, scale)
        texel_scale, texel_offset = volume.value_scale
        # The first and last entries of the table lie at the centers of its first and last texels.
        per_value = (ENTRIES - 1) / ENTRIES / (table.high - table.low)
        program.set(
            brick=BRICK / halved,
            table_scale=(
                texel_scale * per_value,
                (texel_offset - table.low) * per_value + 0.5 / ENTRIES,
            ),
            lps_from_gradient=rays.lps_from_gradient,
            step=float(step),
            opaque=passes.OPAQUE if refined else OPAQUE,
            flat=SHALLOW
            if view.surface is not None
            else float(FLAT * (table.high - table.low) / abs(texel_scale)),
            light=(function.ambient, function.diffuse, function.specular),
            toward=rays.toward,
        )
        if "CUT" in defines:
            found = cuts.cuts_for(view, rays, affine, shape[::-1])
            self._set_cut(program, found)
            program.set(cue=(found.near_mm, found.per_mm, view.depth_cue))
        if view.surface is not None:
            program.set(
                surface=(function.points[0][0] - texel_offset) / texel_scale,
                above=1.0 if texel_scale > 0 else -1.0,
            )
        self._upload_table(table.colors)
        self._bind(
            program,
            volume=(0, GL.GL_TEXTURE_3D, half if half is not None else volume.handle),
            distance=(1, GL.GL_TEXTURE_3D, distances),
            table=(2, GL.GL_TEXTURE_2D, self._table),
        )
        if not refined:
            return []
        return [
            partial(program.set, origin=one.rays(rays, step).origin) for one in passes.passes(view.refine)
        ]

    def _use_projection(self, volume: VolumeTexture, view: VolumeView, size: tuple[int, int]) -> None:
        window = window_of(view, volume.typical_range, volume.value_range)
        rays = camera.rays(view.viewpoint, view.width, view.height, view.height_mm, volume.lps_from_texel)
        method, defines = self._projection(volume, view.method)
        if view.cut is not None:
            defines = (*defines, "CUT")
        program = self._program("projection.frag", defines)
        self._set_rays(program, rays, volume.shape, (view.width / size[0], view.height / size[1]))
        self._set_values(program, volume, window, invert=False)
        largest = method == "maximum_ip"
        # Means are of the voxels themselves, and nothing lies between a voxel and padding.
        refined = view.refine > 1 and not view.draft and method != "average_ip" and "PADDED" not in defines
        floor = _floor(volume, window, largest)
        if view.cut is not None:
            self._set_cut(program, cuts.cuts_for(view, rays, volume.lps_from_texel, volume.shape[::-1]))
            # Nothing must be skipped before something was found that is not taken away.
            floor = _nothing_yet(largest)
        program.set(
            brick=float(BRICK * EXTREME_BRICKS),
            samples=float(passes.LAYERS if refined else 1),
            floor=floor,
        )
        # Made before anything is bound: making it binds unit 0.
        extremes = volume.handle if method == "average_ip" else volume.extremes(largest)
        self._bind(
            program,
            volume=(0, GL.GL_TEXTURE_3D, volume.handle),
            extremes=(1, GL.GL_TEXTURE_3D, extremes),
        )

    def _projection(self, volume: VolumeTexture, method: Method) -> tuple[Method, tuple[str, ...]]:
        """The method as seen by texels, and the program's defines: a negative slope turns values around."""
        if volume.source.slope < 0:
            method = _OPPOSITE[method]
        defines = _DEFINES[method]
        if volume.padding_texel is not None and method != "maximum_ip":
            defines = (*defines, "PADDED")
        return method, defines

    def _upload_table(self, colors: npt.NDArray[np.float32]) -> None:
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._table)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA32F, ENTRIES, 1, 0, GL.GL_RGBA, GL.GL_FLOAT, colors)
        for name, value in (
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, value)

    def _upload_columns(self, columns: npt.NDArray[np.float32]) -> None:
        """Three texels a column, one below the other; the fourth number says whether the curve is there."""
        count = len(columns)
        texels = np.zeros((3, count, 4), np.float32)
        texels[..., :3] = np.nan_to_num(columns).reshape(count, 3, 3).transpose(1, 0, 2)
        texels[..., 3] = np.isfinite(columns).all(axis=1)
        GL.glBindTexture(GL.GL_TEXTURE_2D, self._columns)
        GL.glTexImage2D(GL.GL_TEXTURE_2D, 0, GL.GL_RGBA32F, count, 3, 0, GL.GL_RGBA, GL.GL_FLOAT, texels)
        for name in (GL.GL_TEXTURE_MIN_FILTER, GL.GL_TEXTURE_MAG_FILTER):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, name, GL.GL_NEAREST)

    def _set_rays(
        self, program: Program, rays: camera.Rays, shape: tuple[int, ...], pixel: tuple[float, float]
    ) -> None:
        program.use()
        program.set(
            size=(float(shape[2]), float(shape[1]), float(shape[0])),
            origin=rays.origin, right=rays.right, down=rays.down, direction=rays.direction, pixel=pixel,
        )  # fmt: skip

    def _set_cut(self, program: Program, found: cuts.Cuts) -> None:
        program.set(
            low=found.low, high=found.high, along=found.along,
            lassos=len(found.masks), mask_side=float(cuts.SIDE),
        )  # fmt: skip
        for n, plane in enumerate(found.planes):
            program.set(**{f"planes[{n}]": plane})
        for n, cell in enumerate(found.cells.reshape(-1, 4)):
            program.set(**{f"cells[{n}]": cell})
        self._masks.bind(found.masks)
        program.set(masks=self._masks.unit)

    def _set_values(self, program: Program, volume: VolumeTexture, window: Window, invert: bool) -> None:
        if not window.width > 0 or not np.isfinite([window.center, window.width]).all():
            raise Invalid("The width of a window must be more than 0.")
        padding = volume.padding_texel
        program.set(
            value_scale=volume.value_scale,
            padding=-1e9 if padding is None else padding,
            center=float(window.center),
            width=float(window.width),
            function=FUNCTIONS[window.function],
            invert=int(invert),
        )

    def _bind(self, program: Program, **textures: tuple[int, Any, int]) -> None:
        for name, (unit, kind, handle) in textures.items():
            GL.glActiveTexture(GL.GL_TEXTURE0 + unit)
            GL.glBindTexture(kind, handle)
            program.set(**{name: unit})
        GL.glActiveTexture(GL.GL_TEXTURE0)

    def _program(self, name: str, defines: tuple[str, ...]) -> Program:
        program = self._programs.get((name, defines))
        if program is None:
            program = self._programs[name, defines] = Program(name, defines)
        program.use()
        return program

    def _refuse_size(self, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise Invalid("A picture must have at least one pixel.")
        if max(width, height) > self._easel.max_size:
            raise TooLarge(f"Pictures end at {self._easel.max_size} pixels per side on this machine.")


def _black(width: int, height: int, color: bool) -> Pixels:
    return np.zeros((height, width, 3) if color else (height, width), np.uint8)


def _nothing_yet(largest: bool) -> float:
    """What every texel is more (less) than."""
    return -1e9 if largest else 1e9


def _floor(volume: VolumeTexture, window: Window, largest: bool) -> float:
    """The texel that the window shows black (white) already, where the search for more (less) may begin."""
    beyond = _nothing_yet(largest)
    if window.function == "sigmoid":
        return beyond
    center, width = window.center, window.width
    if window.function == "linear":
        center, width = center - 0.5, width - 1
    slope = volume.source.slope
    end = center - width / 2 if largest == (slope > 0) else center + width / 2
    scale, offset = volume.value_scale
    return (end - offset) / scale
