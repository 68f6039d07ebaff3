"""Objects on their way into a node's database, for tests of its stores."""

from __future__ import annotations

import hashlib
import uuid

from sivr.model.ingest import Object, Upload
from sivr.model.pixels import FrameDisplay
from sivr.model.studies import Frame, InstanceHeader
from sivr.store.audit import By
from sivr.store.database import Database
from sivr.store.index import Index
from sivr.store.queue import Queue
from sivr.store.uploads import Uploads

BY = By("ana", "192.0.2.1")


async def open_upload(uploads: Uploads, patient: str = "p1") -> Upload:
    """A new upload for a patient."""
    made = Upload(uuid.uuid4().hex, "ana", patient, "county", False)
    await uploads.create(made, BY)
    return made


def an_object(name: str, study: str = "1.2", body: str = "") -> Object:
    """An object whose bytes are made of its names."""
    content = (body or f"{study}/{name}").encode()
    return Object(
        instance_uid=f"{study}.1.{name}",
        series_uid=f"{study}.1",
        study_uid=study,
        sha256=hashlib.sha256(content).hexdigest(),
        md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        size_bytes=len(content),
    )


async def accept(
    uploads: Uploads, owner: Upload, count: int, study: str = "1.2", first: int = 1
) -> list[Object]:
    """Accept this many objects of a study; each is then in the queue."""
    made = [an_object(str(number), study) for number in range(first, first + count)]
    for one in made:
        assert await uploads.accept(one, owner, None, BY) == "stored"
    return made


def a_header(instance_uid: str, frames: int = 1) -> InstanceHeader:
    """The header of an object whose UIDs were made by ``an_object``."""
    series_uid = instance_uid.rpartition(".")[0]
    return InstanceHeader(
        study_uid=series_uid.rpartition(".")[0],
        series_uid=series_uid,
        instance_uid=instance_uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        frames=(Frame(((1000, 2000),), None, (0.5, 0.5), FrameDisplay()),) * frames,
    )


async def index_all(database: Database) -> None:
    """Index whatever is due."""
    queue, index = Queue(database), Index(database)
    while taken := await queue.claim("tester", 500, 60):
        await index.add([(one, a_header(one.instance_uid)) for one in taken], "tester")
