"""Uploads over real sockets: in pieces, resumed, refused, too slow, too large, at once."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sivr.services.uploads import UploadLimits
from tests.api.uploading import Place, running_place
from tests.services.ingesting import TOPLEVEL, phantom, zipped


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A node with nothing in it."""
    async with running_place(tmp_path) as opened:
        yield opened


async def test_upload(place: Place, tmp_path: Path) -> None:
    files = phantom(tmp_path, 5)
    upload = await place.upload()
    for number, file in enumerate(files):
        body = file.read_bytes()
        named = {"Sivr-File-Name": quote(f"slike č/{file.name}", safe="")}
        status, _, result = await place.ask("PUT", f"{upload}/files/f{number}", headers=named, data=body)
        assert (status, result["status"], result["name"]) == (200, "stored", f"slike č/{file.name}")
        assert result["sha256"] == hashlib.sha256(body).hexdigest()
        assert set(result) == {
            "file_id", "name", "status", "reason", "instance_uid", "series_uid", "study_uid", "size_bytes",
            "md5", "sha256", "warnings", "members",
        }  # fmt: skip
    status, _, broken = await place.ask("PUT", f"{upload}/files/broken", data=b"no picture")
    assert (status, broken["status"], broken["name"]) == (200, "refused", "broken")
    status, _, archive = await place.ask("PUT", f"{upload}/files/zip", data=zipped(files))
    assert (status, archive["status"]) == (200, "archive")
    assert {one["status"] for one in archive["members"]} == {"duplicate"}
    state = await place.indexed(upload)
    assert state["counts"] == {"stored": 5, "duplicate": 5, "refused": 1, "pending": 0, "failed": 0}
    assert len(state["files"]) == 7
    status, _, short = await place.ask("GET", f"{upload}?files=no")
    assert (status, short) == (200, state | {"files": []})
    notice = await place.institution.heard(result["study_uid"], 5)
    assert notice.patient_id == "p1"


async def test_resume_after_a_broken_connection(place: Place, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 1024)[0].read_bytes()
    upload = await place.upload()
    path = f"{upload}/files/f"
    _, writer = await place.line()
    writer.write(place.head("PUT", path, Upload_Offset="0", Content_Length=str(len(body))) + body[:1_500_000])
    await writer.drain()
    arrived = 0
    while arrived < 1_000_000:
        status, headers, _ = await place.ask("HEAD", path)
        assert status == 200
        arrived = int(headers["Upload-Offset"])
    writer.transport.abort()
    # The rest goes on from where the node has it; a sender who is wrong about that is told.
    wrong = {"Upload-Offset": "7", "Upload-Length": str(len(body))}
    status, _, problem = await place.ask("PUT", path, headers=wrong, data=b"")
    assert (status, problem["reason"]) == (409, "offset")
    offset = problem["offset"]
    assert 1_000_000 <= offset <= 1_500_000
    rest = {"Upload-Offset": str(offset), "Upload-Length": str(len(body))}
    status, _, result = await place.ask("PUT", path, headers=rest, data=body[offset:])
    assert (status, result["status"]) == (200, "stored")
    assert result["sha256"] == hashlib.sha256(body).hexdigest()
    status, headers, _ = await place.ask("HEAD", path)
    assert int(headers["Upload-Offset"]) == len(body)


async def test_a_sender_who_never_hears_the_answer(place: Place, tmp_path: Path) -> None:
    files = phantom(tmp_path, 20)
    upload = await place.upload()
    for number, file in enumerate(files):
        body = file.read_bytes()
        _, writer = await place.line()
        writer.write(place.head("PUT", f"{upload}/files/f{number}", Content_Length=str(len(body))) + body)
        await writer.drain()
        await asyncio.sleep(0.001 * number)
        writer.transport.abort()
    for number, file in enumerate(files):
        path, body = f"{upload}/files/f{number}", file.read_bytes()
        _, headers, _ = await place.ask("HEAD", path)
        offset = int(headers["Upload-Offset"])
        rest = {"Upload-Offset": str(offset), "Upload-Length": str(len(body))}
        status, _, result = await place.ask("PUT", path, headers=rest, data=body[offset:])
        if status == 409:
            # The earlier one was still at it.
            status, _, result = await place.ask("PUT", path, data=body)
        assert (status, result["status"]) == (200, "stored"), result
    state = await place.indexed(upload)
    assert state["counts"]["stored"] == 20
    assert state["studies"][0]["instances"] == 20


