"""Shader programs from the files in ``shaders/``, with includes and defines."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
from OpenGL import GL

from sivr.errors import Unavailable


def source_of(name: str, defines: tuple[str, ...] = ()) -> str:
    """The text of a shader file: ``#include "file"`` lines replaced, ``#define`` lines put after #version."""
    text = resources.files("sivr.gl").joinpath("shaders", name).read_text(encoding="utf-8")
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("#include "):
            lines.append(source_of(line.split('"')[1]))
        else:
            lines.append(line)
            if line.startswith("#version"):
                lines.extend(f"#define {define}" for define in defines)
    return "\n".join(lines) + "\n"


class Program:
    """A linked program; uniforms are set by name and unknown ones ignored (the compiler drops unused
    ones)."""

    def __init__(self, fragment: str, defines: tuple[str, ...] = ()) -> None:
        shaders = [
            _compile(GL.GL_VERTEX_SHADER, source_of("screen.vert"), "screen.vert"),
            _compile(GL.GL_FRAGMENT_SHADER, source_of(fragment, defines), fragment),
        ]
        self.handle = GL.glCreateProgram()
        for shader in shaders:
            GL.glAttachShader(self.handle, shader)
        GL.glLinkProgram(self.handle)
        if not GL.glGetProgramiv(self.handle, GL.GL_LINK_STATUS):
            raise Unavailable(f"The shader {fragment} does not link on this machine.")
        for shader in shaders:
            GL.glDeleteShader(shader)
        self._places: dict[str, int] = {}

    def use(self) -> None:
        """Make it the current program."""
        GL.glUseProgram(self.handle)

    def set(self, **uniforms: Any) -> None:
        """Set uniforms of the current program by Python type: bool and int, float, 2-4 floats, 3x3 matrix."""
        for name, value in uniforms.items():
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = GL.glGetUniformLocation(self.handle, f"u_{name}")
            if place < 0:
                continue
            if isinstance(value, int):
                GL.glUniform1i(place, int(value))
            elif isinstance(value, float):
                GL.glUniform1f(place, value)
            else:
                array = np.ascontiguousarray(value, dtype=np.float32)
                _SETTERS[array.shape](place, array)

    def delete(self) -> None:
        """Give it back."""
        GL.glDeleteProgram(self.handle)


_SETTERS = {
    (2,): lambda place, array: GL.glUniform2fv(place, 1, array),
    (3,): lambda place, array: GL.glUniform3fv(place, 1, array),
    (4,): lambda place, array: GL.glUniform4fv(place, 1, array),
    # numpy's rows come first, GL wants columns first.
    (3, 3): lambda place, array: GL.glUniformMatrix3fv(place, 1, GL.GL_TRUE, array),
}


def _compile(kind: Any, text: str, name: str) -> Any:
    shader = GL.glCreateShader(kind)
    GL.glShaderSource(shader, text)
    GL.glCompileShader(shader)
    if not GL.glGetShaderiv(shader, GL.GL_COMPILE_STATUS):
        log = GL.glGetShaderInfoLog(shader)
        message = log.decode(errors="replace") if isinstance(log, bytes) else str(log)
        raise Unavailable(f"The shader {name} does not compile on this machine: {message.strip()[:500]}")
    return shader
