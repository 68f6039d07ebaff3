"""The render role: takes objects in, indexes them, makes pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from aiohttp import web

from sivr.api.render_app import NodeSettings, render_app
from sivr.config import Limits, Render, Storage
from sivr.crypto import ACCESS_AUDIENCE, MasterKeys, PublicKey, SigningKey, Verifier
from sivr.peers import InstitutionPeer, open_client
from sivr.services.archives import ArchiveLimits
from sivr.services.imaging import Graphics, open_imaging
from sivr.services.ingest import open_ingest
from sivr.services.overviews import Overviews
from sivr.services.uploads import UploadLimits
from sivr.store.sealing import Form

MEGABYTE = 1024 * 1024


def _limits(limits: Limits) -> UploadLimits:
    archive = ArchiveLimits(
        members=limits.zip_members,
        total_bytes=limits.zip_total_mb * MEGABYTE,
        member_bytes=limits.upload_file_mb * MEGABYTE,
        ratio=limits.zip_ratio,
    )
    return UploadLimits(
        file_bytes=limits.upload_file_mb * MEGABYTE,
        free_disk_bytes=limits.free_disk_mb * MEGABYTE,
        archive=archive,
    )


def _form(storage: Storage) -> Form:
    return Form(compress=storage.compress, cipher=storage.cipher if storage.encrypt else None)


@asynccontextmanager
async def open_render(settings: Render) -> AsyncIterator[web.Application]:
    """The node's application on its database, its folder and its render workers."""
    institution = settings.institution
    institution_keys = [PublicKey.parse(key) for key in institution.public_keys]
    tokens = Verifier(
        {one.id: [PublicKey.parse(key) for key in one.public_keys] for one in settings.toplevels},
        ACCESS_AUDIENCE,
    )
    key = SigningKey.load(Path(settings.signing_key))
    master_key, derived = settings.storage.master_key, settings.storage.derived_mb
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            open_client(Path(institution.ca) if institution.ca else None)
        )
        ingest = await stack.enter_async_context(
            open_ingest(
                settings.database,
                Path(settings.data),
                node_id=settings.id,
                institution=InstitutionPeer(client, institution.url, institution.id, settings.id, key),
                limits=_limits(settings.limits),
                workers=settings.indexing_workers,
                unfinished_s=settings.limits.unfinished_upload_days * 86400.0,
                form=_form(settings.storage),
                masters=partial(MasterKeys.load, Path(master_key)) if master_key else None,
            )
        )
        imaging = await stack.enter_async_context(
            open_imaging(
                ingest.index,
                ingest.blobs,
                node_id=settings.id,
                memory_mb=settings.memory_mb,
                decode_threads=settings.decode_threads,
                render_workers=settings.render_workers,
                render_queue=settings.render_queue,
                graphics=Graphics(settings.gl_platform, settings.gl_device, settings.texture_budget_mb),
                max_pixels=settings.limits.picture_pixels,
                overviews=Overviews(ingest.derived, derived * MEGABYTE) if derived else None,
                workload=ingest.workload,
            )
        )
        if imaging.preparer is not None:
            ingest.listeners.append(imaging.preparer.indexed)
        yield render_app(
            ingest,
            imaging,
            tokens,
            NodeSettings(
                id=settings.id,
                name=settings.name,
                url=settings.url,
                upload_idle_s=settings.limits.upload_idle_s,
                request_timeout_s=settings.request_timeout_s,
                web_origins=settings.web_origins,
                institutions={institution.id: institution_keys},
            ),
        )
