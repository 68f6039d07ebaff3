"""The start: the device against the processor, memory, and what a farm tells of its workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sivr.errors import Invalid
from sivr.gl import devices
from sivr.gl.farm import RenderFarm
from sivr.gl.messages import Trial
from sivr.gl.seat import Seat

GIGABYTE = 1 << 30


@pytest.mark.usefixtures("current_context")
def test_both_ways_are_held_to_the_same_pictures_and_nothing_stays() -> None:
    from sivr.gl import trial
    from tests.gl.paths import renderer

    device, processor = renderer("gl"), renderer("software")
    found = trial.hold(device, processor, limit_s=0.1)
    assert found.device_ms > 0 and found.processor_ms > 0
    assert device[0].keys() == [] and processor[0].keys() == []
    assert not list(Path("/dev/shm").glob(f"sivr-trial-{os.getpid()}-*"))


@pytest.mark.usefixtures("current_context")
def test_the_quicker_way_back_is_taken() -> None:
    from sivr.gl import trial
    from tests.gl.paths import renderer

    volumes, caster = renderer("gl")
    found = trial.choose_readback((volumes, caster), limit_s=0.05)
    assert found.plain_ms > 0 and found.streamed_ms > 0
    assert caster.streams is found.streams is (found.streamed_ms < found.plain_ms)
    assert volumes.keys() == []


@pytest.mark.parametrize(("device_ms", "processor_ms", "wins"), [(1.0, 2.0, True), (2.0, 1.0, False)])
def test_the_quicker_way_wins(device_ms: float, processor_ms: float, wins: bool) -> None:
    assert Trial(device_ms, processor_ms).device_wins is wins


async def test_a_device_that_is_asked_for_is_measured_and_told() -> None:
    if not devices.probe():
        pytest.skip("EGL knows no device here.")
    async with RenderFarm(workers=1, platform="auto", device=0) as farm:
        hello = await farm.started()
        [told] = farm.health()["devices"]  # type: ignore[misc]
    assert hello.trial is not None
    assert (told["device_ms"], told["processor_ms"]) == (
        round(hello.trial.device_ms, 1),
        round(hello.trial.processor_ms, 1),
    )
    assert (hello.way == "egl-device") == hello.trial.device_wins
    assert (hello.way == "software") == any("slower than the processor" in why for why in hello.refused)


async def test_a_device_that_is_not_there_is_told_and_the_processor_draws() -> None:
    if not devices.probe():
        pytest.skip("EGL knows no device here.")
    async with RenderFarm(workers=1, platform="auto", device=99) as farm:
        hello = await farm.started()
        [told] = farm.health()["devices"]  # type: ignore[misc]
    assert hello.way == "software" and "There is no graphics device 99" in told["refused"][0]


async def test_every_worker_draws_with_the_device_that_is_named() -> None:
    if not devices.probe():
        pytest.skip("EGL knows no device here.")
    async with RenderFarm(workers=2, platform="egl", device=0, device_budget_bytes=GIGABYTE) as farm:
        await farm.started()
        while farm.health()["workers_alive"] != 2:
            async with farm._changed:
                await farm._changed.wait()
        told = farm.health()["devices"]
    for one in told:  # type: ignore[attr-defined]
        assert one["device"].split()[0] == "0" and one["context"] == "egl-device" and one["driver"]
        assert one["readback"] in ("plain", "streamed") and one["plain_readback_ms"] > 0
        assert one["texture_budget_mb"] == 512


def test_a_farm_refuses_what_can_be_no_device() -> None:
    with pytest.raises(Invalid, match="renderD128"):
        RenderFarm(device="first")


@pytest.mark.usefixtures("current_context")
@pytest.mark.parametrize(
    ("seat", "cards", "total", "free", "software", "budget"),
    [
        (Seat(workers=1), 1, 10 * GIGABYTE, 10 * GIGABYTE, False, 6 * GIGABYTE),
        (Seat(workers=4), 2, 10 * GIGABYTE, 10 * GIGABYTE, False, 3 * GIGABYTE),
        (Seat(workers=3), 2, 10 * GIGABYTE, 10 * GIGABYTE, False, 3 * GIGABYTE),
        (Seat(workers=1), 1, 10 * GIGABYTE, 1 * GIGABYTE, False, int(0.9 * GIGABYTE)),
        (Seat(workers=1), 1, 0, 2 * GIGABYTE, False, int(1.8 * GIGABYTE)),
        (Seat(workers=2), 1, 0, 0, False, GIGABYTE // 2),
        (Seat(workers=2, memory_bytes=777), 1, 10 * GIGABYTE, 0, True, 777),
        (Seat(workers=2, device_bytes=800), 1, 10 * GIGABYTE, 0, True, 400),
        (Seat(workers=2, device_bytes=800), 2, 10 * GIGABYTE, 0, False, 800),
    ],
)
def test_budgets(seat: Seat, cards: int, total: int, free: int, software: bool, budget: int) -> None:
    from sivr.gl.memory import Memory, texture_budget

    assert abs(texture_budget(seat, cards, Memory(total, free), software) - budget) <= 1


@pytest.mark.usefixtures("current_context")
def test_the_driver_is_asked_for_its_memory() -> None:
    from sivr.gl.memory import device_memory

    memory = device_memory()
    assert memory.total >= 0 and memory.free >= 0
