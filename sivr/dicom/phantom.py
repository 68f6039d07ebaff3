"""Phantoms with known answers, written as real DICOM."""

from __future__ import annotations

from pathlib import Path


def write_phantom(folder: Path, name: str, shape: tuple[int, int, int] | None = None, *, multi_frame: bool = False) -> list[Path]:
    """Write phantom "ramp", "spheres", "letter" or "head"; shape is (slices, rows, columns)."""
    raise NotImplementedError


def benchmark_record(folder: Path, letter: str, *, multi_frame: bool | None = None) -> list[Path]:
    """Write benchmark record "A", "B", "C" or "D" of the paper."""
    raise NotImplementedError
