"""The farm: newest wins, bounded, cancelable, and back after its workers die."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sivr.errors import Canceled, Exhausted, Gone, Invalid, Unavailable
from sivr.gl.farm import RenderFarm
from sivr.gl.worker import NICENESS
from sivr.model.cameras import viewpoint_for
from sivr.model.importance import Importance
from sivr.model.pixels import Window
from sivr.model.rendering import PlaneView, TransferFunction, VolumeView

BONE = TransferFunction("bone", ((200, 1, 1, 1, 0), (600, 1, 1, 1, 0.9)))
FOG = TransferFunction("fog", ((-1e6, 1, 1, 1, 1e-5), (1e6, 1, 1, 1, 1e-5)))
"""Never opaque and nowhere empty: rays go all the way."""


def view(size: int = 64, **options: Any) -> VolumeView:
    here = viewpoint_for("a", (15, 15, 15), 90)
    return VolumeView(
        **{
            "method": "volume_rendered", "viewpoint": here, "width": size, "height": size,
            "height_mm": 40.0, "transfer_function": BONE, **options,
        }
    )  # fmt: skip


SLOW = view(2600, transfer_function=FOG)
"""Takes seconds on a CPU."""


def cube(value: int = 1200, n: int = 32) -> np.ndarray[Any, Any]:
    voxels = np.full((n, n, n), -1000, np.int16)
    voxels[8:24, 8:24, 8:24] = value
    return voxels


async def busy(farm: RenderFarm, bench: Any) -> asyncio.Task[Any]:
    """The farm's only worker draws something slow."""
    slow = asyncio.create_task(farm.volume(bench(np.full((64, 64, 64), 5, np.int16)).source, SLOW))
    while farm.health()["queue_length"] or not any(w.running for w in farm._workers):
        await asyncio.sleep(0.005)
    return slow


async def stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_pictures_come_back(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    picture = await farm.volume(made.source, view())
    assert picture.pixels.shape == (64, 64, 3)
    assert picture.complete and picture.reduced == (1, 1, 1)
    assert picture.pixels[32, 32].min() > 150 and picture.pixels[0, 0].max() == 0
    assert set(picture.timing_ms) == {"queue", "update", "draw"}
    draft = await farm.volume(made.source, view(draft=True))
    assert not draft.complete and draft.draft and draft.pixels.shape == (64, 64, 3)
    plane = PlaneView(viewpoint_for("a", (15, 15, 15), 90), 40, 30, 30.0, Window(0, 2400))
    flat = await farm.plane(made.source, plane)
    assert flat.pixels.shape == (30, 40) and flat.pixels[15, 20] == 255
    health = farm.health()
    assert health["reason"] == "" and health["workers_alive"] == 1
    assert health["slice_path"] in ("cpu", "gl")


async def test_workers_let_slices_of_the_serving_process_go_first(farm: RenderFarm) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    (pid,) = farm.worker_pids()
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, own + NICENESS)


async def test_what_cannot_be_drawn_is_refused_and_the_worker_goes_on(farm: RenderFarm, bench: Any) -> None:
    pids = farm.worker_pids()
    made = bench(cube())
    with pytest.raises(Invalid):
        await farm.volume(made.source, view(height_mm=-1.0))
    gone = bench(cube())
    gone.path.unlink()
    with pytest.raises(Gone):
        await farm.volume(gone.source, view())
    short = bench(cube())
    short.path.write_bytes(b"1234")
    with pytest.raises(Invalid, match="smaller"):
        await farm.volume(short.source, view())
    assert (await farm.volume(made.source, view())).complete
    assert farm.worker_pids() == pids


