"""May he? One sentence when not."""

from __future__ import annotations

from sivr.errors import Forbidden
from sivr.model.people import Actor, UserRole

_WHO: dict[UserRole, str] = {"physician": "physicians", "administrator": "administrators"}


def require_role(actor: Actor, role: UserRole) -> None:
    """Raises Forbidden when the actor does not carry the role."""
    if not actor.has(role):
        raise Forbidden(f"Only {_WHO[role]} may do this.", {"role": role})
