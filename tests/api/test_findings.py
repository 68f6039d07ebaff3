"""Findings through real sockets: history, authors, versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sivr.services.findings import MAX_LENGTH
from tests.api.institution_asking import Asking, answering
from tests.services.institution_place import ADA, ANA, MARKO, VISITOR, notice_of

FINDINGS = "/studies/1.2.3/findings"


@pytest.fixture
async def institution(tmp_path: Path) -> AsyncIterator[Asking]:
    async with answering(tmp_path) as asking:
        await asking.tell(notice_of())
        yield asking


async def write(institution: Asking, text: str = "No fracture.") -> Any:
    status, finding = await institution.ask(ANA, "POST", FINDINGS, {"text": text})
    assert status == 201, finding
    return finding


async def test_write_and_read(institution: Asking) -> None:
    assert await institution.ask(ANA, "GET", FINDINGS) == (200, {"items": []})
    first = await write(institution, "Prijelom čeljusti.\n\n  Vidi sliku 12. \r\n")
    assert set(first) == {"id", "study_uid", "text", "author", "version", "created_at", "updated_at"}
    assert first["text"] == "Prijelom čeljusti.\n\n  Vidi sliku 12."
    assert (first["author"], first["version"]) == ({"id": ANA.id, "name": ANA.name}, 1)
    second = await write(institution)
    # A physician of another institution reads and writes as well.
    assert await institution.ask(VISITOR, "GET", FINDINGS) == (200, {"items": [first, second]})
    assert (await institution.ask(VISITOR, "POST", FINDINGS, {"text": "I agree."}))[0] == 201
    assert (await institution.ask(ANA, "GET", "/studies/1.2.3"))[1]["findings_count"] == 3


async def test_change_keeps_the_history(institution: Asking) -> None:
    first = await write(institution, "One")
    path = f"{FINDINGS}/{first['id']}"
    status, second = await institution.ask(ANA, "PUT", path, {"text": "Two", "version": 1})
    assert (status, second["text"], second["version"]) == (200, "Two", 2)
    assert second["created_at"] == first["created_at"] < second["updated_at"]
    _, third = await institution.ask(ANA, "PUT", path, {"text": "Three", "version": 2})
    status, history = await institution.ask(MARKO, "GET", f"{path}/history")
    assert status == 200
    assert [(one["version"], one["text"], one["at"]) for one in history["items"]] == [
        (3, "Three", third["updated_at"]), (2, "Two", second["updated_at"]), (1, "One", first["updated_at"]),
    ]  # fmt: skip
    assert {one["author"]["name"] for one in history["items"]} == {"Dr. Ana"}
    assert (await institution.ask(ANA, "GET", FINDINGS))[1]["items"] == [third]


async def test_only_the_author_changes(institution: Asking) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    status, problem = await institution.ask(MARKO, "PUT", path, {"text": "Mine", "version": 1})
    assert (status, problem["detail"]) == (403, "Only its author may change a finding.")
    assert len((await institution.ask(ANA, "GET", f"{path}/history"))[1]["items"]) == 1


async def test_stale_versions(institution: Asking) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    assert (await institution.ask(ANA, "PUT", path, {"text": "A", "version": 1}))[0] == 200
    status, problem = await institution.ask(ANA, "PUT", path, {"text": "B", "version": 1})
    assert (status, problem["version"]) == (409, 2)
    assert (await institution.ask(ANA, "PUT", path, {"text": "B", "version": 9}))[0] == 409


@pytest.mark.parametrize("version", [2**31, 2**64, -1])
async def test_versions_that_no_database_holds(institution: Asking, version: int) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    assert (await institution.ask(ANA, "PUT", path, {"text": "A", "version": version}))[0] == 400
    assert (await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": version}))[0] == 400


async def test_a_lost_answer_may_be_asked_for_again(institution: Asking) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    change = {"text": "After a lost line.", "version": 1}
    assert await institution.ask(ANA, "PUT", path, change) == await institution.ask(ANA, "PUT", path, change)
    assert len((await institution.ask(ANA, "GET", f"{path}/history"))[1]["items"]) == 2


async def test_an_id_of_the_sender_makes_writing_repeatable(institution: Asking) -> None:
    new = {"text": "After a lost line.", "id": "6F9619FF-8B86-4D01-B42D-00CF4FC964FF"}
    status, first = await institution.ask(ANA, "POST", FINDINGS, new)
    assert (status, first["id"]) == (201, "6f9619ff8b864d01b42d00cf4fc964ff")
    assert await institution.ask(ANA, "POST", FINDINGS, new) == (201, first)
    status, problem = await institution.ask(ANA, "POST", FINDINGS, {**new, "text": "Something else."})
    assert (status, problem["detail"]) == (409, "This id belongs to another finding.")
    assert (await institution.ask(MARKO, "POST", FINDINGS, new))[0] == 409
    assert (await institution.ask(ANA, "GET", FINDINGS))[1]["items"] == [first]
    for wrong in ("", "not a UUID", "../x", 7):
        assert (await institution.ask(ANA, "POST", FINDINGS, {**new, "id": wrong}))[0] == 400


async def test_two_windows_at_once(institution: Asking) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    changes = [{"text": f"Window {number}", "version": 1} for number in range(6)]
    done = await asyncio.gather(*(institution.ask(ANA, "PUT", path, one) for one in changes))
    assert sorted(status for status, _ in done) == [200, 409, 409, 409, 409, 409]
    assert len((await institution.ask(ANA, "GET", f"{path}/history"))[1]["items"]) == 2


@pytest.mark.parametrize("text", ["", " \n\t", "a\0b", "x" * (MAX_LENGTH + 1)], ids=repr)
async def test_texts_that_are_refused(institution: Asking, text: str) -> None:
    path = f"{FINDINGS}/{(await write(institution))['id']}"
    for method, where, body in (
        ("POST", FINDINGS, {"text": text}), ("PUT", path, {"text": text, "version": 1})
    ):  # fmt: skip
        status, problem = await institution.ask(ANA, method, where, body)
        assert (status, problem["field"]) == (400, "text")


async def test_the_longest_text(institution: Asking) -> None:
    assert (await write(institution, "đ" * MAX_LENGTH))["text"] == "đ" * MAX_LENGTH


async def test_unknown_ones(institution: Asking) -> None:
    finding = (await write(institution))["id"]
    await institution.tell(notice_of(study_uid="1.2.4"))
    change = {"text": "x", "version": 1}
    for method, path, body in (
        ("GET", "/studies/1.9/findings", None),
        ("POST", "/studies/1.9/findings", {"text": "x"}),
        ("PUT", f"{FINDINGS}/none", change),
        ("GET", f"{FINDINGS}/none/history", None),
        # The finding of another study.
        ("PUT", f"/studies/1.2.4/findings/{finding}", change),
        ("GET", f"/studies/1.2.4/findings/{finding}/history", None),
    ):
        assert (await institution.ask(ANA, method, path, body))[0] == 404, path


async def test_administrators_do_not_read_findings(institution: Asking) -> None:
    finding = (await write(institution))["id"]
    for method, path, body in (
        ("GET", FINDINGS, None),
        ("POST", FINDINGS, {"text": "x"}),
        ("PUT", f"{FINDINGS}/{finding}", {"text": "x", "version": 1}),
        ("GET", f"{FINDINGS}/{finding}/history", None),
    ):
        assert (await institution.ask(ADA, method, path, body))[0] == 403, path


async def test_the_audit_knows_no_texts(institution: Asking) -> None:
    finding = await write(institution, "secret text")
    await institution.ask(ANA, "PUT", f"{FINDINGS}/{finding['id']}", {"text": "more of it", "version": 1})
    rows = await institution.services.audit.newest(object_id=finding["id"])
    assert [(row.action, row.actor_id) for row in rows] == [
        ("finding.change", ANA.id), ("finding.create", ANA.id),
    ]  # fmt: skip
    assert "127.0.0.1" in {row.address for row in rows}
