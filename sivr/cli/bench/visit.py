"""The way into an installation: log in as a physician, find a study to read, or store a generated one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from sivr.cli.bench.physician import Series
from sivr.errors import Invalid, NotFound, SivrError, Unavailable
from sivr.peers import Visitor, open_client

PATIENT = {
    "family_name": "Bench",
    "given_name": "Test",
    "insurance_number": "BENCH-TEST",
    "insurance_issuer": "sivr bench",
    "notes": "Made by sivr bench. Holds generated phantoms, no patient's data.",
}
AT_ONCE = 4
LOOKED_AT = 12
"""Studies that are opened in search of one with a volume."""
_WAIT_S = 600.0


class Opened(msgspec.Struct, frozen=True):
    """A study that may be read: where it is, and its longest series that can be shown."""

    visitor: Visitor
    institution_url: str
    node_url: str
    study_uid: str
    series: Series


@asynccontextmanager
async def log_in(url: str, login: str, secret: str, ca: Path | None) -> AsyncIterator[Visitor]:
    """A physician's session with the installation; logged out at the end."""
    async with open_client(ca) as client:
        visitor = Visitor(client, url)
        await visitor.log_in(login, secret)
        try:
            yield visitor
        finally:
            # Also after Ctrl-C: a session should not be left behind for want of a moment.
            with contextlib.suppress(SivrError):
                await asyncio.shield(visitor.log_out())


async def find(visitor: Visitor, study_uid: str = "") -> Opened:
    """The study with this UID, or the newest ones' longest series with a volume; raises NotFound."""
    best: Opened | None = None
    for institution in await visitor.institutions():
        try:
            page = await visitor.json("GET", f"{institution['url']}/studies?limit=200")
        except Unavailable:
            continue
        known = [one["study_uid"] for one in page["items"] if one["complete"]]
        if study_uid:
            # What is not on the first page may be there all the same.
            known = [study_uid]
        for uid in known[:LOOKED_AT]:
            try:
                found = await opened(visitor, institution["url"], uid)
            except SivrError:
                continue
            if best is None or _worth(found.series) > _worth(best.series):
                best = found
    if best is None:
        raise NotFound(
            f"The study {study_uid} cannot be read by this user."
            if study_uid
            else "There is no study that this user can read; --upload stores a generated one."
        )
    return best


async def opened(visitor: Visitor, institution_url: str, study_uid: str) -> Opened:
    """A study by its UID; raises NotFound when nothing of it can be shown, and what asking raises."""
    node = await visitor.may_view(institution_url, study_uid)
    contents = (await visitor.view(node, study_uid, "/contents")).json()
    series = [one for one in contents["series"] if one["renderable"] and one["frames"]]
    if not series:
        raise NotFound("Nothing of this study can be shown.")
    return Opened(visitor, institution_url, node, study_uid, max(series, key=_worth))


def _worth(series: Series) -> tuple[bool, int]:
    return series["volume"] is not None, len(series["frames"])


async def store_phantom(visitor: Visitor, shape: tuple[int, int, int], insurance_number: str = "") -> Opened:
    """Store a generated head of this shape in a patient's record, and open it.

    The record is that with this insurance number, which must exist, or one of our own.
    """
    # Imported here: only this step needs the whole of DICOM.
    from sivr.dicom.phantom import write_phantom

    institution = await own_institution(visitor)
    patient = await _patient(visitor, insurance_number)
    with tempfile.TemporaryDirectory() as folder:
        # The same patient gets the same study every time, another patient a study of another UID.
        files = await asyncio.to_thread(
            write_phantom, Path(folder), "head", shape, study=f"sivr bench {patient}"
        )
        study = await store(visitor, institution, patient, files)
    return await opened(visitor, institution, study)


def is_here(url: str) -> bool:
    """Whether the server of this URL is on this machine: only a machine's own addresses can be bound."""
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, _, _, address in found:
        try:
            with socket.socket(family, kind) as probe:
                probe.bind(address)
                return True
        except OSError:
            continue
    return False


async def _patient(visitor: Visitor, insurance_number: str) -> str:
    if not insurance_number:
        return str((await visitor.find_or_create_patient(PATIENT))["id"])
    search = {"insurance_number": insurance_number}
    found = (await visitor.json("POST", f"{visitor.toplevel_url}/patients/search", search))["items"]
    if len(found) != 1:
        raise NotFound(f"{len(found)} patients have the insurance number {insurance_number}.")
    return str(found[0]["id"])


async def own_institution(visitor: Visitor) -> str:
    """The address of an institution where this physician may store; raises Invalid."""
    me: dict[str, Any] = await visitor.json("GET", f"{visitor.toplevel_url}/me")
    for one in await visitor.institutions():
        if one["id"] in me["institutions"]:
            return str(one["url"])
    raise Invalid("This user may not store at any institution.")


async def store(visitor: Visitor, institution_url: str, patient_id: str, files: Sequence[Path]) -> str:
    """Upload the files of one study and wait until the institution knows them; the study's UID."""
    node, grant = await visitor.may_store(institution_url, patient_id)
    url = await visitor.open_upload(node, grant, patient_id)
    waiting = list(enumerate(files))

    async def send() -> None:
        while waiting:
            number, file = waiting.pop()
            body = await asyncio.to_thread(file.read_bytes)
            result = await visitor.put_file(url, f"f{number}", file.name, body)
            if result["status"] not in ("stored", "duplicate"):
                raise Invalid(f"{file.name} was refused: {result['reason']}")

    try:
        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    finally:
        # Whoever still sends after another one's failure ends with the file in hand.
        waiting.clear()
    deadline = time.monotonic() + _WAIT_S
    while not (state := await visitor.upload_state(url))["indexed"]:
        if time.monotonic() > deadline:
            raise Unavailable(f"The objects were not indexed within {_WAIT_S:.0f} s.")
        await asyncio.sleep(0.2)
    study = str(state["studies"][0]["study_uid"])
    while True:
        try:
            await visitor.may_view(institution_url, study)
        except NotFound:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return study
