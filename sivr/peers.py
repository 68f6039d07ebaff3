"""Speaking HTTP to another SIVR server: the outbox's way to the institution, and a client for scripts."""

from __future__ import annotations

import contextlib
import io
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from sivr import errors
from sivr.crypto import SigningKey
from sivr.errors import Invalid, SivrError, Unavailable
from sivr.model.archive import StudyNotice

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
TOKEN_S = 60
_MAX_ANSWER_BYTES = 512 * 1024 * 1024

_KINDS: dict[int, type[SivrError]] = {
    400: errors.Invalid,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    406: errors.NotAcceptable,
    408: errors.TooSlow,
    409: errors.Conflict,
    410: errors.Gone,
    413: errors.TooLarge,
    415: errors.Unsupported,
    421: errors.WrongWay,
    429: errors.TooMany,
    503: errors.Unavailable,
}


def client_tls(ca: Path | None) -> ssl.SSLContext:
    """Verification by this authority, or by the system's list; never none. Raises Invalid."""
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"The certificate authority {ca} cannot be read.") from error


class Answer(msgspec.Struct, frozen=True):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_byte_ms: float = 0.0
    """From the asking until the head of the answer was there, a new connection included."""
    connecting_ms: float = 0.0
    """Of that, how long a new connection took (TCP and TLS); 0 where an open one was used."""
    whole_ms: float = 0.0
    """From the asking until the body's last byte was there."""

    def json(self) -> Any:
        """The body as JSON, None when it is empty; raises Unavailable when it is something else."""
        try:
            return msgspec.json.decode(self.body) if self.body else None
        except msgspec.DecodeError as error:
            # Another program, a portal or a proxy answers at this address.
            raise Unavailable("The answer is not that of a SIVR server; is the address right?") from error


class Client:
    """Requests to SIVR servers; cookies are kept per server. Errors come as the domain's words.

    Only HTTPS is spoken, and redirects are not followed: tokens and passwords go where they were meant to go.
    A request that a closed connection broke off is repeated once, whole, where its method is idempotent
    (RFC 9110 9.2.2: GET, PUT, DELETE, but not POST and PATCH); callers know what else they may repeat.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self,
        method: str,
        url: str,
        *,
        json: object = None,
        data: bytes | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; raises the error that the answer's status stands for, Unavailable when none comes."""
        if not url.startswith("https://"):
            raise Invalid(f"{url.partition('?')[0]} is not an https:// address.")
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        body: Any = data
        if json is not None:
            body = msgspec.json.encode(json)
            sent["Content-Type"] = "application/json"
        if body is not None and len(body) > 1 << 20:
            # Written in pieces, unlike bytes; and from its start again when the request is repeated.
            body = io.BytesIO(body)
        asked = time.perf_counter()
        connecting: dict[str, float] = {}
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=sent,
                params=params,
                allow_redirects=False,
                trace_request_ctx=connecting,
            ) as answer:
                content = bytearray()
                first_byte_ms = (time.perf_counter() - asked) * 1000
                async for chunk in answer.content.iter_any():
                    content += chunk
                    if len(content) > _MAX_ANSWER_BYTES:
                        raise Unavailable(f"The answer of {_host(url)} is too large.")
                whole_ms = (time.perf_counter() - asked) * 1000
                found = Answer(
                    answer.status,
                    answer.headers,
                    bytes(content),
                    first_byte_ms,
                    connecting.get("took_ms", 0.0),
                    whole_ms,
                )
        except aiohttp.InvalidURL as error:
            raise Invalid(f"{url.partition('?')[0]} is not an address.") from error
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "") or "it cannot be verified"
            raise Unavailable(f"The certificate of {_host(url)} is not trusted: {reason}.") from error
        except aiohttp.ClientSSLError as error:
            raise Unavailable(f"{_host(url)} does not speak HTTPS as it should.") from error
        except TimeoutError as error:
            raise Unavailable(f"{_host(url)} does not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{_host(url)} does not answer.") from error
        if 300 <= found.status < 400 and found.status != 304:
            raise Unavailable(f"{_host(url)} sends elsewhere; is the address right?")
        if found.status >= 400:
            raise _error(url, found)
        return found


