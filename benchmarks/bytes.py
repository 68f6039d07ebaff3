"""Bytes and time per picture at equal likeness (SSIM) for the formats of browsers: the table that chooses.

    python benchmarks/bytes.py [--write] [--quick]

For every format and likeness, the lowest quality at which three of four pictures reach it, and what it costs
then. ``--write`` renews the tables that the code reads and docs/benchmarks/bytes.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import imagecodecs
import msgspec
import numpy as np
from measure import machine
from pictures import real_pictures

from sivr import codec
from sivr.model.pixels import Window

QUALITIES = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 96, 98)
LIKENESSES = (0.85, 0.90, 0.95, 0.98)
LOSSY = ("image/jpeg", "image/webp", "image/avif", "image/jxl")
LOSSLESS = ("image/png", "image/webp", "image/jxl")
WINDOWS = {"soft tissue": Window(40, 400), "lung": Window(-600, 1500), "bone": Window(400, 1800)}
LINES = (("2G", 750e3, 100.0), ("4G", 4e6, 20.0), ("LAN", 1e9, 0.3))
"""Of the paper: name, bits per second, round trip in ms."""
SIDE = 512
ROOT = Path(__file__).resolve().parents[1]


class Cost(msgspec.Struct, frozen=True):
    """What a pixel costs, means over the pictures."""

    quality: int | None
    ssim: float
    bytes_per_pixel: float
    encode_ns_per_pixel: float
    decode_ns_per_pixel: float

    @property
    def cpu_ns_per_pixel(self) -> float:
        """Of both ends."""
        return self.encode_ns_per_pixel + self.decode_ns_per_pixel


def ssim(a: np.ndarray, b: np.ndarray) -> float:  # type: ignore[type-arg]
    """Mean structural similarity of two 8-bit pictures (Wang et al. 2004): Gaussian 11 x 11, sigma 1.5.

    Of color, the luminance. Without scikit-image, whose ``structural_similarity(gaussian_weights=True,
    sigma=1.5, use_sample_covariance=False, data_range=255)`` is the same.
    """
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = (weights / weights.sum()).astype(np.float32)

    def smooth(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        for axis in (0, 1):
            size = values.shape[axis] - 10
            parts = (np.take(values, range(n, n + size), axis) * weights[n] for n in range(11))
            values = sum(parts)  # type: ignore[assignment]
        return values

    x, y = (_luminance(one) for one in (a, b))
    mean_x, mean_y = smooth(x), smooth(y)
    var_x, var_y = smooth(x * x) - mean_x**2, smooth(y * y) - mean_y**2
    both = smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return float(np.mean(found / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))))


def _luminance(pixels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    if pixels.ndim == 2:
        return pixels.astype(np.float32)
    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def groups(quick: bool) -> dict[str, list[np.ndarray]]:  # type: ignore[type-arg]
    """Grey and color pictures as they are looked at."""
    found: dict[str, list[np.ndarray]] = {"grey": [], "color": []}  # type: ignore[type-arg]
    of_kind: dict[str, int] = {}
    for one in real_pictures():
        form = one.header.pixel_format
        square = one.pixels.ndim == 2 and min(one.pixels.shape) >= 128 and max(one.pixels.shape) <= 1024
        many = of_kind.get(one.modality, 0)
        if form is None or not square or one.modality not in ("CT", "MR", "PT", "XA", "CR", "RF", "NM", "US"):
            continue
        if "bad" in one.name or many >= (1 if quick else 3):
            continue
        of_kind[one.modality] = many + 1
        found["grey"].append(one.pixels)
        if one.modality == "CT" and np.ptp(one.values) > 1000:
            found["grey"] += [one.shown(window) for window in WINDOWS.values()]
    found["color"] = _volumes(quick)
    found["grey"] = [one for one in found["grey"] if one.std() > 1]
    return found


def _volumes(quick: bool) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Shaded volumes of the real head, or of the phantom where it is not there."""
    from volume_data import BONE, SKIN, body, series
    from volumes import REAL, Ours, viewpoints

    volume = series(REAL) if REAL.is_dir() else body(100)
    ours = Ours(volume, "software")
    try:
        views = viewpoints(volume, 2 if quick else 4)
        return [np.array(ours.draw(view, one)) for view in views for one in (BONE, SKIN)]
    finally:
        ours.close()


