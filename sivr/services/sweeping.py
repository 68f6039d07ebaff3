"""Taking away what crashes and lost senders left behind; never what was acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from sivr.errors import SivrError
from sivr.store.blobs import Blobs
from sivr.store.inbox import Inbox
from sivr.store.uploads import Uploads

log = logging.getLogger("sivr.sweeping")

ABANDONED_S = 24 * 3600.0
"""An object without a row (the node died between storing and COMMIT) is taken away after so long: its sender
had no answer and has sent it again, which would have made it young again."""
EVERY_S = 6 * 3600.0


class Sweeper:
    """Looks through the inbox and the objects now and then, slowly, beside the node's work."""

    def __init__(
        self,
        uploads: Uploads,
        inbox: Inbox,
        blobs: Blobs,
        unfinished_s: float,
        abandoned_s: float = ABANDONED_S,
    ) -> None:
        self._uploads = uploads
        self._inbox = inbox
        self._blobs = blobs
        self._unfinished_s = unfinished_s
        self._abandoned_s = abandoned_s

    async def once(self) -> tuple[int, int]:
        """How many unfinished uploads and abandoned objects were removed."""
        forgotten = await asyncio.to_thread(self._inbox.remove_older_than, self._unfinished_s)
        await asyncio.to_thread(self._blobs.remove_unfinished, self._abandoned_s)
        abandoned = 0
        groups: Iterator[list[str]] = self._blobs.groups(self._abandoned_s)
        while (group := await asyncio.to_thread(next, groups, None)) is not None:
            for sha256 in await self._uploads.not_accepted(group):
                abandoned += await asyncio.to_thread(self._blobs.remove_old, sha256, self._abandoned_s)
        return forgotten, abandoned

    async def run(self) -> None:
        """Sweep until canceled."""
        while True:
            try:
                forgotten, abandoned = await self.once()
            except (SivrError, OSError) as error:
                log.warning("sweeping waits", extra={"reason": str(error)})
            else:
                if forgotten or abandoned:
                    log.info("swept", extra={"unfinished_uploads": forgotten, "abandoned_objects": abandoned})
            await asyncio.sleep(EVERY_S)