async def test_many_senders_of_one_file_all_get_an_answer(place: Place, tmp_path: Path) -> None:
    body = phantom(tmp_path, 3, 512)[0].read_bytes()
    upload = await place.upload()
    many = (place.ask("PUT", f"{upload}/files/f", data=body) for _ in range(10))
    answers = await asyncio.gather(*many)
    assert {status for status, _, _ in answers} <= {200, 409}
    assert "stored" in [answer["status"] for status, _, answer in answers if status == 200]
    for status, _, answer in answers:
        if status == 409:
            assert answer["reason"] == "replaced"
            assert "sent again" in answer["detail"] and answer["detail"].endswith(".")
    # Whoever was there first, a slow one hears of the one who came later.
    reader, writer = await place.line()
    writer.write(place.head("PUT", f"{upload}/files/g", Content_Length=str(len(body))) + body[:1000])
    await writer.drain()
    while not place.ingest.uploads._receptions:
        await asyncio.sleep(0.01)
    status, _, _ = await place.ask("PUT", f"{upload}/files/g", data=body)
    assert status == 200
    writer.write(body[1000:])
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 409 ")
    writer.transport.abort()


async def test_a_files_id_stays_with_its_bytes(place: Place, tmp_path: Path) -> None:
    first, second = (path.read_bytes() for path in (phantom(tmp_path, 1)[0], phantom(tmp_path, 1, 32)[0]))
    path = f"{await place.upload()}/files/f"
    _, _, result = await place.ask("PUT", path, data=first)
    for options in (
        {"data": second},
        {"data": second, "headers": {"Upload-Length": str(len(second))}},
        {"data": b"", "headers": {"Upload-Offset": str(len(first)), "Upload-Length": str(len(second))}},
    ):
        status, _, problem = await place.ask("PUT", path, **options)
        assert (status, problem["reason"]) == (409, "other_file")
        assert problem["detail"].endswith(".")
    for options in (
        {"data": first},
        {"data": b"", "headers": {"Upload-Offset": str(len(first)), "Upload-Length": str(len(first))}},
    ):
        status, _, again = await place.ask("PUT", path, **options)
        assert (status, again) == (200, result)


async def test_slow_senders(tmp_path: Path) -> None:
    async with running_place(tmp_path, idle_s=0.3) as place:
        upload = await place.upload()
        for path, trickle in ((f"{upload}/files/silent", b""), (f"{upload}/files/drip", b"x")):
            reader, writer = await place.line()
            writer.write(place.head("PUT", path, Content_Length="100000"))

            async def drip(writer: asyncio.StreamWriter = writer, trickle: bytes = trickle) -> None:
                while True:
                    writer.write(trickle)
                    await asyncio.sleep(0.05)

            dripping = asyncio.create_task(drip())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            finally:
                dripping.cancel()
                writer.transport.abort()
            assert head.startswith(b"HTTP/1.1 408 ")


async def test_limits(tmp_path: Path) -> None:
    limits = UploadLimits(file_bytes=1000, free_disk_bytes=0)
    async with running_place(tmp_path, limits=limits) as place:
        upload = await place.upload()
        for options in ({}, {"headers": {"Upload-Length": "1001"}}):
            status, _, problem = await place.ask("PUT", f"{upload}/files/f", data=b"x" * 1001, **options)
            assert status == 413, problem
            assert problem["detail"].endswith(".")

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(1000):
                yield b"x" * 10_000

        status, _, _ = await place.ask("PUT", f"{upload}/files/g", data=endless())
        assert status == 413


