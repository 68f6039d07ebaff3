"""Movies read back by Pillow's decoders, and their containers box by box."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence

from sivr.errors import Invalid, NotAcceptable
from sivr.movie import movie

SIDE = 64


def frames(color: bool) -> list[np.ndarray]:
    """A square that walks to the right, one step a frame."""
    found = []
    for n in range(5):
        pixels = np.full((SIDE, SIDE + 10), 40, np.uint8)
        pixels[16:48, 8 * n : 8 * n + 16] = 220
        found.append(np.stack([pixels, pixels // 2, pixels // 4], axis=2) if color else pixels)
    return found


def written(media_type: str, color: bool) -> bytes:
    made = movie(media_type, 80, 95)
    for pixels in frames(color):
        made.add(pixels)
    return made.finish()


def check(body: bytes, color: bool, duration_ms: int) -> None:
    with Image.open(io.BytesIO(body)) as image:
        assert (image.n_frames, image.size) == (5, (SIDE + 10, SIDE))
        for want, frame in zip(frames(color), ImageSequence.Iterator(image), strict=True):
            got = np.asarray(frame.convert("RGB")).astype(int)
            want = want if want.ndim == 3 else np.repeat(want[..., None], 3, axis=2)
            assert np.abs(got - want).mean() < 4
            assert image.info["duration"] == duration_ms


@pytest.mark.parametrize("color", [False, True])
def test_webp_is_read_back_frame_by_frame(color: bool) -> None:
    body = written("image/webp", color)
    check(body, color, 80)
    with Image.open(io.BytesIO(body)) as image:
        assert image.info["loop"] == 0, "for ever"


def boxes(body: bytes) -> dict[bytes, bytes]:
    found, at = {}, 0
    while at < len(body):
        size, name = struct.unpack(">I4s", body[at : at + 8])
        found[name] = body[at + 8 : at + size]
        at += size
    assert at == len(body)
    return found


@pytest.mark.parametrize("color", [False, True])
def test_mp4_is_a_video_track_of_av1_and_nothing_else(color: bool) -> None:
    body = written("video/mp4", color)
    top = boxes(body)
    assert top[b"ftyp"][:4] == b"iso8" and b"av01" in top[b"ftyp"]
    assert {top[b"ftyp"][8:][n : n + 4] for n in range(0, len(top[b"ftyp"]) - 8, 4)} <= {
        b"iso8", b"mp41", b"av01", b"isom",
    }  # fmt: skip
    assert b"meta" not in top and set(top) >= {b"moov", b"mdat"}
    media = boxes(boxes(boxes(top[b"moov"])[b"trak"])[b"mdia"])
    assert media[b"hdlr"][8:12] == b"vide"
    tables = boxes(boxes(media[b"minf"])[b"stbl"])
    assert tables[b"stsd"][12:16] == b"av01"
    count, duration = struct.unpack(">II", tables[b"stts"][8:16])
    timescale = struct.unpack(">I", media[b"mdhd"][12:16])[0] if media[b"mdhd"][0] == 0 else 1000
    assert count == 5
    if media[b"mdhd"][0] == 0:
        assert duration / timescale == pytest.approx(0.08)
    # The names that make it a movie put back, the same bytes are an image sequence that Pillow decodes.
    back = bytearray(body)
    size = struct.unpack(">I", body[:4])[0]
    back[8:12] = b"avis"
    back[16:size] = (b"avifavismsf1miafMA1Biso8mp41avif" * 4)[: size - 16]
    at = back.index(b"free")
    back[at : at + 4] = b"meta"
    at = back.index(b"vide")
    back[at : at + 4] = b"pict"
    check(bytes(back), color, 80)


@pytest.mark.parametrize("media_type", ["image/webp", "video/mp4"])
def test_frames_of_another_size_and_movies_of_nothing_are_refused(media_type: str) -> None:
    made = movie(media_type, 40)
    with pytest.raises(Invalid):
        made.finish()
    made.add(np.zeros((8, 8), np.uint8))
    with pytest.raises(Invalid, match="one size"):
        made.add(np.zeros((8, 9), np.uint8))


def test_other_types_are_not_written() -> None:
    with pytest.raises(NotAcceptable):
        movie("video/quicktime", 40)
