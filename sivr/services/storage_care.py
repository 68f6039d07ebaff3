"""What keeps stored objects whole and secret over the years: scrubbing them, replacing and erasing keys."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from sivr.crypto import MasterKeys
from sivr.errors import Gone, Invalid, NotFound
from sivr.model.ingest import Object
from sivr.store.blobs import Blobs, no_keys
from sivr.store.database import Database
from sivr.store.objects import Objects
from sivr.store.study_keys import StudyKeys, master_in_force

__all__ = ["Finding", "master_in_force", "replace_master_key", "scrub", "shred_study"]

_PIECE_BYTES = 4 << 20


class Finding(msgspec.Struct, frozen=True):
    """An object that was looked at; ``reason`` is empty where it is what was accepted."""

    made: Object
    reason: str
    erased: bool = False
    """Whether it cannot be opened because its study's key was erased, as somebody wished."""


@asynccontextmanager
async def _keys(database_url: str, master_key: Path) -> AsyncIterator[StudyKeys]:
    async with Database(database_url, "render") as database:
        keys = StudyKeys(database, partial(MasterKeys.load, master_key))
        await keys.start()
        yield keys


async def replace_master_key(database_url: str, master_key: Path) -> int:
    """Wrap every study's key with a new master key, while the node runs or not; how many studies.

    Raises Invalid where the file is wrong or cannot be written; then nothing has changed.
    """
    async with _keys(database_url, master_key) as keys:
        return await keys.rotate(lambda masters: masters.replace(master_key))


async def shred_study(database_url: str, master_key: Path, study_uid: str) -> None:
    """Erase a study's key; raises NotFound where none of its objects is encrypted."""
    async with _keys(database_url, master_key) as keys:
        await keys.shred(study_uid)


async def scrub(
    database_url: str,
    folder: Path,
    master_key: Path | None,
    *,
    threads: int = 2,
    begin: Callable[[int], None] = lambda count: None,
) -> AsyncIterator[Finding]:
    """Read every accepted object and compare it with its hash. ``begin`` is told how many there are."""
    async with Database(database_url, "render") as database:
        keys = None
        if master_key is not None:
            keys = StudyKeys(database, partial(MasterKeys.load, master_key))
            await keys.start()
        blobs = await asyncio.to_thread(Blobs, folder / "blobs", None, keys.key_of if keys else no_keys)
        objects = Objects(database)
        begin(await objects.count())
        looking: deque[asyncio.Task[Finding]] = deque()
        try:
            async for made in objects:
                looking.append(asyncio.create_task(asyncio.to_thread(_look, blobs, made)))
                if len(looking) >= threads:
                    yield await looking.popleft()
            while looking:
                yield await looking.popleft()
        finally:
            # A thread cannot be stopped; the database must outlive those that ask it for keys.
            await asyncio.gather(*looking, return_exceptions=True)


def _look(blobs: Blobs, made: Object) -> Finding:
    digest = hashlib.sha256()
    try:
        with blobs.open(made.sha256) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    except Gone as error:
        return Finding(made, error.message, erased=True)
    except (Invalid, NotFound) as error:
        return Finding(made, error.message)
    except OSError as error:
        return Finding(made, f"The stored object cannot be read: {error.strerror}.")
    if digest.hexdigest() != made.sha256:
        return Finding(made, "The stored object is not what was accepted.")
    return Finding(made, "")
