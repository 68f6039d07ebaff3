"""Numba kernels: arrays in, arrays out, no Python object touched while they run (the GIL is released).

Compiled code is cached on disk. Importing this package chooses where, before numba reads it.
"""

from __future__ import annotations

from sivr.kernels.cache import choose_cache

choose_cache()
