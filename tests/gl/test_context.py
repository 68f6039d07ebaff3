"""Every way to a context, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sivr.errors import Invalid, Unavailable
from sivr.gl import context

PICTURE = """
import sys
import numpy as np
from sivr.gl import context
made = context.create(sys.argv[1])
from sivr.gl.slice import SliceShader
shown = SliceShader().draw(np.arange(64, dtype=np.uint8).reshape(8, 8), np.arange(256, dtype=np.uint8))
assert (shown == np.arange(64).reshape(8, 8)).all(), shown
print(made.way, context.describe()["renderer"])
made.release()
"""


@pytest.mark.parametrize("platform", ["auto", "egl", "egl-device", "egl-surfaceless", "osmesa"])
def test_a_context_draws(platform: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PICTURE, platform], capture_output=True, text=True, timeout=120
    )
    if "No OpenGL context can be made" in ran.stderr:
        pytest.skip(ran.stderr.strip().splitlines()[-1])
    assert ran.returncode == 0, ran.stderr
    way, _, renderer = ran.stdout.strip().partition(" ")
    assert way in context.PLATFORMS[platform]
    assert renderer


def test_without_egl_the_next_way_is_taken() -> None:
    script = PICTURE.replace(
        "made =",
        "from sivr.gl import egl\n"
        "egl.library = lambda *names, real=egl.library: "
        "real('no-such-library.so') if 'EGL' in names[0] else real(*names)\nmade =",
    ).replace("print(made.way", "print(made.way, len(made.refused)")
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    ran = subprocess.run(
        [sys.executable, "-c", script, "auto"], capture_output=True, text=True, timeout=120, env=environment
    )
    if "No OpenGL context can be made" in ran.stderr:
        pytest.skip(ran.stderr.strip().splitlines()[-1])
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[:2] == ["osmesa", "3"]


def test_every_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(Unavailable, match="glfw: there is no display"):
        context.create("glfw")
    with pytest.raises(Invalid, match="osmesa"):
        context.create("vulkan")  # type: ignore[arg-type]


def test_the_tables_agree() -> None:
    assert {way for ways in context.PLATFORMS.values() for way in ways} == set(context.WAYS)
