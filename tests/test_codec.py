"""Pictures survive their encoding."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from sivr import codec
from sivr.errors import Invalid, NotAcceptable
from sivr.kernels.deflate import runs_and_codes
from sivr.kernels.scanlines import filtered

rng = np.random.default_rng(1)
SMOOTH = np.clip(
    np.add.outer(np.linspace(0, 160, 61), np.linspace(0, 80, 83)) + rng.normal(0, 2, (61, 83)), 0, 255
).astype(np.uint8)
COLOR = np.stack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH], axis=2)
PICTURES = {"gray": SMOOTH, "color": COLOR, "one pixel": SMOOTH[:1, :1], "one column": COLOR[:, :1]}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("media_type", codec.CODECS)
@pytest.mark.parametrize("quality", [None, 95])
def test_every_type_round_trips(media_type: str, picture: str, quality: int | None) -> None:
    pixels = PICTURES[picture]
    back = codec.decode(codec.encode(pixels, media_type, quality))
    if back.ndim > pixels.ndim:
        assert np.ptp(back.astype(int), axis=2).max() <= 1, "gray stays gray"
        back = back[..., 0]
    if pixels.ndim > back.ndim:
        back = np.repeat(back[..., None], 3, axis=2)
    assert back.shape == pixels.shape
    if codec.is_lossless(media_type, pixels.ndim == 3, quality):
        assert np.array_equal(back, pixels)
    elif media_type != "image/gif":
        error = np.mean((back.astype(float) - pixels) ** 2)
        assert error < 40


def test_lower_quality_is_smaller() -> None:
    for media_type in ("image/jpeg", "image/webp", "image/avif"):
        assert len(codec.encode(COLOR, media_type, 20)) < len(codec.encode(COLOR, media_type, 95))


@pytest.mark.parametrize("height", [1, 2, 37])
@pytest.mark.parametrize("width", [1, 2, 7, 64, 65, 66, 129, 700])
@pytest.mark.parametrize("kind", ["smooth", "noise", "flat", "drawing"])
def test_png_of_every_shape_is_read_by_others(height: int, width: int, kind: str) -> None:
    import imagecodecs
    from PIL import Image

    for samples in ((), (3,)):
        shape = (height, width, *samples)
        pixels = {
            "smooth": np.clip(np.cumsum(rng.normal(0, 3, shape), axis=1) + 99, 0, 255),
            "noise": rng.integers(0, 256, shape),
            "flat": np.full(shape, 200),
            "drawing": np.indices(shape)[1] // 5 % 3 * 100,
        }[kind].astype(np.uint8)
        body = codec.encode(pixels, "image/png")
        with Image.open(BytesIO(body)) as image:
            image.load()
            assert image.mode == ("RGB" if samples else "L")
            assert np.array_equal(np.asarray(image), pixels)
        assert np.array_equal(imagecodecs.png_decode(body).reshape(shape), pixels)


def test_png_finds_the_strings_of_a_screen() -> None:
    word = rng.integers(0, 2, (12, 40, 1), np.uint8) * np.array([250, 180, 20], np.uint8)
    screen = np.tile(word, (30, 12, 1))
    assert len(codec.encode(screen, "image/png")) < len(runs_and_codes(filtered(screen).reshape(-1))) / 2


def test_png_of_noise_is_hardly_larger_than_the_noise() -> None:
    noise = rng.integers(0, 256, (300, 300), np.uint8)
    assert len(codec.encode(noise, "image/png")) < noise.size * 1.01


def test_non_contiguous_pixels_are_written_as_they_look() -> None:
    view = COLOR[::-1, ::2]
    assert np.array_equal(codec.decode(codec.encode(view, "image/png")), view)


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(Invalid, match="between 1 and 100"):
        codec.encode(SMOOTH, "image/jpeg", quality)


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(NotAcceptable):
        codec.encode(SMOOTH, "image/bmp")
    with pytest.raises(Invalid):
        codec.encode(SMOOTH.astype(np.uint16), "image/png")  # type: ignore[arg-type]
    with pytest.raises(Invalid):
        codec.encode(SMOOTH[:0], "image/png")
    with pytest.raises(Invalid):
        codec.encode(np.zeros((1, 20000), np.uint8), "image/webp")
    with pytest.raises(Invalid):
        codec.decode(b"not a picture")
