"""What a user keeps for the pages: layouts, transfer functions, hanging protocols. Values are any JSON."""

from __future__ import annotations

from datetime import datetime

import msgspec

MAX_VALUE_BYTES = 64 * 1024
MAX_SETTINGS = 200
"""Of one user."""
MAX_TOTAL_BYTES = 1024 * 1024
"""All values of one user together."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one user under a name."""

    name: str
    value: msgspec.Raw
    """JSON as it was sent."""
    version: int
    """1 when it is new, one more with every change."""
    updated_at: datetime


class SettingChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new value, and the version that it replaces: 0 where there is none yet."""

    value: msgspec.Raw
    version: int


class SettingSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A setting without its value."""

    name: str
    version: int
    size_bytes: int
    updated_at: datetime


class SettingList(msgspec.Struct, frozen=True):
    """The settings of the asking user, by name."""

    items: list[SettingSummary]


class SettingQuery(msgspec.Struct, frozen=True):
    """Which settings are listed."""

    prefix: str = ""