def _host(url: str) -> str:
    return url.split("/")[2] if url.count("/") >= 2 else url


def _error(url: str, answer: Answer) -> SivrError:
    problem: object = None
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        with contextlib.suppress(msgspec.DecodeError):
            problem = msgspec.json.decode(answer.body)
    details: dict[str, object] = problem if isinstance(problem, dict) else {}
    detail = str(details.get("detail") or f"{_host(url)} answered {answer.status}.")
    return _KINDS.get(answer.status, errors.Unavailable)(detail, details)


def _connection_times() -> aiohttp.TraceConfig:
    """Writes into a request's context how long its new connection took."""

    async def begun(session: aiohttp.ClientSession, trace: Any, _: object) -> None:
        trace.trace_request_ctx["began"] = time.perf_counter()

    async def done(session: aiohttp.ClientSession, trace: Any, _: object) -> None:
        times = trace.trace_request_ctx
        times["took_ms"] = (time.perf_counter() - times["began"]) * 1000

    found = aiohttp.TraceConfig()
    found.on_connection_create_start.append(begun)
    found.on_connection_create_end.append(done)
    return found


@asynccontextmanager
async def open_client(ca: Path | None = None, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Client]:
    """A client that verifies servers by this authority, or by the system's list."""
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=client_tls(ca)),
        timeout=timeout,
        # Hosts that are plain addresses get their cookies too.
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        trace_configs=[_connection_times()],
    ) as session:
        yield Client(session)


class InstitutionPeer:
    """The institution as its node sees it."""

    def __init__(self, client: Client, url: str, institution_id: str, node_id: str, key: SigningKey) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._institution = institution_id
        self._node = node_id
        self._key = key

    async def post_notice(self, notice: StudyNotice) -> None:
        """Tell the state of a study; raises Unavailable, or what the institution refuses with.

        It may be told again and again: the institution keeps the newest revision.
        """
        await self._client.ask("POST", f"{self._url}/notices", json=notice, token=self._signed())

    async def post_presence(self) -> None:
        """Say that the node is there; raises as ``post_notice``."""
        await self._client.ask("POST", f"{self._url}/notices/presence", token=self._signed())

    def _signed(self) -> str:
        claims = {"iss": self._node, "aud": self._institution, "sub": self._node}
        return self._key.sign(claims, TOKEN_S)


