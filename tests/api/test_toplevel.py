"""The toplevel's routes through real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient

from sivr.api.app import ROUTES
from sivr.api.toplevel_app import toplevel_app
from sivr.crypto import SigningKey, access_claims
from sivr.model.people import Actor
from sivr.services.sessions import SessionRules
from tests.api.openapi_shapes import check_openapi
from tests.services.toplevel_place import ADMINISTRATOR, KEY, PHYSICIAN, open_place

ORIGIN = "https://page.example.org"
COOKIE = "__Host-sivr-toplevel-county"
Client = TestClient[web.Request, web.Application]
StartClient = Callable[..., Awaitable[Client]]


class Browser:
    """What a page of one browser can do: a bearer in memory and the refresh cookie, kept by hand because the
    test's sockets are not HTTPS."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.cookie = ""
        self.set_cookie = ""
        self.token = ""
        self.headers: dict[str, str] = {}

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer; cookies are kept as a browser keeps them."""
        sent = {**self.headers, **headers}
        if self.cookie:
            sent["Cookie"] = f"{COOKIE}={self.cookie}"
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        options = {} if body is None else {"json": body}
        async with self.client.request(method, path, headers=sent, **options) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self.set_cookie = line
                self.cookie = re.match(rf"{COOKIE}=\"?([^;\"]*)", line)[1]  # type: ignore[index]
            self.answer_headers = answer.headers
            text = await answer.text()
            return answer.status, (await answer.json(content_type=None)) if text else None

    async def log_in(self, credentials: tuple[str, str]) -> Any:
        login, password = credentials
        status, opened = await self.ask("POST", "/session", {"login": login, "password": password})
        assert status == 200, opened
        self.token = opened["access_token"]
        return opened

    async def renew(self) -> tuple[int, Any]:
        status, opened = await self.ask("POST", "/session/renew")
        if status == 200:
            self.token = opened["access_token"]
        return status, opened


@pytest.fixture
async def client(tmp_path: Path, aiohttp_client: StartClient) -> AsyncIterator[Client]:
    async with open_place(tmp_path) as services:
        yield await aiohttp_client(toplevel_app(services, [ORIGIN]), cookie_jar=DummyCookieJar())


@pytest.fixture
def browser(client: Client) -> Browser:
    return Browser(client)


@pytest.fixture
async def administrator(client: Client) -> Browser:
    found = Browser(client)
    await found.log_in(ADMINISTRATOR)
    return found


@pytest.fixture
async def physician(client: Client) -> Browser:
    found = Browser(client)
    await found.log_in(PHYSICIAN)
    return found


async def test_log_in(browser: Browser) -> None:
    opened = await browser.log_in(PHYSICIAN)
    assert (opened["expires_in_s"], opened["must_change_password"]) == (300, False)
    user = opened["user"]
    assert set(user) == {
        "id", "login", "name", "email", "phone", "language", "roles", "institutions", "active",
        "must_change_password", "version", "created_at", "locked_until",
    }  # fmt: skip
    assert (user["login"], user["roles"], user["institutions"]) == ("ana", ["physician"], ["general"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", user["created_at"])
    assert "password" not in str(user).replace("must_change_password", "")
    parts = {part.strip().partition("=")[0].lower() for part in browser.set_cookie.split(";")[1:]}
    assert parts == {"httponly", "secure", "path", "max-age", "samesite"}
    assert "SameSite=Strict" in browser.set_cookie
    assert "Path=/;" in browser.set_cookie + ";"
    assert await browser.ask("GET", "/me") == (200, user)
    assert browser.answer_headers["Cache-Control"] == "no-store"


async def test_a_wrong_password(browser: Browser) -> None:
    status, problem = await browser.ask("POST", "/session", {"login": "ana", "password": "wrong"})
    assert (status, problem["detail"]) == (401, "The login or the password is wrong.")
    assert browser.cookie == ""


async def test_lock_out(browser: Browser, administrator: Browser) -> None:
    for _ in range(5):
        assert (await browser.ask("POST", "/session", {"login": "ana", "password": "wrong"}))[0] == 401
    status, problem = await browser.ask("POST", "/session", {"login": "ana", "password": PHYSICIAN[1]})
    assert status == 429
    assert 0 < problem["retry_after_s"] <= 60
    assert browser.answer_headers["Retry-After"] == str(problem["retry_after_s"])
    _, page = await administrator.ask("GET", "/users?query=ana")
    (ana,) = page["items"]
    assert ana["locked_until"]
    assert await administrator.ask("POST", f"/users/{ana['id']}/unlock") == (204, None)
    await browser.log_in(PHYSICIAN)


async def test_renewal_rotates_the_cookie(physician: Browser) -> None:
    first = physician.cookie
    status, opened = await physician.renew()
    assert (status, opened["user"]["login"]) == (200, "ana")
    assert physician.cookie not in ("", first)
    assert (await physician.ask("GET", "/me"))[0] == 200


async def test_renewal_needs_a_cookie_that_is_known(browser: Browser) -> None:
    assert (await browser.renew())[0] == 401
    browser.cookie = "forged"
    assert (await browser.renew())[0] == 401


async def test_reuse_ends_the_session(client: Client, physician: Browser) -> None:
    thief = Browser(client)
    thief.cookie = physician.cookie
    assert (await physician.renew())[0] == 200
    assert (await physician.renew())[0] == 200
    status, problem = await thief.renew()
    assert (status, problem["reason"]) == (401, "reused")
    assert (await physician.renew())[0] == 401


async def test_two_tabs_renew_at_once(client: Client, physician: Browser) -> None:
    tabs = [Browser(client) for _ in range(2)]
    for tab in tabs:
        tab.cookie = physician.cookie
    assert [status for status, _ in await asyncio.gather(*(tab.renew() for tab in tabs))] == [200, 200]
    # One browser has one cookie: the answer that came last.
    for tab in tabs:
        tab.cookie = tabs[1].cookie
    assert (await tabs[0].renew())[0] == 200
    tabs[1].cookie = tabs[0].cookie
    assert (await tabs[1].renew())[0] == 200


async def test_log_out(client: Client, physician: Browser) -> None:
    other = Browser(client)
    other.cookie = physician.cookie
    assert await physician.ask("DELETE", "/session") == (204, None)
    assert "Max-Age=0" in physician.set_cookie
    assert physician.answer_headers["Clear-Site-Data"] == '"cache"'
    assert physician.cookie == ""
    assert (await other.renew())[0] == 401
    assert await physician.ask("DELETE", "/session") == (204, None)


async def test_sessions_survive_a_restart(tmp_path: Path, aiohttp_client: StartClient) -> None:
    async with open_place(tmp_path) as services:
        browser = Browser(await aiohttp_client(toplevel_app(services), cookie_jar=DummyCookieJar()))
        await browser.log_in(PHYSICIAN)
    async with open_place(tmp_path) as services:
        browser.client = await aiohttp_client(toplevel_app(services), cookie_jar=DummyCookieJar())
        assert (await browser.ask("GET", "/me"))[0] == 200
        assert (await browser.renew())[0] == 200


async def test_expired_and_foreign_tokens(tmp_path: Path, browser: Browser, physician: Browser) -> None:
    who = Actor(id="x", name="X", roles=("administrator",), institutions=(), toplevel="county")
    for forged in (
        KEY.sign(access_claims(who), -60),
        KEY.sign(access_claims(who), 300),
        KEY.sign({**access_claims(who), "sid": "ended"}, 300),
        SigningKey.generate().sign(access_claims(who), 300),
        KEY.sign({**access_claims(who), "aud": "node-1"}, 300),
        KEY.sign({**access_claims(who), "iss": "elsewhere"}, 300),
        physician.token[:-4] + "AAAA",
        "nonsense",
    ):
        browser.token = forged
        assert (await browser.ask("GET", "/me"))[0] == 401


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/session"), ("POST", "/session/renew"), ("DELETE", "/session")]
)
async def test_strange_pages_cannot_use_the_cookie(physician: Browser, method: str, path: str) -> None:
    body = (
        {"login": PHYSICIAN[0], "password": PHYSICIAN[1]} if (method, path) == ("POST", "/session") else None
    )
    status, problem = await physician.ask(method, path, body, Origin="https://evil.example.org")
    assert (status, problem["detail"]) == (403, "This request did not come from a known web page.")
    status, _ = await physician.ask(method, path, body, Origin=ORIGIN)
    assert status in (200, 204)
    assert physician.answer_headers["Access-Control-Allow-Origin"] == ORIGIN
    assert physician.answer_headers["Access-Control-Allow-Credentials"] == "true"


async def test_every_route_is_private_or_named(client: Client, browser: Browser) -> None:
    public = set()
    for route in client.app[ROUTES]:  # type: ignore[union-attr]
        if route.public:
            public.add(f"{route.method} {route.path}")
            continue
        path = re.sub(r"{\w+}", "x", route.path)
        assert (await browser.ask(route.method, path, {}))[0] == 401, path
    assert public == {
        "GET /health", "GET /metrics", "GET /openapi.json",
        "POST /session", "POST /session/renew", "DELETE /session",
    }  # fmt: skip


async def test_roles(administrator: Browser, physician: Browser) -> None:
    for method, path, body in (
        ("POST", "/patients/search", {}),
        ("POST", "/patients", {"family_name": "X"}),
        ("GET", "/patients/x", None),
        ("PATCH", "/patients/x", {"version": 1}),
    ):
        assert (await administrator.ask(method, path, body))[0] == 403, path
    for method, path, body in (
        ("GET", "/users", None),
        ("POST", "/users", {"login": "x", "name": "x", "password": "x"}),
        ("GET", "/users/x", None),
        ("PATCH", "/users/x", {"version": 1}),
        ("PUT", "/users/x/password", {"new": "x"}),
        ("POST", "/users/x/unlock", None),
        ("POST", "/institutions", {"id": "x", "name": "x", "url": "https://x"}),
        ("PATCH", "/institutions/x", {"version": 1}),
        ("DELETE", "/institutions/x", None),
        ("POST", "/record-types", {"code": "x", "name": "x"}),
        ("PATCH", "/record-types/x", {"version": 1}),
        ("DELETE", "/record-types/x", None),
    ):
        assert (await physician.ask(method, path, body))[0] == 403, path


async def test_openapi_and_health(browser: Browser) -> None:
    status, document = await browser.ask("GET", "/openapi.json")
    assert status == 200
    check_openapi(document)
    status, health = await browser.ask("GET", "/health")
    assert (status, health["parts"]["database"]["ready"]) == (200, True)


async def test_own_data_and_password(client: Client, physician: Browser) -> None:
    other = Browser(client)
    await other.log_in(PHYSICIAN)
    status, user = await physician.ask("PATCH", "/me", {"phone": "+385 1 234", "language": "hr"})
    assert (status, user["phone"], user["language"]) == (200, "+385 1 234", "hr")
    assert (await physician.ask("PATCH", "/me", {"roles": ["administrator"]}))[0] == 400
    assert (await physician.ask("PATCH", "/me", {"language": "xx"}))[0] == 400
    body = {"current": "wrong", "new": "another long secret"}
    status, problem = await physician.ask("PUT", "/me/password", body)
    assert (status, problem["field"]) == (400, "current")
    body["current"] = PHYSICIAN[1]
    assert await physician.ask("PUT", "/me/password", body) == (204, None)
    assert (await physician.ask("GET", "/me"))[0] == 200
    assert (await other.ask("GET", "/me"))[0] == 401
    assert (await physician.renew())[0] == 200
    assert (await other.renew())[0] == 401
    assert (await other.ask("POST", "/session", {"login": "ana", "password": PHYSICIAN[1]}))[0] == 401


async def test_administering_users(administrator: Browser, browser: Browser) -> None:
    body = {
        "login": "marko", "name": "Marko Marić", "email": "m@example.org", "roles": ["physician"],
        "institutions": ["general"], "password": "first long secret",
    }  # fmt: skip
    status, made = await administrator.ask("POST", "/users", body)
    assert (status, made["login"], made["must_change_password"]) == (201, "marko", True)
    assert (await administrator.ask("POST", "/users", body))[0] == 409
    path = f"/users/{made['id']}"
    assert await administrator.ask("GET", path) == (200, made)
    assert (await administrator.ask("GET", "/users/unknown"))[0] == 404
    _, page = await administrator.ask("GET", "/users?query=maric&limit=1")
    assert page == {"items": [made], "total": 1}
    assert (await administrator.ask("GET", "/users?limit=100000"))[0] == 400
    assert (await administrator.ask("GET", "/users?query=" + "a%20" * 1000))[0] == 400
    opened = await browser.log_in(("marko", "first long secret"))
    assert opened["must_change_password"] is True
    status, changed = await administrator.ask("PATCH", path, {"version": 1, "roles": ["administrator"]})
    assert (status, changed["roles"], changed["version"]) == (200, ["administrator"], 2)
    status, problem = await administrator.ask("PATCH", path, {"version": 1, "name": "Late"})
    assert (status, problem["version"]) == (409, 2)
    assert (await administrator.ask("PATCH", path, {"name": "No version"}))[0] == 400
    assert (await administrator.ask("PATCH", path, {"version": 2, "roles": ["root"]}))[0] == 400
    assert (await administrator.ask("PATCH", path, {"version": 2, "password_hash": "x"}))[0] == 400
    assert await administrator.ask("PUT", f"{path}/password", {"new": "second long secret"}) == (204, None)
    assert (await browser.ask("GET", "/me"))[0] == 401
    assert (await browser.renew())[0] == 401
    await browser.log_in(("marko", "second long secret"))
    status, changed = await administrator.ask("PATCH", path, {"version": 3, "active": False})
    assert (status, changed["active"]) == (200, False)
    assert (await browser.renew())[0] == 401
    assert (await browser.ask("GET", "/me"))[0] == 401


async def test_a_given_password_opens_nothing_but_its_own_change(
    administrator: Browser, browser: Browser
) -> None:
    given, own = "given for the first day", "chosen by herself alone"
    body = {"login": "eva", "name": "Eva", "email": "", "phone": "", "password": given,
            "roles": ["physician", "administrator"], "institutions": ["general"]}  # fmt: skip
    assert (await administrator.ask("POST", "/users", body))[0] == 201
    opened = await browser.log_in(("eva", given))
    assert (opened["must_change_password"], opened["user"]["roles"]) == (True, body["roles"])
    asked = set()
    for route in browser.client.app[ROUTES]:
        path = re.sub(r"{\w+}", "x", route.path)
        if route.public or path.startswith("/me"):
            continue
        status, problem = await browser.ask(route.method, path, {})
        assert (status, problem["reason"]) == (403, "must_change_password"), path
        assert problem["detail"] == "Please replace the password you were given by one of your own first."
        asked.add(f"{route.method} {path}")
    assert {"GET /institutions", "POST /patients/search", "GET /users", "GET /record-types"} < asked
    assert (await browser.ask("GET", "/me"))[0] == 200
    assert (await browser.ask("PATCH", "/me", {"language": "hr"}))[0] == 200
    assert (await browser.renew())[0] == 200
    assert (await browser.ask("GET", "/users"))[0] == 403
    assert (await browser.ask("PUT", "/me/password", {"current": given, "new": own}))[0] == 204
    # The token still says what was so when it was signed; the next one knows better.
    assert (await browser.ask("GET", "/users"))[0] == 403
    status, opened = await browser.renew()
    assert (status, opened["must_change_password"]) == (200, False)
    assert (await browser.ask("GET", "/users"))[0] == 200
    assert (await browser.ask("POST", "/patients/search", {}))[0] == 200
    assert (await browser.ask("DELETE", "/session"))[0] == 204


@pytest.mark.parametrize("version", [2**31, 3_000_000_000, 2**64, -1])
async def test_versions_that_no_database_holds(
    administrator: Browser, physician: Browser, version: int
) -> None:
    for who, path in (
        (administrator, "/users/x"),
        (administrator, "/institutions/general"),
        (administrator, "/record-types/x"),
        (physician, "/patients/x"),
    ):
        assert (await who.ask("PATCH", path, {"version": version}))[0] == 400, path


async def test_the_last_administrator_stays(administrator: Browser) -> None:
    _, me = await administrator.ask("GET", "/me")
    for loss in ({"active": False}, {"roles": []}):
        status, problem = await administrator.ask("PATCH", f"/users/{me['id']}", {"version": 1, **loss})
        assert (status, "last active administrator" in problem["detail"]) == (409, True)


async def test_institutions(administrator: Browser, physician: Browser) -> None:
    body = {"id": "clinic", "name": "Clinic", "url": "https://clinic.example.org/", "address": "Street 1"}
    status, made = await administrator.ask("POST", "/institutions", body)
    assert (status, made["url"], made["active"], made["version"]) == (
        201,
        "https://clinic.example.org",
        True,
        1,
    )
    assert (await administrator.ask("POST", "/institutions", body))[0] == 409
    status, page = await physician.ask("GET", "/institutions")
    assert (status, [one["id"] for one in page["items"]]) == (200, ["clinic", "general"])
    for bad in (
        {**body, "id": "Bad Id"},
        {**body, "id": "x", "url": "http://x"},
        {**body, "id": "y", "name": " "},
    ):
        assert (await administrator.ask("POST", "/institutions", bad))[0] == 400
    status, changed = await administrator.ask(
        "PATCH", "/institutions/clinic", {"version": 1, "active": False}
    )
    assert (status, changed["active"]) == (200, False)
    assert (await administrator.ask("PATCH", "/institutions/clinic", {"version": 1, "name": "x"}))[0] == 409
    assert (await administrator.ask("PATCH", "/institutions/no", {"version": 1}))[0] == 404
    assert (await administrator.ask("DELETE", "/institutions/general"))[0] == 409
    assert await administrator.ask("DELETE", "/institutions/clinic") == (204, None)
    assert (await administrator.ask("DELETE", "/institutions/clinic"))[0] == 404


async def test_record_types(administrator: Browser, physician: Browser) -> None:
    body = {"code": "CT", "name": "Computed tomography", "modalities": ["ct"]}
    status, made = await administrator.ask("POST", "/record-types", body)
    assert (status, made["modalities"], made["description"]) == (201, ["CT"], "")
    assert (await administrator.ask("POST", "/record-types", body))[0] == 409
    assert await physician.ask("GET", "/record-types") == (200, {"items": [made]})
    path = f"/record-types/{made['id']}"
    status, changed = await administrator.ask("PATCH", path, {"version": 1, "modalities": ["CT", "PT"]})
    assert (status, changed["modalities"]) == (200, ["CT", "PT"])
    assert (await administrator.ask("PATCH", path, {"version": 1, "name": "x"}))[0] == 409
    assert (await administrator.ask("PATCH", path, {"version": 2, "modalities": ["?"]}))[0] == 400
    assert await administrator.ask("DELETE", path) == (204, None)
    assert (await administrator.ask("DELETE", path))[0] == 404


async def test_patients(physician: Browser) -> None:
    body = {
        "family_name": "Kovačević", "given_name": "Marija", "middle_name": "", "birth_date": "1951-02-28",
        "sex": "F", "insurance_number": "12-345", "insurance_issuer": "HZZO", "phone": "", "email": "",
        "address": "", "notes": "Allergic to penicillin",
    }  # fmt: skip
    status, made = await physician.ask("POST", "/patients", body)
    assert status == 201
    assert {name: made[name] for name in body} == body
    assert await physician.ask("GET", f"/patients/{made['id']}") == (200, made)
    status, problem = await physician.ask("POST", "/patients", body)
    assert (status, problem["patient_id"]) == (409, made["id"])
    for search in (
        {"query": "kov mar"},
        {"query": "KOVAČ"},
        {"insurance_number": "123"},
        {"birth_date": "1951-02-28"},
        {"query": "mar", "birth_date": "1951-02-28", "limit": 10, "offset": 0},
        {},
    ):
        assert await physician.ask("POST", "/patients/search", search) == (200, {"items": [made], "total": 1})
    for search in (
        {"query": "horvat"},
        {"birth_date": "1951-03-01"},
        {"query": "kov", "insurance_number": "9"},
    ):
        assert await physician.ask("POST", "/patients/search", search) == (200, {"items": [], "total": 0})
    path = f"/patients/{made['id']}"
    status, changed = await physician.ask("PATCH", path, {"version": 1, "birth_date": None, "sex": "O"})
    assert (status, changed["birth_date"], changed["sex"], changed["version"]) == (200, None, "O", 2)
    status, problem = await physician.ask("PATCH", path, {"version": 1, "notes": "late"})
    assert (status, problem["version"]) == (409, 2)
    for bad in (
        {"version": 2, "birth_date": "2951-02-28"},
        {"version": 2, "birth_date": "28.2.1951"},
        {"version": 2, "sex": "X"},
        {"version": 2, "family_name": ""},
        {"version": 2, "id": "other"},
        {"notes": "no version"},
    ):
        status, problem = await physician.ask("PATCH", path, bad)
        assert (status, bool(problem["detail"])) == (400, True)
    assert (await physician.ask("PATCH", "/patients/unknown", {"version": 1}))[0] == 404
    assert (await physician.ask("POST", "/patients/search", {"limit": 1_000_000}))[0] == 400
    assert (await physician.ask("POST", "/patients/search", {"query": "a " * 33}))[0] == 400
    assert (await physician.ask("GET", "/patients?query=kov"))[0] in (404, 405)


async def test_two_physicians_edit_at_once(client: Client, physician: Browser) -> None:
    other = Browser(client)
    await other.log_in(PHYSICIAN)
    _, made = await physician.ask("POST", "/patients", {"family_name": "Horvat"})
    answers = await asyncio.gather(
        *(
            one.ask("PATCH", f"/patients/{made['id']}", {"version": 1, "notes": "x"})
            for one in (physician, other)
        )
    )
    assert sorted(status for status, _ in answers) == [200, 409]


async def test_names_are_not_logged(physician: Browser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await physician.ask("POST", "/patients", {"family_name": "Unmistakable"})
    await physician.ask("POST", "/patients/search", {"query": "unmistak"})
    for record in caplog.records:
        if record.name.startswith("sivr"):
            assert "nmistak" not in str(record.__dict__)


async def test_short_lived_tokens_are_renewed(tmp_path: Path, aiohttp_client: StartClient) -> None:
    async with open_place(tmp_path, SessionRules(access_token_s=7)) as services:
        browser = Browser(await aiohttp_client(toplevel_app(services), cookie_jar=DummyCookieJar()))
        assert (await browser.log_in(PHYSICIAN))["expires_in_s"] == 7
