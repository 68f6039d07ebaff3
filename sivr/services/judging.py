"""What becomes of a complete file: stored, known already, refused, or an archive of such."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from sivr.dicom.read import read_header
from sivr.errors import Conflict, Exhausted, Invalid
from sivr.model.ingest import FileResult, Object, Upload
from sivr.model.studies import InstanceHeader
from sivr.services.archives import ArchiveLimits, Member, is_archive, unpack
from sivr.services.threads import finished
from sivr.store.acceptance import Verdict
from sivr.store.audit import By
from sivr.store.blobs import Blobs
from sivr.store.inbox import disk_error
from sivr.store.study_keys import StudyKeys
from sivr.store.uploads import Uploads

log = logging.getLogger("sivr.uploads")

_REASONS: dict[Verdict, str] = {
    "other bytes": "Another object with the same SOP Instance UID is stored here; the first one was kept.",
    "other patient": "The study belongs to another patient's record here.",
}


class Judge:
    """Validates files and stores the good ones, durably."""

    def __init__(
        self,
        uploads: Uploads,
        blobs: Blobs,
        archive_limits: ArchiveLimits,
        free_disk_bytes: int,
        keys: StudyKeys | None = None,
    ) -> None:
        self._uploads = uploads
        self._blobs = blobs
        self._keys = keys
        self._archive_limits = archive_limits
        self._free_disk_bytes = free_disk_bytes

    async def file(
        self, upload: Upload, path: Path, base: FileResult, by: By, go_on: Callable[[], bool]
    ) -> tuple[FileResult, bool]:
        """The fate of a file, and whether it is already written down. ``go_on`` is asked between an
        archive's members; raises Conflict when it says no."""
        if await asyncio.to_thread(is_archive, path):
            return await self._archive(upload, path, base, by, go_on), False
        result = await self._single(upload, path, base, by, written=True)
        return result, result.status in ("stored", "duplicate")

    async def _single(
        self, upload: Upload, path: Path, base: FileResult, by: By, *, written: bool
    ) -> FileResult:
        try:
            header = await asyncio.to_thread(_header_of, path)
        except Invalid as error:
            return msgspec.structs.replace(base, reason=error.message)
        made = Object(
            instance_uid=header.instance_uid,
            series_uid=header.series_uid,
            study_uid=header.study_uid,
            sha256=base.sha256,
            md5=base.md5,
            size_bytes=base.size_bytes,
        )
        hint = (header.not_renderable,) if header.not_renderable else ()
        base = msgspec.structs.replace(
            base,
            instance_uid=header.instance_uid,
            series_uid=header.series_uid,
            study_uid=header.study_uid,
            warnings=(*header.warnings, *hint),
        )
        stored = msgspec.structs.replace(base, status="stored")
        verdict = await self._uploads.verdict(made, upload)
        if verdict == "stored" or (verdict == "duplicate" and not await self._intact(made)):
            # Durable before the row that promises it; one whose row never comes is swept away later.
            await self._store(path, made, header)
        if verdict in ("stored", "duplicate"):
            verdict = await self._uploads.accept(made, upload, stored if written else None, by)
        if verdict == "stored":
            return stored
        if verdict == "duplicate":
            return msgspec.structs.replace(base, status="duplicate")
        return msgspec.structs.replace(base, reason=_REASONS[verdict])

    async def _store(self, path: Path, made: Object, header: InstanceHeader) -> None:
        key = None
        if self._blobs.encrypts and self._keys is not None:
            key = await self._keys.of_study(made.study_uid)
        starts = [frame.parts[0][0] for frame in header.frames if frame.parts]
        await finished(partial(self._blobs.adopt, path, made.sha256, key=key, starts=starts))

    async def _intact(self, made: Object) -> bool:
        return await asyncio.to_thread(self._blobs.holds, made.sha256, made.size_bytes)

    async def _archive(
        self, upload: Upload, path: Path, base: FileResult, by: By, go_on: Callable[[], bool]
    ) -> FileResult:
        target = path.with_name(path.name + ".member")
        members: list[FileResult] = []
        ignored = 0
        reason = ""
        unpacking = unpack(path, self._archive_limits, target)
        try:
            while True:
                await self._require_room()
                found: Member | None = await finished(next, unpacking, None)
                if found is None:
                    break
                if found.ignored:
                    ignored += 1
                else:
                    members.append(await self._member(upload, base.file_id, target, found, by))
                if not go_on():
                    raise Conflict("This upload was canceled.")
        except Invalid as error:
            reason = error.message
        finally:
            await finished(unpacking.close)
            await asyncio.to_thread(target.unlink, True)
        if not members:
            reason = reason or "The archive holds no files."
            return msgspec.structs.replace(base, reason=reason)
        warnings: tuple[str, ...] = ()
        if ignored:
            what = "1 file" if ignored == 1 else f"{ignored} files"
            warnings = (f"Left out {what} that computers leave in folders.",)
        return msgspec.structs.replace(
            base, status="archive", reason=reason, members=tuple(members), warnings=warnings
        )

    async def _member(self, upload: Upload, file_id: str, target: Path, found: Member, by: By) -> FileResult:
        base = FileResult(
            file_id=f"{file_id}.{found.number}", name=found.name, status="refused", size_bytes=0
        )
        if found.digest is None:
            return msgspec.structs.replace(base, reason=found.reason)
        base = msgspec.structs.replace(
            base, size_bytes=found.digest.size_bytes, md5=found.digest.md5, sha256=found.digest.sha256
        )
        return await self._single(upload, target, base, by, written=False)

    async def _require_room(self) -> None:
        if await asyncio.to_thread(self._blobs.free_bytes) < self._free_disk_bytes:
            raise Exhausted("This node has no room for more at present; what is missing was not stored.")


def _header_of(path: Path) -> InstanceHeader:
    try:
        if is_archive(path):
            raise Invalid("An archive inside an archive is not opened; please send it by itself.")
        return read_header(path)
    except Invalid:
        raise
    except OSError as error:
        raise disk_error(error) from error
    except Exception as error:
        # A file that our reader stumbles over must not come again and again.
        log.exception("unexpected content")
        raise Invalid(f"The file could not be read ({type(error).__name__}).") from error
