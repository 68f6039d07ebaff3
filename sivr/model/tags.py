"""The elements of a DICOM object as a table to be read by people."""

from __future__ import annotations

import msgspec


class TagRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One element."""

    tag: str
    """Eight hexadecimal digits, as in the DICOM JSON model."""
    vr: str
    keyword: str = ""
    name: str = ""
    creator: str = ""
    """Who defines a private element."""
    value: str = ""
    """As text, several values with a backslash between them; empty for bulk data and sequences."""
    shortened: bool = False
    """Whether the value goes on."""
    length: int = 0
    """Bytes of bulk data that is not shown."""
    items: tuple[tuple[TagRow, ...], ...] = ()
    first_item: int = 1
    """Number of the first of ``items``: of the groups of all frames only those of one are listed."""
    items_total: int = 0
    """Of a sequence, how many items there are."""


class TagTable(msgspec.Struct, frozen=True, kw_only=True):
    """The elements of one instance, file meta information first, without pixels."""

    instance_uid: str
    frame: int
    """Whose functional groups are listed, from 1."""
    rows: tuple[TagRow, ...]
    complete: bool
    """False where there is more than is listed."""
