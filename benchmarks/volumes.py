"""Volume pictures against VTK's ray casters: same volume, transfer function, camera and step, 512 x 512.

    python benchmarks/volumes.py [--series FOLDER ...] [--slices 555] [--rounds 3] [--path software|gl]
    python benchmarks/volumes.py --only-gpu-mapper [--pictures FOLDER]

CPU time of both in one run, alternating. Every renderer is held to its own picture at half the step
(PSNR). VTK's GPU mapper is measured on the rasterizer of the processor (llvmpipe), the graphics device of a
node without a card; with a card it is left out, for CPU time says nothing there. Without the vtk package
only our own figures are printed.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from measure import Row, Timing, alternate, machine, psnr, save, show, timed
from volume_data import BONE, SKIN, Array, Volume, body, series

from sivr.errors import Unavailable
from sivr.gl import context
from sivr.gl.source import VolumeSource
from sivr.model.cameras import basis
from sivr.model.pixels import Window
from sivr.model.rendering import Method, PlaneView, TransferFunction, Viewpoint, VolumeView

SIDE = 512
VIEWS = 8
GPU_MAPPER_VIEWS = 2
"""VTK's GPU mapper takes seconds for each on a processor."""
SLAB_MM = 10.0
WINDOW = Window(300.0, 1400.0, "linear-exact")
REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct-head-1mm"


def viewpoints(volume: Volume, count: int = VIEWS) -> list[Viewpoint]:
    """Around the patient, each a little from above or below."""
    found = []
    for n in range(count):
        angle = 2 * math.pi * (n + 0.3) / count
        tilt = 0.35 * math.sin(1.7 * n)
        away = volume.extent_mm
        x, y, z = volume.center
        position = (
            x + away * math.cos(angle) * math.cos(tilt),
            y + away * math.sin(angle) * math.cos(tilt),
            z + away * math.sin(tilt),
        )
        found.append(Viewpoint(position, volume.center, (0.0, 0.0, 1.0)))
    return found


class Ours:
    """The renderer as a render worker has it, in this process."""

    def __init__(self, volume: Volume, path: str) -> None:
        self.textures: Any
        self.raycaster: Any
        if path == "gl":
            from sivr.gl.raycast import Raycaster
            from sivr.gl.textures import TextureCache

            self.textures = TextureCache(8 << 30)
            self.raycaster = Raycaster(self.textures)
        else:
            from sivr.gl.software import SoftwareCaster, SoftwareVolumes

            self.textures = SoftwareVolumes(8 << 30)
            self.raycaster = SoftwareCaster()
        self.volume = volume
        name = f"sivr-bench-{uuid.uuid4().hex}"
        self.path = Path("/dev/shm") / name
        with self.path.open("wb") as file:
            file.write(volume.voxels.data)
            file.write(b"\1" * len(volume.voxels))
        self.source = VolumeSource(
            key=name,
            shm_name=name,
            shape=volume.voxels.shape,
            dtype="int16",
            slope=1.0,
            intercept=0.0,
            lps_from_ijk=tuple(tuple(float(x) for x in row) for row in volume.affine),
            status_offset=volume.voxels.nbytes,
        )
        started, wall = time.process_time(), time.perf_counter()
        self.texture = self.textures.get(self.source, None, None)
        self.loaded_ms = (time.perf_counter() - wall) * 1000
        while self.textures.prepare(1.0):
            pass
        # Mapped by now: nothing stays behind, however this ends.
        self.path.unlink()
        self.prepared_cpu_ms = (time.process_time() - started) * 1000
        self.prepared_ms = (time.perf_counter() - wall) * 1000

    def draw(
        self,
        viewpoint: Viewpoint,
        function: TransferFunction | None,
        *,
        draft: bool = False,
        refine: int = 1,
        height_mm: float | None = None,
        method: Method = "volume_rendered",
        window: Window | None = None,
    ) -> Array:
        """A picture, read back."""
        view = self.view(
            viewpoint, function, draft=draft, refine=refine, height_mm=height_mm, method=method, window=window
        )
        pixels: Array = self.raycaster.volume(self.texture, view)
        return pixels

    def view(
        self,
        viewpoint: Viewpoint,
        function: TransferFunction | None,
        *,
        draft: bool = False,
        refine: int = 1,
        height_mm: float | None = None,
        method: Method = "volume_rendered",
        window: Window | None = None,
    ) -> VolumeView:
        """What ``draw`` asks for."""
        return VolumeView(
            method=method,
            viewpoint=viewpoint,
            width=SIDE,
            height=SIDE,
            height_mm=height_mm or self.volume.extent_mm,
            window=window,
            transfer_function=function,
            draft=draft,
            refine=refine,
        )

    def slab(self, viewpoint: Viewpoint) -> Array:
        """The mean of an oblique slab, through a window."""
        view = PlaneView(viewpoint, SIDE, SIDE, self.volume.extent_mm, WINDOW, SLAB_MM, "average_ip")
        pixels: Array = self.raycaster.plane(self.texture, view)
        return pixels

    def close(self) -> None:
        """Free the volume."""
        self.textures.clear()


