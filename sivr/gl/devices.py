"""The machine's graphics devices: which there are, and which of them a worker draws with."""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from sivr.errors import Invalid, NotFound
from sivr.gl import egl as calls
from sivr.gl.egl import ContextError, Egl

DeviceChoice = int | str
"""``all``, the number of a device, or the path of its DRM node."""

PROBE_S = 60.0
"""A driver that has not made a context by then will not."""
_RENDERER, _VERSION = 0x1F01, 0x1F02


class Device(msgspec.Struct, frozen=True):
    """A graphics device as EGL knows it."""

    index: int
    """Hardware is numbered before software."""
    handle: int
    software: bool
    """A rasterizer on the processor."""
    nodes: tuple[str, ...] = ()
    """Its DRM files, the render node first; empty where the driver tells none."""
    name: str = ""

    @property
    def label(self) -> str:
        """Its number and what else is known without asking its driver for a context."""
        known = [*self.nodes[:1], self.name, "software" if self.software else ""]
        told = ", ".join(word for word in known if word)
        return f"{self.index} ({told})" if told else str(self.index)


class Probed(msgspec.Struct, frozen=True):
    """A device that was asked for a context."""

    index: int
    nodes: tuple[str, ...]
    software: bool
    renderer: str = ""
    version: str = ""
    """Of OpenGL, and of the driver."""
    problem: str = ""
    """Why there is no context; empty when there is one."""

    def line(self) -> str:
        """For people who choose one."""
        kind = "on the processor" if self.software else ", ".join(self.nodes) or "no DRM node"
        told = (
            f"cannot be used: {self.problem}" if self.problem else f"{self.renderer}, OpenGL {self.version}"
        )
        return f"graphics device {self.index} ({kind}): {told}"


def listed(egl: Egl) -> list[Device]:
    """Every device, hardware first; raises ContextError when EGL knows none."""
    found = []
    for handle in egl.devices():
        able = egl.device_extensions(handle)
        names = []
        if "EGL_EXT_device_drm_render_node" in able:
            names.append(egl.device_text(handle, calls.DRM_RENDER_NODE_FILE))
        if "EGL_EXT_device_drm" in able:
            names.append(egl.device_text(handle, calls.DRM_DEVICE_FILE))
        named = "EGL_EXT_device_query_name" in able
        name = egl.device_text(handle, calls.RENDERER_EXT) if named else ""
        # Mesa's rasterizer claims to have a render node and names none, or that of another device.
        software = any("software" in word for word in able)
        nodes = () if software else tuple(node for node in names if node)
        found.append(Device(0, handle, software, nodes, name))
    found.sort(key=lambda device: device.software)
    return [msgspec.structs.replace(device, index=index) for index, device in enumerate(found)]


def choose(devices: Sequence[Device], choice: DeviceChoice, worker: int = 0) -> list[Device]:
    """The devices that one of several workers tries, the best first.

    ``all`` spreads workers over the hardware, or over the rasterizers where there is no hardware. A device
    that is named is the only one tried. Raises NotFound when it is not there.
    """
    if choice != "all":
        return _named(devices, choice)
    groups = spread(devices)
    turn = worker % len(groups)
    first = [device for group in groups[turn:] + groups[:turn] for device in group]
    return first + [device for device in devices if device not in first]


def spread(devices: Sequence[Device]) -> list[list[Device]]:
    """What ``all`` spreads workers over: one entry for each real device, with every driver that offers it."""
    able = [device for device in devices if not device.software] or list(devices)
    groups: dict[object, list[Device]] = {}
    for device in able:
        groups.setdefault(device.nodes[0] if device.nodes else device.index, []).append(device)
    return list(groups.values())


def _named(devices: Sequence[Device], choice: DeviceChoice) -> list[Device]:
    named = [device for device in devices if choice == device.index or choice in device.nodes]
    if not named:
        there = ", ".join(device.label for device in devices)
        raise NotFound(f"There is no graphics device {choice}; those of this machine are: {there}.")
    return named


def parse_choice(choice: DeviceChoice) -> DeviceChoice:
    """The same; raises Invalid when it can name no device."""
    named = isinstance(choice, str) and (choice == "all" or choice.startswith("/"))
    if not named and (isinstance(choice, str | bool) or choice < 0):
        raise Invalid("Must be all, the number of a graphics device, or a path such as /dev/dri/renderD128.")
    return choice


def probe(timeout_s: float = PROBE_S) -> list[Probed]:
    """Ask every device for a context, in a process of its own that a broken driver may take down.

    Empty where EGL is not installed or knows no device.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_probe, args=(theirs,), name="sivr-gl-probe", daemon=True)
    process.start()
    theirs.close()
    found: list[Probed] = []
    try:
        with suppress(EOFError):
            while ours.poll(timeout_s):
                found.append(msgspec.msgpack.decode(ours.recv_bytes(), type=Probed))
    finally:
        process.kill()
        process.join()
        ours.close()
    return found


def _probe(pipe: Connection) -> None:
    try:
        egl = Egl()
        devices = listed(egl)
    except ContextError:
        return
    for device in devices:
        pipe.send_bytes(msgspec.msgpack.encode(_asked(egl, device)))


def _asked(egl: Egl, device: Device) -> Probed:
    answer = Probed(device.index, device.nodes, device.software)
    try:
        release = egl.context(egl.display(calls.PLATFORM_DEVICE, device.handle))
    except ContextError as error:
        return msgspec.structs.replace(answer, problem=str(error))
    text: Any = egl.function("glGetString", ctypes.c_char_p, ctypes.c_uint)
    renderer, version = ((text(name) or b"").decode(errors="replace") for name in (_RENDERER, _VERSION))
    release()
    return msgspec.structs.replace(answer, renderer=renderer, version=version)
