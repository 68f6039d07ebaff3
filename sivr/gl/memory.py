"""Memory of the graphics device: how much it has, and how much of it a worker's textures may take."""

from __future__ import annotations

import msgspec
from OpenGL import GL

from sivr.gl.seat import Seat

SHARE = 0.6
"""Of a device's memory, for the textures of all workers: canvases, drivers and desktops need some too."""
FREE_SHARE = 0.9
"""Of what was free when the worker began, at most."""
UNKNOWN_BYTES = 1 << 30
"""For the textures on a device whose driver does not tell its memory."""
LEAST_BYTES = 64 << 20

_DEDICATED_NVX, _TOTAL_NVX, _FREE_NVX = 0x9047, 0x9048, 0x9049
_TEXTURE_FREE_ATI = 0x87FC
_KILOBYTE = 1024


class Memory(msgspec.Struct, frozen=True):
    """What a driver tells, in bytes; 0 for what it does not."""

    total: int = 0
    free: int = 0


def device_memory() -> Memory:
    """Of the current context's device (NVX_gpu_memory_info, ATI_meminfo)."""
    able = {GL.glGetStringi(GL.GL_EXTENSIONS, n) for n in range(int(GL.glGetIntegerv(GL.GL_NUM_EXTENSIONS)))}
    if b"GL_NVX_gpu_memory_info" in able:
        dedicated, total, free = (_kilobytes(name)[0] for name in (_DEDICATED_NVX, _TOTAL_NVX, _FREE_NVX))
        # A device without memory of its own tells what it may take of the machine's.
        return Memory((dedicated or total) * _KILOBYTE, free * _KILOBYTE)
    if b"GL_ATI_meminfo" in able:
        return Memory(0, _kilobytes(_TEXTURE_FREE_ATI, 4)[0] * _KILOBYTE)
    return Memory()


def texture_budget(seat: Seat, devices: int, memory: Memory, software: bool) -> int:
    """Bytes for the textures of one worker, where workers are spread over so many devices.

    On a rasterizer textures lie in the processor's memory, of which every worker has its part anyway.
    """
    here = -(-seat.workers // max(1, devices))
    if seat.device_bytes is not None:
        return max(1, seat.device_bytes // here)
    if software:
        return seat.memory_bytes
    known = [int(memory.total * SHARE)] if memory.total else []
    known += [int(memory.free * FREE_SHARE)] if memory.free else []
    return max(LEAST_BYTES, min(known, default=UNKNOWN_BYTES) // here)


def _kilobytes(name: int, count: int = 1) -> list[int]:
    found = (GL.GLint * count)()
    GL.glGetIntegerv(name, found)
    return [max(0, int(value)) for value in found]
