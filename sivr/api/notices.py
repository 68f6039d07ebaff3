"""Notices of nodes about the studies they hold; a node signs its own tokens."""

from __future__ import annotations

from aiohttp import web

from sivr.api.authentication import bearer_token
from sivr.api.bodies import REQUEST_TIMEOUT_S, pieces
from sivr.api.institution import services
from sivr.api.routing import Routes, address
from sivr.errors import TooLarge
from sivr.model.archive import StudyNotice

routes = Routes()

MAX_NOTICE_BYTES = 64 * 1024 * 1024


@routes.post(
    "/notices",
    summary="A node tells the state of a study",
    body=StudyNotice,
    status=204,
    public=True,
    raw=True,
)
async def note(request: web.Request) -> None:
    """Idempotent: the newest revision of (node, study) wins. The node's token stands for a person's."""
    found = services(request)
    # Before the body is read: strangers must not make us hold theirs.
    node_id = await found.notices.verified_node(bearer_token(request))
    await found.notices.take(node_id, await _bounded(request), address(request))


@routes.post("/notices/presence", summary="A node says that it is there", status=204, public=True)
async def presence(request: web.Request) -> None:
    """Moves when the node was last heard of, and nothing else."""
    found = services(request).notices
    await found.hear(await found.verified_node(bearer_token(request)))


async def _bounded(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in pieces(request, request.app[REQUEST_TIMEOUT_S]):
        body += chunk
        if len(body) > MAX_NOTICE_BYTES:
            raise TooLarge("A notice may have 64 MiB at most.")
    return bytes(body)
