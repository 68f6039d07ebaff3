"""Series to stacks and volumes (PS3.3 C.7.6.2, C.11.23.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sivr.model.studies import InstanceHeader, Stack, VolumeGrid, VoxelScale


def stack(headers: Sequence[InstanceHeader]) -> Stack:
    """Put the frames of a series in reading order and find its volume."""
    raise NotImplementedError


def range_needed(headers: Sequence[InstanceHeader], ordered: Stack) -> bool:
    """Whether volume_values needs the modality range of the decoded frames (float or 32-bit pixels)."""
    raise NotImplementedError


def volume_values(
    headers: Sequence[InstanceHeader], ordered: Stack, value_range: tuple[float, float] | None = None
) -> VoxelScale:
    """How the frames of the volume become voxels of one type and scale, known before any is decoded."""
    raise NotImplementedError


def frame_voxels(
    scale: VoxelScale, header: InstanceHeader, frame: int, values: np.ndarray
) -> np.ndarray:
    """Decoded stored values of a frame (0-based) as voxels (rows, columns) of scale.dtype."""
    raise NotImplementedError


def slice_sources(grid: VolumeGrid, k: int) -> tuple[tuple[int, float], ...]:
    """Which frames (index into Stack.frames) make slice k, and with what weights."""
    raise NotImplementedError


def blend(sources: Sequence[tuple[np.ndarray, float]], scale: VoxelScale) -> np.ndarray:
    """Weighted sum of the voxels of one or two frames: a slice of a resampled volume."""
    raise NotImplementedError
