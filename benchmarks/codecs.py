"""Encoders and decoders against those that others use: PNG against Pillow, JPEG Lossless and JPEG 2000 series
against pydicom with pylibjpeg.

    python benchmarks/codecs.py [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np
from measure import Row, Timing, alternate, machine, save, show, timed
from pictures import real_pictures
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


class Duel(msgspec.Struct, frozen=True):
    """PNG of one picture, ours and Pillow's quickest: CPU time and size of both."""

    ours_ms: float
    theirs_ms: float
    ours_bytes: int
    theirs_bytes: int

    @property
    def ratio(self) -> float:
        """How many times quicker ours is."""
        return self.theirs_ms / self.ours_ms

    @property
    def size(self) -> float:
        """Our bytes per byte of Pillow's."""
        return self.ours_bytes / self.theirs_bytes


def duel(pixels: np.ndarray, rounds: int, repeats: int = 10) -> Duel:  # type: ignore[type-arg]
    """Write ``pixels`` with both, and read ours with Pillow and imagecodecs."""
    import imagecodecs
    from PIL import Image

    def theirs() -> bytes:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=1)
        return out.getvalue()

    def ours() -> bytes:
        return codec.encode(pixels, "image/png")

    def many(work: Callable[[], bytes]) -> Timing:
        return timed(lambda: [work() for _ in range(repeats)])

    body = ours()
    assert np.array_equal(codec.decode(body), pixels)
    assert np.array_equal(imagecodecs.png_decode(body), pixels)
    times = alternate({"ours": [lambda: many(ours)], "pillow": [lambda: many(theirs)]}, rounds)
    return Duel(times["ours"].cpu_ms / repeats, times["pillow"].cpu_ms / repeats, len(body), len(theirs()))


def png(rounds: int) -> list[Row]:
    """PNG against Pillow's quickest level: four pictures by name, and every real one there is."""
    rows = []
    for name, pixels in pictures().items():
        one = duel(pixels, rounds)
        rows.append(
            Row(
                f"PNG, {name}",
                f"{one.ours_ms:.2f} ms",
                f"Pillow level 1 {one.theirs_ms:.2f} ms",
                one.ratio,
                8.0,
                f"{one.ours_bytes / 1000:.0f} kB, Pillow {one.theirs_bytes / 1000:.0f} kB",
            )
        )
    grey, color = [], []
    for picture in real_pictures():
        repeats = max(1, 200_000 // picture.pixels.size)
        (grey if picture.pixels.ndim == 2 else color).append(duel(picture.pixels, rounds, repeats))
    for name, duels, target in (("grey", grey, 8.0), ("color", color, 0.0)):
        if not duels:
            continue
        # Of masks and thumbnails of a few hundred bytes the call itself is the whole cost.
        ratios = [one.ratio for one in duels if one.theirs_bytes > 4000]
        sizes = [one.size for one in duels if one.theirs_bytes > 4000]
        rows.append(
            Row(
                f"PNG, {len(ratios)} real {name} pictures, median",
                f"{np.median([one.ours_ms for one in duels]):.2f} ms",
                f"Pillow level 1 {np.median([one.theirs_ms for one in duels]):.2f} ms",
                float(np.median(ratios)),
                target,
                f"worst {min(ratios):.1f}; bytes {np.median(sizes):.2f} of Pillow's, worst {max(sizes):.2f}",
            )
        )
    return rows


def decoding(rounds: int) -> list[Row]:
    """A series on all cores against pydicom, which decodes on one: the median of the rounds' ratios."""
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
        with ThreadPoolExecutor(cores) as pool:

            def series(one: Callable[[], object] = one, pool: ThreadPoolExecutor = pool) -> object:
                return list(pool.map(lambda _: one(), range(FRAMES)))

            def theirs(reference: Callable[[], object] = reference) -> object:
                return [reference() for _ in range(FRAMES // 4)]

            series()
            pairs = [(timed(series), timed(theirs)) for _ in range(max(rounds, 1))]
        wall = [(peer.wall_ms * 4) / ours.wall_ms for ours, peer in pairs]
        cpu = [(peer.cpu_ms * 4) / ours.cpu_ms for ours, peer in pairs]
        ours_ms = float(np.median([ours.wall_ms for ours, _ in pairs])) / FRAMES
        peer_ms = float(np.median([peer.wall_ms for _, peer in pairs])) * 4 / FRAMES
        rows.append(
            Row(
                f"{name} series, {cores} cores",
                f"{ours_ms:.2f} ms a frame",
                f"pydicom + pylibjpeg {peer_ms:.2f} ms",
                float(np.median(wall)),
                target,
                f"wall time; by CPU time {np.median(cpu):.2f}, {np.median(cpu) * cores:.1f} on idle cores",
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
