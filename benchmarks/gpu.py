"""Fills in what only a machine with a graphics card can tell: pictures right on the device, and how quick.

    python benchmarks/gpu.py [--device 0] [--slices 555] [--rounds 3] [--check] [--json FILE]
    python benchmarks/gpu.py --allow-software        the same on llvmpipe, to try this script

Wall time, for a card leaves the processor idle; ours on the processor and VTK's GPU mapper on the same card
alternate with it. ``--check`` runs every pixel test of the OpenGL path on the device first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from measure import Row, Timing, alternate, machine, psnr, save, show, timed
from volume_data import BONE, SKIN, Array, Volume, body, series
from volumes import REAL, WINDOW, Ours, Peer, viewpoints

from sivr.errors import SivrError
from sivr.gl import context, devices
from sivr.gl.seat import Seat

ROOT = Path(__file__).resolve().parents[1]
VIEWS = 4
CHECKS = (
    "test_raycast.py",
    "test_refined.py",
    "test_golden.py",
    "test_slice.py",
    "test_textures.py",
    "test_readback.py",
    "test_real_volumes.py",
)


def check(device: devices.DeviceChoice) -> int:
    """Run the pixel tests of the OpenGL path on this device; their exit code."""
    tests = [str(ROOT / "tests" / "gl" / name) for name in CHECKS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"SIVR_TEST_GL_DEVICE": str(device)}).returncode


def same_pictures(card: Ours, processor: Ours, view: Any) -> list[str]:
    """What differs too much between the device and the processor; empty when nothing does."""
    faults = []
    for name, limit, draw in (
        ("MIP", 1, lambda ours: ours.draw(view, None, method="maximum_ip", window=WINDOW)),
        ("slab", 1, lambda ours: ours.slab(view)),
    ):
        a, b = (draw(one).astype(int) for one in (card, processor))
        # Rays that graze the border of the volume may fall on either side of it.
        off = float(np.mean(np.abs(a - b) > limit))
        print(f"  {name}: {off:.4%} of the pixels differ by more than {limit} grey level")
        if off > 0.002:
            faults.append(name)
    for function in (BONE, SKIN):
        a, b = (one.draw(view, function) for one in (card, processor))
        found = psnr(a, b)
        print(f"  {function.name}: {found:.1f} dB from the processor's")
        if found < 40:
            faults.append(function.name)
    plain, streamed = (_streamed(card, view, on) for on in (False, True))
    same = np.array_equal(plain, streamed)
    print(f"  both ways back give {'the same' if same else 'DIFFERENT'} pictures")
    return faults if same else [*faults, "readback"]


def _streamed(card: Ours, view: Any, on: bool) -> Array:
    usual, card.raycaster.streams = card.raycaster.streams, on
    try:
        return card.raycaster.volume(card.texture, card.view(view, BONE), lambda: None)  # type: ignore[no-any-return]
    finally:
        card.raycaster.streams = usual


def measure(volume: Volume, rounds: int, told: str) -> tuple[list[Row], list[str]]:
    """Rows of one volume, and what is drawn wrong."""
    processor = Ours(volume, "software")
    started = time.perf_counter()
    cold = Ours(volume, "gl")
    view = viewpoints(volume)[1]
    cold.draw(view, BONE)
    first_ms = (time.perf_counter() - started) * 1000
    cold.close()
    card = Ours(volume, "gl")
    rate = volume.voxels.nbytes / card.loaded_ms / 1e6
    print(
        f"\n{volume.name}: upload with brick ranges {card.loaded_ms:.0f} ms ({rate:.1f} GB/s), first "
        f"picture with what drafts need and compiling {first_ms:.0f} ms, "
        f"textures {card.textures.used_bytes() >> 20} MB"
    )
    faults = [f"{volume.name}: {fault}" for fault in same_pictures(card, processor, view)]
    try:
        vtk: Peer | None = Peer(volume, gpu=True)
        vtk.draw(view, BONE)  # type: ignore[union-attr]
    except (EOFError, OSError):
        vtk = None
    rows = []
    views = viewpoints(volume)[:VIEWS]
    works: list[tuple[str, dict[str, Any], Any]] = [
        (f"full quality {function.name}", {"function": function}, function) for function in (BONE, SKIN)
    ]
    works += [
        ("interactive bone", {"function": BONE, "draft": True}, None),
        ("MIP", {"function": None, "method": "maximum_ip", "window": WINDOW}, "mip"),
        ("slab", {}, None),
    ]
    for name, how, peer in works:
        calls: dict[str, list[Any]] = {
            which: [partial(_timed, ours, one, how) for one in views]
            for which, ours in (("device", card), ("processor", processor))
        }
        if vtk is not None and peer is not None:
            asked = None if peer == "mip" else peer
            calls["VTK"] = [partial(vtk.time, one, asked) for one in views]
        times = alternate(calls, rounds)
        ms = times["device"].wall_ms
        for which, label in (("processor", "our processor"), ("VTK", "VTK GPU mapper, same device")):
            if which in times:
                other = times[which].wall_ms
                what = f"GPU, {name}, {volume.name}"
                rows.append(Row(what, f"{ms:.1f} ms", f"{label} {other:.1f} ms", other / ms, 1.0, told))
    for ours in (card, processor):
        ours.close()
    if vtk is not None:
        vtk.close()
    return rows, faults


def _timed(ours: Ours, view: Any, how: dict[str, Any]) -> Timing:
    return timed(lambda: ours.draw(view, **how) if how else ours.slab(view))


def main() -> int:
    """Check, measure and print; 1 when a picture is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="all", help="number or DRM path; default: the first card")
    parser.add_argument("--allow-software", action="store_true", help="take llvmpipe where there is no card")
    parser.add_argument("--check", action="store_true", help="run all pixel tests on the device first")
    parser.add_argument("--series", type=Path, action="append", default=[])
    parser.add_argument("--slices", type=int, default=555)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device: devices.DeviceChoice = int(given.device) if given.device.isdigit() else given.device
    print(machine())
    try:
        made = context.create("egl", device)
    except SivrError as error:
        print(f"GPU: not measured ({error})")
        return 0
    names = context.describe()
    software = context.is_software(names["renderer"])
    if software and not given.allow_software:
        print(f"GPU: not measured (there is no graphics card, only {names['renderer']})")
        return 0
    from sivr.gl.memory import device_memory, texture_budget

    memory = device_memory()
    budget = texture_budget(Seat(device=device), made.devices, memory, software)
    told = f"{names['renderer']}, OpenGL {names['version']}"
    print(
        f"GPU: {told}; device {made.device or 'of the display'}, {memory.total >> 20} MB, "
        f"budget {budget >> 20} MB"
    )
    code = check(device) if given.check else 0
    rows: list[Row] = []
    faults = ["pixel tests"] if code else []
    folders = given.series or ([REAL] if REAL.is_dir() else [])
    for load in [*(partial(series, folder) for folder in folders), partial(body, given.slices)]:
        found, wrong = measure(load(), given.rounds, told)
        rows += found
        faults += wrong
    print("\n" + show(rows))
    print("WRONG: " + ", ".join(faults) if faults else "All pictures are right.")
    # Figures of a rasterizer are not those of a card.
    if given.json and not software:
        save(given.json, rows)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
