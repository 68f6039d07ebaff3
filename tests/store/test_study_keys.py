"""Keys of studies: made once, wrapped, found by threads, wrapped anew, erased."""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from pathlib import Path

import pytest

from sivr.crypto import MasterKeys
from sivr.errors import Gone, Invalid, NotFound, Unavailable
from sivr.store.database import Database
from sivr.store.study_keys import StudyKeys, master_in_force


@pytest.fixture
def master_key(tmp_path: Path) -> Path:
    MasterKeys.generate().save(tmp_path / "master")
    return tmp_path / "master"


async def opened(database: Database, master_key: Path) -> StudyKeys:
    keys = StudyKeys(database, partial(MasterKeys.load, master_key))
    await keys.start()
    return keys


async def test_one_key_a_study_for_everybody(database_url: str, master_key: Path) -> None:
    async with Database(database_url, "render") as one, Database(database_url, "render") as two:
        mine, theirs = await opened(one, master_key), await opened(two, master_key)
        both = await asyncio.gather(*(keys.of_study(f"1.{n}") for n in range(8) for keys in (mine, theirs)))
        assert len({key.id for key in both}) == len({key.key for key in both}) == 8
        assert await mine.of_study("1.3") == await theirs.of_study("1.3") == both[6]
        fresh = await opened(one, master_key)
        assert await fresh.of_study("1.3") == await fresh.by_id(both[6].id) == both[6]


async def test_threads_ask_too(database_url: str, master_key: Path) -> None:
    async with Database(database_url, "render") as database:
        keys = await opened(database, master_key)
        made = await asyncio.to_thread(keys.key_for, "1.2")
        fresh = await opened(database, master_key)
        assert await asyncio.to_thread(fresh.key_of, made.id) == made.key
        with pytest.raises(Gone):
            await asyncio.to_thread(fresh.key_of, bytes(16))
        idle = StudyKeys(database, partial(MasterKeys.load, master_key))
        with pytest.raises(Unavailable):
            await asyncio.to_thread(idle.key_of, made.id)


async def test_rotation_while_a_node_runs(database_url: str, master_key: Path) -> None:
    async with Database(database_url, "render") as database:
        node = await opened(database, master_key)
        before = await node.of_study("1.1")
        old = master_key.read_text()
        assert await (await opened(database, master_key)).rotate(lambda one: one.replace(master_key)) == 1
        assert master_key.read_text() != old
        assert stat.S_IMODE(master_key.stat().st_mode) == 0o600
        assert len(MasterKeys.load(master_key).ids) == 1
        # The node has read the file before; it reads it again when it meets what it cannot open.
        made = await node.of_study("1.2")
        fresh = await opened(database, master_key)
        assert await fresh.by_id(before.id) == before
        assert await fresh.of_study("1.2") == made
        (master_key.with_name("old")).write_text(old)
        master_key.with_name("old").chmod(0o600)
        with pytest.raises(Invalid, match="is needed"):
            await opened(database, master_key.with_name("old"))


async def test_rotation_that_is_cut_short(database_url: str, master_key: Path) -> None:
    async with Database(database_url, "render") as database:
        keys = await opened(database, master_key)
        made = await keys.of_study("1.1")
        for last in (0, 1):
            # The first file holds both keys; the second one is written when every row is wrapped anew.
            written: list[MasterKeys] = []

            def write(masters: MasterKeys, last: int = last, written: list[MasterKeys] = written) -> None:
                if len(written) == last:
                    raise Invalid("power cut")
                written.append(masters)
                masters.replace(master_key)

            with pytest.raises(Invalid, match="power cut"):
                await (await opened(database, master_key)).rotate(write)
            assert await (await opened(database, master_key)).by_id(made.id) == made
        assert await (await opened(database, master_key)).rotate(lambda one: one.replace(master_key)) == 1
        assert len(MasterKeys.load(master_key).ids) == 1
        assert await (await opened(database, master_key)).by_id(made.id) == made


async def test_an_erased_key_is_gone(database_url: str, master_key: Path) -> None:
    async with Database(database_url, "render") as database:
        keys = await opened(database, master_key)
        made, kept = await keys.of_study("1.1"), await keys.of_study("1.2")
        await keys.shred("1.1")
        with pytest.raises(Gone):
            await asyncio.to_thread(keys.key_of, made.id)
        assert await asyncio.to_thread(keys.key_of, kept.id) == kept.key
        with pytest.raises(NotFound):
            await keys.shred("1.1")
        assert (await keys.of_study("1.1")).key != made.key


async def test_which_master_key_is_needed(database_url: str, master_key: Path) -> None:
    assert await master_in_force(database_url) is None
    async with Database(database_url, "render") as database:
        assert await master_in_force(database_url) is None
        await opened(database, master_key)
    assert await master_in_force(database_url) == MasterKeys.load(master_key).ids[0]


def test_files_that_are_no_master_keys(tmp_path: Path) -> None:
    path = tmp_path / "master"
    with pytest.raises(Invalid, match="cannot be read"):
        MasterKeys.load(path)
    for text in (b"", b"abc", b"AAAA\n", b"\xff\xfe", b"A" * 43 + b"=" + b"\n!"):
        path.write_bytes(text)
        path.chmod(0o600)
        with pytest.raises(Invalid):
            MasterKeys.load(path)
    MasterKeys.generate().save(tmp_path / "open")
    (tmp_path / "open").chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        MasterKeys.load(tmp_path / "open")


def test_a_wrapped_key_opens_for_its_study_alone() -> None:
    masters = MasterKeys.generate()
    [name] = masters.ids
    wrapped = masters.wrap(name, b"k" * 32, b"1.2")
    assert masters.unwrap(name, wrapped, b"1.2") == b"k" * 32
    for broken, bound in (
        (wrapped, b"1.3"),
        (wrapped[:-1], b"1.2"),
        (wrapped[:-1] + b"?", b"1.2"),
        (b"", b""),
    ):
        with pytest.raises(Invalid):
            masters.unwrap(name, broken, bound)
    with pytest.raises(Invalid, match="is needed"):
        MasterKeys.generate().unwrap(name, wrapped, b"1.2")
