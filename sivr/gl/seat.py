"""Where a render worker draws, and how much memory it may take there."""

from __future__ import annotations

import msgspec

from sivr.gl.context import Platform
from sivr.gl.devices import DeviceChoice


class Seat(msgspec.Struct, frozen=True):
    """One of several workers' place."""

    platform: Platform = "auto"
    device: DeviceChoice = "all"
    number: int = 0
    """Of this worker, from 0."""
    workers: int = 1
    memory_bytes: int = 1 << 30
    """Textures and what else it keeps of volumes where the processor is the graphics device."""
    device_bytes: int | None = None
    """Textures of all workers on one graphics device; None for a share of what the device has."""
