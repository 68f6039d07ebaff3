"""Volumes stay where their textures are, and leave a worker that others keep busy."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from sivr.gl.farm import MUCH_BUSIER, RenderFarm
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import VolumeView

VIEW = VolumeView(
    "maximum_ip", viewpoint_for("a", (7.5, 7.5, 7.5), 50.0), 64, 64, 20.0, Window(500, 1001, "linear-exact")
)


async def test_a_volume_stays_with_its_worker_unless_others_keep_that_one_much_busier(bench: Any) -> None:
    voxels = np.random.default_rng(4).integers(0, 1000, (16, 16, 16)).astype(np.int16)
    async with RenderFarm(workers=2, texture_budget_bytes=64 << 20, platform="software") as farm:
        await farm.started()
        while farm.health()["workers_alive"] != 2:
            async with farm._changed:
                await farm._changed.wait()
        busy, other, guest = bench(voxels), bench(voxels), bench(voxels)
        first = [await farm.volume(one.source, VIEW) for one in (busy, other, guest)]
        owners = [farm._owner[one.source.key] for one in (busy, other, guest)]
        assert owners[0] is owners[2] is not owners[1]

        # Its own pictures alone move nothing, however many wait.
        many = [farm.volume(busy.source, VIEW, user=str(n)) for n in range(2 * MUCH_BUSIER)]
        await asyncio.gather(*many)
        assert farm._owner[busy.source.key] is owners[0]

        # One less than too many of another volume: it stays.
        for count, stays in ((MUCH_BUSIER - 1, True), (MUCH_BUSIER + 1, False)):
            crowd = [asyncio.create_task(farm.volume(busy.source, VIEW, user=str(n))) for n in range(count)]
            await asyncio.sleep(0)
            picture = await farm.volume(guest.source, VIEW)
            assert (farm._owner[guest.source.key] is owners[0]) is stays
            assert np.array_equal(picture.pixels, first[2].pixels)
            await asyncio.gather(*crowd)
        assert farm._owner[busy.source.key] is owners[0] and farm._owner[other.source.key] is owners[1]
