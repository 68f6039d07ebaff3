"""How fast this host makes pictures: slices in every format, volumes and planes by the node's own workers."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from sivr import codec
from sivr.cli.bench.report import cores
from sivr.cli.bench.timing import Row, median_ms
from sivr.dicom.phantom import phantom_affine
from sivr.dicom.pixels import decode_frame, encoded_frame
from sivr.dicom.read import read_header
from sivr.gl.farm import Rendered, RenderFarm
from sivr.gl.source import VolumeSource
from sivr.model.pixels import Window
from sivr.model.presets import preset_for
from sivr.model.rendering import Method, PlaneView, Viewpoint, VolumeView
from sivr.services import slices
from sivr.services.segments import Segment

SIDE = 512
HEIGHT_MM = 300.0
SLICES_PER_S = 5
"""What a physician scrolls through in a second."""
_WINDOW = Window(40, 400)
_FORMATS = (
    ("PNG", "image/png", None),
    ("JPEG q90", "image/jpeg", 90),
    ("WebP q80", "image/webp", 80),
    ("WebP lossless", "image/webp", None),
    ("AVIF q60", "image/avif", 60),
)


def slice_rows(files: list[Path], seconds: float) -> list[Row]:
    """Windowing one slice, and windowing and encoding it in every format; one thread."""
    file = files[len(files) // 2]
    header = read_header(file)
    values = decode_frame(header, 0, encoded_frame(header, 0, file))

    def show() -> Any:
        return slices.shown(header, 0, values, _WINDOW, False)

    pixels = show()
    drawn_ms = median_ms(show, seconds)
    rows = [Row(group="slice", what="window 512 x 512", value=drawn_ms, unit="ms")]
    for name, media_type, quality in _FORMATS:

        def encode(media_type: str = media_type, quality: int | None = quality) -> bytes:
            return codec.encode(pixels, media_type, quality)

        taken = median_ms(encode, seconds)
        kb = len(encode()) / 1000
        each_s = cores() * 1000 / (taken + drawn_ms)
        means = f"{kb:.0f} kB; {each_s:,.0f} slices a second on {cores()} cores, HTTPS not counted"
        rows.append(Row(group="slice", what=f"encode {name}", value=taken, unit="ms", means=means))
    return rows


def fill(files: list[Path]) -> Segment:
    """The slices in shared memory, as a node holds them. The caller closes it."""
    first = read_header(files[0])
    form = first.pixel_format
    assert form is not None
    segment = Segment("sivr-bench", (len(files), form.rows, form.columns), np.uint16)
    try:
        for k, file in enumerate(files):
            segment.voxels[k] = decode_frame(first, 0, encoded_frame(read_header(file), 0, file))
            segment.ready[k] = 1
    except BaseException:
        segment.close()
        raise
    return segment


async def volume_rows(files: list[Path], shape: tuple[int, int, int], rounds: int) -> tuple[str, list[Row]]:
    """What draws, and how long views of a generated head take in one of the node's workers."""
    segment = await asyncio.to_thread(fill, files)
    affine = phantom_affine("head", shape)
    try:
        source = VolumeSource(
            key=segment.name,
            shm_name=segment.name,
            shape=shape,
            dtype="uint16",
            slope=1.0,
            intercept=-1024.0,
            lps_from_ijk=tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in affine),
            status_offset=segment.status_offset,
        )
        async with RenderFarm(workers=1, texture_budget_bytes=1 << 30) as farm:
            hello = await farm.started()
            rows = await _views(farm, source, rounds)
            kept = sum(_resident_bytes(pid) for pid in farm.worker_pids())
    finally:
        segment.close()
    held = segment.size_bytes
    means = f"{held / 1e6:.0f} MB of voxels are shared by everybody who reads this series"
    rows.append(Row(group="memory", what="one render worker", value=kept / 1e6, unit="MB", means=means))
    how = "the processor" if hello.way == "software" else f"OpenGL {hello.version} ({hello.way})"
    return f"{hello.renderer}, by {how}", rows


async def _views(farm: RenderFarm, source: VolumeSource, rounds: int) -> list[Row]:
    works: list[tuple[str, str, Callable[[int], Awaitable[Rendered]]]] = [
        ("volume, while it is turned", "draft", lambda n: farm.volume(source, _view(n, draft=True))),
        ("volume, at rest", "finished", lambda n: farm.volume(source, _view(n))),
    ]
    if "refine" in VolumeView.__struct_fields__:
        works.append(("volume, refined", "refined", lambda n: farm.volume(source, _view(n, refine=4))))
    works += [
        (
            "maximum projection",
            "mip",
            lambda n: farm.volume(source, _view(n, "maximum_ip")),
        ),
        ("oblique plane", "plane", lambda n: farm.plane(source, _plane(n, 0.0))),
        ("oblique plane, 10 mm slab", "slab", lambda n: farm.plane(source, _plane(n, 10.0))),
    ]
    rows = []
    for name, kind, work in works:
        await work(0)
        taken = []
        for n in range(1, rounds + 1):
            rendered = await work(n)
            taken.append(rendered.timing_ms.get("draw", sum(rendered.timing_ms.values())))
        value = statistics.median(taken)
        means = ""
        if kind == "draft":
            means = f"{1000 / value:.0f} pictures a second for one who turns it"
        rows.append(Row(group="volume", what=name, value=value, unit="ms", means=means))
    return rows


def _view(n: int, method: Method = "volume_rendered", **more: Any) -> VolumeView:
    function = preset_for("ct-bone", "CT") if method == "volume_rendered" else None
    return VolumeView(
        method=method,
        viewpoint=_viewpoint(n),
        width=SIDE,
        height=SIDE,
        height_mm=HEIGHT_MM,
        window=None if function else _WINDOW,
        transfer_function=function,
        **more,
    )


def _plane(n: int, slab_mm: float) -> PlaneView:
    return PlaneView(
        viewpoint=_viewpoint(n), width=SIDE, height=SIDE, height_mm=HEIGHT_MM, window=_WINDOW, slab_mm=slab_mm
    )


def _viewpoint(n: int) -> Viewpoint:
    angle = np.radians(17 + 43 * n)
    return Viewpoint(
        (float(400 * np.sin(angle)), float(-400 * np.cos(angle)), 90.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    )


def _resident_bytes(pid: int) -> int:
    """Memory of a process that it shares with nobody; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")