class Vtk:
    """vtkFixedPointVolumeRayCastMapper (or the GPU mapper), offscreen.

    In a process of its own (``Peer``): two OpenGL contexts in one thread take it from each other.
    """

    def __init__(self, volume: Volume, *, gpu: bool = False) -> None:
        import vtk
        from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

        self.vtk, self.to_numpy, self.volume = vtk, vtk_to_numpy, volume
        image = vtk.vtkImageData()
        depth, rows, columns = volume.voxels.shape
        image.SetDimensions(columns, rows, depth)
        image.SetSpacing(*volume.spacing)
        self.flat = numpy_to_vtk(volume.voxels.reshape(-1), deep=False)
        image.GetPointData().SetScalars(self.flat)
        # VTK's volume is axis aligned: its world is the volume's own, turned into ours by the actor.
        matrix = vtk.vtkMatrix4x4()
        for row in range(4):
            for column in range(4):
                scale = volume.spacing[column] if column < 3 else 1.0
                matrix.SetElement(row, column, float(volume.affine[row, column] / scale))
        mapper = vtk.vtkGPUVolumeRayCastMapper() if gpu else vtk.vtkFixedPointVolumeRayCastMapper()
        mapper.SetInputData(image)
        mapper.SetAutoAdjustSampleDistances(0)
        if not gpu:
            mapper.SetNumberOfThreads(2)
            mapper.SetInteractiveSampleDistance(float(volume.spacing.min()))
        mapper.SetImageSampleDistance(1.0)
        self.mapper, self.image = mapper, image
        self.actor = vtk.vtkVolume()
        self.actor.SetMapper(mapper)
        self.actor.SetUserMatrix(matrix)
        self.renderer = vtk.vtkRenderer()
        self.renderer.SetBackground(0, 0, 0)
        self.renderer.AddVolume(self.actor)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(SIDE, SIDE)
        self.window.AddRenderer(self.renderer)
        self.set_step(1.0)
        self.properties: dict[str, Any] = {}

    def device(self) -> str:
        """The OpenGL renderer that VTK draws with."""
        lines = self.window.ReportCapabilities().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if "renderer string" in line), "none")

    def set_step(self, voxels: float) -> None:
        """Distance of samples, in voxels of the finest axis."""
        self.mapper.SetSampleDistance(float(self.volume.spacing.min() * voxels))

    def _property(self, function: TransferFunction) -> Any:
        known = self.properties.get(function.name)
        if known is not None:
            return known
        vtk = self.vtk
        colors, opacity = vtk.vtkColorTransferFunction(), vtk.vtkPiecewiseFunction()
        for value, red, green, blue, alpha in function.points:
            colors.AddRGBPoint(value, red, green, blue)
            opacity.AddPoint(value, alpha)
        made = vtk.vtkVolumeProperty()
        made.SetColor(colors)
        made.SetScalarOpacity(opacity)
        made.SetScalarOpacityUnitDistance(function.opacity_unit_mm)
        made.SetInterpolationTypeToLinear()
        made.ShadeOn()
        made.SetAmbient(function.ambient)
        made.SetDiffuse(function.diffuse)
        made.SetSpecular(function.specular)
        made.SetSpecularPower(24.0)
        self.properties[function.name] = made
        return made

    def _projection(self) -> Any:
        known = self.properties.get("mip")
        if known is None:
            colors, opacity = self.vtk.vtkColorTransferFunction(), self.vtk.vtkPiecewiseFunction()
            low, high = WINDOW.center - WINDOW.width / 2, WINDOW.center + WINDOW.width / 2
            colors.AddRGBPoint(low, 0, 0, 0)
            colors.AddRGBPoint(high, 1, 1, 1)
            opacity.AddPoint(low, 1.0)
            opacity.AddPoint(high, 1.0)
            known = self.vtk.vtkVolumeProperty()
            known.SetColor(colors)
            known.SetScalarOpacity(opacity)
            known.SetInterpolationTypeToLinear()
            known.ShadeOff()
            self.properties["mip"] = known
        return known

    def slab(self, viewpoint: Viewpoint) -> Array:
        """The mean of an oblique slab: values, without a window."""
        right, up, toward = (np.array(axis) for axis in basis(viewpoint))
        turn = self.volume.affine[:3, :3] / self.volume.spacing
        center = turn.T @ (np.array(viewpoint.look_at) - self.volume.affine[:3, 3])
        axes = self.vtk.vtkMatrix4x4()
        for column, axis in enumerate((turn.T @ right, turn.T @ -up, turn.T @ -toward, center)):
            for row in range(3):
                axes.SetElement(row, column, float(axis[row]))
        pixel = self.volume.extent_mm / SIDE
        finest = float(self.volume.spacing.min())
        found = self.vtk.vtkImageReslice()
        found.SetInputData(self.image)
        found.SetResliceAxes(axes)
        found.SetInterpolationModeToLinear()
        found.SetOutputDimensionality(2)
        found.SetOutputSpacing(pixel, pixel, finest)
        found.SetOutputExtent(0, SIDE - 1, 0, SIDE - 1, 0, 0)
        found.SetOutputOrigin(-(SIDE - 1) / 2 * pixel, -(SIDE - 1) / 2 * pixel, 0)
        found.SetSlabModeToMean()
        found.SetSlabNumberOfSlices(round(SLAB_MM / finest))
        found.SetBackgroundLevel(-1024)
        found.Update()
        values: Array = self.to_numpy(found.GetOutput().GetPointData().GetScalars())
        return values.reshape(SIDE, SIDE)

    def draw(self, viewpoint: Viewpoint, function: TransferFunction | None) -> Array:
        """A picture, read back; a maximum projection without a transfer function."""
        if function is None:
            self.mapper.SetBlendModeToMaximumIntensity()
            self.actor.SetProperty(self._projection())
        else:
            self.mapper.SetBlendModeToComposite()
            self.actor.SetProperty(self._property(function))
        camera = self.renderer.GetActiveCamera()
        camera.ParallelProjectionOn()
        camera.SetParallelScale(self.volume.extent_mm / 2)
        camera.SetPosition(*viewpoint.position)
        camera.SetFocalPoint(*viewpoint.look_at)
        camera.SetViewUp(*viewpoint.up)
        self.renderer.ResetCameraClippingRange()
        self.window.Render()
        read = self.vtk.vtkUnsignedCharArray()
        self.window.GetPixelData(0, 0, SIDE - 1, SIDE - 1, 1, read, 0)
        pixels: Array = self.to_numpy(read).reshape(SIDE, SIDE, 3)[::-1]
        return pixels


