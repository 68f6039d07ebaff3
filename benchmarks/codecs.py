"""Encoders and decoders against those that others use: PNG against Pillow, JPEG Lossless and JPEG 2000 series
against pydicom with pylibjpeg.

    python benchmarks/codecs.py [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from measure import Row, Timing, alternate, machine, save, show, timed
from volume_data import body

from sivr import codec
from sivr.dicom.pixels import decode_frames
from sivr.dicom.read import read_header

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FRAMES = 48


def _grey(values: np.ndarray, center: float, width: float) -> np.ndarray:  # type: ignore[type-arg]
    low = center - width / 2
    return np.rint(np.clip((values.astype(np.float32) - low) / width, 0, 1) * 255).astype(np.uint8)


def pictures() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    """8-bit pictures as physicians look at them."""
    import pydicom

    trunk = body(3).voxels[1]
    found = {"lung": _grey(trunk, -600, 1500), "soft tissue": _grey(trunk, 40, 400)}
    for name, folder, window in (
        ("CT head", "ct-head-1mm", (40, 80)),
        ("MR head", "mr-head-jpeg-lossless", None),
    ):
        if not (DATA / folder).is_dir():
            continue
        files = sorted(path for path in (DATA / folder).iterdir() if path.suffix != ".md")
        data = pydicom.dcmread(files[len(files) // 2])
        values = data.pixel_array * float(data.get("RescaleSlope", 1)) + float(
            data.get("RescaleIntercept", 0)
        )
        center, width = window or (float(values.mean()) * 2, float(values.max()) / 2)
        found[name] = _grey(values, center, width)
    return found


def png(rounds: int) -> list[Row]:
    """PNG against Pillow's quickest level."""
    from PIL import Image

    rows = []
    for name, pixels in pictures().items():

        def theirs(pixels: np.ndarray = pixels) -> bytes:  # type: ignore[type-arg]
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG", compress_level=1)
            return out.getvalue()

        def ours(pixels: np.ndarray = pixels) -> bytes:  # type: ignore[type-arg]
            return codec.encode(pixels, "image/png")

        assert np.array_equal(codec.decode(ours()), pixels)

        def ten(work: Callable[[], bytes]) -> Timing:
            return timed(lambda: [work() for _ in range(10)])

        times = alternate(
            {"ours": [lambda one=ours: ten(one)], "pillow": [lambda one=theirs: ten(one)]}, rounds
        )
        sizes = len(ours()) / 1000, len(theirs()) / 1000
        rows.append(
            Row(
                f"PNG, {name}",
                f"{times['ours'].cpu_ms / 10:.2f} ms",
                f"Pillow level 1 {times['pillow'].cpu_ms / 10:.2f} ms",
                times["pillow"].cpu_ms / times["ours"].cpu_ms,
                8.0,
                f"{sizes[0]:.0f} kB, Pillow {sizes[1]:.0f} kB",
            )
        )
    return rows


def decoding(rounds: int) -> list[Row]:
    """A series on all cores against pydicom, which decodes on one."""
    import pydicom

    rows = []
    cores = len(os.sched_getaffinity(0))
    for name, file, target in (
        ("JPEG Lossless", "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm", 8.0),
        ("JPEG 2000", "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm", 1.8),
    ):
        path = DATA / "transfer-syntaxes" / file
        if not path.is_file():
            continue
        content = path.read_bytes()
        header = read_header(io.BytesIO(content))

        def one(content: bytes = content, header=header) -> np.ndarray:  # type: ignore[no-untyped-def, type-arg]
            return next(iter(decode_frames(header, content)))

        def reference(content: bytes = content) -> np.ndarray:  # type: ignore[type-arg]
            data = pydicom.dcmread(io.BytesIO(content))
            data.pixel_array_options(decoding_plugin="pylibjpeg")
            return data.pixel_array

        assert np.array_equal(one(), reference())
        mine, theirs = [], []
        with ThreadPoolExecutor(cores) as pool:
            for _ in range(rounds + 1):
                started = time.perf_counter()
                list(pool.map(lambda _: one(), range(FRAMES)))
                mine.append((time.perf_counter() - started) * 1000 / FRAMES)
                started = time.perf_counter()
                for _ in range(FRAMES // 4):
                    reference()
                theirs.append((time.perf_counter() - started) * 1000 / (FRAMES // 4))
        ours_ms, peer_ms = float(np.median(mine[1:])), float(np.median(theirs[1:]))
        rows.append(
            Row(
                f"{name} series, {cores} cores",
                f"{ours_ms:.2f} ms a frame",
                f"pydicom + pylibjpeg {peer_ms:.2f} ms",
                peer_ms / ours_ms,
                target,
                "wall time",
            )
        )
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(machine())
    rows = png(given.rounds) + decoding(given.rounds)
    print("\n" + show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
