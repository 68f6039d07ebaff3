"""Grants: for the right person, thing and action, and only while they last."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sivr.errors import Forbidden
from sivr.model.people import Grant
from sivr.services.permission import check_store, check_view
from tests.services.ingesting import INSTITUTION, NODE, TOPLEVEL, person

ANA = person("ana")


def grant(**values: Any) -> Grant:
    """A permission of Ana's that lasts."""
    facts = {"action": "view", "actor": ANA.id, "expires": int(time.time()) + 300, **values}
    return Grant(institution=INSTITUTION, node=NODE, **facts)


VIEW = {"study_uid": "1.2"}
STORE = {"action": "store", "patient": "p1", "patient_issuer": TOPLEVEL}


@pytest.mark.parametrize("facts", [VIEW, STORE], ids=["view", "store"])
def test_a_grant(facts: dict[str, str]) -> None:
    def check(*shown: Grant) -> Grant:
        if facts is VIEW:
            return check_view(ANA, shown, "1.2")
        return check_store(ANA, shown, "p1", TOPLEVEL)

    good, old = grant(**facts), grant(**facts, expires=int(time.time()) - 1)
    assert check(old, good) == good
    other_action = grant(**{**VIEW, **STORE, "action": "store" if facts is VIEW else "view"})
    foreign = [
        grant(**{**facts, "actor": "ivo"}),
        other_action,
        grant(**{**facts, "study_uid": "1.3", "patient": "p2"}),
        grant(**{**facts, "study_uid": "1.3", "patient_issuer": "elsewhere"}),
    ]
    for shown, reason in (
        ([], "missing"),
        (foreign, "missing"),
        ([old], "expired"),
        ([old, *foreign], "expired"),
    ):
        with pytest.raises(Forbidden) as refused:
            check(*shown)
        assert refused.value.details == {"reason": f"grant_{reason}"}
