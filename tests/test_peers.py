"""Speaking HTTPS to other servers: trust, refusals, and the notices of a node, through real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from sivr import errors
from sivr.api.institution_app import institution_app
from sivr.api.problems import STATUS, problem
from sivr.cli.local_ca import LocalCa
from sivr.crypto import ACCESS_AUDIENCE, SigningKey, Verifier
from sivr.edge.certificates import ServerCertificate
from sivr.edge.listener import listen_https, listen_redirect
from sivr.errors import Invalid, Unavailable
from sivr.model.archive import StudySearch
from sivr.peers import Client, InstitutionPeer, Visitor, client_tls, open_client
from tests.flows.system import free_ports
from tests.services.institution_place import ANA, NODE_KEY, TOPLEVEL_KEY, notice_of, open_place, token

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ca.pem`` and a server's certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    ca = LocalCa()
    ca.save(folder)
    ca.issue(folder, ["127.0.0.1"])
    return folder


@asynccontextmanager
async def serving(app: web.Application, authority: Path, port: int = 0) -> AsyncIterator[str]:
    """The address at which the application answers."""
    port = port or free_ports(1)
    tls = ServerCertificate(authority / "server.pem", authority / "server.key")
    async with listen_https(app, "127.0.0.1", port, tls):
        yield f"https://127.0.0.1:{port}"


def app_of(handler: Handler) -> web.Application:
    """An application with one handler for everything."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", handler)
    return app


@pytest.fixture
async def client(authority: Path) -> AsyncIterator[Client]:
    async with open_client(authority / "ca.pem") as opened:
        yield opened


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.path_qs,
            "type": request.headers.get("Content-Type", ""),
            "token": request.headers.get("Authorization", ""),
            "length": len(await request.read()),
        }
    )


async def test_what_is_sent(client: Client, authority: Path) -> None:
    async with serving(app_of(echo), authority) as url:
        answer = await client.ask("POST", f"{url}/x", json={"a": 1}, token="t", params={"q": "č /"})
        assert answer.json() == {
            "method": "POST", "path": "/x?q=%C4%8D+/", "type": "application/json", "token": "Bearer t",
            "length": 7,
        }  # fmt: skip
        large = await client.ask("PUT", f"{url}/x", data=bytes(5 << 20))
        assert large.json()["length"] == 5 << 20


async def test_empty_and_large_answers(client: Client, authority: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=204) if request.path == "/empty" else web.Response(body=b"x" * (9 << 20))

    async with serving(app_of(answer), authority) as url:
        assert (await client.ask("GET", f"{url}/empty")).json() is None
        assert len((await client.ask("GET", f"{url}/large")).body) == 9 << 20


@pytest.mark.parametrize("size_bytes", [200_000, 4_000_000])
@pytest.mark.parametrize(("method", "repeated"), [("PUT", True), ("POST", False), ("PATCH", False)])
async def test_what_is_sent_again_is_whole(
    client: Client, authority: Path, method: str, repeated: bool, size_bytes: int
) -> None:
    body = random.Random(1).randbytes(size_bytes)
    arrived: list[bytes] = []

    async def breaking(request: web.Request) -> web.Response:
        assert request.content_length == size_bytes
        if arrived:
            arrived.append(await request.read())
            return web.Response()
        arrived.append(await request.content.readexactly(100_000))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(app_of(breaking), authority) as url:
        if repeated:
            await client.ask(method, url, data=body)
            assert arrived[1:] == [body]
        else:
            with pytest.raises(Unavailable, match="does not answer"):
                await client.ask(method, url, data=body)
            assert len(arrived) == 1


async def test_unknown_authorities_are_not_trusted(authority: Path) -> None:
    async with serving(app_of(echo), authority) as url, open_client() as client:
        with pytest.raises(Unavailable, match=r"certificate of 127\.0\.0\.1:\d+ is not trusted: .*\."):
            await client.ask("GET", url)


async def test_certificates_of_other_hosts_are_not_trusted(client: Client, authority: Path) -> None:
    async with serving(app_of(echo), authority) as url:
        with pytest.raises(Unavailable, match="not trusted"):
            await client.ask("GET", url.replace("127.0.0.1", "localhost"))


async def test_only_https_is_spoken(client: Client) -> None:
    for url in ("http://127.0.0.1/x?secret=1", "ftp://x", "", "127.0.0.1:8443"):
        with pytest.raises(Invalid, match="is not an https") as refused:
            await client.ask("GET", url)
        assert "secret" not in refused.value.message
    with pytest.raises(Invalid, match="is not an address"):
        await client.ask("GET", "https://")


async def test_plain_servers_and_nobody(client: Client) -> None:
    port = free_ports(1)
    with pytest.raises(Unavailable, match="does not answer"):
        await client.ask("GET", f"https://127.0.0.1:{port}/")
    async with listen_redirect("127.0.0.1", port, "https://127.0.0.1"):
        with pytest.raises(Unavailable, match="does not speak HTTPS"):
            await client.ask("GET", f"https://127.0.0.1:{port}/")


