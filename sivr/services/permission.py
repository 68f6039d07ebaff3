"""May he? One sentence when not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from sivr.errors import Forbidden
from sivr.model.people import Actor, Grant, UserRole

_WHO: dict[UserRole, str] = {"physician": "physicians", "administrator": "administrators"}


def require_role(actor: Actor, role: UserRole) -> None:
    """Raises Forbidden when the actor does not carry the role."""
    if not actor.has(role):
        raise Forbidden(f"Only {_WHO[role]} may do this.", {"role": role})


def check_view(actor: Actor, grants: Iterable[Grant], study_uid: str) -> Grant:
    """The grant that lets this actor view the study; raises Forbidden with the reason.

    ``grants`` are verified already: their signature, their institution and that they are for this node.
    """
    return _good(
        actor,
        grants,
        lambda one: one.action == "view" and one.study_uid == study_uid,
        missing="Viewing this study needs a permission (grant) of its institution for this node.",
        expired="The permission to view this study has expired; ask the institution for a new one.",
    )


def check_store(actor: Actor, grants: Iterable[Grant], patient: str, patient_issuer: str) -> Grant:
    """As ``check_view``, for storing to a patient's record."""
    return _good(
        actor,
        grants,
        lambda one: one.action == "store" and (one.patient, one.patient_issuer) == (patient, patient_issuer),
        missing="Storing needs a permission (grant) of the institution for this patient's record.",
        expired="The permission to store for this patient has expired; ask the institution for a new one.",
    )


def _good(
    actor: Actor, grants: Iterable[Grant], fits: Callable[[Grant], bool], *, missing: str, expired: str
) -> Grant:
    """Of the actor's grants that fit one that has not expired."""
    mine = [one for one in grants if one.actor == actor.id and fits(one)]
    now = time.time()
    for one in mine:
        if one.expires > now:
            return one
    if mine:
        raise Forbidden(expired, {"reason": "grant_expired"})
    raise Forbidden(missing, {"reason": "grant_missing"})
