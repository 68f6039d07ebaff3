"""The C heap of a worker, where a rasterizer on the processor keeps its textures."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3
APART_BYTES = 4 << 20
"""Larger than the buffers of usual pictures, which are taken and given back all the time."""


def give_large_back() -> None:
    """Let textures go back to the system when they are deleted.

    glibc raises its threshold to the largest allocation that was freed; textures then lie between smaller
    things in the heap and keep it from shrinking: a budget of 48 MB took 180. Other C libraries have no such
    threshold.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, APART_BYTES)
