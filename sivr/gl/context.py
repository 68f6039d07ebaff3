"""A current OpenGL context without a screen: EGL device, EGL surfaceless, glfw, OSMesa, in this order.

The context is made by ctypes before PyOpenGL is imported, because PyOpenGL binds itself to one platform for
the life of the process at its first import.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Callable
from typing import Literal

import msgspec

from sivr.errors import Invalid, Unavailable

Platform = Literal["auto", "egl", "egl-device", "egl-surfaceless", "glfw", "osmesa", "software"]
"""``software`` is no OpenGL at all; ``auto`` becomes that where only the processor would play the device."""

MAJOR, MINOR = 3, 3
"""OpenGL version the shaders need."""

_EGL_NONE = 0x3038
_EGL_EXTENSIONS = 0x3055
_EGL_OPENGL_API = 0x30A2
_EGL_SURFACE_TYPE, _EGL_PBUFFER_BIT = 0x3033, 0x0001
_EGL_RENDERABLE_TYPE, _EGL_OPENGL_BIT = 0x3040, 0x0008
_EGL_CONTEXT_MAJOR, _EGL_CONTEXT_MINOR = 0x3098, 0x30FB
_EGL_PROFILE_MASK, _EGL_CORE_BIT = 0x30FD, 0x0001
_EGL_PLATFORM_DEVICE = 0x313F
_EGL_PLATFORM_SURFACELESS = 0x31DD


class Context(msgspec.Struct, frozen=True):
    """A context that is current in the calling thread, and the way it was made."""

    way: str
    release: Callable[[], None]
    refused: tuple[str, ...] = ()
    """Ways that were tried before and why each failed."""


def create(platform: Platform = "auto", device: int = 0) -> Context:
    """Make a context current in this thread, the first of the platform's ways that works.

    ``device`` spreads workers over the machine's graphics devices (EGL device only). Call it once in a
    process, before anything imports OpenGL. Raises Unavailable naming why every way failed.
    """
    ways = PLATFORMS.get(platform)
    if ways is None:
        raise Invalid(f"The OpenGL platform must be one of {', '.join(PLATFORMS)}.")
    refused: list[str] = []
    for way in ways:
        make, pyopengl = WAYS[way]
        try:
            release = make(device)
        except (_ContextError, OSError, AttributeError, ImportError) as error:
            refused.append(f"{way}: {error}")
            continue
        os.environ["PYOPENGL_PLATFORM"] = pyopengl
        return Context(way, release, tuple(refused))
    raise Unavailable(f"No OpenGL context can be made ({'; '.join(refused)}).")


class _ContextError(Exception):
    """One way does not work here."""


def _library(*names: str) -> ctypes.CDLL:
    for name in names:
        try:
            return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    raise _ContextError(f"{names[0]} is not installed")


class _Egl:
    """The few EGL calls that are needed, and nothing of PyOpenGL."""

    def __init__(self) -> None:
        self.library = _library("libEGL.so.1", "libEGL.so")
        library = self.library
        library.eglGetProcAddress.restype = ctypes.c_void_p
        library.eglGetProcAddress.argtypes = [ctypes.c_char_p]
        library.eglQueryString.restype = ctypes.c_char_p
        library.eglQueryString.argtypes = [ctypes.c_void_p, ctypes.c_int]
        library.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        library.eglTerminate.argtypes = [ctypes.c_void_p]
        library.eglChooseConfig.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        library.eglCreateContext.restype = ctypes.c_void_p
        library.eglCreateContext.argtypes = [ctypes.c_void_p] * 4
        library.eglMakeCurrent.argtypes = [ctypes.c_void_p] * 4
        library.eglDestroyContext.argtypes = [ctypes.c_void_p] * 2

    def extensions(self) -> str:
        return (self.library.eglQueryString(None, _EGL_EXTENSIONS) or b"").decode()

    def function(self, name: str, result: object, *arguments: object) -> Callable[..., object]:
        address = self.library.eglGetProcAddress(name.encode())
        if not address:
            raise _ContextError(f"EGL has no {name}")
        return ctypes.CFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]

    def display(self, platform: int, native: int | None) -> int:
        get = self.function(
            "eglGetPlatformDisplayEXT", ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p
        )
        display = get(platform, native, None)
        if not display:
            raise _ContextError("there is no such EGL display")
        if not self.library.eglInitialize(display, None, None):
            raise _ContextError("the EGL display cannot be initialized")
        return int(display)  # type: ignore[call-overload, no-any-return]

    def devices(self) -> list[int]:
        """Handles of the graphics devices, hardware before software."""
        query = self.function(
            "eglQueryDevicesEXT", ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
        )
        count = ctypes.c_int()
        if not query(0, None, ctypes.byref(count)) or count.value == 0:
            raise _ContextError("EGL knows no device")
        handles = (ctypes.c_void_p * count.value)()
        query(count.value, ctypes.byref(handles), ctypes.byref(count))
        text = self.function("eglQueryDeviceStringEXT", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)

        def software(handle: int) -> bool:
            return b"software" in (text(handle, _EGL_EXTENSIONS) or b"")  # type: ignore[operator]

        return sorted((int(handle) for handle in handles[: count.value] if handle), key=software)

    def context(self, display: int) -> Callable[[], None]:
        """A core context without a surface, made current; returns how to release it."""
        if not self.library.eglBindAPI(_EGL_OPENGL_API):
            raise _ContextError("EGL here offers OpenGL ES only")
        wanted = (ctypes.c_int * 5)(
            _EGL_RENDERABLE_TYPE, _EGL_OPENGL_BIT, _EGL_SURFACE_TYPE, _EGL_PBUFFER_BIT, _EGL_NONE
        )
        config, count = ctypes.c_void_p(), ctypes.c_int()
        # Surfaceless displays may have no configuration at all; a context without one is allowed then.
        self.library.eglChooseConfig(display, wanted, ctypes.byref(config), 1, ctypes.byref(count))
        attributes = (ctypes.c_int * 7)(
            _EGL_CONTEXT_MAJOR, MAJOR, _EGL_CONTEXT_MINOR, MINOR, _EGL_PROFILE_MASK, _EGL_CORE_BIT, _EGL_NONE
        )
        context = self.library.eglCreateContext(display, config if count.value else None, None, attributes)
        if not context:
            raise _ContextError(f"EGL makes no OpenGL {MAJOR}.{MINOR} core context")
        if not self.library.eglMakeCurrent(display, None, None, context):
            self.library.eglDestroyContext(display, context)
            raise _ContextError("the context cannot be made current without a surface")

        def release() -> None:
            self.library.eglMakeCurrent(display, None, None, None)
            self.library.eglDestroyContext(display, context)
            self.library.eglTerminate(display)

        return release


def _egl_device(device: int) -> Callable[[], None]:
    egl = _Egl()
    if "EGL_EXT_platform_device" not in egl.extensions():
        raise _ContextError("EGL has no device platform")
    devices = egl.devices()
    problem = _ContextError("EGL knows no device")
    for offset in range(len(devices)):
        handle = devices[(device + offset) % len(devices)]
        try:
            return egl.context(egl.display(_EGL_PLATFORM_DEVICE, handle))
        except _ContextError as error:
            problem = error
    raise problem


def _egl_surfaceless(device: int) -> Callable[[], None]:
    egl = _Egl()
    if "EGL_MESA_platform_surfaceless" not in egl.extensions():
        raise _ContextError("EGL has no surfaceless platform")
    return egl.context(egl.display(_EGL_PLATFORM_SURFACELESS, None))


def _glfw_window(device: int) -> Callable[[], None]:
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise _ContextError("there is no display to open a hidden window on")
    import glfw

    if not glfw.init():
        raise _ContextError("glfw cannot be initialized")
    glfw.window_hint(glfw.VISIBLE, glfw.FALSE)
    glfw.window_hint(glfw.CONTEXT_VERSION_MAJOR, MAJOR)
    glfw.window_hint(glfw.CONTEXT_VERSION_MINOR, MINOR)
    glfw.window_hint(glfw.OPENGL_PROFILE, glfw.OPENGL_CORE_PROFILE)
    window = glfw.create_window(16, 16, "sivr", None, None)
    if not window:
        glfw.terminate()
        raise _ContextError("glfw opens no window")
    glfw.make_context_current(window)

    def release() -> None:
        glfw.destroy_window(window)
        glfw.terminate()

    return release


def _osmesa(device: int) -> Callable[[], None]:
    library = _library("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")
    library.OSMesaCreateContextAttribs.restype = ctypes.c_void_p
    library.OSMesaCreateContextAttribs.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.OSMesaMakeCurrent.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.OSMesaDestroyContext.argtypes = [ctypes.c_void_p]
    attributes = (ctypes.c_int * 11)(
        0x22, 0x1908,  # format RGBA
        0x30, 24,  # depth bits; some versions refuse 0
        0x33, 0x34,  # core profile
        0x36, MAJOR,
        0x37, MINOR,
        0,
    )  # fmt: skip
    context = library.OSMesaCreateContextAttribs(attributes, None)
    if not context:
        raise _ContextError(f"OSMesa makes no OpenGL {MAJOR}.{MINOR} core context")
    picture = (ctypes.c_ubyte * (16 * 16 * 4))()
    if not library.OSMesaMakeCurrent(context, picture, 0x1401, 16, 16):
        library.OSMesaDestroyContext(context)
        raise _ContextError("the OSMesa context cannot be made current")

    def release() -> None:
        library.OSMesaDestroyContext(context)
        # The default picture must live as long as the context.
        picture[0] = 0

    return release


WAYS: dict[str, tuple[Callable[[int], Callable[[], None]], str]] = {
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