class Visitor:
    """A person's session with a whole installation, as the page has it: scripts, the smoke test, the demo.

    The access token is renewed when it is about to expire.
    """

    def __init__(self, client: Client, web_url: str) -> None:
        self._client = client
        self._web = web_url.rstrip("/")
        self._token = ""
        self._renew_at = 0.0
        self._grants: dict[str, str] = {}
        self.toplevel_id = ""
        self.toplevel_url = ""

    async def log_in(self, login: str, password: str) -> dict[str, Any]:
        """Find the toplevel and log in; the user as the toplevel knows them."""
        config = (await self._client.ask("GET", f"{self._web}/config.json")).json()
        offered = config.get("toplevels") if isinstance(config, dict) else None
        if not offered:
            raise Unavailable(f"{_host(self._web)} offers no toplevel; is it the address of a web role?")
        self.toplevel_id, self.toplevel_url = offered[0]["id"], offered[0]["url"]
        credentials = {"login": login, "password": password}
        answer = await self._client.ask("POST", f"{self.toplevel_url}/session", json=credentials)
        return self._opened(answer)

    async def log_out(self) -> None:
        """End the session; its refresh token is good for nothing afterwards."""
        await self._client.ask("DELETE", f"{self.toplevel_url}/session")
        self._token, self._grants = "", {}

    async def renew(self) -> None:
        """Exchange the refresh token for a new one."""
        self._opened(await self._client.ask("POST", f"{self.toplevel_url}/session/renew"))

    async def ask(self, method: str, url: str, **options: Any) -> Answer:
        """A request with this person's token."""
        if time.monotonic() > self._renew_at:
            await self.renew()
        return await self._client.ask(method, url, token=self._token, **options)

    async def json(self, method: str, url: str, json: object = None) -> Any:
        """As ``ask``; body and answer are JSON."""
        return (await self.ask(method, url, json=json)).json()

    async def institutions(self) -> list[dict[str, Any]]:
        """Institutions that the toplevel knows and that are active."""
        found = (await self.json("GET", f"{self.toplevel_url}/institutions"))["items"]
        return [one for one in found if one["active"]]

    async def find_or_create_patient(self, patient: Mapping[str, Any]) -> dict[str, Any]:
        """The record with this insurance number and issuer; made when there is none."""
        search = {"insurance_number": patient["insurance_number"]}
        found = (await self.json("POST", f"{self.toplevel_url}/patients/search", search))["items"]
        for one in found:
            if one["insurance_issuer"] == patient["insurance_issuer"]:
                return dict(one)
        return dict(await self.json("POST", f"{self.toplevel_url}/patients", patient))

    async def may_store(self, institution_url: str, patient_id: str) -> tuple[str, str]:
        """A node's address and a grant to store there for this patient's record."""
        wish = {"action": "store", "patient_id": patient_id, "patient_issuer": self.toplevel_id}
        granted = await self.json("POST", f"{institution_url}/grants", wish)
        return granted["node"]["url"], granted["grant"]

    async def may_view(self, institution_url: str, study_uid: str) -> str:
        """Obtain the permission to view a study; the address of the node that shows it."""
        wish = {"action": "view", "study_uid": study_uid}
        granted = await self.json("POST", f"{institution_url}/grants", wish)
        self._grants[study_uid] = granted["grant"]
        return str(granted["node"]["url"])

    async def open_upload(self, node_url: str, grant: str, patient_id: str) -> str:
        """An upload's address."""
        body = {"patient_id": patient_id, "patient_issuer": self.toplevel_id}
        opened = await self.ask("POST", f"{node_url}/uploads", json=body, headers={"Sivr-Grant": grant})
        return str(opened.json()["url"])

    async def put_file(self, upload_url: str, file_id: str, name: str, body: bytes) -> dict[str, Any]:
        """Send one file; what became of it."""
        url = f"{upload_url}/files/{file_id}"
        named = {"Sivr-File-Name": quote(name, safe="", errors="replace")}
        answer = await self.ask("PUT", url, data=body, headers=named)
        return dict(answer.json())

    async def upload_state(self, upload_url: str) -> dict[str, Any]:
        """The upload as it stands."""
        return dict(await self.json("GET", upload_url))

    async def open_node(self, client: Client, node_url: str, study_uids: Iterable[str]) -> float:
        """Open a session at a node for studies that ``may_view`` was asked for: after that this client's
        plain GETs go by cookie, as a browser's do. Answers how long the session lasts, seconds.
        """
        if time.monotonic() > self._renew_at:
            await self.renew()
        body = {"grants": [self._grants[uid] for uid in study_uids]}
        opened = await client.ask("POST", f"{node_url}/session", json=body, token=self._token)
        return float(opened.json()["expires_in_s"])

    async def view(
        self, node_url: str, study_uid: str, path: str, params: Mapping[str, str] | None = None
    ) -> Answer:
        """A resource of a study that ``may_view`` was asked for; ``path`` begins after the study."""
        headers = {"Sivr-Grant": self._grants[study_uid]}
        return await self.ask("GET", f"{node_url}/studies/{study_uid}{path}", headers=headers, params=params)

    def _opened(self, answer: Answer) -> dict[str, Any]:
        body = answer.json()
        self._token = body["access_token"]
        self._renew_at = time.monotonic() + body["expires_in_s"] * 0.8
        return dict(body["user"])
