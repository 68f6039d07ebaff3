"""How near full quality and the converged picture of a volume come to what more work would show.

    python benchmarks/converged.py [--series FOLDER ...] [--slices 277] [--path software|gl]

The reference is ours on the processor, marched at an eighth of a voxel by 64 rays per pixel: of the whole
volume, and close up, where rings of single samples are seen. Compared at 160 x 160; CPU time is that of
512 x 512.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import volumes
from measure import Row, machine, psnr, save, show, timed
from volume_data import BONE, SKIN, Array, Volume, body, series
from volumes import REAL, Ours, viewpoints

from sivr.codec import encode
from sivr.gl import context, passes
from sivr.model.rendering import TransferFunction, Viewpoint

CONVERGED = 8
"""Rays per pixel of the picture that the page shows of a view at rest."""
PARTS = (("whole", 1.0), ("close up", 0.25))
GAIN_DB = 10.0
COMPARED_SIDE, TIMED_SIDE = 160, 512


def reference(ours: Ours, function: TransferFunction, view: Viewpoint, height_mm: float) -> Array:
    """Many short steps of many rays, to the last ten thousandth of light."""
    usual = passes.STEP, passes.OPAQUE
    passes.STEP, passes.OPAQUE = 1 / 8, 0.9999
    try:
        return ours.draw(view, function, refine=64, height_mm=height_mm).astype(float)
    finally:
        passes.STEP, passes.OPAQUE = usual


def compare(volume: Volume, path: str, pictures: Path | None) -> list[Row]:
    """All lines of one volume."""
    rows = []
    volumes.SIDE = COMPARED_SIDE
    ours = Ours(volume, path)
    exact = ours if path == "software" else Ours(volume, "software")
    view = viewpoints(volume)[0]
    for function in (BONE, SKIN):
        for part, share in PARTS:
            name = f"{function.name}, {part}, {volume.name}"
            height_mm = volume.extent_mm * share
            truth = reference(exact, function, view, height_mm)
            steep = np.hypot(*np.gradient(truth.mean(axis=2)))
            seen = truth.max(axis=2) > 8
            edges = steep > np.percentile(steep[seen], 80)
            smooth = seen & (steep < np.percentile(steep[seen], 50))
            cpu_ms, decibels = {}, {}
            for rays in (1, CONVERGED):
                drawn: list[Array] = []

                draw = partial(_draw, drawn, ours, view, function, rays, height_mm)

                draw()
                volumes.SIDE = TIMED_SIDE
                cpu_ms[rays] = timed(draw).cpu_ms
                volumes.SIDE = COMPARED_SIDE
                decibels[rays] = [
                    psnr(drawn[0][place], truth[place]) for place in (seen | edges, edges, smooth)
                ]
                if pictures:
                    file = pictures / f"{name.replace(', ', '-').replace(' ', '-')}-{rays}-{path}.png"
                    file.write_bytes(encode(drawn[0], "image/png"))
            full, best = decibels[1], decibels[CONVERGED]
            rows.append(
                Row(
                    f"converged, {name}",
                    f"{best[0]:.1f} dB, {cpu_ms[CONVERGED]:.0f} ms",
                    f"full quality {full[0]:.1f} dB, {cpu_ms[1]:.0f} ms",
                    float(best[1] - full[1]),
                    GAIN_DB,
                    f"dB nearer at edges, {full[1]:.1f} to {best[1]:.1f}; on smooth surfaces {full[2]:.1f} "
                    f"to {best[2]:.1f}",
                )
            )
            print("  " + "; ".join((rows[-1].what, rows[-1].ours, rows[-1].peer, rows[-1].note)), flush=True)
    ours.close()
    exact.close()
    return rows


def _draw(into: list[Array], ours: Ours, view: Viewpoint, function: Any, rays: int, height_mm: float) -> None:
    into.append(ours.draw(view, function, refine=rays, height_mm=height_mm))


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--series", type=Path, action="append", default=[])
    parser.add_argument("--slices", type=int, default=277)
    parser.add_argument("--rounds", type=int, default=1, help="taken as the other benchmarks do; not used")
    parser.add_argument("--no-real", action="store_true")
    parser.add_argument("--no-body", action="store_true")
    parser.add_argument("--path", choices=("software", "gl"), default="software")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.path == "gl":
        context.create("auto")
    print(machine(), given.path, sep="; ")
    rows = []
    for folder in given.series or ([REAL] if REAL.is_dir() and not given.no_real else []):
        rows += compare(series(folder), given.path, given.pictures)
    if not given.no_body:
        rows += compare(body(given.slices), given.path, given.pictures)
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
