"""Uploads: files received in pieces, validated, and acknowledged only when they are durable."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from sivr.errors import Conflict, Exhausted, Invalid, NotFound, TooLarge, Unavailable
from sivr.model.ingest import FileResult, NewUpload, Upload, UploadCounts, UploadState
from sivr.model.people import Actor, Grant
from sivr.services.archives import ArchiveLimits
from sivr.services.judging import Judge
from sivr.services.permission import check_store
from sivr.services.threads import finished
from sivr.store.audit import By
from sivr.store.inbox import Digest, Inbox, Part
from sivr.store.uploads import Uploads

log = logging.getLogger("sivr.uploads")

_WRITE_BYTES = 1 << 20
_OWNERS = 1000
"""Uploads whose owners are remembered; they never change."""


class UploadLimits(msgspec.Struct, frozen=True):
    """What a node accepts."""

    file_bytes: int = 8 << 30
    free_disk_bytes: int = 512 << 20
    archive: ArchiveLimits = ArchiveLimits()


class _Reception:
    """A file on its way in: first received from one sender, then judged whoever is still there to hear it."""

    def __init__(self) -> None:
        self.sender: asyncio.Task[object] | None = asyncio.current_task()
        self.judging: asyncio.Task[FileResult] | None = None
        self.over = asyncio.Event()
        self.replaced = False
        self.canceled = False
        self.part: Part | None = None


class UploadService:
    """Takes files in. ``stored`` is called after each accepted object, so that indexing may begin."""

    def __init__(
        self, uploads: Uploads, inbox: Inbox, judge: Judge, limits: UploadLimits, stored: Callable[[], None]
    ) -> None:
        self._uploads = uploads
        self._inbox = inbox
        self._judge = judge
        self._limits = limits
        self._stored = stored
        self._stopping = False
        self._owners: dict[str, str] = {}
        self._receptions: dict[tuple[str, str], _Reception] = {}
        self.files: Counter[str] = Counter()
        """Files concluded since the beginning, by result."""
        self.received_bytes = 0

    async def create(self, new: NewUpload, actor: Actor, grants: Iterable[Grant], address: str) -> str:
        """Open an upload for a patient's record; raises Forbidden without a good store grant for it."""
        check_store(actor, grants, new.patient_id, new.patient_issuer)
        await self._require_room(new.bytes_expected)
        made = Upload(uuid.uuid4().hex, actor.id, new.patient_id, new.patient_issuer, False)
        await self._uploads.create(made, By(actor.id, address))
        return made.id

    async def offset(self, upload_id: str, file_id: str, actor: Actor) -> int:
        """How many bytes of a file have arrived."""
        await self._own(upload_id, actor)
        known = await self._uploads.result(upload_id, file_id)
        if known is not None:
            return known.size_bytes
        return await asyncio.to_thread(self._inbox.size, upload_id, file_id)

    async def receive(
        self,
        upload_id: str,
        file_id: str,
        name: str,
        body: AsyncIterator[bytes],
        *,
        offset: int | None,
        length: int | None,
        total: int | None,
        actor: Actor,
        address: str,
    ) -> FileResult:
        """Take a file, or the rest of it from ``offset`` on, and answer what became of it.

        What arrived before a broken connection stays for the next attempt. ``length`` is that of the body and
        ``total`` the whole size, where the sender tells them. Without ``offset`` the file begins anew. Raises
        Conflict with the right offset, when the file is sent again meanwhile, and when another one has its id
        already; TooLarge, Exhausted, NotFound.
        """
        if self._owners.get(upload_id) != actor.id:
            self._owners[(await self._own(upload_id, actor)).id] = actor.id
            while len(self._owners) > _OWNERS:
                del self._owners[next(iter(self._owners))]
        path = self._inbox.path(upload_id, file_id)
        key = (upload_id, file_id)
        while (older := self._receptions.get(key)) is not None:
            await self._end(older)
        # From here to the entry in the table nothing waits: two senders cannot both get in.
        mine = self._receptions[key] = _Reception()
        try:
            upload, known = await self._uploads.find(upload_id, file_id)
            if known is not None:
                _require_same(known, length if total is None and offset is None else total)
                return known
            if upload.canceled or mine.canceled:
                raise Conflict("This upload was canceled.")
            self._require_running()
            self._require_allowed(max(total or 0, (offset or 0) + (length or 0)))
            await self._require_room(length or 0)
            digest = await self._write(path, body, offset, total, mine)
            by = By(actor.id, address)
            mine.judging = asyncio.create_task(self._conclude(upload, file_id, name, path, digest, by, mine))
            # The file is complete: what becomes of it no longer depends on its sender.
            result = await asyncio.shield(mine.judging)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            # A sender who is gone is canceled too, and needs no answer.
            if not mine.replaced or task is None or task.uncancel():
                raise
            if mine.canceled:
                raise Conflict("This upload was canceled.") from None
            raise Conflict(
                "This file is being sent again over another connection, which goes on with it.",
                {"reason": "replaced"},
            ) from None
        finally:
            if mine.judging is None or mine.judging.done():
                self._leave(key, mine)
            else:
                mine.judging.add_done_callback(lambda task: self._leave(key, mine))
        self.files[result.status] += 1
        self.received_bytes += digest.size_bytes
        log.info(
            "file",
            extra={"upload": upload_id, "file": file_id, "status": result.status, "bytes": digest.size_bytes},
        )
        return result

    async def state(self, upload_id: str, actor: Actor, files: bool = True) -> UploadState:
        """The upload as it stands, on wish without the list of files; raises NotFound for those of others."""
        upload = await self._own(upload_id, actor)
        results = await self._uploads.results(upload_id) if files else ()
        fates = results or await self._uploads.fates(upload_id)
        studies, pending, failed = await self._uploads.studies(upload_id)
        counts = Counter(
            leaf.status for one in fates for leaf in (one.members if one.status == "archive" else (one,))
        )
        return UploadState(
            id=upload_id,
            files=tuple(results),
            counts=UploadCounts(counts["stored"], counts["duplicate"], counts["refused"], pending, failed),
            bytes=sum(one.size_bytes for one in fates),
            studies=tuple(studies),
            indexed=pending == 0,
            canceled=upload.canceled,
        )

    async def cancel(self, upload_id: str, actor: Actor, address: str) -> None:
        """Take no more; what was acknowledged stays."""
        await self._own(upload_id, actor)
        await self._uploads.cancel(upload_id, By(actor.id, address))
        mine = [one for key, one in self._receptions.items() if key[0] == upload_id]
        for one in mine:
            one.canceled = True
        await asyncio.gather(*(self._end(one) for one in mine))
        await asyncio.to_thread(self._inbox.remove, upload_id)

    async def settle(self) -> None:
        """Wait until everything that has arrived is judged, because the node stops; an archive is left
        between two members, and judged again from its start when its sender comes back."""
        self._stopping = True
        while judging := [one.judging for one in self._receptions.values() if one.judging is not None]:
            await asyncio.wait(judging)
            # Their entries go by callbacks.
            await asyncio.sleep(0)

    async def _own(self, upload_id: str, actor: Actor) -> Upload:
        upload = await self._uploads.get(upload_id)
        if upload.actor_id != actor.id:
            raise NotFound("There is no such upload.")
        return upload

    async def _end(self, older: _Reception) -> None:
        """The newest sender of a file wins: an older one hangs on a line that is gone. A file that has
        arrived is judged to the end."""
        if older.judging is None and older.sender is not None and not older.replaced:
            older.replaced = True
            older.sender.cancel()
        await older.over.wait()

    def _leave(self, key: tuple[str, str], mine: _Reception) -> None:
        if self._receptions.get(key) is mine:
            del self._receptions[key]
        if mine.part is not None:
            mine.part.release()
        mine.over.set()
        if mine.judging is not None and mine.judging.done() and not mine.judging.cancelled():
            # Looked at, so that nobody is told of an error that its sender did not wait for.
            mine.judging.exception()

    def _require_running(self) -> None:
        if self._stopping:
            raise Unavailable("This node is stopping; please try again in a moment.")

    def _require_allowed(self, size_bytes: int, total: int | None = None) -> None:
        if total is not None and size_bytes > total:
            raise Invalid(f"More than the {total} bytes that Upload-Length announced have come.")
        if size_bytes > self._limits.file_bytes:
            raise TooLarge(f"A file may have {self._limits.file_bytes // 1_000_000} MB at most here.")

    async def _require_room(self, more_bytes: int = 0) -> None:
        free = await asyncio.to_thread(self._inbox.free_bytes)
        if free - more_bytes < self._limits.free_disk_bytes:
            raise Exhausted("This node has no room for more at present; nothing was stored.")

    async def _write(
        self, path: Path, body: AsyncIterator[bytes], offset: int | None, total: int | None, mine: _Reception
    ) -> Digest:
        def open_part() -> None:
            mine.part = Part(path, offset)

        await finished(open_part)
        part = mine.part
        assert part is not None
        pieces: list[bytes] = []
        waiting = 0
        try:
            async for piece in body:
                self._require_allowed(part.size + waiting + len(piece), total)
                pieces.append(piece)
                waiting += len(piece)
                if waiting >= _WRITE_BYTES:
                    # Taken out before they are written: whatever happens, no piece is written twice.
                    full, pieces, waiting = pieces, [], 0
                    await finished(part.write, full)
                    await self._require_room()
        except (Invalid, TooLarge):
            # What is too long is of no use to anybody, and must not fill the disk.
            await finished(path.unlink, True)
            raise
        finally:
            # Also when the line broke: what arrived need not be sent again.
            digest = await finished(part.finish, pieces)
        if total is not None and digest.size_bytes != total:
            raise Conflict(
                f"{digest.size_bytes} of {total} bytes have arrived.",
                {"reason": "offset", "offset": digest.size_bytes},
            )
        return digest

    async def _conclude(
        self,
        upload: Upload,
        file_id: str,
        name: str,
        path: Path,
        digest: Digest,
        by: By,
        reception: _Reception,
    ) -> FileResult:
        base = FileResult(
            file_id=file_id,
            name=name,
            status="refused",
            size_bytes=digest.size_bytes,
            md5=digest.md5,
            sha256=digest.sha256,
        )

        def go_on() -> bool:
            self._stored()
            self._require_running()
            return not reception.canceled

        result, written = await self._judge.file(upload, path, base, by, go_on)
        self._stored()
        if not written:
            await self._uploads.finish(upload.id, result)
        if result.status != "stored":
            await asyncio.to_thread(path.unlink, True)
        return result


def _require_same(known: FileResult, size_bytes: int | None) -> None:
    """Raise Conflict for a file that cannot be the one whose result is known."""
    if size_bytes is not None and size_bytes != known.size_bytes:
        raise Conflict(
            f"Another file of {known.size_bytes} bytes was sent under this id; please choose a new one.",
            {"reason": "other_file"},
        )
