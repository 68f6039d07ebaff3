"""DICOM files to headers (PS3.5, PS3.10)."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from sivr.model.studies import InstanceHeader


def read_header(source: BinaryIO | Path | bytes) -> InstanceHeader:
    """Read an instance up to its pixels; raises Invalid with one sentence when it cannot be read."""
    raise NotImplementedError
