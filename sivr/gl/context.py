"""A current OpenGL context without a screen: EGL device, EGL surfaceless, glfw, OSMesa, in this order.

The context is made by ctypes before PyOpenGL is imported, because PyOpenGL binds itself to one platform for
the life of the process at its first import.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Literal

import msgspec

from sivr.errors import Invalid, NotFound, Unavailable
from sivr.gl.devices import DeviceChoice, choose, listed, spread
from sivr.gl.egl import MAJOR, MINOR, PLATFORM_DEVICE, PLATFORM_SURFACELESS, ContextError, Egl, library

Platform = Literal["auto", "egl", "egl-device", "egl-surfaceless", "glfw", "osmesa", "software"]
"""``software`` is no OpenGL at all; ``auto`` becomes that where only the processor would play the device."""


class Context(msgspec.Struct, frozen=True):
    """A context that is current in the calling thread, and the way it was made."""

    way: str
    release: Callable[[], None]
    refused: tuple[str, ...] = ()
    """Ways that were tried before and why each failed."""
    device: str = ""
    """The graphics device's number and name; empty where the way has none to choose from."""
    devices: int = 1
    """How many devices workers are spread over."""


class _Made(msgspec.Struct, frozen=True):
    """What a way made."""

    release: Callable[[], None]
    device: str = ""
    devices: int = 1


def create(platform: Platform = "auto", device: DeviceChoice = "all", worker: int = 0) -> Context:
    """Make a context current in this thread, the first of the platform's ways that works.

    ``device`` as ``devices.choose`` takes it; ``worker`` numbers those that are spread over all. Call it once
    in a process, before anything imports OpenGL. Raises Unavailable naming why every way failed.
    """
    ways = PLATFORMS.get(platform)
    if ways is None:
        raise Invalid(f"The OpenGL platform must be one of {', '.join(PLATFORMS)}.")
    if device != "all":
        # Only one way lets a device be chosen; another would draw with whichever it likes.
        ways = tuple(way for way in ways if way == "egl-device")
        if not ways:
            raise Invalid(f"A graphics device cannot be chosen with the OpenGL platform {platform}.")
    refused: list[str] = []
    for way in ways:
        make, pyopengl = WAYS[way]
        try:
            made = make(device, worker)
        except (ContextError, OSError, AttributeError, ImportError) as error:
            refused.append(f"{way}: {error}")
            continue
        except NotFound as error:
            raise Unavailable(error.message) from error
        os.environ["PYOPENGL_PLATFORM"] = pyopengl
        return Context(way, made.release, tuple(refused), made.device, made.devices)
    raise Unavailable(f"No OpenGL context can be made ({'; '.join(refused)}).")


def _egl_device(device: DeviceChoice, worker: int) -> _Made:
    egl = Egl()
    found = listed(egl)
    count = len(spread(found)) if device == "all" else 1
    problem = ContextError("EGL knows no device")
    for one in choose(found, device, worker):
        try:
            return _Made(egl.context(egl.display(PLATFORM_DEVICE, one.handle)), one.label, count)
        except ContextError as error:
            problem = ContextError(f"device {one.label}: {error}")
    raise problem


def _egl_surfaceless(device: DeviceChoice, worker: int) -> _Made:
    egl = Egl()
    if "EGL_MESA_platform_surfaceless" not in egl.extensions():
        raise ContextError("EGL has no surfaceless platform")
    return _Made(egl.context(egl.display(PLATFORM_SURFACELESS, None)))


def _glfw_window(device: DeviceChoice, worker: int) -> _Made:
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise ContextError("there is no display to open a hidden window on")
    import glfw

    if not glfw.init():
        raise ContextError("glfw cannot be initialized")
    glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
    glfw.window_hint(glfw.CONTEXT_VERSION_MAJOR, MAJOR)
    glfw.window_hint(glfw.CONTEXT_VERSION_MINOR, MINOR)
    glfw.window_hint(glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE)
    window = glfw.create_window(16, 16, "sivr", None, None)
    if not window:
        glfw.terminate()
        raise ContextError("glfw opens no window")
    glfw.make_context_current(window)

    def release() -> None:
        glfw.destroy_window(window)
        glfw.terminate()

    return _Made(release)


def _osmesa(device: DeviceChoice, worker: int) -> _Made:
    lib = library("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")
    lib.OSMesaCreateContextAttribs.restype = ctypes.c_void_p
    lib.OSMesaCreateContextAttribs.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    lib.OSMesaMakeCurrent.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    lib.OSMesaDestroyContext.argtypes = [ctypes.c_void_p]
    attributes = (ctypes.c_int * 11)(
        0x22, 0x1908,  # format RGBA
        0x30, 24,  # depth bits; some versions refuse 0
        0x33, 0x34,  # core profile
        0x36, MAJOR,
        0x37, MINOR,
        0,
    )  # fmt: skip
    context = lib.OSMesaCreateContextAttribs(attributes, None)
    if not context:
        raise ContextError(f"OSMesa makes no OpenGL {MAJOR}.{MINOR} core context")
    picture = (ctypes.c_ubyte * (16 * 16 * 4))()
    if not lib.OSMesaMakeCurrent(context, picture, 0x1401, 16, 16):
        lib.OSMesaDestroyContext(context)
        raise ContextError("the OSMesa context cannot be made current")

    def release() -> None:
        lib.OSMesaDestroyContext(context)
        # The default picture must live as long as the context.
        picture[0] = 0

    return _Made(release)


WAYS: dict[str, tuple[Callable[[DeviceChoice, int], _Made], str]] = {
    "egl-device": (_egl_device, "egl"),
    "egl-surfaceless": (_egl_surfaceless, "egl"),
    "glfw": (_glfw_window, "glx"),
    "osmesa": (_osmesa, "osmesa"),
}
"""How each way is made, and the platform PyOpenGL must be told."""

PLATFORMS: dict[str, tuple[str, ...]] = {
    "auto": ("egl-device", "egl-surfaceless", "glfw", "osmesa"),
    "egl": ("egl-device", "egl-surfaceless"),
    "egl-device": ("egl-device",),
    "egl-surfaceless": ("egl-surfaceless",),
    "glfw": ("glfw",),
    "osmesa": ("osmesa",),
    "software": (),
}
"""Which ways are tried, in order, for what the configuration says."""


def is_software(renderer: str) -> bool:
    """Whether a renderer's name is that of a rasterizer on the processor."""
    return any(name in renderer.lower() for name in ("llvmpipe", "softpipe", "swrast", "software"))


def describe() -> dict[str, str]:
    """Renderer, vendor and version of the current context."""
    from OpenGL import GL

    names = {"renderer": GL.GL_RENDERER, "vendor": GL.GL_VENDOR, "version": GL.GL_VERSION}
    return {name: (GL.glGetString(constant) or b"").decode() for name, constant in names.items()}