def _serve(pipe: Any, volume: Volume, gpu: bool) -> None:
    # Read when the first window is made; without it VTK looks for an X server first.
    os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    peer = Vtk(volume, gpu=gpu)
    while (asked := pipe.recv()) is not None:
        if asked == "device":
            pipe.send(peer.device())
            continue
        viewpoint, function = asked
        pixels: list[Array] = []

        def draw(viewpoint: Viewpoint = viewpoint, function: Any = function, into: Any = pixels) -> None:
            into.append(peer.slab(viewpoint) if function == "slab" else peer.draw(viewpoint, function))

        timing = timed(draw)
        pipe.send((timing, pixels[0].copy()))


class Peer:
    """VTK in a process of its own, asked by a pipe; its CPU time is that process's."""

    def __init__(self, volume: Volume, *, gpu: bool = False) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, volume, gpu), daemon=True)
        self.process.start()

    def ask(self, viewpoint: Viewpoint, function: TransferFunction | str | None) -> tuple[Timing, Array]:
        """One picture and what it took."""
        self.pipe.send((viewpoint, function))
        answer: tuple[Timing, Array] = self.pipe.recv()
        return answer

    def draw(self, viewpoint: Viewpoint, function: TransferFunction | str | None) -> Array:
        """One picture."""
        return self.ask(viewpoint, function)[1]

    def time(self, viewpoint: Viewpoint, function: TransferFunction | str | None) -> Timing:
        """What one picture took."""
        return self.ask(viewpoint, function)[0]

    def device(self) -> str:
        """The OpenGL renderer it draws with, once it has drawn."""
        self.pipe.send("device")
        found: str = self.pipe.recv()
        return found

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join(10)


def half_step(ours: Ours, function: TransferFunction, views: list[Viewpoint]) -> float:
    """Mean PSNR of finished pictures to those of half the step."""
    usual = ours.raycaster.full_step
    found = []
    for view in views:
        whole = ours.draw(view, function)
        ours.raycaster.full_step = usual / 2
        try:
            found.append(psnr(whole, ours.draw(view, function)))
        finally:
            ours.raycaster.full_step = usual
    return float(np.mean(found))


