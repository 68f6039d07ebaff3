"""Objects on their way into a node's database, for tests of its stores."""

from __future__ import annotations

import hashlib
import uuid

from sivr.model.ingest import Object, Upload
from sivr.store.audit import By
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


async def accept(uploads: Uploads, owner: Upload, count: int, study: str = "1.2") -> list[Object]:
    """Accept this many objects of a study; each is then in the queue."""
    made = [an_object(str(number), study) for number in range(1, count + 1)]
    for one in made:
        assert await uploads.accept(one, owner, None, BY) == "stored"
    return made
