"""Grants through real sockets, verified as a node verifies them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sivr.crypto import Verifier, grant_from_claims
from sivr.model.people import Grant
from tests.api.institution_asking import Asking
from tests.services.institution_place import (
    ADA,
    ANA,
    KEY,
    OTHER_NODE_KEY,
    VISITOR,
    node_token,
    notice_of,
)

VIEW = {"action": "view", "study_uid": "1.2.3"}
STORE = {"action": "store", "patient_id": "patient-1", "patient_issuer": "county"}


def verified(answer: Any) -> Grant:
    """The grant as the node it is for reads it."""
    verifier = Verifier({"general": [KEY.public]}, audience=answer["node"]["id"])
    return grant_from_claims(verifier.verify(answer["grant"]))


async def test_view(institution: Asking) -> None:
    await institution.tell(notice_of())
    for actor in (ANA, VISITOR):
        status, answer = await institution.ask(actor, "POST", "/grants", VIEW)
        assert status == 201
        assert (answer["expires_in_s"], answer["node"]) == (
            3600, {"id": "node-1", "url": "https://node-1.example.org"},
        )  # fmt: skip
        grant = verified(answer)
        assert (grant.action, grant.study_uid, grant.actor) == ("view", "1.2.3", actor.id)
        assert (grant.institution, grant.node, grant.patient) == ("general", "node-1", "")
        assert 3590 < grant.expires - time.time() <= 3600


async def test_view_where_most_of_it_is(institution: Asking) -> None:
    await institution.tell(notice_of(range(2)))
    other = node_token("node-2", OTHER_NODE_KEY)
    await institution.tell(notice_of(range(9), node_id="node-2"), other)
    assert (await institution.ask(ANA, "POST", "/grants", VIEW))[1]["node"]["id"] == "node-2"
    chosen = {**VIEW, "node_id": "node-1"}
    assert (await institution.ask(ANA, "POST", "/grants", chosen))[1]["node"]["id"] == "node-1"
    await institution.ask(ADA, "PATCH", "/nodes/node-2", {"version": 1, "active": False})
    assert (await institution.ask(ANA, "POST", "/grants", VIEW))[1]["node"]["id"] == "node-1"


async def test_view_refused(institution: Asking) -> None:
    assert (await institution.ask(ANA, "POST", "/grants", VIEW))[0] == 404
    await institution.tell(notice_of())
    assert (await institution.ask(ANA, "POST", "/grants", {**VIEW, "node_id": "node-2"}))[0] == 404
    assert (await institution.ask(ANA, "POST", "/grants", {"action": "view"}))[0] == 400
    assert (await institution.ask(ADA, "POST", "/grants", VIEW))[0] == 403
    assert (await institution.ask(None, "POST", "/grants", VIEW))[0] == 401
    await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "active": False})
    status, problem = await institution.ask(ANA, "POST", "/grants", VIEW)
    assert (status, problem["detail"]) == (409, "The node node-1, which holds the study, is not active.")


async def test_store(institution: Asking) -> None:
    status, answer = await institution.ask(ANA, "POST", "/grants", STORE)
    assert status == 201
    grant = verified(answer)
    assert (grant.action, grant.patient, grant.patient_issuer) == ("store", "patient-1", "county")
    assert (grant.node, grant.study_uid) == ("node-1", "")
    chosen = {**STORE, "node_id": "node-2"}
    assert verified((await institution.ask(ANA, "POST", "/grants", chosen))[1]).node == "node-2"


async def test_store_only_at_home(institution: Asking) -> None:
    status, problem = await institution.ask(VISITOR, "POST", "/grants", STORE)
    sentence = "You may store only at your own institution; General Hospital is not yours."
    assert (status, problem["detail"]) == (403, sentence)
    assert (await institution.ask(ADA, "POST", "/grants", STORE))[0] == 403


async def test_store_where_it_is_accepted(institution: Asking) -> None:
    await institution.ask(ADA, "PATCH", "/nodes/node-1", {"version": 1, "accepts_storage": False})
    assert (await institution.ask(ANA, "POST", "/grants", STORE))[1]["node"]["id"] == "node-2"
    for node, status in (("node-1", 409), ("node-2", 201), ("none", 404)):
        answered, _ = await institution.ask(ANA, "POST", "/grants", {**STORE, "node_id": node})
        assert answered == status, node
    await institution.ask(ADA, "PATCH", "/nodes/node-2", {"version": 1, "active": False})
    status, problem = await institution.ask(ANA, "POST", "/grants", STORE)
    assert (status, problem["detail"]) == (409, "No node of this institution accepts new studies.")


@pytest.mark.parametrize(
    "change",
    [
        {"patient_id": ""},
        {"patient_id": "a b"},
        {"patient_id": "\0"},
        {"patient_issuer": ""},
        {"patient_issuer": "elsewhere"},
        {"action": "report"},
        {"unknown": 1},
    ],
    ids=str,
)
async def test_store_refused(institution: Asking, change: dict[str, Any]) -> None:
    status, problem = await institution.ask(ANA, "POST", "/grants", {**STORE, **change})
    assert status == 400
    assert problem["detail"].endswith(".")


async def test_every_grant_is_written_down(institution: Asking) -> None:
    await institution.tell(notice_of())
    await institution.ask(ANA, "POST", "/grants", VIEW)
    await institution.ask(ANA, "POST", "/grants", STORE)
    await institution.ask(VISITOR, "POST", "/grants", STORE)
    rows = await institution.services.audit.newest(2)
    assert [(row.action, row.actor_id, row.object_id) for row in rows] == [
        ("grant.store", ANA.id, "patient-1"), ("grant.view", ANA.id, "1.2.3"),
    ]  # fmt: skip
