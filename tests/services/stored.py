"""DICOM files put into a node's store, for tests of everything above it."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from sivr.dicom.read import read_header
from sivr.errors import NotFound
from sivr.model.ingest import Object, Upload
from sivr.store.audit import By
from sivr.store.blobs import Blobs
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database
from sivr.store.index import Index, StoredInstance
from sivr.store.queue import Queue
from sivr.store.schema.render import cookie_session
from sivr.store.study_keys import StudyKeys
from sivr.store.uploads import Uploads

_BY = By("tester")
_WORKER = "tester"


class Store(msgspec.Struct, frozen=True):
    """What a node keeps."""

    folder: Path
    index: Index
    blobs: Blobs
    uploads: Uploads
    queue: Queue
    sessions: BrowserSessionRows
    database: Database


@asynccontextmanager
async def open_store(folder: Path) -> AsyncIterator[Store]:
    """The store below a folder, on SQLite; an empty one where there is none."""
    async with Database(f"sqlite:///{folder / 'node.sqlite'}", "render") as database:
        yield Store(
            folder,
            Index(database),
            Blobs(folder / "objects"),
            Uploads(database),
            Queue(database),
            BrowserSessionRows(database, cookie_session),
            database,
        )


async def store_files(
    store: Store,
    paths: Iterable[Path],
    *,
    apart: bool = False,
    blobs: Blobs | None = None,
    keys: StudyKeys | None = None,
) -> list[StoredInstance]:
    """Store and index files as they are; the stored instances in the order of the files.

    ``apart`` gives each a study of its own, for test files that share their UIDs. ``blobs`` are those of the
    store when they are not told, ``keys`` are needed where they encrypt.
    """
    owner = Upload(id=uuid.uuid4().hex, actor_id="tester", patient_id="p", patient_issuer="t", canceled=False)
    await store.uploads.create(owner, _BY)
    found: dict[str, StoredInstance] = {}
    for path in paths:
        body = path.read_bytes()
        header = read_header(path)
        if apart:
            header = msgspec.structs.replace(header, study_uid=_uid(), series_uid=_uid(), instance_uid=_uid())
        made = Object(
            instance_uid=header.instance_uid,
            series_uid=header.series_uid,
            study_uid=header.study_uid,
            sha256=hashlib.sha256(body).hexdigest(),
            md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            size_bytes=len(body),
        )
        copy = store.folder / uuid.uuid4().hex
        shutil.copyfile(path, copy)
        key = await keys.of_study(made.study_uid) if keys else None
        starts = [frame.parts[0][0] for frame in header.frames if frame.parts]
        (blobs or store.blobs).adopt(copy, made.sha256, key=key, starts=starts)
        verdict = await store.uploads.accept(made, owner, None, _BY)
        assert verdict in ("stored", "duplicate"), (path.name, verdict)
        found[header.instance_uid] = StoredInstance(header, made.sha256, made.size_bytes, made.md5)
    while messages := await store.queue.claim(_WORKER, 500, 60):
        await store.index.add([(one, found[one.instance_uid].header) for one in messages], _WORKER)
    return list(found.values())


def exists(blobs: Blobs, sha256: str) -> bool:
    """Whether an object is there."""
    try:
        blobs.size(sha256)
    except NotFound:
        return False
    return True


def _uid() -> str:
    return f"2.25.{uuid.uuid4().int}"
