"""What the institution knows: studies and where they are, findings, nodes; and the notice a node sends."""

from __future__ import annotations

from datetime import date, datetime

import msgspec
from msgspec import UNSET, UnsetType

from sivr.model.directory import Body, Limit, Offset


class NoticeSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A series as its node knows it."""

    series_uid: str
    modality: str = ""
    number: int | None = None
    description: str = ""
    body_part: str = ""
    instance_count: int = 0
    frame_count: int = 0
    renderable: bool = False
    has_volume: bool = False
    why_no_volume: str = ""


class NoticeInstance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its node stores it."""

    instance_uid: str
    series_uid: str
    md5: str
    sha256: str
    size_bytes: int


class StudyNotice(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a study at a node; the newest revision of (node, study) wins."""

    node_id: str
    study_uid: str
    revision: int
    patient_id: str
    patient_issuer: str
    study_date: date | None = None
    study_time: str = ""
    description: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    size_bytes: int = 0
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


class NewFinding(Body, frozen=True, kw_only=True):
    """A finding as it is written."""

    text: str


class FindingChange(Body, frozen=True, kw_only=True):
    """A finding as its author changes it."""

    text: str
    version: int


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

    version: int
    name: str | UnsetType = UNSET
    url: str | UnsetType = UNSET
    public_key: str | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    accepts_storage: bool | UnsetType = UNSET


class GrantRequest(Body, frozen=True, kw_only=True):
    """What somebody wants to do on a node."""

    action: str
    study_uid: str = ""
    node_id: str = ""
    patient_id: str = ""
    patient_issuer: str = ""


class GrantedNode(msgspec.Struct, frozen=True):
    """Where a grant counts."""

    id: str
    url: str


class Granted(msgspec.Struct, frozen=True):
    """A signed grant and where to show it."""

    grant: str
    expires_in_s: int
    node: GrantedNode
