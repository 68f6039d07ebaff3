"""Who asks: actors, roles and what tokens say about them."""

from __future__ import annotations

from typing import Literal

import msgspec

UserRole = Literal["physician", "administrator"]
GrantAction = Literal["view", "store", "report"]


class Actor(msgspec.Struct, frozen=True):
    """Somebody (or a machine) proven to be asking."""

    id: str
    name: str
    roles: tuple[UserRole, ...]
    institutions: tuple[str, ...]
    """Ids of the institutions whose nodes this actor may store on."""
    toplevel: str
    """Id of the toplevel that vouches for the actor."""
    must_change_password: bool = False
    """Whether nothing is open to them but to replace the password that they were given."""

    def has(self, role: UserRole) -> bool:
        """Whether the actor carries this role."""
        return role in self.roles


class Grant(msgspec.Struct, frozen=True):
    """An institution's word that an actor may do something on a node until a time (DESIGN: tokens)."""

    institution: str
    node: str
    actor: str
    action: GrantAction
    expires: int
    """Unix time, seconds."""
    study_uid: str = ""
    """For view and report."""
    patient: str = ""
    """For store: id of the patient record the objects will belong to."""
    patient_issuer: str = ""
    """Id of the toplevel that keeps the patient record."""