def compare(volume: Volume, path: str, rounds: int, real: bool, peer: bool) -> list[Row]:
    """All lines of one volume."""
    rows = []
    ours = Ours(volume, path)
    vtk = Peer(volume) if peer else None
    views = viewpoints(volume)
    print(
        f"\n{volume.name}: textures {ours.prepared_cpu_ms:.0f} ms CPU, {ours.prepared_ms:.0f} ms", flush=True
    )
    for function in (BONE, SKIN):
        works: dict[str, list[Callable[[], Timing]]] = {
            "full": [partial(_time, ours, view, function) for view in views],
            "draft": [partial(_time, ours, view, function, draft=True) for view in views],
        }
        if vtk is not None:
            works["vtk"] = [partial(vtk.time, view, function) for view in views]
        times = alternate(works, rounds)
        own = half_step(ours, function, views[:3])
        full = [ours.draw(view, function) for view in views[:3]]
        draft = float(
            np.mean(
                [psnr(f, ours.draw(v, function, draft=True)) for f, v in zip(full, views[:3], strict=True)]
            )
        )
        same = ""
        if vtk is not None:
            alike = [psnr(f, vtk.draw(v, function)) for f, v in zip(full, views, strict=False)]
            same = f", VTK {np.mean(alike):.1f} dB"
        print(
            f"  {function.name}: "
            + ", ".join(f"{name} {t.cpu_ms:.0f} ms CPU ({t.wall_ms:.0f} wall)" for name, t in times.items())
            + f"; own half step {own:.1f} dB, draft {draft:.1f} dB{same}",
            flush=True,
        )
        if vtk is None:
            continue
        name = f"{function.name}, {volume.name}"
        base = times["vtk"].cpu_ms
        rows += [
            Row(
                f"full quality, {name}",
                f"{times['full'].cpu_ms:.0f} ms",
                f"VTK CPU {base:.0f} ms",
                base / times["full"].cpu_ms,
                3.0 if real else 4.0,
                f"half step {own:.1f} dB",
            ),
            Row(
                f"interactive, {name}",
                f"{times['draft'].cpu_ms:.0f} ms",
                f"VTK CPU {base:.0f} ms",
                base / times["draft"].cpu_ms,
                5.0 if real else 7.0,
                f"{draft:.1f} dB, {1000 / times['draft'].wall_ms:.0f} frames/s",
            ),
        ]
    works = {"mip": [partial(_time, ours, view, None, method="maximum_ip", window=WINDOW) for view in views]}
    if vtk is not None:
        works["vtk"] = [partial(vtk.time, view, None) for view in views]
    times = alternate(works, rounds)
    print(
        "  MIP: "
        + ", ".join(f"{name} {t.cpu_ms:.0f} ms CPU ({t.wall_ms:.0f} wall)" for name, t in times.items())
    )
    if vtk is not None:
        rows.append(
            Row(
                f"MIP, {volume.name}",
                f"{times['mip'].cpu_ms:.0f} ms",
                f"VTK CPU {times['vtk'].cpu_ms:.0f} ms",
                times["vtk"].cpu_ms / times["mip"].cpu_ms,
                4.0,
            )
        )
    works = {"slab": [partial(_slab, ours, view) for view in views]}
    if vtk is not None:
        works["vtk"] = [partial(vtk.time, view, "slab") for view in views]
    times = alternate(works, rounds)
    found = (f"{name} {t.cpu_ms:.0f} ms CPU ({t.wall_ms:.0f} wall)" for name, t in times.items())
    print("  oblique slab:", ", ".join(found), flush=True)
    if vtk is not None:
        mine = ours.slab(views[1]).astype(float)
        theirs = np.clip((vtk.draw(views[1], "slab") - 300.0) / 1400 + 0.5, 0, 1) * 255
        inside = (mine > 0) & (theirs > 0)
        rows.append(
            Row(
                f"oblique {SLAB_MM:.0f} mm slab, {volume.name}",
                f"{times['slab'].cpu_ms:.0f} ms",
                f"vtkImageReslice {times['vtk'].cpu_ms:.0f} ms",
                times["vtk"].cpu_ms / times["slab"].cpu_ms,
                3.0,
                f"differ by {np.abs(mine - theirs)[inside].mean():.1f} grey levels",
            )
        )
    ours.close()
    if vtk is not None:
        vtk.close()
    return rows


