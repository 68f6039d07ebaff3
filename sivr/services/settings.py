"""Settings: everybody keeps their own, nobody sees those of others."""

from __future__ import annotations

import re

from sivr.errors import Invalid, TooLarge
from sivr.model.people import Actor
from sivr.model.settings import MAX_VALUE_BYTES, Setting, SettingChange, SettingSummary
from sivr.store.settings import Settings

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class SettingService:
    """The settings of a toplevel's users."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def all(self, actor: Actor, prefix: str) -> list[SettingSummary]:
        """The actor's settings whose names begin with ``prefix``; raises Invalid."""
        return await self._settings.all(actor.id, _name(prefix) if prefix else "")

    async def get(self, actor: Actor, name: str) -> Setting:
        """One of the actor's settings; raises Invalid, NotFound."""
        return await self._settings.get(actor.id, _name(name))

    async def put(self, actor: Actor, name: str, change: SettingChange) -> Setting:
        """Write one of the actor's settings; raises Invalid, TooLarge, Conflict."""
        value = bytes(change.value)
        if len(value) > MAX_VALUE_BYTES:
            raise TooLarge(
                f"A setting may take {MAX_VALUE_BYTES} bytes; this one takes {len(value)}.",
                {"max_bytes": MAX_VALUE_BYTES},
            )
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise Invalid("The body is not JSON.") from error
        if change.version < 0:
            raise Invalid("The version must be 0 for a new setting, or the version that is replaced.")
        return await self._settings.put(actor.id, _name(name), value, change.version)

    async def delete(self, actor: Actor, name: str) -> None:
        """Remove one of the actor's settings; raises Invalid, NotFound."""
        await self._settings.delete(actor.id, _name(name))


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Invalid(
            "The name of a setting has 1 to 64 small letters, digits and . _ - "
            "and begins with a letter or a digit."
        )
    return text
