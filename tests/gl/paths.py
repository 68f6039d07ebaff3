"""The two ways to draw a volume, for tests that hold both to the same."""

from __future__ import annotations

from typing import Any

PATHS = ("gl", "software")


def renderer(path: str, budget: int = 64 << 20) -> tuple[Any, Any]:
    """The volumes and the caster of one way; OpenGL needs a current context."""
    if path == "gl":
        from sivr.gl.raycast import Raycaster
        from sivr.gl.textures import TextureCache

        textures = TextureCache(budget)
        return textures, Raycaster(textures)
    from sivr.gl.software import SoftwareCaster, SoftwareVolumes

    return SoftwareVolumes(budget), SoftwareCaster(2)
