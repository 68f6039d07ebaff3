"""Graphics devices: the list, the choice, and a driver that is asked in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sivr.errors import Invalid, NotFound, Unavailable
from sivr.gl import context, devices
from sivr.gl.devices import Device

CARD = Device(0, 11, False, ("/dev/dri/renderD128", "/dev/dri/card0"), "A card")
OTHER = Device(1, 12, False, ("/dev/dri/renderD129",))
AGAIN = Device(2, 13, False, ("/dev/dri/renderD128",), "The same card by another driver")
RASTERIZER = Device(3, 14, True)
MACHINE = [CARD, OTHER, AGAIN, RASTERIZER]


@pytest.mark.parametrize(
    ("worker", "tried"),
    [(0, [0, 2, 1, 3]), (1, [1, 0, 2, 3]), (2, [0, 2, 1, 3]), (3, [1, 0, 2, 3])],
)
def test_workers_spread_over_hardware_and_try_the_rest_after_it(worker: int, tried: list[int]) -> None:
    assert [device.index for device in devices.choose(MACHINE, "all", worker)] == tried


def test_one_card_with_two_drivers_counts_once_and_rasterizers_only_where_alone() -> None:
    assert [[d.index for d in group] for group in devices.spread(MACHINE)] == [[0, 2], [1]]
    assert devices.spread([RASTERIZER]) == [[RASTERIZER]]


@pytest.mark.parametrize(
    ("choice", "tried"),
    [(1, [1]), (3, [3]), ("/dev/dri/renderD128", [0, 2]), ("/dev/dri/card0", [0])],
)
def test_a_device_that_is_named_is_the_only_one(choice: int | str, tried: list[int]) -> None:
    for worker in (0, 1):
        assert [device.index for device in devices.choose(MACHINE, choice, worker)] == tried


@pytest.mark.parametrize("choice", [4, "/dev/dri/renderD130"])
def test_a_device_that_is_not_there_is_told_with_those_that_are(choice: int | str) -> None:
    with pytest.raises(NotFound) as told:
        devices.choose(MACHINE, choice)
    assert str(told.value) == (
        f"There is no graphics device {choice}; those of this machine are: 0 (/dev/dri/renderD128, A card), "
        "1 (/dev/dri/renderD129), 2 (/dev/dri/renderD128, The same card by another driver), 3 (software)."
    )


@pytest.mark.parametrize("choice", [-1, "", "first", "0", True])
def test_a_choice_that_can_be_no_device(choice: int | str) -> None:
    with pytest.raises(Invalid, match="renderD128"):
        devices.parse_choice(choice)


@pytest.mark.parametrize("choice", ["all", 0, "/dev/dri/renderD128"])
def test_a_choice_that_can(choice: int | str) -> None:
    assert devices.parse_choice(choice) == choice


def test_every_device_here_is_asked_for_a_context() -> None:
    found = devices.probe()
    if not found:
        pytest.skip("EGL knows no device here.")
    assert [one.index for one in found] == list(range(len(found)))
    assert [one.software for one in found] == sorted(one.software for one in found)
    for one in found:
        assert bool(one.renderer) != bool(one.problem)
        assert one.problem or one.software == context.is_software(one.renderer)


DRAWN_WITH = """
import sys
from sivr.gl import context
made = context.create(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
print(made.way, made.device, made.devices, sep="|")
made.release()
"""


def test_the_device_drawn_with_is_told() -> None:
    if not devices.probe():
        pytest.skip("EGL knows no device here.")
    for worker in ("0", "5"):
        ran = subprocess.run(
            [sys.executable, "-c", DRAWN_WITH, "auto", "0", worker],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        way, device, count = ran.stdout.strip().split("|")
        assert way == "egl-device" and device.split()[0] == "0" and count == "1"


def test_no_other_way_stands_in_for_a_device_that_is_named() -> None:
    if not devices.probe():
        pytest.skip("EGL knows no device here.")
    with pytest.raises(Unavailable, match="There is no graphics device 99; those of this machine are: 0"):
        context.create("auto", 99)
    with pytest.raises(Invalid, match="osmesa"):
        context.create("osmesa", 0)
