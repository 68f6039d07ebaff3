"""The indexing queue and the outbox, for administrators."""

from __future__ import annotations

from aiohttp import web

from sivr.api.ingest import services
from sivr.api.routing import Routes, actor, address
from sivr.errors import NotFound
from sivr.model.ingest import OutboxState, QueueState
from sivr.store.audit import By

routes = Routes()


@routes.get("/queue", summary="The indexing queue", response=QueueState, roles=("administrator",))
async def queue(request: web.Request) -> QueueState:
    """What waits, and which objects could not be indexed."""
    return await services(request).queue.state()


@routes.post("/queue/{message}/retry", summary="Try a dead letter again", roles=("administrator",))
async def retry(request: web.Request) -> None:
    """Back into the queue."""
    text = request.match_info["message"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFound("There is no such dead letter.")
    await services(request).queue.retry(int(text), By(actor(request).id, address(request)))


@routes.get(
    "/outbox",
    summary="Studies whose institution has not been told yet",
    response=OutboxState,
    roles=("administrator",),
)
async def outbox(request: web.Request) -> OutboxState:
    """What waits and why."""
    return await services(request).outbox.state()
