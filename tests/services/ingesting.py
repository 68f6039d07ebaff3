"""A node's ingest for tests: the real services on real folders, an institution that listens or does not."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
import zipfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sivr.dicom.phantom import write_phantom
from sivr.errors import Unavailable
from sivr.model.archive import StudyNotice
from sivr.model.ingest import FileResult, NewUpload, UploadState
from sivr.model.people import Actor, Grant
from sivr.services.ingest import Ingest, open_ingest
from sivr.services.uploads import UploadLimits

NODE, INSTITUTION, TOPLEVEL = "node-1", "general", "county"
WAIT_S = 30.0


class Listener:
    """The institution's end of the outbox; ``down`` makes it silent."""

    def __init__(self) -> None:
        self.down = False
        self.notices: list[StudyNotice] = []
        self.present = 0

    async def post_notice(self, notice: StudyNotice) -> None:
        """Hear it, or raise Unavailable."""
        if self.down:
            raise Unavailable("The institution does not answer.")
        self.notices.append(notice)

    async def post_presence(self) -> None:
        """Count it, or raise Unavailable."""
        if self.down:
            raise Unavailable("The institution does not answer.")
        self.present += 1

    async def heard(self, study_uid: str, instances: int) -> StudyNotice:
        """The newest notice once it tells of so many instances."""
        deadline = time.monotonic() + WAIT_S
        while True:
            found = [one for one in self.notices if one.study_uid == study_uid]
            if found and len(found[-1].instances) == instances:
                return found[-1]
            assert time.monotonic() < deadline, [len(one.instances) for one in found]
            await asyncio.sleep(0.02)


class Sender:
    """Somebody who uploads for one patient."""

    def __init__(self, ingest: Ingest, name: str, patient: str) -> None:
        self.ingest = ingest
        self.actor = person(name)
        self.patient = patient
        self.upload = ""

    async def open(self) -> Sender:
        """Begin an upload."""
        new = NewUpload(patient_id=self.patient, patient_issuer=TOPLEVEL)
        grants = [store_grant(self.actor.id, self.patient)]
        self.upload = await self.ingest.uploads.create(new, self.actor, grants, "test")
        return self

    async def put(
        self,
        file_id: str,
        body: bytes | AsyncIterator[bytes],
        name: str = "",
        *,
        offset: int | None = None,
        total: int | None = None,
    ) -> FileResult:
        """Send a file."""
        pieces = in_pieces(body) if isinstance(body, bytes) else body
        return await self.ingest.uploads.receive(
            self.upload, file_id, name or file_id, pieces,
            offset=offset, length=None, total=total, actor=self.actor, address="test",
        )  # fmt: skip

    async def state(self) -> UploadState:
        """The upload as it stands."""
        return await self.ingest.uploads.state(self.upload, self.actor)

    async def indexed(self) -> UploadState:
        """The upload once all of it is indexed."""
        deadline = time.monotonic() + WAIT_S
        while not (state := await self.state()).indexed:
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.02)
        return state

    async def arrived(self, file_id: str) -> int:
        """Bytes that the node has of a file."""
        return await self.ingest.uploads.offset(self.upload, file_id, self.actor)


@asynccontextmanager
async def running_ingest(
    folder: Path,
    institution: Listener | None = None,
    *,
    database_url: str = "",
    limits: UploadLimits | None = None,
    **options: Any,
) -> AsyncIterator[Ingest]:
    """The ingest of a node below a folder, its workers running."""
    async with open_ingest(
        database_url or f"sqlite:///{folder / 'node.db'}",
        folder / "data",
        node_id=NODE,
        institution=institution or Listener(),
        limits=limits or UploadLimits(free_disk_bytes=0),
        **options,
    ) as ingest:
        yield ingest


async def sender(ingest: Ingest, name: str = "ana", patient: str = "p1") -> Sender:
    """Somebody with an open upload."""
    return await Sender(ingest, name, patient).open()


def person(name: str) -> Actor:
    """A physician."""
    return Actor(id=name, name=name, roles=("physician",), institutions=(INSTITUTION,), toplevel=TOPLEVEL)


def store_grant(actor: str, patient: str, ttl_s: int = 300) -> Grant:
    """A permission to store for a patient's record."""
    return Grant(
        institution=INSTITUTION, node=NODE, actor=actor, action="store",
        expires=int(time.time()) + ttl_s, patient=patient, patient_issuer=TOPLEVEL,
    )  # fmt: skip


def phantom(folder: Path, slices: int = 4, size: int = 16, study: str = "") -> list[Path]:
    """The files of a small study that no other test has."""
    name = uuid.uuid4().hex
    return write_phantom(folder / name, "letter", (slices, size, size), study=study or name)


def zipped(files: Mapping[str, bytes] | Iterable[Path], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of these files."""
    named = files if isinstance(files, Mapping) else {one.name: one.read_bytes() for one in files}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, body in named.items():
            archive.writestr(name, body)
    return made.getvalue()


async def in_pieces(body: bytes, size: int = 64 << 10) -> AsyncIterator[bytes]:
    """A body as it comes over a line."""
    for start in range(0, len(body), size):
        await asyncio.sleep(0)
        yield body[start : start + size]


async def breaking(body: bytes) -> AsyncIterator[bytes]:
    """A body whose sender is lost at its end."""
    async for piece in in_pieces(body):
        yield piece
    raise ConnectionResetError("the line broke")
