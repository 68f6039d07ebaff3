"""Who may look: every picture of a study needs an institution's grant for it on this node."""

from __future__ import annotations

import time
from collections.abc import Iterable

from sivr.errors import Forbidden
from sivr.model.people import Actor, Grant


def check_view(actor: Actor, grants: Iterable[Grant], study_uid: str, now: float | None = None) -> Grant:
    """The grant that lets this actor view the study; raises Forbidden with the reason.

    ``grants`` are verified already: their signature, their institution and that they are for this node.
    """
    moment = time.time() if now is None else now
    expired = False
    for grant in grants:
        if grant.action != "view" or grant.study_uid != study_uid or grant.actor != actor.id:
            continue
        if grant.expires > moment:
            return grant
        expired = True
    if expired:
        raise Forbidden(
            "The permission to view this study has expired; ask the institution for a new one.",
            {"reason": "grant_expired"},
        )
    raise Forbidden(
        "Viewing this study needs a permission (grant) of its institution for this node.",
        {"reason": "grant_missing"},
    )
