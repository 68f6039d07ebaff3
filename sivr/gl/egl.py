"""The few EGL calls that are needed, by ctypes: PyOpenGL binds itself to one platform at its first import."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

MAJOR, MINOR = 3, 3
"""OpenGL version the shaders need."""

PLATFORM_DEVICE = 0x313F
PLATFORM_SURFACELESS = 0x31DD
RENDERER_EXT = 0x335F
DRM_DEVICE_FILE = 0x3233
DRM_RENDER_NODE_FILE = 0x3377

_NONE = 0x3038
_EXTENSIONS = 0x3055
_OPENGL_API = 0x30A2
_SURFACE_TYPE, _PBUFFER_BIT = 0x3033, 0x0001
_RENDERABLE_TYPE, _OPENGL_BIT = 0x3040, 0x0008
_CONTEXT_MAJOR, _CONTEXT_MINOR = 0x3098, 0x30FB
_PROFILE_MASK, _CORE_BIT = 0x30FD, 0x0001


class ContextError(Exception):
    """One way to a context does not work here."""


def library(*names: str) -> ctypes.CDLL:
    """The first of these shared libraries that is installed; raises ContextError."""
    for name in names:
        try:
            return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
    raise ContextError(f"{names[0]} is not installed")


class Egl:
    """EGL without a screen. Raises ContextError for what this machine has not."""

    def __init__(self) -> None:
        self.library = library("libEGL.so.1", "libEGL.so")
        lib = self.library
        lib.eglGetProcAddress.restype = ctypes.c_void_p
        lib.eglGetProcAddress.argtypes = [ctypes.c_char_p]
        lib.eglQueryString.restype = ctypes.c_char_p
        lib.eglQueryString.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.eglInitialize.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        lib.eglTerminate.argtypes = [ctypes.c_void_p]
        lib.eglChooseConfig.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        lib.eglCreateContext.restype = ctypes.c_void_p
        lib.eglCreateContext.argtypes = [ctypes.c_void_p] * 4
        lib.eglMakeCurrent.argtypes = [ctypes.c_void_p] * 4
        lib.eglDestroyContext.argtypes = [ctypes.c_void_p] * 2

    def extensions(self) -> list[str]:
        """What this EGL can do before a display is opened."""
        return (self.library.eglQueryString(None, _EXTENSIONS) or b"").decode().split()

    def function(self, name: str, result: object, *arguments: object) -> Callable[..., object]:
        """A function that is not in every EGL, or one of OpenGL."""
        address = self.library.eglGetProcAddress(name.encode())
        if not address:
            raise ContextError(f"EGL has no {name}")
        return ctypes.CFUNCTYPE(result, *arguments)(address)  # type: ignore[arg-type]

    def display(self, platform: int, native: int | None) -> int:
        """An initialized display."""
        get = self.function(
            "eglGetPlatformDisplayEXT", ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p
        )
        display = get(platform, native, None)
        if not display:
            raise ContextError("there is no such EGL display")
        if not self.library.eglInitialize(display, None, None):
            raise ContextError("the EGL display cannot be initialized")
        return int(display)  # type: ignore[call-overload, no-any-return]

    def devices(self) -> list[int]:
        """Handles of the graphics devices, in EGL's order (EGL_EXT_device_enumeration)."""
        if "EGL_EXT_platform_device" not in self.extensions():
            raise ContextError("EGL has no device platform")
        query = self.function(
            "eglQueryDevicesEXT", ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
        )
        count = ctypes.c_int()
        if not query(0, None, ctypes.byref(count)) or count.value == 0:
            raise ContextError("EGL knows no device")
        handles = (ctypes.c_void_p * count.value)()
        query(count.value, ctypes.byref(handles), ctypes.byref(count))
        return [int(handle) for handle in handles[: count.value] if handle]

    def device_extensions(self, handle: int) -> list[str]:
        """What is known of a device (EGL_EXT_device_query)."""
        return self.device_text(handle, _EXTENSIONS).split()

    def device_text(self, handle: int, name: int) -> str:
        """A string about a device; empty when it has none."""
        text = self.function("eglQueryDeviceStringEXT", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
        found = text(handle, name)
        return found.decode(errors="replace") if isinstance(found, bytes) else ""

    def context(self, display: int) -> Callable[[], None]:
        """A core context without a surface, made current; returns how to release it."""
        if not self.library.eglBindAPI(_OPENGL_API):
            raise ContextError("EGL here offers OpenGL ES only")
        wanted = (ctypes.c_int * 5)(_RENDERABLE_TYPE, _OPENGL_BIT, _SURFACE_TYPE, _PBUFFER_BIT, _NONE)
        config, count = ctypes.c_void_p(), ctypes.c_int()
        # Surfaceless displays may have no configuration at all; a context without one is allowed then.
        self.library.eglChooseConfig(display, wanted, ctypes.byref(config), 1, ctypes.byref(count))
        attributes = (ctypes.c_int * 7)(
            _CONTEXT_MAJOR, MAJOR, _CONTEXT_MINOR, MINOR, _PROFILE_MASK, _CORE_BIT, _NONE
        )
        context = self.library.eglCreateContext(display, config if count.value else None, None, attributes)
        if not context:
            raise ContextError(f"EGL makes no OpenGL {MAJOR}.{MINOR} core context")
        if not self.library.eglMakeCurrent(display, None, None, context):
            self.library.eglDestroyContext(display, context)
            raise ContextError("the context cannot be made current without a surface")

        def release() -> None:
            self.library.eglMakeCurrent(display, None, None, None)
            self.library.eglDestroyContext(display, context)
            self.library.eglTerminate(display)

        return release
