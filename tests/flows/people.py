"""People of a running installation, for tests: logged in, with a patient's record and files to send."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sivr.peers import Answer, Visitor, open_client
from tests.flows.system import System

WAIT_S = 60.0


class Person:
    """A physician at work."""

    def __init__(self, visitor: Visitor, system: System) -> None:
        self.visitor = visitor
        self.system = system
        self.institution = system.urls["institution"]

    async def new_patient(self) -> str:
        """The id of a new record."""
        number = uuid.uuid4().hex
        patient = {"family_name": "Flow", "insurance_number": number, "insurance_issuer": "test"}
        return str((await self.visitor.find_or_create_patient(patient))["id"])

    async def new_upload(self, patient_id: str) -> str:
        """The address of a new upload."""
        node, grant = await self.visitor.may_store(self.institution, patient_id)
        return await self.visitor.open_upload(node, grant, patient_id)

    async def upload(self, upload_url: str, files: Sequence[Path]) -> list[dict[str, Any]]:
        """Send files one after the other; what became of each."""
        return [
            await self.visitor.put_file(upload_url, f"f{number}", file.name, file.read_bytes())
            for number, file in enumerate(files)
        ]

    async def indexed(self, upload_url: str) -> dict[str, Any]:
        """The upload once everything of it is indexed."""
        deadline = time.monotonic() + WAIT_S
        while True:
            state = await self.visitor.upload_state(upload_url)
            if state["indexed"]:
                return state
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.1)

    async def listed(self, study_uid: str, instances: int) -> dict[str, Any]:
        """The study once the institution knows that many instances of it."""
        deadline = time.monotonic() + WAIT_S
        while True:
            page = await self.visitor.json("GET", f"{self.institution}/studies?limit=500")
            found = [one for one in page["items"] if one["study_uid"] == study_uid]
            if found and found[0]["instance_count"] == instances:
                return dict(found[0])
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)

    async def rendered(self, study_uid: str, series: dict[str, Any], place: int, **params: str) -> Answer:
        """A rendered frame by its place in reading order."""
        frame = series["frames"][place]
        path = (
            f"/series/{series['series_uid']}/instances/{frame['instance_uid']}"
            f"/frames/{frame['frame']}/rendered"
        )
        params.setdefault("accept", "image/png")
        return await self.visitor.view(self.system.urls["render"], study_uid, path, params)

    async def series(self, study_uid: str) -> dict[str, Any]:
        """Contents of the first series, once viewing is permitted."""
        node = await self.visitor.may_view(self.institution, study_uid)
        contents = (await self.visitor.view(node, study_uid, "/contents")).json()
        return dict(contents["series"][0])


@asynccontextmanager
async def physician(system: System, number: int = 0) -> AsyncIterator[Person]:
    """One of the installation's physicians, logged in."""
    async with open_client(system.ca) as client:
        visitor = Visitor(client, system.web)
        await visitor.log_in(*system.physicians[number])
        yield Person(visitor, system)
