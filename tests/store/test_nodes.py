"""Nodes on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sivr.errors import Conflict, Forbidden, NotFound
from sivr.model.archive import NewNode, NodeChange
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.nodes import Nodes
from sivr.store.studies import StudyStore
from tests.services.institution_place import notice_of

BY = By("ada", "192.0.2.1")
NEW = NewNode(id="node-1", name="First", url="https://node-1.example.org", public_key="ed25519:a")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "institution") as opened:
        yield opened


@pytest.fixture
def nodes(database: Database) -> Nodes:
    return Nodes(database)


async def test_create_change_remove(database: Database, nodes: Nodes) -> None:
    assert await nodes.all() == []
    made = await nodes.create(NEW, BY)
    assert (made.active, made.accepts_storage, made.version, made.last_seen_at) == (True, True, 1, None)
    changed = await nodes.change("node-1", NodeChange(version=1, active=False, name="Renamed"), BY)
    assert (changed.name, changed.active, changed.url, changed.version) == ("Renamed", False, made.url, 2)
    assert await nodes.all() == [changed] == [await nodes.get("node-1")]
    with pytest.raises(Conflict) as stale:
        await nodes.change("node-1", NodeChange(version=1, active=True), BY)
    assert stale.value.details == {"version": 2}
    await nodes.remove("node-1", BY)
    assert await nodes.all() == []
    assert [row.action for row in await Audit(database).newest()] == [
        "node.remove", "node.change", "node.create",
    ]  # fmt: skip


async def test_ids_are_unique(nodes: Nodes) -> None:
    done = await asyncio.gather(*(nodes.create(NEW, BY) for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["Conflict", "Conflict", "Conflict", "Node"]


async def test_unknown_ones(nodes: Nodes) -> None:
    for attempt in (
        nodes.get("none"),
        nodes.change("none", NodeChange(version=1), BY),
        nodes.remove("none", BY),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_those_of_the_configuration(nodes: Nodes) -> None:
    await asyncio.gather(*(nodes.seed("node-1", "A", "https://a", "key-1") for _ in range(4)))
    await nodes.change("node-1", NodeChange(version=1, name="By hand", active=False), BY)
    await nodes.seed("node-1", "A", "https://a", "key-1")
    assert (await nodes.get("node-1")).name == "By hand"
    await nodes.seed("node-1", "A", "https://b", "key-2")
    node = await nodes.get("node-1")
    assert (node.name, node.url, node.public_key, node.active) == ("A", "https://b", "key-2", False)
    assert node.version == 3


async def test_an_administrators_node_that_the_file_names_later(nodes: Nodes) -> None:
    await nodes.create(NEW, BY)
    await nodes.seed("node-1", "Of the file", "https://b", "key-2")
    assert [one.name for one in await nodes.all()] == ["Of the file"]


async def test_removal_and_a_notice_at_once(nodes: Nodes, database: Database) -> None:
    """Either the node is gone and its notice refused, or the study is kept and with it the node."""
    studies = StudyStore(database)
    for number in range(10):
        node_id = f"node-{number}"
        await nodes.create(NewNode(id=node_id, name="N", url="https://n", public_key="k"), BY)
        told, removed = await asyncio.gather(
            studies.note(notice_of(study_uid=f"1.{number}", node_id=node_id), By(node_id)),
            nodes.remove(node_id, BY),
            return_exceptions=True,
        )
        kept = node_id in {one.id for one in await nodes.all()}
        if kept:
            assert told is True
            assert isinstance(removed, Conflict)
        else:
            assert isinstance(told, Forbidden)
            assert removed is None
