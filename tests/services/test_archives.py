"""Zip archives: each member a file like any other, and nothing a stranger packs does harm."""

from __future__ import annotations

import asyncio
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sivr.errors import Exhausted, Invalid
from sivr.services.archives import ArchiveLimits, Member, is_archive, unpack
from sivr.services.ingest import Ingest
from sivr.services.uploads import UploadLimits
from tests.services.ingesting import in_pieces, phantom, running_ingest, sender, zipped

LIMITS = ArchiveLimits()


@pytest.fixture
async def ingest(tmp_path: Path) -> AsyncIterator[Ingest]:
    """A running ingest with nothing in it."""
    async with running_ingest(tmp_path) as opened:
        yield opened


def members(folder: Path, body: bytes, limits: ArchiveLimits = LIMITS) -> list[Member]:
    """Everything an archive holds; each member's file has the hash that is told of it."""
    archive, target = folder / "archive", folder / "target"
    archive.write_bytes(body)
    found = []
    for one in unpack(archive, limits, target):
        if one.digest is not None:
            plain = target.read_bytes()
            assert hashlib.sha256(plain).hexdigest() == one.digest.sha256
            assert hashlib.md5(plain).hexdigest() == one.digest.md5
            assert len(plain) == one.digest.size_bytes
        found.append(one)
    return found


async def test_members_are_files(ingest: Ingest, tmp_path: Path) -> None:
    files = phantom(tmp_path, 5)
    bodies = {f"disc/IMAGES/{one.name}": one.read_bytes() for one in files}
    extra = {
        "disc/": b"",
        "disc/README.txt": b"Read me.",
        "disc/DICOMDIR": b"a directory",
        "__MACOSX/disc/._IM1": b"junk",
        "disc/.DS_Store": b"junk",
        "disc/._IM2": b"junk",
        "disc/inner.zip": zipped(files),
    }
    ana = await sender(ingest)
    result = await ana.put("z", zipped(bodies | extra), "disc.zip")
    assert (result.status, result.name, result.reason) == ("archive", "disc.zip", "")
    fates = {one.name: (one.status, one.reason) for one in result.members}
    assert all(fates[name] == ("stored", "") for name in bodies)
    assert fates["disc/README.txt"][0] == "refused"
    # Opened once only: an archive could hold itself.
    assert fates["disc/inner.zip"][0] == "refused"
    assert "inside an archive" in fates["disc/inner.zip"][1]
    assert len(fates) == 7
    assert result.warnings == ("Left out 4 files that computers leave in folders.",)
    assert len({one.file_id for one in result.members}) == 7
    state = await ana.indexed()
    assert (state.counts.stored, state.counts.refused) == (5, 2)
    study = result.members[0].study_uid
    assert len(await ingest.index.study(study)) == 5
    for one in result.members:
        if one.status == "stored":
            assert ingest.blobs.read(one.sha256, 0, 1 << 30) == bodies[one.name]
    assert await ana.put("z", b"") == result
    assert (await ana.put("f", files[0].read_bytes())).status == "duplicate"


async def test_names_are_labels(ingest: Ingest, tmp_path: Path) -> None:
    files = phantom(tmp_path, 3)
    names = ("../../../../escaped.dcm", "/absolute.dcm", "C:\\boot.dcm")
    ana = await sender(ingest)
    body = zipped(dict(zip(names, (one.read_bytes() for one in files), strict=True)))
    result = await ana.put("z", body)
    assert [one.status for one in result.members] == ["stored"] * 3
    assert not list(tmp_path.parent.rglob("escaped.dcm"))
    assert not Path("/absolute.dcm").exists()


async def test_resumed_archive(ingest: Ingest, tmp_path: Path) -> None:
    body = zipped(phantom(tmp_path, 4, 128), zipfile.ZIP_STORED)
    ana = await sender(ingest)
    with pytest.raises(ValueError, match="gone"):
        await ana.put("z", _gone(body[:9000]), total=len(body))
    result = await ana.put("z", body[9000:], offset=9000, total=len(body))
    assert [one.status for one in result.members] == ["stored"] * 4


async def _gone(body: bytes) -> AsyncIterator[bytes]:
    async for piece in in_pieces(body, 1000):
        yield piece
    raise ValueError("gone")


async def test_an_archive_is_judged_to_the_end(ingest: Ingest, tmp_path: Path) -> None:
    body = zipped(phantom(tmp_path, 40))
    ana = await sender(ingest)
    task = asyncio.create_task(ana.put("z", body, total=len(body)))
    while not (await ana.state()).studies:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Who asks again waits for the answer; nothing is taken twice.
    result = await ana.put("z", b"", offset=len(body), total=len(body))
    assert [one.status for one in result.members] == ["stored"] * 40