def compare_gpu_mapper(volume: Volume, rounds: int, pictures: Path | None) -> list[Row]:
    """VTK's GPU mapper on llvmpipe against what a node without a graphics card draws with, and against our
    shaders on the same llvmpipe, all at a step of one voxel."""
    rows: list[Row] = []
    vtk, ours = Peer(volume, gpu=True), Ours(volume, "software")
    shaders = Ours(volume, "gl")
    shaders.raycaster.full_step = 1.0
    views = viewpoints(volume)[:GPU_MAPPER_VIEWS]
    vtk.draw(views[0], BONE)
    device = vtk.device()
    print(f"\n{volume.name}: vtkGPUVolumeRayCastMapper on {device}", flush=True)
    if context.is_software(device):
        for function in (BONE, SKIN):
            works = {
                "ours": [partial(_time, ours, view, function) for view in views],
                "our OpenGL": [partial(_time, shaders, view, function) for view in views],
                "VTK GPU mapper": [partial(vtk.time, view, function) for view in views],
            }
            times = alternate(works, rounds)
            rows += _gpu_mapper_rows(volume, function, times, ours, shaders, vtk, pictures)
    else:
        print("  left out: this is a graphics card, see benchmarks/gpu.py")
    ours.close()
    shaders.close()
    vtk.close()
    return rows


def _gpu_mapper_rows(
    volume: Volume,
    function: TransferFunction,
    times: dict[str, Timing],
    ours: Ours,
    shaders: Ours,
    vtk: Peer,
    pictures: Path | None,
) -> list[Row]:
    view = viewpoints(volume)[1]
    mine, drawn, theirs = ours.draw(view, function), shaders.draw(view, function), vtk.draw(view, function)
    if pictures is not None:
        from PIL import Image

        pictures.mkdir(parents=True, exist_ok=True)
        name = f"{function.name}-{len(volume.voxels)}.png"
        Image.fromarray(np.hstack([mine, drawn, theirs])).save(pictures / name)
    alike = {"ours": psnr(mine, theirs), "our OpenGL": psnr(drawn, theirs)}
    print(
        f"  {function.name}: "
        + ", ".join(f"{name} {t.cpu_ms:.0f} ms CPU ({t.wall_ms:.0f} wall)" for name, t in times.items())
        + f"; same scene: VTK's picture is {alike['ours']:.1f} dB from ours, "
        f"{alike['our OpenGL']:.1f} dB from "
        f"our OpenGL's, which are {psnr(mine, drawn):.1f} dB from each other",
        flush=True,
    )
    base = times["VTK GPU mapper"].cpu_ms
    return [
        Row(
            f"full quality, {function.name}, {volume.name}{which}",
            f"{times[name].cpu_ms:.0f} ms",
            f"VTK GPU mapper on llvmpipe {base:.0f} ms",
            base / times[name].cpu_ms,
            target,
            f"pictures {alike[name]:.1f} dB alike",
        )
        for name, which, target in (("ours", "", 20.0), ("our OpenGL", ", our OpenGL on llvmpipe", 1.0))
    ]


def _slab(ours: Ours, view: Viewpoint) -> Timing:
    return timed(lambda: ours.slab(view))


def _time(ours: Ours, view: Viewpoint, function: TransferFunction | None, **how: Any) -> Timing:
    return timed(lambda: ours.draw(view, function, **how))


def _context() -> bool:
    """Make OpenGL current in this process, if it can be."""
    try:
        context.create("auto")
    except Unavailable as error:
        print(f"No OpenGL here: {error}", file=sys.stderr)
        return False
    return True


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--series", type=Path, action="append", default=[])
    parser.add_argument("--slices", type=int, default=555)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-real", action="store_true")
    parser.add_argument("--no-body", action="store_true")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-gpu-mapper", action="store_true")
    parser.add_argument("--only-gpu-mapper", action="store_true")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of ours, our OpenGL and VTK's")
    parser.add_argument("--path", choices=("software", "gl"), default="software")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    renderer = "software"
    gpu_mapper = not (given.no_peer or given.no_gpu_mapper)
    if given.path == "gl" or gpu_mapper:
        gpu_mapper = _context() and gpu_mapper
    if given.path == "gl":
        renderer = context.describe()["renderer"]
    print(machine(), renderer, sep="; ")
    rows = []
    folders = given.series or ([REAL] if REAL.is_dir() and not given.no_real else [])
    volumes = [(partial(series, folder), True) for folder in folders]
    if not given.no_body:
        volumes.append((partial(body, given.slices), False))
    for load, real in volumes:
        volume = load()
        if not given.only_gpu_mapper:
            rows += compare(volume, given.path, given.rounds, real, not given.no_peer)
        if gpu_mapper:
            rows += compare_gpu_mapper(volume, min(given.rounds, 2), given.pictures)
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