def _written(pixels: np.ndarray, media_type: str, quality: int | None) -> bytes:  # type: ignore[type-arg]
    if media_type == "image/jxl":
        # Not a type the server writes: measured to know what is missed.
        how: dict[str, Any] = {"lossless": True} if quality is None else {"level": quality}
        return bytes(imagecodecs.jpegxl_encode(pixels, effort=2, numthreads=1, **how))
    return codec.encode(pixels, media_type, quality)


def _read(body: bytes, media_type: str) -> np.ndarray:  # type: ignore[type-arg]
    if media_type == "image/jxl":
        return np.asarray(imagecodecs.jpegxl_decode(body, numthreads=1))
    return codec.decode(body)


def _cpu_ns(work: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found) * 1e9


def _cost(pictures: list[np.ndarray], media_type: str, quality: int | None, likeness: float) -> Cost:  # type: ignore[type-arg]
    size, encode, decode = [], [], []
    for pixels in pictures:
        body = _written(pixels, media_type, quality)
        count = pixels.shape[0] * pixels.shape[1]
        size.append(len(body) / count)
        encode.append(_cpu_ns(lambda p=pixels: _written(p, media_type, quality)) / count)  # type: ignore[misc]
        decode.append(_cpu_ns(lambda b=body: _read(b, media_type)) / count)  # type: ignore[misc]
    return Cost(
        quality,
        round(likeness, 4),
        round(float(np.mean(size)), 4),
        round(float(np.mean(encode)), 1),
        round(float(np.mean(decode)), 1),
    )


def _likeness(pictures: list[np.ndarray], media_type: str, quality: int) -> float:  # type: ignore[type-arg]
    """What three of four pictures reach."""
    found = []
    for pixels in pictures:
        back = _read(_written(pixels, media_type, quality), media_type)
        if back.ndim > pixels.ndim:
            back = back[..., 0]
        if pixels.ndim > back.ndim:
            back = np.repeat(back[..., None], 3, axis=2)
        found.append(ssim(pixels, back))
    return float(np.quantile(found, 0.25))


def measure(quick: bool) -> dict[str, Any]:
    """The table: by kind of picture, likeness ("lossless" the highest) and media type."""
    table: dict[str, Any] = {}
    for kind, pictures in groups(quick).items():
        print(f"{kind}: {len(pictures)} pictures", flush=True)
        rows: dict[str, Any] = {f"{one:.2f}": {} for one in LIKENESSES}
        for media_type in LOSSY:
            # One after the other, not by halves: JPEG's likeness dips where its tables round badly (q 70).
            known = {quality: _likeness(pictures, media_type, quality) for quality in QUALITIES}
            for wanted in LIKENESSES:
                reached = [quality for quality in QUALITIES if known[quality] >= wanted]
                if reached:
                    cost = _cost(pictures, media_type, reached[0], known[reached[0]])
                    rows[f"{wanted:.2f}"][media_type] = cost
            print(f"  {media_type} done", flush=True)
        rows["lossless"] = {media_type: _cost(pictures, media_type, None, 1.0) for media_type in LOSSLESS}
        table[kind] = rows
    return table


HEAD = """# Bytes and time of picture formats at equal likeness

`python benchmarks/bytes.py --write`, {date},
{host}.

CPU time of the encoders as the server runs them; that of the decoders stands for the browser's. SSIM after
Wang et al. 2004; the quality is the lowest at which three of four pictures reach it. In grey: CT in up to
four windows, MR, PET, XA, CR, NM and US; in color: shaded volumes of a head. kB and ms are those of 512 x
512 pixels; the time on a line is encoding, transfer and decoding, without the round trip. The quickest is
**bold**.

`sivr/model/format_choice.py` chooses by this table where a caller accepts several formats and names no
quality, `sivr/static/model/formats.js` for the front end's previews and its automatic format. JPEG XL is
measured to know what is missed; the server does not write it.
"""