async def test_canceled_archive(ingest: Ingest, tmp_path: Path) -> None:
    body = zipped(phantom(tmp_path, 60))
    ana = await sender(ingest)
    task = asyncio.create_task(ana.put("z", body))
    while not (state := await ana.state()).studies:
        await asyncio.sleep(0)
    await ingest.uploads.cancel(ana.upload, ana.actor, "test")
    with pytest.raises(Exception, match="canceled"):
        await task
    state = await ana.indexed()
    assert 0 < state.studies[0].instances < 60
    assert len(await ingest.index.study(state.studies[0].study_uid)) == state.studies[0].instances


async def test_no_room_for_the_rest(tmp_path: Path) -> None:
    body = zipped(phantom(tmp_path, 3))
    async with running_ingest(tmp_path) as ingest:
        ana = await sender(ingest)
        limits = UploadLimits(free_disk_bytes=1 << 60)
    async with running_ingest(tmp_path, limits=limits) as ingest:
        ana.ingest = ingest
        with pytest.raises(Exhausted):
            await ana.put("z", body)


def test_empty(tmp_path: Path) -> None:
    assert members(tmp_path, zipped({})) == []


def test_a_dicom_file_may_begin_like_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"PK\x03\x04" + b"\0" * 124 + b"DICM")
    assert not is_archive(path)
    path.write_bytes(b"PK\x03\x04" + b"\0" * 128)
    assert is_archive(path)


def test_encrypted(tmp_path: Path) -> None:
    body = bytearray(zipped({"secret": b"x" * 100, "open": b"y" * 100}))
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(magic) + place] |= 1
    secret, plain = members(tmp_path, bytes(body))
    assert (secret.digest, secret.reason) == (None, "The file is encrypted.")
    assert plain.digest is not None


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods(tmp_path: Path, method: int) -> None:
    (found,) = members(tmp_path, zipped({"a": b"x" * 1000}, method))
    assert found.digest is None
    assert "method" in found.reason


def test_bomb(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * (80 << 20))
        archive.writestr("weight", bytes(range(256)) * 4000, zipfile.ZIP_STORED)
    bomb, weight = members(tmp_path, made.getvalue())
    assert "zip bomb" in bomb.reason
    assert weight.digest is not None


def test_many_small_bombs(tmp_path: Path) -> None:
    body = zipped({f"b{number}": b"\0" * (20 << 20) for number in range(5)})
    with pytest.raises(Invalid, match="zip bomb"):
        members(tmp_path, body)


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    plain = b"\0" * (1 << 20)
    packed = zlib.compressobj(9, wbits=-15)
    data = packed.compress(plain) + packed.flush()
    local = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, zlib.crc32(plain), len(data), len(plain), 1, 0
    )
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, zlib.crc32(plain), len(data), len(plain),
        1, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    count = 5000
    directory = (entry + b"a") * count
    start = len(local) + 1 + len(data)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    with pytest.raises(Invalid, match="zip bomb"):
        members(tmp_path, local + b"a" + data + directory + end)


def test_a_member_larger_than_it_says(tmp_path: Path) -> None:
    body = bytearray(zipped({"liar": b"x" * 100_000}))
    for magic, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", body, body.index(magic) + place, 10)
    (found,) = members(tmp_path, bytes(body))
    assert "damaged" in found.reason


def test_limits(tmp_path: Path) -> None:
    body = zipped({f"f{number}": b"x" * 1000 for number in range(10)}, zipfile.ZIP_STORED)
    with pytest.raises(Invalid, match="10 files; 9 are allowed"):
        members(tmp_path, body, ArchiveLimits(members=9))
    with pytest.raises(Invalid, match="unpacks to"):
        members(tmp_path, body, ArchiveLimits(total_bytes=9999))
    found = members(tmp_path, body, ArchiveLimits(member_bytes=999))
    assert all("larger than this node accepts" in one.reason for one in found)


def test_a_huge_table_of_contents(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    size = 100 << 20
    with archive.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(4 + size)
        file.seek(0, io.SEEK_END)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, size, 4, 0))
    with pytest.raises(Invalid, match="table of contents"):
        list(unpack(archive, LIMITS, tmp_path / "target"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever bytes are changed or cut, an archive is refused or its members are told truly."""
    body = bytearray(zipped({"a": b"x" * 300, "b/c": bytes(range(256))}))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(body)))
    try:
        members(tmp_path, bytes(body[:cut]))
    except Invalid as error:
        assert error.message.endswith(".")
