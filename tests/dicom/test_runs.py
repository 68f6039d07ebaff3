"""The forgiving run length decoder against the strict one."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from sivr.dicom.pixels import decode_frames
from sivr.dicom.read import read_header
from sivr.dicom.runs import rle_planes
from sivr.errors import Invalid
from tests.dicom import reference


def test_both_decoders_agree_on_every_file(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strict = imagecodecs.dicomrle_decode

    def refuse(*parts: Any, **named: Any) -> bytes:
        raise RuntimeError("refused")

    compared = 0
    for path in reference.files(reference.wheel_files(), shared_data):
        try:
            header = read_header(path)
        except Invalid:
            continue
        form = header.pixel_format
        if form is None or not header.transfer_syntax_uid.endswith(".1.2.5") or form.bits_allocated == 1:
            continue
        monkeypatch.setattr(imagecodecs, "dicomrle_decode", strict)
        first = next(decode_frames(header, path))
        monkeypatch.setattr(imagecodecs, "dicomrle_decode", refuse)
        assert np.array_equal(first, next(decode_frames(header, path))), path
        compared += 1
    assert compared > 10


@pytest.mark.parametrize(
    ("encoded", "sentence"),
    [
        (b"short", "header is cut off"),
        (struct.pack("<16L", 2, *([64] * 15)) + b"\x00\x01", "has 2 segments where 1 are expected"),
        (struct.pack("<16L", 1, *([64] * 15)) + b"\x00\x01", "shorter than its rows"),
    ],
)
def test_what_is_no_frame(encoded: bytes, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        rle_planes(encoded, 1, 4)


def test_a_cut_last_run_and_excess_are_forgiven() -> None:
    head = struct.pack("<16L", 1, *([64] * 15))
    assert rle_planes(head + bytes((255, 7, 128, 5, 1, 2)), 1, 4) == bytes((7, 7, 1, 2))
    assert rle_planes(head + bytes((250, 9, 0, 0)), 1, 4) == bytes((9, 9, 9, 9))
