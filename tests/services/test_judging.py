"""What becomes of complete files: archives in archives, and nodes that stop while an archive is unpacked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sivr.errors import Unavailable
from tests.services.ingesting import phantom, running_ingest, sender, zipped

MEMBERS = 40


async def test_an_archive_inside_an_archive(tmp_path: Path) -> None:
    files = phantom(tmp_path, 2)
    inner = zipped(files[:1])
    body = zipped({"inner.zip": inner, "good": files[1].read_bytes()})
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        result = await ana.put("f", body)
        assert [one.status for one in result.members] == ["refused", "stored"]
        assert "inside an archive" in result.members[0].reason


async def test_a_node_that_stops_amid_an_archive(tmp_path: Path) -> None:
    files = phantom(tmp_path, MEMBERS)
    body = zipped(files)
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        sending = asyncio.create_task(ana.put("f", body))
        while not (await ana.state()).studies:
            await asyncio.sleep(0.01)
    with pytest.raises(Unavailable, match="stopping"):
        await sending
    async with running_ingest(tmp_path) as ingest:
        ana.ingest = ingest
        # All of it is still here, so that nothing has to be sent again.
        assert await ana.arrived("f") == len(body)
        result = await ana.put("f", b"", offset=len(body), total=len(body))
        fates = [one.status for one in result.members]
        assert len(fates) == MEMBERS
        assert set(fates) == {"stored", "duplicate"}
        state = await ana.indexed()
        assert state.counts.stored + state.counts.duplicate == MEMBERS
        assert len(await ingest.index.study(result.members[0].study_uid)) == MEMBERS
        assert await ana.put("f", b"", offset=0) == result


async def test_a_stopped_node_takes_nothing(tmp_path: Path) -> None:
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        await ingest.uploads.settle()
        with pytest.raises(Unavailable, match="stopping"):
            await ana.put("f", phantom(tmp_path, 1)[0].read_bytes())
