"""Files come in: stored, known, refused; resumed; never acknowledged before they are durable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sivr.errors import Conflict, Exhausted, Forbidden, Invalid, NotFound, TooLarge
from sivr.model.ingest import NewUpload
from sivr.services.ingest import Ingest
from sivr.services.uploads import UploadLimits
from sivr.store.inbox import Inbox, Part
from tests.services.ingesting import (
    TOPLEVEL,
    Listener,
    breaking,
    in_pieces,
    person,
    phantom,
    running_ingest,
    sender,
    store_grant,
)
from tests.services.stored import exists


@pytest.fixture
def institution() -> Listener:
    """An institution that listens."""
    return Listener()


@pytest.fixture
async def ingest(tmp_path: Path, institution: Listener) -> AsyncIterator[Ingest]:
    """A running ingest with nothing in it."""
    async with running_ingest(tmp_path, institution) as opened:
        yield opened


async def test_stored_indexed_and_told(ingest: Ingest, institution: Listener, tmp_path: Path) -> None:
    files = phantom(tmp_path, 6)
    ana = await sender(ingest)
    results = [await ana.put(f"f{number}", file.read_bytes()) for number, file in enumerate(files)]
    assert [one.status for one in results] == ["stored"] * 6
    for one, file in zip(results, files, strict=True):
        body = file.read_bytes()
        assert one.sha256 == hashlib.sha256(body).hexdigest()
        assert one.md5 == hashlib.md5(body).hexdigest()
        assert one.size_bytes == len(body)
        assert ingest.blobs.read(one.sha256, 0, 1 << 30) == body
    state = await ana.indexed()
    assert state.counts.stored == 6
    assert state.counts.pending == state.counts.failed == 0
    assert state.bytes == sum(one.size_bytes for one in results)
    study = results[0].study_uid
    assert [(one.study_uid, one.instances, one.indexed) for one in state.studies] == [(study, 6, True)]
    _, stored = await ingest.index.opened(study, results[0].series_uid)
    assert {one.header.instance_uid for one in stored} == {one.instance_uid for one in results}
    notice = await institution.heard(study, 6)
    assert (notice.patient_id, notice.patient_issuer) == ("p1", TOPLEVEL)
    assert {one.md5 for one in notice.instances} == {one.md5 for one in results}
    assert notice.series[0].has_volume
    # Nothing of the upload is left in the inbox.
    assert not [one for one in (tmp_path / "data" / "inbox").rglob("*") if one.is_file()]
    short = await ingest.uploads.state(ana.upload, ana.actor, files=False)
    assert short.files == ()
    assert short.counts == state.counts


async def test_the_same_question_gets_the_same_answer(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    first = await ana.put("f", body)
    assert await ana.put("f", body) == first
    assert await ana.put("f", b"", offset=len(body), total=len(body)) == first
    assert await ana.arrived("f") == len(body)
    refused = await ana.put("g", b"nothing of the kind")
    assert await ana.put("g", b"nothing of the kind") == refused
    assert len((await ana.state()).files) == 2


async def test_duplicates(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana, marko = await sender(ingest), await sender(ingest, "marko")
    assert (await ana.put("f", body)).status == "stored"
    again = await ana.put("g", body)
    assert (again.status, again.reason) == ("duplicate", "")
    assert (await marko.put("f", body)).status == "duplicate"
    assert (await marko.indexed()).counts.duplicate == 1
    assert len(await ingest.index.study(again.study_uid)) == 1


async def test_a_duplicate_mends_a_lost_object(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    first = await ana.put("f", body)
    assert ingest.blobs.remove_old(first.sha256, 0)
    assert (await ana.put("g", body)).status == "duplicate"
    assert ingest.blobs.read(first.sha256, 0, 1 << 30) == body


async def test_same_uid_other_bytes(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    first = await ana.put("f", body)
    other = bytearray(body)
    other[-1] ^= 1
    refused = await ana.put("g", bytes(other))
    assert refused.status == "refused"
    assert "same SOP Instance UID" in refused.reason
    assert ingest.blobs.read(first.sha256, 0, 1 << 30) == body
    assert not exists(ingest.blobs, hashlib.sha256(other).hexdigest())


async def test_study_of_another_patient(ingest: Ingest, institution: Listener, tmp_path: Path) -> None:
    one, two, three = phantom(tmp_path, 3)
    ana, marko = await sender(ingest), await sender(ingest, "marko", "p2")
    first = await ana.put("f", one.read_bytes())
    for body in (one.read_bytes(), two.read_bytes(), three.read_bytes()):
        refused = await marko.put(f"f{len(body)}{body[-1]}", body)
        assert refused.status == "refused"
        assert "another patient" in refused.reason
    notice = await institution.heard(first.study_uid, 1)
    assert (notice.patient_id, notice.patient_issuer) == ("p1", TOPLEVEL)
    assert (await marko.state()).studies == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"A letter, no picture.", "not a DICOM file"),
        (b"\0" * 128 + b"DICM", "cut off"),
        (b"PK\x03\x04 and nothing after it", "damaged"),
        (b"PK\x05\x06" + b"\0" * 18, "no files"),
    ],
)
async def test_refused(ingest: Ingest, body: bytes, reason: str) -> None:
    ana = await sender(ingest)
    result = await ana.put("f", body, "letters/one.txt")
    assert (result.status, result.name) == ("refused", "letters/one.txt")
    assert reason in result.reason
    assert result.reason.endswith(".")
    state = await ana.indexed()
    assert state.counts.refused == 1
    assert state.files == (result,)


async def test_truncated(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    for cut in range(0, len(body), 37):
        result = await ana.put(f"c{cut}", body[:cut])
        # Cut right before an element that may be absent, a file is complete, but shows nothing.
        assert result.status == "refused" or (result.status == "stored" and result.warnings), cut


async def test_resume(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 512)[0].read_bytes()
    ana = await sender(ingest)
    half = len(body) // 2
    with pytest.raises(ConnectionResetError):
        await ana.put("f", breaking(body[:half]), total=len(body))
    assert await ana.arrived("f") == half
    with pytest.raises(Conflict) as conflict:
        await ana.put("f", body, offset=0, total=len(body))
    assert conflict.value.details["offset"] == half
    sent = 0

    async def rest() -> AsyncIterator[bytes]:
        nonlocal sent
        async for piece in in_pieces(body[half:]):
            sent += len(piece)
            yield piece

    result = await ana.put("f", rest(), offset=half, total=len(body))
    assert sent == len(body) - half
    assert (result.status, result.sha256) == ("stored", hashlib.sha256(body).hexdigest())
    assert result.md5 == hashlib.md5(body).hexdigest()


async def test_resume_in_a_new_process(tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 512)[0].read_bytes()
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        with pytest.raises(ConnectionResetError):
            await ana.put("f", breaking(body[:100_000]))
    async with running_ingest(tmp_path) as ingest:
        ana.ingest = ingest
        assert await ana.arrived("f") == 100_000
        result = await ana.put("f", body[100_000:], offset=100_000, total=len(body))
        assert result.sha256 == hashlib.sha256(body).hexdigest()


async def test_what_a_part_holds_does_not_depend_on_how_the_line_breaks(
    ingest: Ingest, tmp_path: Path
) -> None:
    body = phantom(tmp_path, 3, 1024)[0].read_bytes() * 3
    ana = await sender(ingest)
    for number, size in enumerate((1, 65_536, 1 << 20, (1 << 20) + 1, len(body))):
        with pytest.raises(ConnectionResetError):
            await ana.put(f"f{number}", breaking(body[:size]))
        part = Inbox(tmp_path / "data" / "inbox").path(ana.upload, f"f{number}")
        assert part.read_bytes() == body[:size]


async def test_too_few_bytes_are_no_file(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    with pytest.raises(Conflict) as conflict:
        await ana.put("f", body[:-10], total=len(body))
    assert conflict.value.details["offset"] == len(body) - 10
    assert (await ana.put("f", body[-10:], offset=len(body) - 10, total=len(body))).status == "stored"


async def test_without_an_offset_a_file_begins_anew(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3)[0].read_bytes()
    ana = await sender(ingest)
    with pytest.raises(ConnectionResetError):
        await ana.put("f", breaking(b"something else" * 1000))
    assert (await ana.put("f", body)).status == "stored"


async def test_the_newest_sender_of_a_file_wins(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 256)[0].read_bytes()
    ana = await sender(ingest)
    silent = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield body[:5000]
        silent.set()
        await asyncio.sleep(3600)

    old = asyncio.create_task(ana.put("f", stuck(), offset=0, total=len(body)))
    await silent.wait()
    with pytest.raises(Conflict) as conflict:
        await ana.put("f", body, offset=0, total=len(body))
    # What the old one had sent is kept, and the old one has been told why it ended.
    assert conflict.value.details["offset"] == 5000
    with pytest.raises(Conflict, match="sent again over another connection"):
        await old
    assert (await ana.put("f", body[5000:], offset=5000, total=len(body))).status == "stored"


async def test_many_senders_of_one_file(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 256)[0].read_bytes()
    ana = await sender(ingest)
    results = await asyncio.gather(*(ana.put("f", body) for _ in range(12)), return_exceptions=True)
    answers = [one for one in results if not isinstance(one, BaseException)]
    assert {one.status for one in answers} == {"stored"}
    assert all(isinstance(one, Conflict) for one in results if isinstance(one, BaseException))
    assert len(await ingest.index.study(answers[0].study_uid)) <= 1
    assert (await ana.indexed()).counts.stored == 1


async def test_a_sender_that_leaves_after_the_last_byte(ingest: Ingest, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 256)[0].read_bytes()
    ana = await sender(ingest)
    for number in range(10):
        task = asyncio.create_task(ana.put("f", body, total=len(body)))
        for _ in range(number * 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    offset = await ana.arrived("f")
    result = await ana.put("f", body[offset:], offset=offset, total=len(body))
    assert (result.status, result.sha256) == ("stored", hashlib.sha256(body).hexdigest())
    assert ingest.blobs.read(result.sha256, 0, 1 << 30) == body


async def test_two_users_at_once(ingest: Ingest, institution: Listener, tmp_path: Path) -> None:
    mine, yours = phantom(tmp_path, 30), phantom(tmp_path, 30)
    ana, marko = await sender(ingest), await sender(ingest, "marko", "p2")
    both = await asyncio.gather(
        *(ana.put(f"f{number}", file.read_bytes()) for number, file in enumerate(mine)),
        *(marko.put(f"f{number}", file.read_bytes()) for number, file in enumerate(yours)),
    )
    assert {one.status for one in both} == {"stored"}
    for one, patient in ((ana, "p1"), (marko, "p2")):
        state = await one.indexed()
        assert state.counts.stored == 30
        notice = await institution.heard(state.studies[0].study_uid, 30)
        assert notice.patient_id == patient
    # To each other they are strangers.
    with pytest.raises(NotFound):
        await ingest.uploads.state(ana.upload, marko.actor)
    marko.upload = ana.upload
    for question in (marko.state(), marko.put("f", b"x"), marko.arrived("f")):
        with pytest.raises(NotFound):
            await question


async def test_two_users_send_the_same_study(ingest: Ingest, tmp_path: Path) -> None:
    files = phantom(tmp_path, 20)
    ana, marko = await sender(ingest), await sender(ingest, "marko")
    results = await asyncio.gather(
        *(
            who.put(f"f{number}", file.read_bytes())
            for number, file in enumerate(files)
            for who in (ana, marko)
        )
    )
    assert sorted(one.status for one in results) == ["duplicate"] * 20 + ["stored"] * 20
    await ana.indexed()
    assert len(await ingest.index.study(results[0].study_uid)) == 20


async def test_two_patients_race_for_a_study(ingest: Ingest, tmp_path: Path) -> None:
    one, two, _ = phantom(tmp_path, 3)
    ana, marko = await sender(ingest), await sender(ingest, "marko", "p2")
    results = await asyncio.gather(ana.put("f", one.read_bytes()), marko.put("f", two.read_bytes()))
    assert sorted(result.status for result in results) == ["refused", "stored"]


async def test_permission(ingest: Ingest) -> None:
    new = NewUpload(patient_id="p1", patient_issuer=TOPLEVEL)
    grants: list[list[Any]] = [[], [store_grant("marko", "p1")], [store_grant("ana", "p2")]]
    for shown in grants:
        with pytest.raises(Forbidden):
            await ingest.uploads.create(new, person("ana"), shown, "test")
    with pytest.raises(Forbidden, match="has expired"):
        await ingest.uploads.create(new, person("ana"), [store_grant("ana", "p1", -1)], "test")


async def test_cancel(ingest: Ingest, tmp_path: Path) -> None:
    one, two, _ = phantom(tmp_path, 3)
    ana = await sender(ingest)
    kept = await ana.put("f", one.read_bytes())
    going = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield two.read_bytes()[:100]
        going.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(ana.put("g", slowly()))
    await going.wait()
    await ingest.uploads.cancel(ana.upload, ana.actor, "test")
    with pytest.raises(Conflict, match="canceled"):
        await task
    with pytest.raises(Conflict, match="canceled"):
        await ana.put("h", two.read_bytes())
    state = await ana.indexed()
    assert state.canceled
    assert [file.file_id for file in state.files] == ["f"]
    assert exists(ingest.blobs, kept.sha256)
    assert not (tmp_path / "data" / "inbox" / ana.upload).exists()


async def test_names_are_labels(ingest: Ingest, tmp_path: Path) -> None:
    files = phantom(tmp_path, 4)
    ana = await sender(ingest)
    names = ("../../../etc/passwd", "/root/x", "C:\\boot.ini", "čćž/\x00\n.dcm")
    for number, (name, file) in enumerate(zip(names, files, strict=True)):
        result = await ana.put(f"f{number}", file.read_bytes(), name)
        assert (result.status, result.name) == ("stored", name)
    for file_id in ("", "..", "a/b", "a.b", "x" * 65, "é"):
        with pytest.raises(Invalid):
            await ana.put(file_id, b"x")


async def test_limit_of_a_file(tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 256)[0].read_bytes()
    limits = UploadLimits(file_bytes=100_000, free_disk_bytes=0)
    async with running_ingest(tmp_path, limits=limits) as ingest:
        ana = await sender(ingest)
        with pytest.raises(TooLarge):
            await ana.put("f", body, total=len(body))
        with pytest.raises(TooLarge):
            await ana.put("f", body)
        assert await ana.arrived("f") <= 100_000
        assert (await ana.state()).files == ()


async def test_no_room(tmp_path: Path) -> None:
    async with running_ingest(tmp_path, limits=UploadLimits(free_disk_bytes=1 << 60)) as ingest:
        with pytest.raises(Exhausted, match="no room"):
            await sender(ingest)
        assert "MB left" in await ingest.storage_health()


async def test_a_new_file_never_writes_into_an_old_one(tmp_path: Path) -> None:
    # The old name may be that of a stored object too, when a crash came between two names.
    blob = tmp_path / "blob"
    blob.write_bytes(b"stored")
    (tmp_path / "part").hardlink_to(blob)
    part = Part(tmp_path / "part", None)
    part.finish([b"new"])
    part.release()
    assert blob.read_bytes() == b"stored"
    assert (tmp_path / "part").read_bytes() == b"new"
