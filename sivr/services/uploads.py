"""Uploads: files received in pieces, validated, and acknowledged only when they are durable."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from sivr.dicom.read import read_header
from sivr.errors import Conflict, Exhausted, Forbidden, Invalid, NotFound, TooLarge
from sivr.model.ingest import (
    FileResult,
    NewUpload,
    Object,
    Upload,
    UploadCounts,
    UploadState,
)
from sivr.model.people import Actor, Grant
from sivr.services.archives import ArchiveLimits, Member, is_archive, unpack
from sivr.store.audit import By
from sivr.store.blobs import Blobs
from sivr.store.inbox import Digest, Inbox, Part
from sivr.store.uploads import Uploads, Verdict

log = logging.getLogger("sivr.uploads")

_WRITE_BYTES = 1 << 20
_REASONS: dict[Verdict, str] = {
    "other bytes": "Another object with the same SOP Instance UID is stored here; the first one was kept.",
    "other patient": "The study belongs to another patient's record here.",
}


class UploadLimits(msgspec.Struct, frozen=True):
    """What a node accepts."""

    file_bytes: int = 8 << 30
    free_disk_bytes: int = 512 << 20
    archive: ArchiveLimits = ArchiveLimits()


class UploadService:
    """Takes files in. ``stored`` is called after each accepted object, so that indexing may begin."""

    def __init__(
        self, uploads: Uploads, inbox: Inbox, blobs: Blobs, limits: UploadLimits, stored: Callable[[], None]
    ) -> None:
        self._uploads = uploads
        self._inbox = inbox
        self._blobs = blobs
        self._limits = limits
        self._stored = stored
        self._receiving: dict[tuple[str, str], asyncio.Task[object]] = {}

    async def create(self, new: NewUpload, actor: Actor, grants: Iterable[Grant], address: str) -> str:
        """Open an upload for a patient's record; raises Forbidden without a store grant for it."""
        wanted = (new.patient_id, new.patient_issuer)
        if not any(
            one.action == "store" and (one.patient, one.patient_issuer) == wanted and one.actor == actor.id
            for one in grants
        ):
            raise Forbidden(
                "Storing needs a permission (grant) of the institution for this patient's record.",
                {"reason": "grant_missing"},
            )
        self._require_room(new.bytes_expected)
        made = Upload(uuid.uuid4().hex, actor.id, new.patient_id, new.patient_issuer, False)
        await self._uploads.create(made, By(actor.id, address))
        return made.id

    async def offset(self, upload_id: str, file_id: str, actor: Actor) -> int:
        """How many bytes of a file have arrived."""
        await self._own(upload_id, actor)
        finished = await self._uploads.result(upload_id, file_id)
        if finished is not None:
            return finished.size_bytes
        return await asyncio.to_thread(self._inbox.size, upload_id, file_id)

    async def receive(
        self,
        upload_id: str,
        file_id: str,
        name: str,
        body: AsyncIterator[bytes],
        *,
        offset: int | None,
        total: int | None,
        actor: Actor,
        address: str,
    ) -> FileResult:
        """Take a file, or the rest of it from ``offset`` on, and answer what became of it.

        What arrived before a broken connection stays for the next attempt. ``total`` is the whole size where
        the sender tells it. Raises Conflict with the right offset, TooLarge, Exhausted, NotFound.
        """
        upload = await self._own(upload_id, actor)
        path = self._inbox.path(upload_id, file_id)
        finished = await self._uploads.result(upload_id, file_id)
        if finished is not None:
            return finished
        if upload.canceled:
            raise Conflict("This upload was canceled.")
        if total is not None and total > self._limits.file_bytes:
            raise TooLarge(f"A file may have {self._limits.file_bytes // 1_000_000} MB at most here.")
        key = (upload_id, file_id)
        await self._take_over(key)
        task = asyncio.current_task()
        assert task is not None
        self._receiving[key] = task
        try:
            digest = await self._write(path, body, offset, total)
            result = await self._conclude(upload, file_id, name, path, digest, By(actor.id, address))
        finally:
            if self._receiving.get(key) is task:
                del self._receiving[key]
        log.info(
            "file",
            extra={"upload": upload_id, "file": file_id, "status": result.status, "bytes": digest.size_bytes},
        )
        return result

    async def state(self, upload_id: str, actor: Actor) -> UploadState:
        """The upload as it stands; raises NotFound for those of others."""
        upload = await self._own(upload_id, actor)
        files = await self._uploads.results(upload_id)
        studies, pending = await self._uploads.studies(upload_id)
        single = [leaf for one in files for leaf in (one.members if one.status == "archive" else (one,))]
        counts = {
            status: sum(one.status == status for one in single)
            for status in ("stored", "duplicate", "refused")
        }
        return UploadState(
            id=upload_id,
            files=tuple(files),
            counts=UploadCounts(counts["stored"], counts["duplicate"], counts["refused"], pending),
            bytes=sum(one.size_bytes for one in files),
            studies=tuple(studies),
            indexed=pending == 0,
            canceled=upload.canceled,
        )

    async def cancel(self, upload_id: str, actor: Actor, address: str) -> None:
        """Take no more; what was acknowledged stays."""
        await self._own(upload_id, actor)
        await self._uploads.cancel(upload_id, By(actor.id, address))
        for key in [key for key in self._receiving if key[0] == upload_id]:
            await self._take_over(key)
        await asyncio.to_thread(self._inbox.remove, upload_id)

    async def _own(self, upload_id: str, actor: Actor) -> Upload:
        upload = await self._uploads.get(upload_id)
        if upload.actor_id != actor.id:
            raise NotFound("There is no such upload.")
        return upload

    async def _take_over(self, key: tuple[str, str]) -> None:
        """The newest sender of a file wins: an older one hangs on a line that is gone."""
        older = self._receiving.pop(key, None)
        if older is not None and not older.done():
            older.cancel()
            await asyncio.wait([older], timeout=30)

    def _require_room(self, more_bytes: int = 0) -> None:
        if self._blobs.free_bytes() - more_bytes < self._limits.free_disk_bytes:
            raise Exhausted("This node has no room for more at present; nothing was stored.")

    async def _write(
        self, path: Path, body: AsyncIterator[bytes], offset: int | None, total: int | None
    ) -> Digest:
        self._require_room()
        here = await asyncio.to_thread(_size, path)
        if offset is not None and offset != here:
            raise Conflict(
                f"The file goes on at byte {here}, not at {offset}.", {"reason": "offset", "offset": here}
            )
        part = await asyncio.to_thread(Part, path, offset or 0)
        pieces: list[bytes] = []
        waiting = 0
        try:
            async for piece in body:
                pieces.append(piece)
                waiting += len(piece)
                if part.size + waiting > self._limits.file_bytes:
                    raise TooLarge(f"A file may have {self._limits.file_bytes // 1_000_000} MB at most here.")
                if waiting >= _WRITE_BYTES:
                    await asyncio.to_thread(part.write, pieces)
                    pieces, waiting = [], 0
                    self._require_room()
        finally:
            # Also when the line broke: what arrived need not be sent again.
            digest = await asyncio.shield(asyncio.to_thread(part.close, pieces))
        if total is not None and digest.size_bytes != total:
            raise Conflict(
                f"{digest.size_bytes} of {total} bytes have arrived.",
                {"reason": "offset", "offset": digest.size_bytes},
            )
        return digest

    async def _conclude(
        self, upload: Upload, file_id: str, name: str, path: Path, digest: Digest, by: By
    ) -> FileResult:
        if await asyncio.to_thread(is_archive, path):
            result = await self._archive(upload, file_id, name, path, digest, by)
        else:
            result = await self._single(upload, file_id, name, path, digest, by, written=True)
            if result.status == "stored":
                return result
        await self._uploads.finish(upload.id, result)
        await asyncio.to_thread(path.unlink, True)
        return result

    async def _single(
        self, upload: Upload, file_id: str, name: str, path: Path, digest: Digest, by: By, *, written: bool
    ) -> FileResult:
        base = FileResult(
            file_id=file_id,
            name=name,
            status="refused",
            size_bytes=digest.size_bytes,
            md5=digest.md5,
            sha256=digest.sha256,
        )
        try:
            header = await asyncio.to_thread(read_header, path)
        except Invalid as error:
            return msgspec.structs.replace(base, reason=error.message)
        made = Object(
            instance_uid=header.instance_uid,
            series_uid=header.series_uid,
            study_uid=header.study_uid,
            sha256=digest.sha256,
            md5=digest.md5,
            size_bytes=digest.size_bytes,
        )
        warnings = [*header.warnings]
        if header.not_renderable:
            warnings.append(header.not_renderable)
        base = msgspec.structs.replace(
            base,
            instance_uid=header.instance_uid,
            series_uid=header.series_uid,
            study_uid=header.study_uid,
            warnings=tuple(warnings),
        )
        verdict = await self._uploads.verdict(made, upload)
        if verdict in ("stored", "duplicate"):
            if verdict == "stored":
                # Durable before the row that promises it; one whose row never comes is swept away later.
                await asyncio.to_thread(self._blobs.adopt, path, digest.sha256)
            stored = msgspec.structs.replace(base, status="stored")
            verdict = await self._uploads.accept(made, upload, stored if written else None, by)
            if verdict == "stored":
                self._stored()
                return stored
        if verdict == "duplicate":
            return msgspec.structs.replace(base, status="duplicate")
        return msgspec.structs.replace(base, reason=_REASONS[verdict])

    async def _archive(
        self, upload: Upload, file_id: str, name: str, path: Path, digest: Digest, by: By
    ) -> FileResult:
        base = FileResult(
            file_id=file_id,
            name=name,
            status="archive",
            size_bytes=digest.size_bytes,
            md5=digest.md5,
            sha256=digest.sha256,
        )
        target = path.with_name(path.name + ".member")
        members: list[FileResult] = []
        unpacking = unpack(path, self._limits.archive, target)
        try:
            while True:
                self._require_room()
                found: Member | None = await asyncio.to_thread(next, unpacking, None)
                if found is None:
                    break
                members.append(await self._member(upload, f"{file_id}.{found.number}", target, found, by))
        except Invalid as error:
            return msgspec.structs.replace(
                base,
                status="refused" if not members else "archive",
                reason=error.message,
                members=tuple(members),
            )
        finally:
            await asyncio.to_thread(target.unlink, True)
        if not members:
            return msgspec.structs.replace(base, status="refused", reason="The archive holds no files.")
        return msgspec.structs.replace(base, members=tuple(members))

    async def _member(
        self, upload: Upload, member_id: str, target: Path, found: Member, by: By
    ) -> FileResult:
        if found.digest is None:
            return FileResult(
                file_id=member_id, name=found.name, status="refused", size_bytes=0, reason=found.reason
            )
        return await self._single(upload, member_id, found.name, target, found.digest, by, written=False)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