async def test_no_room(tmp_path: Path) -> None:
    async with running_place(tmp_path, limits=UploadLimits(free_disk_bytes=1 << 60)) as place:
        new = {"patient_id": "p1", "patient_issuer": TOPLEVEL}
        status, _, problem = await place.ask("POST", "/uploads", json=new)
        assert status == 503
        assert "no room" in problem["detail"]


@pytest.mark.parametrize("header", ["Upload-Offset", "Upload-Length"])
@pytest.mark.parametrize("value", ["-1", "1.5", "x", "٣", "9" * 16])
async def test_wrong_numbers(place: Place, header: str, value: str) -> None:
    upload = await place.upload()
    status, _, problem = await place.ask("PUT", f"{upload}/files/f", headers={header: value}, data=b"x")
    assert status == 400
    assert header in problem["detail"]


@pytest.mark.parametrize(
    "name",
    ["č", "two words", "100%", "%zz", "%C4", "%00", "a%0Ab", "%C2%85", "%ED%A0%80", "x" * 1025],
    ids=["not ascii", "space", "bare %", "no hex", "half a letter", "NUL", "LF", "C1", "surrogate", "long"],
)
async def test_a_wrong_name_is_refused_in_a_sentence(place: Place, name: str) -> None:
    upload = await place.upload()
    for method in ("HEAD", "PUT"):
        status, _, problem = await place.ask(method, f"{upload}/files/f", headers={"Sivr-File-Name": name})
        assert status == 400, method
    assert "Sivr-File-Name" in problem["detail"]
    assert problem["detail"].endswith(".")
    assert (await place.ask("GET", upload))[2]["files"] == []


async def test_a_name_in_the_address_is_not_read(place: Place) -> None:
    upload = await place.upload()
    _, _, result = await place.ask("PUT", f"{upload}/files/f?name=Horvat.dcm", data=b"x")
    assert result["name"] == "f"
    longest = quote("č" * 1024, safe="")
    _, _, result = await place.ask("PUT", f"{upload}/files/g", headers={"Sivr-File-Name": longest}, data=b"x")
    assert result["name"] == "č" * 1024


async def test_a_page_may_send_the_name_and_openapi_tells_of_it(place: Place) -> None:
    asked = {
        "Origin": "https://web.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "sivr-file-name",
    }
    async with place.http.options(f"{place.url}/uploads/u/files/f", headers=asked) as answer:
        allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"sivr-file-name", "upload-offset", "upload-length"} <= set(allowed)
    _, _, document = await place.ask("GET", "/openapi.json")
    for method, count in (("put", 3), ("head", 1)):
        parameters = document["paths"]["/uploads/{upload}/files/{file}"][method]["parameters"]
        headers = [one for one in parameters if one["in"] == "header"]
        assert headers[0]["name"] == "Sivr-File-Name"
        assert len(headers) == count
        assert not [one for one in parameters if one["in"] == "query"]


async def test_whose_upload(place: Place) -> None:
    upload = await place.upload()
    for method, path in (
        ("GET", upload), ("DELETE", upload), ("HEAD", f"{upload}/files/f"), ("PUT", f"{upload}/files/f"),
        ("GET", "/uploads/none"), ("PUT", "/uploads/none/files/f"),
    ):  # fmt: skip
        name = "marko" if upload in path else "ana"
        status, _, _ = await place.ask(method, path, name)
        assert status == 404, (method, path)
    for grantless in ({"Sivr-Grant": ""}, {"Sivr-Grant": place.headers("ana", "p2")["Sivr-Grant"]}):
        new = {"patient_id": "p1", "patient_issuer": TOPLEVEL}
        status, _, problem = await place.ask("POST", "/uploads", headers=grantless, json=new)
        assert (status, problem["reason"]) == (403, "grant_missing")
    status, _, _ = await place.ask("PUT", f"{upload}/files/a.b", data=b"x")
    assert status == 400


