"""Sessions at the institution: a bearer once, then a cookie; strange pages get nothing."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from sivr.api.app import ROUTES
from sivr.crypto import SigningKey, access_claims
from tests.api.institution_asking import ORIGIN, Asking, answering
from tests.api.openapi_shapes import check_openapi
from tests.services.institution_place import ADA, ANA, MARKO, TOPLEVEL_KEY, notice_of, token


async def test_a_cookie_stands_for_the_bearer(institution: Asking) -> None:
    status, opened = await institution.ask(ANA, "POST", "/session", Origin=ORIGIN)
    assert status == 200
    assert opened["institution"] == {"id": "general", "name": "General Hospital"}
    assert 1190 <= opened["expires_in_s"] <= 1200
    assert institution.headers["Access-Control-Allow-Credentials"] == "true"
    parts = {part.strip().lower() for part in institution.set_cookie.split(";")[1:]}
    assert {"httponly", "secure", "path=/", "samesite=none", "partitioned"} < parts
    assert (await institution.ask(None, "GET", "/studies"))[0] == 200


async def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    async with answering(tmp_path) as institution:
        await institution.ask(ANA, "POST", "/session")
        cookie = institution.cookie
    async with answering(tmp_path) as institution:
        institution.cookie = cookie
        assert (await institution.ask(None, "GET", "/studies"))[0] == 200


async def test_prolonging_keeps_the_cookie(institution: Asking) -> None:
    await institution.ask(ANA, "POST", "/session")
    first = institution.cookie
    await institution.ask(ANA, "POST", "/session")
    assert institution.cookie == first
    # Somebody else at the same browser begins anew.
    await institution.ask(MARKO, "POST", "/session")
    assert institution.cookie != first
    rows = await institution.services.audit.newest()
    assert [(row.action, row.actor_id) for row in rows] == [
        ("session.open", MARKO.id), ("session.open", ANA.id),
    ]  # fmt: skip


async def test_ending(institution: Asking) -> None:
    await institution.ask(ANA, "POST", "/session")
    cookie = institution.cookie
    assert await institution.ask(ANA, "DELETE", "/session") == (204, None)
    assert "Max-Age=0" in institution.set_cookie
    assert institution.headers["Clear-Site-Data"] == '"cache"'
    institution.cookie = cookie
    assert (await institution.ask(None, "GET", "/studies"))[0] == 401
    assert (await institution.services.audit.newest(1))[0].action == "session.close"


async def test_sessions_are_opened_with_a_bearer_only(institution: Asking) -> None:
    assert (await institution.ask(None, "POST", "/session"))[0] == 401
    await institution.ask(ANA, "POST", "/session")
    assert (await institution.ask(None, "POST", "/session", Origin=ORIGIN))[0] == 401
    institution.cookie = "forged"
    assert (await institution.ask(None, "GET", "/studies"))[0] == 401


async def test_expired_sessions(institution: Asking) -> None:
    # The session outlives its access token by a quarter of an hour at most.
    bearer = TOPLEVEL_KEY.sign(access_claims(ANA), 1)
    _, opened = await institution.ask(None, "POST", "/session", Authorization=f"Bearer {bearer}")
    assert opened["expires_in_s"] <= 901


async def test_strange_pages_cannot_use_the_cookie(institution: Asking) -> None:
    await institution.tell(notice_of())
    await institution.ask(ANA, "POST", "/session")
    view = {"action": "view", "study_uid": "1.2.3"}
    for headers in ({}, {"Origin": "https://evil.example.org"}, {"Origin": "null"}):
        status, problem = await institution.ask(None, "POST", "/grants", view, **headers)
        assert (status, problem["detail"]) == (403, "This request did not come from a known web page.")
    assert (await institution.ask(None, "POST", "/grants", view, Origin=ORIGIN))[0] == 201
    status, _ = await institution.ask(None, "GET", "/studies", Origin="https://evil.example.org")
    assert status == 200
    assert "Access-Control-Allow-Origin" not in institution.headers


async def test_foreign_tokens(institution: Asking) -> None:
    for forged in (
        token(ANA, -120),
        SigningKey.generate().sign(access_claims(ANA), 300),
        TOPLEVEL_KEY.sign({**access_claims(ANA), "aud": "general"}, 300),
        TOPLEVEL_KEY.sign({**access_claims(ANA), "iss": "elsewhere"}, 300),
        "nonsense",
    ):
        status, _ = await institution.ask(None, "GET", "/studies", Authorization=f"Bearer {forged}")
        assert status == 401


async def test_who_has_yet_to_choose_a_password_gets_nothing(institution: Asking) -> None:
    fresh = msgspec.structs.replace(ANA, must_change_password=True)
    for route in institution.client.app[ROUTES]:
        if route.public or (route.method, route.path) == ("DELETE", "/session"):
            continue
        path = re.sub(r"{\w+}", "x", route.path)
        status, problem = await institution.ask(fresh, route.method, path, {})
        assert (status, problem["reason"]) == (403, "must_change_password"), path
    assert (await institution.ask(fresh, "DELETE", "/session"))[0] == 204


async def test_every_route_is_private_or_named(institution: Asking) -> None:
    public = set()
    for route in institution.client.app[ROUTES]:
        if route.public:
            public.add(f"{route.method} {route.path}")
            continue
        path = re.sub(r"{\w+}", "x", route.path)
        assert (await institution.ask(None, route.method, path, {}))[0] == 401, path
    # Nodes sign their own tokens (tests/api/test_notices.py).
    nodes = {"POST /notices", "POST /notices/presence"}
    assert public == {"GET /health", "GET /metrics", "GET /openapi.json"} | nodes


async def test_openapi_and_health(institution: Asking) -> None:
    status, document = await institution.ask(ADA, "GET", "/openapi.json")
    assert status == 200
    check_openapi(document)
    status, health = await institution.ask(None, "GET", "/health")
    assert (status, health["parts"]["database"]["ready"]) == (200, True)
