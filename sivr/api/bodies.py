"""Bodies of requests: read whole or in pieces, from senders who must not be slow without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from sivr.errors import TooSlow, WrongWay

REQUEST_TIMEOUT_S = web.AppKey("sivr.request_timeout_s", float)
_CHUNK_BYTES = 1 << 18
_LEAST_BYTES = 1024


def check_way(request: web.Request) -> None:
    """Raises WrongWay where the connection may not carry the whole body (421, RFC 9110 section 15.5.20)."""
    limit: int | None = request.get_extra_info("body_limit_bytes") if request.body_exists else None
    if limit is not None and (request.content_length is None or request.content_length > limit):
        raise WrongWay(f"Over HTTP/3 a body has at most {limit} bytes; please send this one over TCP.")


async def whole(request: web.Request) -> bytes:
    """The whole body; raises TooSlow when it takes longer to arrive than the configuration allows."""
    limit_s = request.app[REQUEST_TIMEOUT_S]
    try:
        async with asyncio.timeout(limit_s):
            return await request.read()
    except TimeoutError as error:
        raise TooSlow(f"The request did not arrive within {limit_s:g} s.") from error


async def pieces(request: web.Request, idle_s: float) -> AsyncIterator[bytes]:
    """The body as it comes; raises TooSlow when almost nothing comes for ``idle_s``."""
    loop = asyncio.get_running_loop()
    deadline, lately = loop.time() + idle_s, 0
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                piece = await request.content.read(_CHUNK_BYTES)
        except TimeoutError as error:
            raise TooSlow(f"Almost nothing came for {idle_s:g} s; please send the rest again.") from error
        if not piece:
            return
        lately += len(piece)
        if lately >= _LEAST_BYTES:
            # A byte now and then would hold the connection for ever.
            deadline, lately = loop.time() + idle_s, 0
        yield piece
