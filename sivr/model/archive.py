"""What the institution knows: studies and where they are, findings, nodes; and the notice a node sends."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from sivr.model.directory import Body, Limit, Offset, Version

Uid = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,128}$")]
"""A UID as objects carry it; real ones break PS3.5 9.1 too often to ask for digits and 64 characters."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Md5 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class NoticeSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series as its node knows it."""

    series_uid: Uid
    modality: str = ""
    number: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    description: str = ""
    body_part: str = ""
    instance_count: Count = 0
    frame_count: Count = 0
    renderable: bool = False
    has_volume: bool = False
    why_no_volume: str = ""


class NoticeInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its node stores it."""

    instance_uid: Uid
    series_uid: Uid
    md5: Md5
    sha256: Sha256
    size_bytes: Bytes


class StudyNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a study at a node; the newest revision of (node, study) wins."""

    node_id: Id
    study_uid: Uid
    revision: Bytes
    """Grows with every change of the study at the node."""
    patient_id: Id
    patient_issuer: Id
    study_date: date | None = None
    study_time: str = ""
    description: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    size_bytes: Bytes = 0
    complete: bool = True
    """Whether nothing of the study that has arrived at the node waits to be indexed."""
    series: tuple[NoticeSeries, ...] = ()
    instances: tuple[NoticeInstance, ...] = ()


class NodeAddress(msgspec.Struct, frozen=True):
    """Where a node answers."""

    id: str
    name: str
    url: str


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """A study on one node."""

    study_uid: str
    patient_id: str
    patient_issuer: str
    node_id: str
    node: NodeAddress | None
    modalities: tuple[str, ...]
    study_date: date | None
    study_time: str
    description: str
    accession_number: str
    series_count: int
    instance_count: int
    size_bytes: int
    complete: bool
    """Whether nothing of the study that has arrived at the node waits to be indexed."""
    findings_count: int
    series: tuple[NoticeSeries, ...]
    created_at: datetime
    updated_at: datetime


class StudyPage(msgspec.Struct, frozen=True):
    """Studies that match, and how many there are in all."""

    items: tuple[Study, ...]
    total: int


class StudySearch(msgspec.Struct, frozen=True, kw_only=True):
    """What studies are looked for by; every member narrows the search."""

    patient_id: str = ""
    modality: str = ""
    date_from: date | None = None
    date_to: date | None = None
    description: str = ""
    limit: Limit = 50
    offset: Offset = 0


class Instances(msgspec.Struct, frozen=True):
    """The instances of a study with their hashes."""

    items: tuple[NoticeInstance, ...]


class Author(msgspec.Struct, frozen=True):
    """Who wrote a finding."""

    id: str
    name: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A radiological finding linked to a study, its newest version."""

    id: str
    study_uid: str
    text: str
    author: Author
    version: int
    created_at: datetime
    updated_at: datetime


class FindingVersion(msgspec.Struct, frozen=True):
    """A finding as it once was."""

    version: int
    text: str
    author: Author
    at: datetime


class Findings(msgspec.Struct, frozen=True):
    """Findings of a study, oldest first."""

    items: tuple[Finding, ...]


class FindingHistory(msgspec.Struct, frozen=True):
    """All versions of a finding, newest first."""

    items: tuple[FindingVersion, ...]


_FINDING_ID = "Chosen by the sender, so that a finding sent again because its answer was lost is written once"


class NewFinding(Body, frozen=True, kw_only=True):
    """A finding as it is written."""

    text: str
    id: Annotated[UUID, msgspec.Meta(description=_FINDING_ID)] | None = None


class FindingChange(Body, frozen=True, kw_only=True):
    """A finding as its author changes it."""

    text: str
    version: Version


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A render node of the institution."""

    id: str
    name: str
    url: str
    public_key: str
    active: bool
    accepts_storage: bool
    version: int
    last_seen_at: datetime | None


class Nodes(msgspec.Struct, frozen=True):
    """The institution's nodes."""

    items: tuple[Node, ...]


class NewNode(Body, frozen=True, kw_only=True):
    """A node as an administrator adds one."""

    id: str
    name: str
    url: str
    public_key: str
    active: bool = True
    accepts_storage: bool = True


class NodeChange(Body, frozen=True, kw_only=True):
    """What an administrator changes about a node; absent members stay."""

    version: Version
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    public_key: str | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    accepts_storage: bool | UnsetType = UNSET


class GrantRequest(Body, frozen=True, kw_only=True):
    """What somebody wants to do on a node."""

    action: Literal["view", "store"]
    study_uid: str = ""
    """To view: which study."""
    patient_id: str = ""
    """To store: id of the patient's record at the toplevel that ``patient_issuer`` names."""
    patient_issuer: str = ""
    node_id: str = ""
    """On which node; the institution chooses when empty."""


class GrantedNode(msgspec.Struct, frozen=True):
    """Where a grant counts."""

    id: str
    url: str


class Granted(msgspec.Struct, frozen=True):
    """A signed grant and where to show it."""

    grant: str
    expires_in_s: int
    node: GrantedNode
