"""How objects come in: uploads, the fate of each file, the queues behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from sivr.model.directory import Body

FileStatus = Literal["stored", "duplicate", "refused", "archive"]


class NewUpload(Body, frozen=True, kw_only=True):
    """An upload as it is opened; a store grant for this patient is needed."""

    patient_id: str
    patient_issuer: str
    files_expected: int = 0
    bytes_expected: int = 0


class OpenedUpload(msgspec.Struct, frozen=True):
    """Where files may be put."""

    id: str
    url: str


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file; ``stored`` and ``duplicate`` mean that it is safely on disk."""

    file_id: str
    name: str
    status: FileStatus
    size_bytes: int
    reason: str = ""
    instance_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    md5: str = ""
    sha256: str = ""
    warnings: tuple[str, ...] = ()
    members: tuple[FileResult, ...] = ()


class UploadCounts(msgspec.Struct, frozen=True):
    """How many objects met which fate; pending ones are stored but not indexed yet, failed ones are stored
    but could not be indexed, so that they cannot be seen until an administrator has them tried again."""

    stored: int
    duplicate: int
    refused: int
    pending: int
    failed: int = 0


class UploadStudy(msgspec.Struct, frozen=True):
    """A study that an upload added to."""

    study_uid: str
    instances: int
    indexed: bool


class UploadState(msgspec.Struct, frozen=True):
    """An upload as it stands."""

    id: str
    files: tuple[FileResult, ...]
    counts: UploadCounts
    bytes: int
    studies: tuple[UploadStudy, ...]
    indexed: bool
    canceled: bool


class Upload(msgspec.Struct, frozen=True):
    """An upload's own facts."""

    id: str
    actor_id: str
    patient_id: str
    patient_issuer: str
    canceled: bool


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """A validated DICOM object on its way into the store."""

    instance_uid: str
    series_uid: str
    study_uid: str
    sha256: str
    md5: str
    size_bytes: int


class Message(msgspec.Struct, frozen=True):
    """An object that waits to be indexed."""

    id: int
    instance_uid: str
    study_uid: str
    sha256: str
    attempts: int


class DeadMessage(msgspec.Struct, frozen=True):
    """An object that could not be indexed."""

    id: int
    kind: str
    name: str
    reason: str
    attempts: int
    at: datetime


class QueueState(msgspec.Struct, frozen=True):
    """The indexing queue."""

    waiting: int
    leased: int
    dead: tuple[DeadMessage, ...]


class OutboxEntry(msgspec.Struct, frozen=True):
    """A study whose institution has not been told yet."""

    study_uid: str
    revision: int
    attempts: int
    reason: str
    next_at: datetime


class OutboxState(msgspec.Struct, frozen=True):
    """The outbox."""

    waiting: int
    items: tuple[OutboxEntry, ...]


class Delivery(msgspec.Struct, frozen=True):
    """A study to tell the institution about."""

    study_uid: str
    revision: int
    attempts: int
    patient_id: str
    patient_issuer: str
