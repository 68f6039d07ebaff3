"""Notices of nodes, through real sockets, with tokens that are good or nearly so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sivr.api import notices
from sivr.crypto import SigningKey
from tests.api.institution_asking import Asking, answering
from tests.services.institution_place import (
    ADA,
    ANA,
    KEY,
    NODE_KEY,
    OTHER_NODE_KEY,
    instance_of,
    node_token,
    notice_of,
    series_of,
    token,
)


async def test_a_study_becomes_known(institution: Asking) -> None:
    assert await institution.tell(notice_of()) == (204, None)
    status, study = await institution.ask(ANA, "GET", "/studies/1.2.3")
    assert (status, study["instance_count"], study["node"]["id"]) == (200, 2, "node-1")
    _, nodes = await institution.ask(ADA, "GET", "/nodes")
    assert [one["last_seen_at"] is None for one in nodes["items"]] == [False, True]


async def test_a_node_without_news_is_heard(institution: Asking) -> None:
    path, bearer = "/notices/presence", {"Authorization": f"Bearer {node_token()}"}
    assert await institution.ask(None, "POST", path, **bearer) == (204, None)
    _, nodes = await institution.ask(ADA, "GET", "/nodes")
    assert [one["last_seen_at"] is None for one in nodes["items"]] == [False, True]
    assert [one["version"] for one in nodes["items"]] == [1, 1]
    for stranger in ({}, {"Authorization": f"Bearer {node_token(key=OTHER_NODE_KEY)}"}):
        assert (await institution.ask(None, "POST", path, **stranger))[0] == 401


async def test_repeating_changes_nothing(institution: Asking) -> None:
    for notice in (notice_of(range(4), revision=5), notice_of(range(4), revision=5), notice_of(revision=4)):
        assert await institution.tell(notice) == (204, None)
    _, study = await institution.ask(ANA, "GET", "/studies/1.2.3")
    assert study["instance_count"] == 4


async def test_a_node_that_falls_silent_is_cut_off(tmp_path: Path) -> None:
    async with answering(tmp_path, request_timeout_s=0.2) as institution:
        reader, writer = await asyncio.open_connection("127.0.0.1", institution.client.port)
        lines = ["POST /notices HTTP/1.1", "Host: x", f"Authorization: Bearer {node_token()}"]
        writer.write("\r\n".join([*lines, "Content-Length: 1000", "", "{"]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        await reader.read()
        writer.close()
        assert await institution.tell(notice_of()) == (204, None)


async def test_what_was_told_survives_a_restart(tmp_path: Path) -> None:
    async with answering(tmp_path) as institution:
        await institution.tell(notice_of())
        _, before = await institution.ask(ANA, "GET", "/studies")
    async with answering(tmp_path) as institution:
        assert await institution.ask(ANA, "GET", "/studies") == (200, before)


@pytest.mark.parametrize(
    "bearer",
    [
        "nonsense",
        node_token(key=SigningKey.generate()),
        node_token(key=OTHER_NODE_KEY),
        node_token(ttl_s=-120),
        node_token(aud="elsewhere"),
        node_token(sub="node-2"),
        node_token("node-9"),
        token(ANA),
        KEY.sign({"iss": "general", "aud": "general", "sub": "general"}, 60),
    ],
    ids=["nonsense", "key", "key of another", "expired", "audience", "subject", "issuer", "person", "own"],
)
async def test_only_nodes_tell(institution: Asking, bearer: str) -> None:
    status, problem = await institution.tell(notice_of(), bearer)
    assert (status, problem["title"]) == (401, "Please log in")
    assert (await institution.ask(ANA, "GET", "/studies"))[1]["total"] == 0


async def test_a_node_speaks_only_for_itself(institution: Asking) -> None:
    status, problem = await institution.tell(notice_of(node_id="node-2"))
    assert (status, problem["detail"]) == (403, "A node speaks only for itself.")


async def test_inactive_nodes_are_not_heard(institution: Asking) -> None:
    await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "active": False})
    status, problem = await institution.tell(notice_of())
    assert (status, problem["detail"]) == (403, "The node node-1 is not active at this institution.")


async def test_a_key_that_was_replaced_counts_no_more(institution: Asking) -> None:
    fresh = SigningKey.generate()
    await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "public_key": fresh.public.text})
    assert (await institution.tell(notice_of(), node_token(key=NODE_KEY)))[0] == 401
    assert (await institution.tell(notice_of(), node_token(key=fresh)))[0] == 204


async def test_another_patients_study(institution: Asking) -> None:
    await institution.tell(notice_of())
    status, problem = await institution.tell(
        notice_of(node_id="node-2", patient_id="patient-2"), node_token("node-2", OTHER_NODE_KEY)
    )
    assert (status, problem["detail"]) == (409, "This study belongs to another patient at this institution.")


def plain(**values: Any) -> dict[str, Any]:
    """A notice as the JSON it is sent as, with members changed."""
    found: dict[str, Any] = msgspec.to_builtins(notice_of()) | values
    return found


SERIES = msgspec.to_builtins(series_of("1.2.3.1"))
INSTANCE = msgspec.to_builtins(instance_of("1.2.3.1.1", "1.2.3.1"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        plain(study_uid=""),
        plain(study_uid="1 2"),
        plain(study_uid="1" * 129),
        plain(patient_id="../x"),
        plain(revision=-1),
        plain(revision=2**63),
        plain(revision="1"),
        plain(size_bytes=-1),
        plain(study_date="2024-02-30"),
        plain(series=[SERIES, SERIES]),
        plain(instances=[INSTANCE, INSTANCE]),
        plain(series=[]),
        plain(instances=[{**INSTANCE, "md5": "x"}]),
        plain(instances=[{**INSTANCE, "size_bytes": 2**64}]),
        plain(series=[{**SERIES, "instance_count": 2**31}]),
    ],
    ids=lambda body: str(body)[:40],
)
async def test_what_is_no_notice(institution: Asking, body: Any) -> None:
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = {"Authorization": f"Bearer {node_token()}"}
    status, problem = await institution.ask(None, "POST", "/notices", sent, **headers)
    assert status == 400, problem
    assert problem["detail"].endswith(".")
    assert (await institution.ask(ANA, "GET", "/studies"))[1]["total"] == 0


async def test_texts_of_files_are_cleaned(institution: Asking) -> None:
    notice = notice_of(
        description="CT\0 head\r\n" + "x" * 2000,
        modalities=("CT\0", ""),
        series=(series_of("1.2.3.1", 2**40, description="a\0b"),),
    )
    assert (await institution.tell(notice))[0] == 204
    _, study = await institution.ask(ANA, "GET", "/studies/1.2.3")
    assert study["description"].startswith("CT head xxx")
    assert len(study["description"]) == 1024
    assert study["modalities"] == ["CT"]
    assert (study["series"][0]["description"], study["series"][0]["number"]) == ("a b", 2**40)


async def test_large_notices(institution: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    notice = notice_of(range(6000))
    assert (await institution.tell(notice))[0] == 204
    _, instances = await institution.ask(ANA, "GET", "/studies/1.2.3/instances")
    assert len(instances["items"]) == 6000
    monkeypatch.setattr(notices, "MAX_NOTICE_BYTES", 1 << 20)
    status, problem = await institution.tell(notice_of(range(6000), revision=2))
    assert (status, problem["detail"]) == (413, "A notice may have 64 MiB at most.")