async def test_cancel(place: Place, tmp_path: Path) -> None:
    one, two, _ = phantom(tmp_path, 3)
    upload = await place.upload()
    _, _, kept = await place.ask("PUT", f"{upload}/files/f", data=one.read_bytes())
    assert (await place.ask("DELETE", upload))[0] == 204
    status, _, problem = await place.ask("PUT", f"{upload}/files/g", data=two.read_bytes())
    assert status == 409
    assert "canceled" in problem["detail"]
    state = await place.indexed(upload)
    assert state["canceled"]
    assert len(await place.ingest.index.study(kept["study_uid"])) == 1


async def test_large_bodies_are_never_whole_in_memory(place: Place) -> None:
    upload = await place.upload()
    size = 192 << 20
    piece = bytes(1 << 20)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(size >> 20):
            yield piece

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, _, result = await place.ask("PUT", f"{upload}/files/f", data=body())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (status, result["status"], result["size_bytes"]) == (200, "refused", size)
    assert grown < 64 * 1024


async def test_queue_and_outbox_are_for_administrators(place: Place, tmp_path: Path) -> None:
    place.institution.down = True
    upload = await place.upload()
    body = phantom(tmp_path, 3)[0].read_bytes()
    _, _, stored = await place.ask("PUT", f"{upload}/files/f", data=body)
    await place.indexed(upload)
    for path in ("/queue", "/outbox"):
        assert (await place.ask("GET", path))[0] == 403
    assert (await place.ask("POST", "/queue/1/retry"))[0] == 403
    status, _, queue = await place.ask("GET", "/queue", role="administrator")
    assert (status, queue) == (200, {"waiting": 0, "leased": 0, "dead": []})
    while True:
        status, _, outbox = await place.ask("GET", "/outbox", role="administrator")
        assert (status, outbox["waiting"]) == (200, 1)
        (waiting,) = outbox["items"]
        if waiting["reason"]:
            break
        await asyncio.sleep(0.05)
    assert waiting["study_uid"] == stored["study_uid"]
    assert waiting["reason"] == "The institution does not answer."
    place.institution.down = False
    await place.institution.heard(stored["study_uid"], 1)
    for number in ("1", "x", "9" * 20):
        assert (await place.ask("POST", f"/queue/{number}/retry", role="administrator"))[0] == 404


async def test_dead_letters(place: Place, tmp_path: Path) -> None:
    files = phantom(tmp_path, 3)
    upload = await place.upload()
    blobs = tmp_path / "data" / "blobs"
    body = files[0].read_bytes()
    sha256 = hashlib.sha256(body).hexdigest()
    # Bytes that rot between their acknowledgment and the index.
    async with place.ingest.database.begin():
        putting = asyncio.create_task(place.ask("PUT", f"{upload}/files/f", data=body))
        while not (rotten := blobs / sha256[:2] / sha256[2:4] / sha256).exists():
            await asyncio.sleep(0.005)
        rotten.write_bytes(b"rotten")
    status, _, result = await putting
    assert (status, result["status"]) == (200, "stored")
    state = await place.indexed(upload)
    assert state["counts"]["failed"] == 1
    _, _, queue = await place.ask("GET", "/queue", role="administrator")
    (dead,) = queue["dead"]
    assert dead["name"] == result["instance_uid"]
    assert "not a DICOM file" in dead["reason"]
    rotten.write_bytes(body)
    assert (await place.ask("POST", f"/queue/{dead['id']}/retry", role="administrator"))[0] == 204
    state = await place.indexed(upload)
    assert state["counts"]["failed"] == 0
    assert len(await place.ingest.index.study(result["study_uid"])) == 1