def page(table: dict[str, Any], host: str, date: str) -> str:
    """The table for people."""
    lines = [HEAD.format(date=date, host=host)]
    names = " | ".join(f"{name} ({rate / 1e6:g} Mbit/s), ms" for name, rate, _ in LINES)
    pixels = SIDE**2
    for kind, rows in table.items():
        for likeness, costs in rows.items():
            title = "lossless" if likeness == "lossless" else f"SSIM {likeness}"
            lines += [f"## {kind.capitalize()}, {title}", ""]
            lines += [f"| format | quality | kB | encode ms | decode ms | {names} |"]
            lines += ["|---|---|---|---|---|" + "---|" * len(LINES)]
            total = {
                media_type: [
                    pixels * (cost.bytes_per_pixel * 8e3 / rate + cost.cpu_ns_per_pixel / 1e6)
                    for _, rate, _ in LINES
                ]
                for media_type, cost in costs.items()
            }
            for media_type, cost in costs.items():
                times = [
                    f"**{one:.1f}**" if one == min(other[n] for other in total.values()) else f"{one:.1f}"
                    for n, one in enumerate(total[media_type])
                ]
                cells = (
                    media_type[6:].upper(),
                    str(cost.quality or ""),
                    f"{cost.bytes_per_pixel * pixels / 1000:.1f}",
                    f"{cost.encode_ns_per_pixel * pixels / 1e6:.2f}",
                    f"{cost.decode_ns_per_pixel * pixels / 1e6:.2f}",
                    *times,
                )
                lines.append(f"| {' | '.join(cells)} |")
            lines.append("")
    return "\n".join(lines)


def as_python(table: dict[str, Any], date: str) -> str:
    """The module that the server reads."""
    lines = [
        '"""By benchmarks/bytes.py: (quality, bytes per pixel, ns per pixel to encode and decode)."""',
        "",
        "from __future__ import annotations",
        "",
        "from sivr.model.rendering import MediaType",
        "",
        f'MEASURED = "{date}"',
        "",
        "COSTS: dict[str, dict[str, dict[MediaType, tuple[int | None, float, float]]]] = {",
    ]
    for kind, rows in table.items():
        lines.append(f'    "{kind}": {{')
        for likeness, costs in rows.items():
            lines.append(f'        "{likeness}": {{')
            for media_type, cost in costs.items():
                if media_type in codec.CODECS:
                    values = f"({cost.quality}, {cost.bytes_per_pixel}, {cost.cpu_ns_per_pixel:.1f})"
                    lines.append(f'            "{media_type}": {values},')
            lines.append("        },")
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def as_javascript(table: dict[str, Any], date: str) -> str:
    """The module that the front end reads."""
    costs = {
        kind: {
            likeness: {
                media_type: [cost.quality, cost.bytes_per_pixel, round(cost.cpu_ns_per_pixel, 1)]
                for media_type, cost in costs.items()
                if media_type in codec.CODECS
            }
            for likeness, costs in rows.items()
        }
        for kind, rows in table.items()
    }
    return (
        "// @ts-check\n"
        "/** By benchmarks/bytes.py: [quality, bytes per pixel, ns per pixel to encode and decode]. */\n"
        f'export const MEASURED = "{date}";\n\n'
        "/** @type {Record<string, Record<string, Record<string, [number | null, number, number]>>>} */\n"
        f"export const COSTS = {json.dumps(costs, indent=2)};\n"
    )


def main() -> None:
    """Measure; write the tables that the code reads and the page that people read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="renew the tables of the code and the page")
    parser.add_argument("--quick", action="store_true", help="fewer pictures")
    given = parser.parse_args()
    table = measure(given.quick)
    date = time.strftime("%Y-%m-%d")
    text = page(table, machine(), date)
    print(text)
    if given.write:
        (ROOT / "docs" / "benchmarks" / "bytes.md").write_text(text)
        (ROOT / "sivr" / "model" / "format_costs.py").write_text(as_python(table, date))
        (ROOT / "sivr" / "static" / "model" / "format-costs.js").write_text(as_javascript(table, date))


if __name__ == "__main__":
    main()
