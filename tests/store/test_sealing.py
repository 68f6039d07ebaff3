"""Sealed files: every range is what was sealed, and nothing else ever comes out."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sivr.crypto import new_study_key
from sivr.errors import Gone, Invalid
from sivr.store import sealing
from sivr.store.sealing import CHUNK_BYTES, Form, Layout, StudyKey, chunk_ends, read_into, read_layout, seal

KEY = StudyKey(b"k" * 16, new_study_key())
OTHER = StudyKey(b"o" * 16, new_study_key())
NAME = b"n" * 32
FORMS = {
    "neither": Form(),
    "compressed": Form(True),
    "encrypted": Form(False, "aes-256-gcm"),
    "both": Form(True, "aes-256-gcm"),
    "both, XChaCha20": Form(True, "xchacha20-poly1305"),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
PIXELS = (np.arange(600_000, dtype="<u2") % 700 + 1000).tobytes()


def key_of(key_id: bytes) -> bytes:
    for one in (KEY, OTHER):
        if one.id == key_id:
            return one.key
    raise Gone("erased")


def sealed(body: bytes, form: Form, starts: list[int] | None = None, name: bytes = NAME) -> bytes:
    target = io.BytesIO()
    key = KEY if form.cipher else None
    seal(io.BytesIO(body), target, name, size=len(body), form=form, key=key, starts=starts or [])
    return target.getvalue()


@contextmanager
def opened(body: bytes, name: bytes = NAME) -> Iterator[tuple[int, Layout]]:
    descriptor = os.memfd_create("sealed")
    try:
        os.write(descriptor, body)
        yield descriptor, read_layout(descriptor, name, key_of)
    finally:
        os.close(descriptor)


def unsealed(body: bytes, name: bytes = NAME) -> bytes:
    with opened(body, name) as (descriptor, layout):
        out = bytearray(layout.size)
        assert read_into(descriptor, layout, 0, memoryview(out)) == layout.size
        return bytes(out)


def mixed_body(size: int, seed: int) -> bytes:
    """Words that pack well, noise, zeros and text, one after the other."""
    random = np.random.default_rng(seed)
    pieces = [
        random.normal(1000, 5, 70_000).astype("<u2").tobytes(),
        random.bytes(90_000),
        bytes(40_000),
        b"ISO_IR 192\\" * 4000,
    ]
    return (b"".join(pieces) * (size // 300_000 + 1))[:size]


@every_form
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_range_is_what_was_sealed(form: Form, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([0, 1, 2, 3, 1000, CHUNK_BYTES - 1, CHUNK_BYTES, 1_300_001]))
    starts = data.draw(st.lists(st.integers(0, size + 10), max_size=12))
    body = mixed_body(size, data.draw(st.integers(0, 3)))
    with opened(sealed(body, form, starts)) as (descriptor, layout):
        assert layout.size == size
        assert set(layout.plain_starts[1:-1]) <= set(starts) | {
            at + CHUNK_BYTES for at in layout.plain_starts
        }
        for _ in range(6):
            offset = data.draw(st.integers(0, size + 5))
            length = data.draw(st.integers(0, size + 5))
            out = bytearray(length)
            count = read_into(descriptor, layout, offset, memoryview(out))
            assert out[:count] == body[offset : offset + length]
            assert count == len(body[offset : offset + length])


@given(st.integers(0, 5 * CHUNK_BYTES), st.lists(st.integers(0, 5 * CHUNK_BYTES), max_size=20))
def test_chunks_cover_everything_in_order(size: int, starts: list[int]) -> None:
    ends = chunk_ends(size, starts)
    begins = [0, *ends][: len(ends)]
    assert (ends[-1] if ends else 0) == size
    assert all(0 < end - begin <= CHUNK_BYTES for begin, end in zip(begins, ends, strict=True) if size)


def test_frames_have_chunks_of_their_own() -> None:
    frame = 512 * 512 * 2
    starts = [1500 + frame * number for number in range(10)]
    assert chunk_ends(1500 + 10 * frame, starts) == [*starts, 1500 + 10 * frame]
    large = 3 * CHUNK_BYTES + 10
    ends = chunk_ends(100 + 2 * large, [100, 100 + large])
    assert 100 in ends and 100 + large in ends and len(ends) == 9


def test_one_frame_of_many_reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, frame = 555, 64 * 64 * 2
    pixels = np.random.default_rng(5).normal(1000, 30, frames * frame // 2).astype("<u2")
    body = b"h" * 5000 + pixels.tobytes()
    starts = [5000 + frame * number for number in range(frames)]
    stored = sealed(body, FORMS["both"], starts)
    counted: list[int] = []
    real = os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        counted.append(real(descriptor, buffers, offset))
        return counted[-1]

    monkeypatch.setattr(os, "preadv", preadv)
    with opened(stored) as (descriptor, layout):
        out = bytearray(frame)
        read_into(descriptor, layout, starts[300], memoryview(out))
    assert out == body[starts[300] : starts[301]]
    assert sum(counted) + layout.stored_starts[0] < 0.02 * len(stored)


@every_form
def test_every_changed_byte_is_noticed(form: Form) -> None:
    body = PIXELS[:3000]
    stored = sealed(body, form, [1000, 2000])
    assert unsealed(stored) == body
    for place in range(len(stored)):
        broken = bytearray(stored)
        broken[place] ^= 1 << place % 8
        with pytest.raises((Invalid, Gone)):
            unsealed(bytes(broken))


@every_form
def test_every_cut_is_noticed(form: Form) -> None:
    stored = sealed(PIXELS[:2000], form, [1000])
    for length in range(len(stored)):
        with pytest.raises(Invalid):
            unsealed(stored[:length])


@every_form
def test_chunks_cannot_be_exchanged_or_moved(form: Form) -> None:
    # Chunks of one size, so that only their seals tell them apart.
    body = os.urandom(3 * CHUNK_BYTES)
    stored = sealed(body, form)
    with opened(stored) as (_, layout):
        begin, middle, end = layout.stored_starts[:3]
    exchanged = stored[:begin] + stored[middle:end] + stored[begin:middle] + stored[end:]
    with pytest.raises(Invalid):
        unsealed(exchanged)
    again = sealed(body, form)
    if form.cipher:
        with pytest.raises(Invalid):
            unsealed(stored[:begin] + again[begin:])
    with pytest.raises(Invalid):
        unsealed(stored, b"m" * 32)


def test_no_two_files_share_a_nonce() -> None:
    one, two = (sealed(PIXELS, FORMS["encrypted"]) for _ in range(2))
    assert one[40:72] != two[40:72]
    assert one[-1000:] != two[-1000:]


def test_another_study_s_key_opens_nothing() -> None:
    stored = bytearray(sealed(PIXELS, FORMS["both"]))
    stored[24:40] = OTHER.id
    with pytest.raises(Invalid):
        unsealed(bytes(stored))
    stored[24:40] = b"?" * 16
    with pytest.raises(Gone):
        unsealed(bytes(stored))


def test_heads_that_promise_too_much() -> None:
    head = struct.Struct("<8sBBHIQ16s32s")
    for count, size, version in ((1 << 31, 10, 1), (1, 1 << 62, 1), (0, 5, 1), (0, 0, 9)):
        body = head.pack(sealing.MAGIC, version, 0, 0, count, size, bytes(16), bytes(32))
        with pytest.raises(Invalid):
            unsealed(body + bytes(100))


def test_pixels_become_small_and_noise_stays() -> None:
    random = np.random.default_rng(1)
    pixels = (random.normal(1000, 3, 250_000)).astype("<u2").tobytes()
    assert len(sealed(pixels, FORMS["compressed"])) < 0.5 * len(pixels)
    noise = random.bytes(500_000)
    assert len(sealed(noise, FORMS["compressed"])) < len(noise) + 200
    assert len(sealed(pixels, FORMS["encrypted"])) < len(pixels) + 200


def test_a_source_that_ends_early(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="ended"):
        seal(io.BytesIO(b"abc"), io.BytesIO(), NAME, size=4, form=Form(True), key=None)