async def test_slow_servers(authority: Path) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(app_of(slow), authority) as url, open_client(authority / "ca.pem", 0.3) as client:
        with pytest.raises(Unavailable, match="does not answer in time"):
            await client.ask("GET", url)


async def test_redirects_are_not_followed(client: Client, authority: Path) -> None:
    asked = []

    async def away(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=308, headers={"Location": "/elsewhere"})

    async with serving(app_of(away), authority) as url:
        with pytest.raises(Unavailable, match="sends elsewhere"):
            await client.ask("POST", f"{url}/session", json={"password": "x"})
    assert asked == ["/session"]


async def test_refusals_come_in_the_same_words(client: Client, authority: Path) -> None:
    names = {kind.__name__: (kind, status) for kind, (status, _) in STATUS.items()}
    # Two words share these statuses; one of them is enough for a caller.
    names["Canceled"] = (errors.Conflict, 409)
    names["Exhausted"] = (errors.Unavailable, 503)

    async def refuse(request: web.Request) -> web.Response:
        status = names[request.path[1:]][1]
        return problem(status, "Title", "One sentence.", "id", {"retry_after_s": 7})

    async with serving(app_of(refuse), authority) as url:
        for name, (kind, _) in names.items():
            with pytest.raises(kind) as raised:
                await client.ask("GET", f"{url}/{name}")
            assert type(raised.value) is kind
            assert raised.value.message == "One sentence."
            assert raised.value.details["retry_after_s"] == 7


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"{}", b'{"detail": null}'])
async def test_broken_refusals(client: Client, authority: Path, body: bytes) -> None:
    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=500, body=body, content_type="application/problem+json")

    async with serving(app_of(broken), authority) as url:
        with pytest.raises(Unavailable, match=r"127.0.0.1:\d+ answered 500\."):
            await client.ask("GET", url)


async def test_other_programs_at_the_address(client: Client, authority: Path) -> None:
    async def page(request: web.Request) -> web.Response:
        body = "[]" if request.path.startswith("/list/") else "<html>Welcome</html>"
        return web.Response(text=body, content_type="text/html")

    async with serving(app_of(page), authority) as url:
        with pytest.raises(Unavailable, match="not that of a SIVR server"):
            await Visitor(client, url).log_in("ana", "secret")
        with pytest.raises(Unavailable, match="offers no toplevel"):
            await Visitor(client, f"{url}/list").log_in("ana", "secret")


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(Invalid, match="cannot be read"):
            client_tls(tmp_path / name)


async def test_a_node_tells_its_institution(client: Client, authority: Path, tmp_path: Path) -> None:
    tokens = Verifier({"county": [TOPLEVEL_KEY.public]}, ACCESS_AUDIENCE)
    port = free_ports(1)
    peer = InstitutionPeer(client, f"https://127.0.0.1:{port}/", "general", "node-1", NODE_KEY)
    with pytest.raises(Unavailable):
        await peer.post_notice(notice_of())
    for revision in (1, 2):
        # It comes back as another process would, and is told again.
        async with open_place(tmp_path) as services:
            app = institution_app(services, tokens)
            async with serving(app, authority, port) as url:
                for _ in range(2):
                    await peer.post_notice(notice_of(range(4000 * revision), revision=revision))
                study = (await client.ask("GET", f"{url}/studies/1.2.3", token=token(ANA))).json()
                assert study["instance_count"] == 4000 * revision
                page = await services.studies.find(ANA, StudySearch())
                assert page.total == 1


async def test_what_the_institution_refuses(client: Client, authority: Path, tmp_path: Path) -> None:
    tokens = Verifier({"county": [TOPLEVEL_KEY.public]}, ACCESS_AUDIENCE)
    async with (
        open_place(tmp_path) as services,
        serving(institution_app(services, tokens), authority) as url,
    ):
        stranger = InstitutionPeer(client, url, "general", "node-1", SigningKey.generate())
        with pytest.raises(errors.Unauthenticated, match="issuer that is not known"):
            await stranger.post_notice(notice_of())
        mistaken = InstitutionPeer(client, url, "clinic", "node-1", NODE_KEY)
        with pytest.raises(errors.Unauthenticated, match="not valid here"):
            await mistaken.post_notice(notice_of())
        node = InstitutionPeer(client, url, "general", "node-1", NODE_KEY)
        await node.post_presence()
        with pytest.raises(errors.Unauthenticated):
            await stranger.post_presence()
        with pytest.raises(errors.Forbidden, match="only for itself"):
            await node.post_notice(notice_of(node_id="node-2"))
        with pytest.raises(errors.Invalid, match="not a notice"):
            await node.post_notice(msgspec.structs.replace(notice_of(), revision=-1))
