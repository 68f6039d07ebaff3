"""The frame around every role: authentication, CORS, request ids, problems, OpenAPI, health."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sivr.api.app import HEALTH_DETAILS, build_app
from sivr.api.authentication import bearer_token
from sivr.api.routing import Routes, actor
from sivr.crypto import SigningKey, Verifier, access_claims, actor_from_claims
from sivr.edge.mount import mount
from sivr.errors import Conflict, TooMany, Unauthenticated
from sivr.model.people import Actor, UserRole
from tests.api.institution_asking import LINGERING_S
from tests.api.openapi_shapes import check_openapi

ORIGIN = "https://page.example.org"
Client = TestClient[web.Request, web.Application]
StartClient = Callable[[web.Application | TestServer], Awaitable[Client]]


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    """Something to send."""

    name: str
    size: int = 1


class Page(msgspec.Struct):
    """A query."""

    limit: int = 10


KEY = SigningKey.generate()
VERIFIER = Verifier({"county": [KEY.public]}, "sivr")


def token(*roles: UserRole) -> dict[str, str]:
    who = Actor(id="u1", name="N", roles=roles, institutions=(), toplevel="county")
    return {"Authorization": "Bearer " + KEY.sign(access_claims(who), 60)}


async def authenticate(request: web.Request) -> Actor:
    bearer = bearer_token(request)
    if bearer is None:
        raise Unauthenticated("Please log in.")
    return actor_from_claims(VERIFIER.verify(bearer))


def things() -> Routes:
    routes = Routes()

    @routes.get("/things", summary="All", query=Page, response=list[Thing], roles=("physician",))
    async def all_things(request: web.Request, query: Page) -> list[Thing]:
        return [Thing("a", query.limit)]

    @routes.post("/things", summary="New", body=Thing, response=Thing, status=201)
    async def new_thing(request: web.Request, body: Thing) -> Thing:
        if body.name == "taken":
            raise Conflict("There is one already.", {"existing": "x1"})
        return body

    @routes.get("/things/{id:[a-z]+}/busy", summary="Busy", public=True)
    async def busy(request: web.Request) -> None:
        raise TooMany("Slower, please.", {"retry_after_s": 7})

    @routes.get("/things/{id:[a-z]+}/broken", summary="Broken", public=True)
    async def broken(request: web.Request) -> None:
        raise RuntimeError("secret inner detail")

    @routes.delete("/things/{id:[a-z]+}", summary="Remove")
    async def remove(request: web.Request) -> None:
        actor(request)

    return routes


async def ready() -> str:
    return ""


async def not_ready() -> str:
    return "The disk is full."


@pytest.fixture
async def client(aiohttp_client: StartClient) -> Client:
    return await aiohttp_client(
        build_app("toplevel", things(), authenticate, web_origins=[ORIGIN], checks={"database": ready})
    )


async def test_only_known_actors_with_the_role(client: Client) -> None:
    assert (await client.get("/things")).status == 401
    assert (await client.get("/things", headers={"Authorization": "Bearer x"})).status == 401
    refused = await client.get("/things", headers=token("administrator"))
    assert refused.status == 403
    assert "physician" in (await refused.json())["detail"]
    answer = await client.get("/things?limit=3&unknown=1", headers=token("physician"))
    assert await answer.json() == [{"name": "a", "size": 3}]


async def test_unknown_address_tells_strangers_nothing(client: Client) -> None:
    assert (await client.get("/nothing")).status == 401
    assert (await client.get("/nothing", headers=token())).status == 404
    answer = await client.patch("/things", headers=token())
    assert answer.status == 405
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "The body is not JSON."),
        (b"{}", "Object missing required field `name`."),
        (b'{"name": 1}', "Expected `str`, got `int` - at `$.name`."),
        (b'{"name": "x", "sise": 1}', "Object contains unknown field `sise`."),
        (b'{"name": "\xff"}', "The body is not JSON."),
    ],
)
async def test_wrong_body_is_one_sentence(client: Client, body: bytes, sentence: str) -> None:
    headers = {**token(), "Content-Type": "application/json"}
    answer = await client.post("/things", data=body, headers=headers)
    assert answer.status == 400
    assert (await answer.json())["detail"] == sentence


async def test_wrong_query_and_media_type(client: Client) -> None:
    assert (await client.get("/things?limit=x", headers=token("physician"))).status == 400
    answer = await client.post("/things", data="<a/>", headers={**token(), "Content-Type": "text/xml"})
    assert answer.status == 415


async def test_body_over_the_limit(client: Client) -> None:
    body = io.BytesIO(b'{"name": "' + b"x" * 2_000_000 + b'"}')
    headers = {**token(), "Content-Type": "application/json"}
    answer = await client.post("/things", data=body, headers=headers)
    assert answer.status == 413
    assert (await answer.json())["detail"] == "The body is larger than allowed here."


async def test_a_slow_sender_is_told_and_cut_off(aiohttp_client: StartClient) -> None:
    app = build_app("toplevel", things(), authenticate, request_timeout_s=0.2)
    server = TestServer(app)
    await server.start_server(lingering_time=LINGERING_S)
    client = await aiohttp_client(server)
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    lines = ["POST /things HTTP/1.1", "Host: x", "Content-Type: application/json", "Content-Length: 1000"]
    lines += [f"{name}: {value}" for name, value in token().items()]
    writer.write("\r\n".join([*lines, "", '{"name": "']).encode())

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        problem = msgspec.json.decode(await reader.readexactly(length))
        assert problem["detail"] == "The request did not arrive within 0.2 s."
    finally:
        trickling.cancel()
    # Nothing comes any more, and the server does not wait for it.
    assert await reader.read() == b""
    writer.close()


async def test_domain_errors_become_problems(client: Client) -> None:
    answer = await client.post("/things", json={"name": "taken"}, headers=token())
    problem = await answer.json()
    assert (answer.status, problem["title"], problem["existing"]) == (409, "Conflict", "x1")
    assert problem["request_id"] == answer.headers["Sivr-Request-Id"]
    busy = await client.get("/things/a/busy")
    assert (busy.status, busy.headers["Retry-After"]) == (429, "7")


async def test_inner_errors_stay_inside(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    answer = await client.get("/things/a/broken")
    assert answer.status == 500
    assert "secret" not in await answer.text()
    assert any(record.exc_info for record in caplog.records)


async def test_log_has_request_id_and_no_query(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "sivr.http"):
        headers = {**token("physician"), "Sivr-Request-Id": "from-the-page"}
        await client.get("/things?limit=3", headers=headers)
    record = next(one for one in caplog.records if one.message == "request")
    assert vars(record)["request_id"] == "from-the-page"
    assert vars(record)["path"] == "/things"
    assert vars(record)["actor"] == "u1"


async def test_empty_answer_is_204(client: Client) -> None:
    assert (await client.delete("/things/a", headers=token())).status == 204


async def test_cors_only_for_known_pages(client: Client) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = await client.options("/things", headers={"Origin": ORIGIN, **ask})
    assert good.status == 204
    assert good.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert good.headers["Timing-Allow-Origin"] == ORIGIN
    assert good.headers["Access-Control-Allow-Credentials"] == "true"
    bad = await client.options("/things", headers={"Origin": "https://evil.example.org", **ask})
    assert "Access-Control-Allow-Origin" not in bad.headers
    assert "Timing-Allow-Origin" not in bad.headers
    refused = await client.get("/things", headers={"Origin": ORIGIN})
    assert refused.status == 401
    assert refused.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_security_headers_everywhere(client: Client) -> None:
    for path in ("/things", "/health", "/nothing"):
        headers = (await client.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "max-age" in headers["Strict-Transport-Security"]


async def test_health_names_the_part(aiohttp_client: StartClient) -> None:
    app = build_app("render", [], authenticate, checks={"database": ready, "disk": not_ready})
    answer = await (await aiohttp_client(app)).get("/health")
    body = await answer.json()
    assert (answer.status, body["ready"]) == (503, False)
    assert body["parts"]["disk"] == {"ready": False, "reason": "The disk is full."}
    assert body["parts"]["database"]["ready"] is True
    assert body["note"] == "" and body["details"] == {}


async def test_health_tells_what_a_role_has_to_tell(aiohttp_client: StartClient) -> None:
    app = build_app("render", [], authenticate, checks={"database": ready})
    app[HEALTH_DETAILS] = lambda: {"rendering": [{"renderer": "A card", "device_ms": 2.5}]}
    body = await (await (await aiohttp_client(app)).get("/health")).json()
    assert body["ready"] is True
    assert body["details"] == {"rendering": [{"renderer": "A card", "device_ms": 2.5}]}


async def test_openapi_describes_every_route(client: Client) -> None:
    document = await (await client.get("/openapi.json", headers=token())).json()
    check_openapi(document)
    assert set(document["paths"]) >= {"/things", "/things/{id}", "/things/{id}/busy", "/health"}
    operation = document["paths"]["/things"]["get"]
    assert [one["name"] for one in operation["parameters"]] == ["limit"]
    assert operation["security"] == [{"bearer": []}, {"cookie": []}]


async def test_roles_mounted_on_one_address(aiohttp_client: StartClient) -> None:
    front = Routes()

    @front.get("/{name:.*}", summary="Page", public=True)
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="page")

    root = build_app("web", front, authenticate)
    inner = build_app("toplevel", things(), authenticate, web_origins=[ORIGIN])
    client = await aiohttp_client(mount({"": root, "/toplevel": inner}))
    assert await (await client.get("/anything")).text() == "page"
    assert (await client.get("/toplevel/things")).status == 401
    headers = {**token("physician"), "Origin": ORIGIN}
    answer = await client.get("/toplevel/things", headers=headers)
    assert answer.status == 200
    assert answer.headers.getall("Access-Control-Allow-Origin") == [ORIGIN]
    assert (await (await client.get("/toplevel/health")).json())["role"] == "toplevel"
    assert (await client.get("/toplevel/nothing", headers=headers)).status == 404
