"""Volumes as textures: uploaded slice by slice as they appear, reduced to fit, the oldest dropped."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from OpenGL import GL

from sivr.errors import Exhausted, Invalid
from sivr.gl.ready import ReadyVolume
from sivr.gl.source import VolumeSource
from sivr.kernels.bricks import BRICK
from sivr.kernels.volumes import half_with_gradient
from sivr.model.rendering import TransferFunction

Array = npt.NDArray[Any]

EXTREME_BRICKS = 4
"""Bricks per side of the larger blocks that projections leap over."""


class Format(msgspec.Struct, frozen=True):
    """How voxels of one type lie in a texture."""

    dtype: str
    internal: int
    layout: int
    type: int
    limit: float
    """Texel = voxel / limit."""
    lowest: int = 0
    """The voxel that stands for padding: nothing real is lower."""


FORMATS: dict[str, Format] = {
    "uint8": Format("uint8", int(GL.GL_R8), int(GL.GL_RED), int(GL.GL_UNSIGNED_BYTE), 255.0),
    "uint16": Format("uint16", int(GL.GL_R16), int(GL.GL_RED), int(GL.GL_UNSIGNED_SHORT), 65535.0),
    "int16": Format("int16", int(GL.GL_R16_SNORM), int(GL.GL_RED), int(GL.GL_SHORT), 32767.0, -32768),
    "float32": Format("float32", int(GL.GL_R32F), int(GL.GL_RED), int(GL.GL_FLOAT), 1.0, -(10**9)),
}
HALF = Format("int16", int(GL.GL_RGBA16_SNORM), int(GL.GL_RGBA), int(GL.GL_SHORT), 32767.0)
HALF_TEXEL_BYTES = 8
HALF_LAYERS = 4
"""Layers of a half volume that are made at a time."""
DISTANCES_KEPT = 4
ATTEMPTS = 4
"""Each leaves a quarter of the memory to a volume that the one before did."""
FORMAT_OF_DTYPE: dict[str, str] = {
    "bool": "uint8",
    "uint8": "uint8",
    "int8": "int16",
    "uint16": "uint16",
    "int16": "int16",
    "uint32": "float32",
    "int32": "float32",
    "float16": "float32",
    "float32": "float32",
    "float64": "float32",
}
"""Types that GL cannot filter, or that would be converted at every upload, are brought to one that it can."""


def reduction(shape: tuple[int, int, int], itemsize: int, limit: int, budget: int) -> tuple[int, int, int]:
    """Factors (k, j, i) by which a volume must shrink to have no axis over ``limit`` and fit into
    ``budget`` bytes.

    The longest axis shrinks first.
    """
    factors = [-(-n // limit) for n in shape]
    while True:
        sizes = [-(-n // f) for n, f in zip(shape, factors, strict=True)]
        if sizes[0] * sizes[1] * sizes[2] * itemsize <= budget or max(sizes) == 1:
            return (factors[0], factors[1], factors[2])
        longest = sizes.index(max(sizes))
        factors[longest] += 1


class VolumeTexture(ReadyVolume):
    """One volume on the graphics device, as far as its slices are ready.

    Means of voxels are taken where the volume must be reduced, for every rendering method.
    """

    def __init__(self, source: VolumeSource, max_axis: int, budget: int) -> None:
        name = FORMAT_OF_DTYPE.get(source.dtype)
        if name is None:
            raise Invalid(f"Volumes of type {source.dtype[:16]} cannot be rendered.")
        self.format = FORMATS[name]
        itemsize = np.dtype(self.format.dtype).itemsize
        factors = reduction(source.shape, itemsize, max_axis, budget)
        super().__init__(source, self.format.dtype, self.format.lowest, factors)
        self._half: int | None = None
        self._half_layers = 0
        self._extremes: dict[bool, tuple[int, int]] = {}
        self._distances: OrderedDict[object, tuple[int, int]] = OrderedDict()
        self.handle = _texture_3d(self.shape, self.format)

    @property
    def value_scale(self) -> tuple[float, float]:
        """Modality value = texel * first + second."""
        return self.format.limit * self.source.slope, self.source.intercept

    @property
    def padding_texel(self) -> float | None:
        """Texels up to this are padding; None when the volume has none."""
        if self.source.padding_value is None:
            return None
        # Signed normalized texels end at -1, which is -32767; -32768 looks like it.
        limit = self.format.limit
        return max(float(self.lowest), -limit) / limit + 0.5 / limit

    def size_bytes(self) -> int:
        """What this volume takes on the device, all textures together."""
        itemsize = np.dtype(self.format.dtype).itemsize
        blocks = _texels(self.shape, BRICK * EXTREME_BRICKS) * len(self._extremes)
        total = (_texels(self.shape) + blocks) * itemsize
        total += _texels(self.shape, BRICK) * len(self._distances)
        return total + (self._half_bytes() if self._half is not None else 0)

    def _half_bytes(self) -> int:
        return _texels(self.shape, 2) * HALF_TEXEL_BYTES

    def prepare(self, budget: int, limit_s: float) -> bool:
        """Work ahead while nobody asks: upload what is ready, then make the half volume for drafts.

        ``budget`` bounds this volume's textures in bytes. Returns whether it did anything.
        """
        return bool(self.update(limit_s)) or self._grow_half(budget, limit_s)

    def _put(self, k: int, image: Array) -> None:
        GL.glBindTexture(GL.GL_TEXTURE_3D, self.handle)
        GL.glTexSubImage3D(
            GL.GL_TEXTURE_3D, 0, 0, 0, k, image.shape[1], image.shape[0], 1,
            self.format.layout, self.format.type, np.ascontiguousarray(image),
        )  # fmt: skip

    @property
    def half(self) -> int | None:
        """Texture of half resolution, the gradient beside the value, for drafts; None until it is made."""
        return self._half if self._half_layers == -(-self.shape[0] // 2) else None

    def _grow_half(self, budget: int, limit_s: float) -> bool:
        """Make more of the half volume; returns False when it is done, or there is no room or use for it."""
        layers = -(-self.shape[0] // 2)
        if not self.complete or self._half_layers == layers:
            return False
        if self._half is None:
            size = self.size_bytes() + self._half_bytes()
            if size > budget or min(self.shape) < 4 or self.format.dtype == "float32":
                return False
            self._half = _texture_3d((layers, -(-self.shape[1] // 2), -(-self.shape[2] // 2)), HALF)
        until = time.perf_counter() + limit_s
        while self._half_layers < layers and time.perf_counter() < until:
            first = self._half_layers
            last = min(first + HALF_LAYERS, layers)
            # One layer more on each side for the gradient.
            begin, end = max(first - 1, 0), min(last + 1, layers)
            voxels = np.stack([self._layer_image(k) for k in range(2 * begin, min(2 * end, self.shape[0]))])
            values = half_with_gradient(voxels, int(self.format.limit))[first - begin : last - begin]
            GL.glBindTexture(GL.GL_TEXTURE_3D, self._half)
            GL.glTexSubImage3D(
                GL.GL_TEXTURE_3D, 0, 0, 0, first, values.shape[2], values.shape[1], len(values),
                HALF.layout, HALF.type, np.ascontiguousarray(values),
            )  # fmt: skip
            self._half_layers = last
        return True

    def distance_map(self, function: TransferFunction) -> int:
        """Texture of the distances of bricks to what this function shows."""
        key = (function.points,)
        known = self._distances.get(key)
        if known is not None and known[0] == self.version:
            self._distances.move_to_end(key)
            return known[1]
        if known is not None:
            GL.glDeleteTextures([known[1]])
        handle = distance_texture(self.distances(function))
        self._distances[key] = (self.version, handle)
        while len(self._distances) > DISTANCES_KEPT:
            GL.glDeleteTextures([self._distances.popitem(last=False)[1][1]])
        return handle

    def extremes(self, largest: bool) -> int:
        """Texture of the largest (least) texel of blocks of ``BRICK * EXTREME_BRICKS`` voxels."""
        known = self._extremes.get(largest)
        if known is not None:
            if known[0] == self.version:
                return known[1]
            GL.glDeleteTextures([known[1]])
        values = self.brick_ranges()[1 if largest else 0]
        step = EXTREME_BRICKS
        for axis in range(3):
            starts = np.arange(0, values.shape[axis], step)
            values = (np.maximum if largest else np.minimum).reduceat(values, starts, axis=axis)
        depth, rows, columns = values.shape
        handle = _texture_3d((depth, rows, columns), self.format, linear=False)
        GL.glTexSubImage3D(
            GL.GL_TEXTURE_3D, 0, 0, 0, 0, columns, rows, depth,
            self.format.layout, self.format.type, np.ascontiguousarray(values),
        )  # fmt: skip
        self._extremes[largest] = (self.version, handle)
        return handle

    def delete(self) -> None:
        """Give all textures back."""
        handles = [self.handle, *(handle for _, handle in self._extremes.values())]
        handles += [handle for _, handle in self._distances.values()]
        if self._half is not None:
            handles.append(self._half)
        GL.glDeleteTextures(handles)


class TextureCache:
    """Volumes on the device, the least recently used dropped when they outgrow the budget."""

    def __init__(self, budget_bytes: int, max_axis: int | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.max_axis = max_axis or int(GL.glGetIntegerv(GL.GL_MAX_3D_TEXTURE_SIZE))
        self._volumes: OrderedDict[str, VolumeTexture] = OrderedDict()

    def get(
        self, source: VolumeSource, limit_s: float | None = None, check: Callable[[], None] | None = None
    ) -> VolumeTexture:
        """The texture of a volume, with the slices that are ready by now, or as many as fit into the time."""
        known = self._volumes.get(source.key)
        if known is not None and known.source != source:
            self.forget(source.key)
        # A volume's own half-resolution texture and bricks take half as much again.
        share = int(self.budget_bytes / 1.6)
        for smaller in range(ATTEMPTS):
            try:
                volume = self._volumes.get(source.key) or self._add(source, share >> 2 * smaller)
                self._volumes.move_to_end(source.key)
                volume.update(limit_s, check)
            except GL.GLError:
                # Others draw with the same device: what the budget allows is not always there. Some drivers
                # say so when the texture is made, others when it is filled.
                self.clear()
            else:
                return volume
        raise Exhausted("The graphics device has no memory left for this volume.")

    def prepare(self, limit_s: float) -> bool:
        """Work ahead for the volume used last; returns whether there was anything to do."""
        if not self._volumes:
            return False
        volume = next(reversed(self._volumes.values()))
        others = self.used_bytes() - volume.size_bytes()
        # A half volume is worth dropping others for that nobody looks at, but not one that was just used.
        try:
            more = volume.prepare(max(self.budget_bytes - others, self.budget_bytes // 2), limit_s)
        except GL.GLError:
            # What was begun ahead is not needed; the next picture finds out what still fits.
            self.clear()
            return False
        self.trim()
        return more

    def _add(self, source: VolumeSource, share: int) -> VolumeTexture:
        self._make_room(source, share)
        volume = self._volumes[source.key] = VolumeTexture(source, self.max_axis, share)
        return volume

    def _make_room(self, source: VolumeSource, share: int) -> None:
        itemsize = np.dtype(source.dtype).itemsize
        wanted = min(share, int(np.prod(source.shape, dtype=np.int64)) * itemsize)
        while self._volumes and self.used_bytes() + wanted > self.budget_bytes:
            self.forget(next(iter(self._volumes)))

    def trim(self) -> None:
        """Drop what was used least recently until all fits, but never the last one used."""
        while len(self._volumes) > 1 and self.used_bytes() > self.budget_bytes:
            self.forget(next(iter(self._volumes)))

    def used_bytes(self) -> int:
        """What all volumes take."""
        return sum(volume.size_bytes() for volume in self._volumes.values())

    def keys(self) -> list[str]:
        """Volumes held, the least recently used first."""
        return list(self._volumes)

    def forget(self, key: str) -> None:
        """Drop a volume if it is here."""
        volume = self._volumes.pop(key, None)
        if volume is not None:
            volume.delete()

    def clear(self) -> None:
        """Drop everything."""
        for key in self.keys():
            self.forget(key)


def _texels(shape: tuple[int, int, int], per: int = 1) -> int:
    """Of a texture with one texel for so many along each axis."""
    return -(-shape[0] // per) * -(-shape[1] // per) * -(-shape[2] // per)


def _texture_3d(shape: tuple[int, int, int], layout: Format, linear: bool = True) -> int:
    handle = int(GL.glGenTextures(1))
    GL.glBindTexture(GL.GL_TEXTURE_3D, handle)
    GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
    GL.glTexImage3D(
        GL.GL_TEXTURE_3D, 0, layout.internal, shape[2], shape[1], shape[0], 0,
        layout.layout, layout.type, None,
    )  # fmt: skip
    filtering = GL.GL_LINEAR if linear else GL.GL_NEAREST
    GL.glTexParameteri(GL.GL_TEXTURE_3D, GL.GL_TEXTURE_MIN_FILTER, filtering)
    GL.glTexParameteri(GL.GL_TEXTURE_3D, GL.GL_TEXTURE_MAG_FILTER, filtering)
    for axis in (GL.GL_TEXTURE_WRAP_S, GL.GL_TEXTURE_WRAP_T, GL.GL_TEXTURE_WRAP_R):
        GL.glTexParameteri(GL.GL_TEXTURE_3D, axis, GL.GL_CLAMP_TO_EDGE)
    return handle


def distance_texture(field: npt.NDArray[np.uint8]) -> int:
    """Upload a distance field as an integer texture."""
    depth, rows, columns = field.shape
    layout = Format("uint8", int(GL.GL_R8UI), int(GL.GL_RED_INTEGER), int(GL.GL_UNSIGNED_BYTE), 1.0)
    handle = _texture_3d((depth, rows, columns), layout, linear=False)
    GL.glTexSubImage3D(GL.GL_TEXTURE_3D, 0, 0, 0, 0, columns, rows, depth, layout.layout, layout.type, field)
    return handle
