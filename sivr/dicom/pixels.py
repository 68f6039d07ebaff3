"""Encoded frames to arrays of stored values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sivr.dicom.presentation import modality_values, render_reference
from sivr.model.studies import InstanceHeader

__all__ = ["decode_frame", "decode_frames", "encoded_frame", "modality_values", "render_reference"]


def encoded_frame(header: InstanceHeader, frame: int, source: BinaryIO | bytes) -> bytes:
    """The encoded bytes of a frame (0-based): its parts, joined."""
    raise NotImplementedError


def decode_frame(header: InstanceHeader, frame: int, encoded: bytes) -> np.ndarray:
    """Stored values of a frame (0-based): (rows, columns), or (rows, columns, 3) RGB for color."""
    raise NotImplementedError


def decode_frames(header: InstanceHeader, source: BinaryIO | Path | bytes) -> Iterator[np.ndarray]:
    """Every frame in order, for objects whose frames cannot be read alone."""
    raise NotImplementedError
