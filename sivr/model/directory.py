"""What the toplevel knows: users, institutions, record types, patients; and the bodies that change them.

Bodies refuse unknown members. In a change, absent members stay as they are, and ``version`` is the version
the change was made on: when somebody else was quicker, it is refused and nothing is lost.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sivr.model.people import UserRole

Language = Literal["en", "hr"]
Sex = Literal["F", "M", "O", "U"]
"""Female, male, other, unknown."""
Limit = Annotated[int, msgspec.Meta(ge=1, le=500)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""As the databases count them."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what clients send."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with a login."""

    id: str
    login: str
    name: str
    email: str
    phone: str
    language: Language
    roles: tuple[UserRole, ...]
    institutions: tuple[str, ...]
    """Ids of the institutions the user belongs to."""
    active: bool
    must_change_password: bool
    version: int
    created_at: datetime
    locked_until: datetime | None = None
    """Until when log in is refused after failed ones; administrators see and end it."""


class NewUser(Body, frozen=True, kw_only=True):
    """A user as an administrator creates one."""

    login: str
    name: str
    password: str
    email: str = ""
    phone: str = ""
    language: Language = "en"
    roles: tuple[UserRole, ...] = ()
    institutions: tuple[str, ...] = ()
    active: bool = True


class UserChange(Body, frozen=True, kw_only=True):
    """What an administrator changes about a user."""

    version: Version
    login: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    roles: tuple[UserRole, ...] | UnsetType = UNSET
    institutions: tuple[str, ...] | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class OwnChange(Body, frozen=True, kw_only=True):
    """What everybody may change about themselves."""

    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET


class OwnPassword(Body, frozen=True, kw_only=True):
    """Change of one's own password."""

    current: str
    new: str


class GivenPassword(Body, frozen=True, kw_only=True):
    """A password an administrator gives; its owner is asked to change it."""

    new: str


class UserQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Words that must occur in login, name or e-mail."""

    query: str = ""
    limit: Limit = 50
    offset: Offset = 0


class UserPage(msgspec.Struct, frozen=True):
    """Some of the users found, by login."""

    items: list[User]
    total: int


class Credentials(Body, frozen=True, kw_only=True):
    """Log in."""

    login: str
    password: str


class OpenedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What log in and renewal answer; the refresh token travels in a cookie."""

    access_token: str
    expires_in_s: int
    user: User
    must_change_password: bool


class Institution(msgspec.Struct, frozen=True, kw_only=True):
    """A hospital or practice with its own institution server."""

    id: str
    """Short name, the same as in that server's configuration."""
    name: str
    url: str
    address: str
    active: bool
    version: int


class InstitutionList(msgspec.Struct, frozen=True):
    """All institutions, by name."""

    items: list[Institution]


class NewInstitution(Body, frozen=True, kw_only=True):
    """An institution as an administrator adds one."""

    id: str
    name: str
    url: str
    address: str = ""
    active: bool = True


class InstitutionChange(Body, frozen=True, kw_only=True):
    """What an administrator changes about an institution."""

    version: Version
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class RecordType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of DICOM record this toplevel's institutions work with."""

    id: str
    code: str
    name: str
    description: str
    modalities: tuple[str, ...]
    """Defined terms of Modality (PS3.3 C.7.3.1.1.1)."""
    active: bool
    version: int


class RecordTypeList(msgspec.Struct, frozen=True):
    """All record types, by code."""

    items: list[RecordType]


class NewRecordType(Body, frozen=True, kw_only=True):
    """A record type as an administrator adds one."""

    code: str
    name: str
    description: str = ""
    modalities: tuple[str, ...] = ()
    active: bool = True


class RecordTypeChange(Body, frozen=True, kw_only=True):
    """What an administrator changes about a record type."""

    version: Version
    code: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    modalities: tuple[str, ...] | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """A patient's record as typed by physicians."""

    id: str
    family_name: str
    given_name: str
    middle_name: str
    birth_date: date | None
    sex: Sex
    insurance_number: str
    insurance_issuer: str
    phone: str
    email: str
    address: str
    notes: str
    version: int
    created_at: datetime
    updated_at: datetime


class NewPatient(Body, frozen=True, kw_only=True):
    """A patient's record as a physician creates one."""

    family_name: str
    given_name: str = ""
    middle_name: str = ""
    birth_date: date | None = None
    sex: Sex = "U"
    insurance_number: str = ""
    insurance_issuer: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    notes: str = ""


class PatientChange(Body, frozen=True, kw_only=True):
    """What a physician changes in a patient's record."""

    version: Version
    family_name: str | UnsetType = UNSET
    given_name: str | UnsetType = UNSET
    middle_name: str | UnsetType = UNSET
    birth_date: date | UnsetType | None = UNSET
    sex: Sex | UnsetType = UNSET
    insurance_number: str | UnsetType = UNSET
    insurance_issuer: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    notes: str | UnsetType = UNSET


class PatientSearch(Body, frozen=True, kw_only=True):
    """A search: a body and not a query string, so that names never stand in URLs or logs."""

    query: str = ""
    """Each word begins some part of the name, whatever its case and diacritics; words with digits, and
    neighbouring words without their spaces and punctuation, may begin the insurance number instead."""
    birth_date: date | None = None
    insurance_number: str = ""
    """The insurance number begins so."""
    limit: Limit = 50
    offset: Offset = 0


class PatientPage(msgspec.Struct, frozen=True):
    """Some of the patients found, by family and given name."""

    items: list[Patient]
    total: int