async def test_newest_of_a_view_wins_in_its_place(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    slow = await busy(farm, bench)
    done: list[str] = []

    async def ask(name: str, key: str) -> None:
        await farm.volume(made.source, view(), view_key=key)
        done.append(name)

    older = asyncio.create_task(ask("older", "mine"))
    await asyncio.sleep(0)
    other = asyncio.create_task(ask("other", "yours"))
    await asyncio.sleep(0)
    newer = asyncio.create_task(ask("newer", "mine"))
    with pytest.raises(Canceled):
        await older
    await stop(slow)
    await asyncio.gather(other, newer)
    assert done == ["newer", "other"]


async def test_motion_ends_refinement_of_the_same_view(farm: RenderFarm, bench: Any) -> None:
    made = bench(np.full((64, 64, 64), 5, np.int16))
    slow = asyncio.create_task(farm.volume(made.source, SLOW, view_key="mine"))
    while not farm._workers[0].running:
        await asyncio.sleep(0.005)
    draft = await farm.volume(made.source, view(draft=True), view_key="mine")
    assert draft.draft
    with pytest.raises(Canceled):
        await slow


async def test_urgent_goes_before_patient(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    slow = await busy(farm, bench)
    done: list[int] = []

    async def ask(importance: Importance) -> None:
        await farm.volume(made.source, view(), importance=importance)
        done.append(importance)

    tasks = []
    for importance in (Importance.REFINEMENT, Importance.INTERACTION, Importance.PREFETCH):
        tasks.append(asyncio.create_task(ask(importance)))
        await asyncio.sleep(0)
    await stop(slow)
    await asyncio.gather(*tasks)
    assert done == [0, 1, 2]


async def test_users_take_turns(farm: RenderFarm, bench: Any) -> None:
    slow = await busy(farm, bench)
    made = bench(cube())
    finished: list[str] = []

    async def ask(user: str, number: int) -> None:
        await farm.volume(made.source, view(), user=user)
        finished.append(f"{user}{number}")

    many = [asyncio.create_task(ask("ana", number)) for number in range(3)]
    await asyncio.sleep(0.05)
    few = [asyncio.create_task(ask("ivo", 0))]
    await asyncio.sleep(0.05)
    await stop(slow)
    await asyncio.gather(*many, *few)
    assert finished.index("ivo0") <= 1, finished
    assert [one for one in finished if one.startswith("ana")] == ["ana0", "ana1", "ana2"]


async def drawing(farm: RenderFarm) -> None:
    """Wait until the only worker has something to do."""
    while not farm._workers[0].running:
        await asyncio.sleep(0.002)


async def test_interaction_interrupts_refinement_of_others(farm: RenderFarm, bench: Any) -> None:
    fog = bench(np.full((64, 64, 64), 5, np.int16))
    large = view(1000, transfer_function=FOG)
    whole = await farm.volume(fog.source, large)
    answers: list[str] = []

    async def ask(name: str, importance: Importance, source: Any, wanted: VolumeView) -> Any:
        picture = await farm.volume(source, wanted, importance=importance, user=name)
        answers.append(name)
        return picture

    refined = asyncio.create_task(ask("ivo", Importance.REFINEMENT, fog.source, large))
    await drawing(farm)
    draft = await ask("ana", Importance.INTERACTION, bench(cube()).source, view(draft=True))
    picture = await refined
    assert draft.draft and answers == ["ana", "ivo"]
    assert farm.tally.interrupted >= 1
    assert np.array_equal(picture.pixels, whole.pixels)


@pytest.mark.parametrize(
    ("patience_s", "most", "expected"), [(0.0, 9, ["slow", "one", "two"]), (1e9, 1, ["one", "slow", "two"])]
)
async def test_refinement_does_not_starve(
    bench: Any, patience_s: float, most: int, expected: list[str]
) -> None:
    made = bench(cube())
    answers: list[str] = []
    async with RenderFarm(
        platform="software", patience_s=patience_s, most_interruptions=most, texture_budget_bytes=64 << 20
    ) as farm:
        await farm.started()
        fog = bench(np.full((64, 64, 64), 5, np.int16))
        await farm.volume(fog.source, view())

        async def ask(name: str, importance: Importance, source: Any, wanted: VolumeView) -> None:
            await farm.volume(source, wanted, importance=importance, user="ivo" if name == "slow" else "ana")
            answers.append(name)

        slow = asyncio.create_task(
            ask("slow", Importance.REFINEMENT, fog.source, view(900, transfer_function=FOG))
        )
        await drawing(farm)
        one = asyncio.create_task(ask("one", Importance.INTERACTION, made.source, view()))
        while len(answers) < 1 and farm.tally.interrupted < 1 and not farm.health()["queue_length"]:
            await asyncio.sleep(0.002)
        if patience_s:
            await one
        await ask("two", Importance.INTERACTION, made.source, view())
        await asyncio.gather(slow, one)
    assert answers == expected


async def test_what_was_put_aside_can_be_canceled(farm: RenderFarm, bench: Any) -> None:
    fog = bench(np.full((64, 64, 64), 5, np.int16))
    aside = asyncio.create_task(farm.volume(fog.source, SLOW, user="ivo"))
    await drawing(farm)
    moved = asyncio.create_task(farm.volume(fog.source, SLOW, importance=Importance.INTERACTION, user="ana"))
    while not farm.tally.interrupted or farm.running()[Importance.INTERACTION] == 0:
        await asyncio.sleep(0.002)
    assert farm.waiting()[Importance.REFINEMENT] == 1
    await stop(aside)
    assert farm.waiting()[Importance.REFINEMENT] == 0
    await stop(moved)
    assert (await farm.volume(bench(cube()).source, view())).complete
    assert farm.tally.canceled_waiting == 1 and farm.tally.canceled_running == 1


async def test_a_canceled_picture_is_given_up_half_way(farm: RenderFarm, bench: Any) -> None:
    slow = await busy(farm, bench)
    await asyncio.sleep(0.1)
    await stop(slow)
    assert (await farm.volume(bench(cube()).source, view())).complete
    assert farm.tally.canceled_running == 1 and farm.tally.drawn == 1
    assert farm.tally.rows_spared > 0


async def test_a_newer_full_picture_of_a_view_ends_the_older(farm: RenderFarm, bench: Any) -> None:
    made = bench(np.full((64, 64, 64), 5, np.int16))
    slow = asyncio.create_task(farm.volume(made.source, SLOW, view_key="mine"))
    await drawing(farm)
    newer = await farm.volume(made.source, view(), view_key="mine")
    assert newer.complete
    with pytest.raises(Canceled):
        await slow


async def test_a_full_queue_makes_room_for_the_more_important(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    slow = asyncio.create_task(
        farm.volume(bench(np.full((64, 64, 64), 5, np.int16)).source, SLOW, importance=Importance.INTERACTION)
    )
    await drawing(farm)
    many = []
    for _ in range(4):
        many.append(asyncio.create_task(farm.volume(made.source, view(), user="ana")))
        await asyncio.sleep(0)
    # Of equals, whoever waits for most gives way to who waits for nothing yet.
    other = asyncio.create_task(farm.volume(made.source, view(), user="ivo"))
    await asyncio.sleep(0)
    with pytest.raises(Exhausted):
        await many[3]
    moved = asyncio.create_task(
        farm.volume(made.source, view(), importance=Importance.INTERACTION, user="ana")
    )
    await asyncio.sleep(0)
    with pytest.raises(Exhausted):
        await many[2]
    with pytest.raises(Exhausted):
        await farm.volume(made.source, view(), importance=Importance.PREFETCH, user="eva")
    await stop(slow)
    assert all(one.complete for one in await asyncio.gather(many[0], many[1], other, moved))
    assert farm.tally.refused == 3


async def test_a_full_queue_refuses(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    slow = await busy(farm, bench)
    waiting = [asyncio.create_task(farm.volume(made.source, view())) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert farm.health()["queue_length"] == 4
    with pytest.raises(Exhausted):
        await farm.volume(made.source, view())
    await stop(waiting[0])
    assert farm.health()["queue_length"] == 3
    await stop(slow)
    assert all(picture.complete for picture in await asyncio.gather(*waiting[1:]))


async def test_canceling_the_caller_stops_the_drawing(farm: RenderFarm, bench: Any) -> None:
    started = time.perf_counter()
    endless = view(8000, transfer_function=FOG)
    made = bench(np.full((200, 64, 64), 5, np.int16))
    task = asyncio.create_task(farm.volume(made.source, endless))
    while not farm._workers[0].running:
        await asyncio.sleep(0.005)
    await stop(task)
    pids = farm.worker_pids()
    assert (await farm.volume(made.source, view())).complete
    assert farm.worker_pids() == pids
    assert time.perf_counter() - started < 60, "the whole picture would take minutes"


async def test_a_killed_worker_comes_back_and_its_job_is_done(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    slow = asyncio.create_task(farm.volume(made.source, view(1200, transfer_function=FOG)))
    while not farm._workers[0].running:
        await asyncio.sleep(0.005)
    (pid,) = farm.worker_pids()
    os.kill(pid, signal.SIGKILL)
    picture = await slow
    assert picture.pixels.shape == (1200, 1200, 3)
    assert farm.worker_pids() != [pid]
    assert farm.health()["restarts"] == 1


async def test_a_worker_ignores_ctrl_c(farm: RenderFarm, bench: Any) -> None:
    (pid,) = farm.worker_pids()
    os.kill(pid, signal.SIGINT)
    assert (await farm.volume(bench(cube()).source, view())).complete
    assert farm.worker_pids() == [pid]


async def test_forgotten_volumes_are_loaded_again(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube())
    before = await farm.volume(made.source, view())
    farm.forget(made.source.key)
    farm.forget("never heard of")
    after = await farm.volume(made.source, view())
    assert np.array_equal(before.pixels, after.pixels)


async def test_a_coarse_volume_gets_better(farm: RenderFarm, bench: Any) -> None:
    made = bench(cube(), ready=False)
    nothing = await farm.volume(made.source, view())
    assert not nothing.complete and nothing.pixels.max() == 0 and nothing.slices_ready == 0
    made.make_ready(*range(0, 32, 8))
    coarse = await farm.volume(made.source, view())
    assert not coarse.complete and coarse.slices_ready == 4
    assert coarse.pixels[32, 32].min() > 150
    made.make_ready(*range(32))
    full = await farm.volume(made.source, view())
    assert full.complete and full.slices_ready == 32
    assert (full.pixels != coarse.pixels).any()


async def test_volumes_spread_over_workers(bench: Any) -> None:
    async with RenderFarm(workers=2, texture_budget_bytes=64 << 20) as farm:
        made = [bench(cube()) for _ in range(4)]
        await asyncio.gather(*(farm.volume(one.source, view()) for one in made))
        owners = [id(farm._owner[one.source.key]) for one in made]
        assert sorted(owners.count(owner) for owner in set(owners)) == [2, 2]


async def test_no_platform_no_pictures(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    async with RenderFarm(platform="glfw") as farm:
        with pytest.raises(Unavailable, match="glfw"):
            await farm.volume(bench(cube()).source, view())
        assert "glfw" in str(farm.health()["reason"])
        with pytest.raises(Unavailable):
            await farm.started()


async def test_a_closed_farm_refuses(bench: Any) -> None:
    farm = RenderFarm()
    with pytest.raises(Unavailable):
        await farm.volume(bench(cube()).source, view())
    with pytest.raises(Invalid):
        RenderFarm(platform="metal")
    with pytest.raises(Invalid):
        RenderFarm(workers=0)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import asyncio, os, signal
            from sivr.gl.farm import RenderFarm

            async def main():
                async with RenderFarm() as farm:
                    await farm.started()
                    print(farm.worker_pids()[0], flush=True)
                    os.kill(os.getpid(), signal.SIGKILL)

            if __name__ == "__main__":
                asyncio.run(main())
            """
        )
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert ran.returncode == -signal.SIGKILL
    pid = int(ran.stdout)
    until = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"
