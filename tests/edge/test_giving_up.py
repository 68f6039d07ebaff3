"""A request that its client gives up ends its handler, over every protocol, and nothing else."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from hyperframe.frame import RstStreamFrame

from tests.edge.asking import HTTP, ask
from tests.edge.frames import connected
from tests.edge.quic import quic
from tests.edge.served import HOST, PICTURE, Served


async def give_up(http: str, served: Served, ca: Path) -> None:
    """Ask for something slow, and go when it is being made."""
    if http == "1.1":
        context = ssl.create_default_context(cafile=str(ca / "ca.pem"))
        _, writer = await asyncio.open_connection(HOST, served.port, ssl=context)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.running.wait()
        writer.close()
    elif http == "2":
        async with connected(served.port, ca) as client:
            client.send(client.head(1, "/slow"))
            await served.running.wait()
            client.send(RstStreamFrame(1, error_code=8))
            await served.canceled.wait()
    else:
        async with quic(served.port, ca) as other:
            stream_id = other.ask("/slow")
            await served.running.wait()
            other.give_up(stream_id)
            await served.canceled.wait()


@pytest.mark.parametrize("http", HTTP)
async def test_the_handler_is_canceled(http: str, served: Served, tls_folder: Path) -> None:
    async with asyncio.timeout(30):
        await give_up(http, served, tls_folder)
        await served.canceled.wait()
    assert served.traffic.canceled[http] == (http != "1.1")
    assert (await ask(http, f"{served.url}/picture", tls_folder)).body == PICTURE


@pytest.mark.parametrize("http", ["2", "3"])
async def test_a_lost_connection_cancels_all_of_it(http: str, served: Served, tls_folder: Path) -> None:
    async with asyncio.timeout(30):
        if http == "2":
            async with connected(served.port, tls_folder) as client:
                client.send(*(client.head(2 * number + 1, "/slow") for number in range(5)))
                await served.running.wait()
                await asyncio.sleep(0.1)
        else:
            async with quic(served.port, tls_folder) as other:
                for _ in range(5):
                    other.ask("/slow")
                await served.running.wait()
                await asyncio.sleep(0.1)
        await served.canceled.wait()
    assert served.traffic.canceled[http] == 5
    assert served.traffic.open[http] == 0
