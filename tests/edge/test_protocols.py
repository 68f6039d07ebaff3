"""One suite of requests, asked over HTTP/1.1, HTTP/2 and HTTP/3 by curl: the answers are the same."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from aioquic.h3.connection import ErrorCode

from tests.edge.asking import HTTP, Answer, ask
from tests.edge.quic import quic
from tests.edge.served import ETAG, HOST, PICTURE, Served

# What is different in every answer, or belongs to one protocol.
_OWN = ("date", "sivr-request-id", "alt-svc", "connection", "transfer-encoding", "keep-alive")


def compared(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """What must be the same over every protocol."""
    body = answer.body
    if answer.header("content-type") == "application/problem+json" and body:
        told = json.loads(body)
        assert told.pop("request_id") == answer.header("sivr-request-id")
        body = json.dumps(told).encode()
    return answer.status, sorted(pair for pair in answer.headers if pair[0] not in _OWN), body


ECHO = "/echo?a=%C5%A1&b=+"
CASES = {
    "picture": ("GET", "/picture", (), 200),
    "not modified": ("GET", "/picture", (f"If-None-Match: {ETAG}",), 304),
    "head": ("HEAD", "/picture", (), 200),
    "parts": ("GET", "/parts", (), 200),
    "head of parts": ("HEAD", "/parts", (), 200),
    "empty": ("GET", "/sized?n=0", (), 200),
    "larger than one frame": ("GET", "/sized?n=16385", (), 200),
    "range": ("GET", "/range", ("Range: bytes=100-20099",), 206),
    "no content": ("GET", "/nothing", (), 204),
    "problem": ("GET", "/problem", (), 409),
    "unknown": ("GET", "/nowhere", (), 401),
    "other method": ("PATCH", "/picture", (), 401),
    "health": ("GET", "/health", (), 200),
    "cross origin": ("GET", "/picture", ("Origin: https://page.example.org",), 200),
    "preflight": (
        "OPTIONS",
        "/json",
        ("Origin: https://page.example.org", "Access-Control-Request-Method: POST"),
        204,
    ),
    "cookies": (
        "GET",
        ECHO,
        ("Cookie: first=1; second=2", "X-Given: x, y", "X-Given: z"),
        200,
    ),
    "too long a header": ("GET", "/echo", ("X-Given: " + "x" * 17_000,), 400),
}


@pytest.mark.parametrize("case", CASES)
async def test_same_answer(case: str, served: Served, tls_folder: Path) -> None:
    method, path, headers, status = CASES[case]
    answers = {
        http: await ask(http, served.url + path, tls_folder, method=method, headers=headers) for http in HTTP
    }
    for http, answer in answers.items():
        assert answer.status == status
        # aiohttp answers what it cannot read as HTTP/1.0.
        assert answer.http == http or (status, answer.http) == (400, "1")
        assert compared(answer) == compared(answers["1.1"])
    if status == 200 and method == "GET" and path == "/picture":
        assert answers["3"].body == PICTURE
    if case == "cookies":
        told = json.loads(answers["2"].body)
        assert told == {
            "url": served.url + ECHO,
            "query": {"a": "š", "b": " "},
            "remote": HOST,
            "secure": True,
            "host": f"{HOST}:{served.port}",
            "first": "1",
            "second": "2",
            "given": ["x, y", "z"],
        }


@pytest.mark.parametrize("http", HTTP)
async def test_bodies(http: str, served: Served, tls_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "body"

    async def send(path: str, content: bytes, method: str = "PUT") -> Answer:
        file.write_bytes(content)
        return await ask(http, served.url + path, tls_folder, method=method, body=file)

    file.write_text('{"a": ["\u0161"]}')
    answer = await send("/json", file.read_bytes(), "POST")
    assert (answer.status, json.loads(answer.body)) == (200, {"a": ["š"]})
    for size in (0, 1, 100_000, 1_000_000):
        content = os.urandom(size)
        answer = await send("/upload", content)
        assert json.loads(answer.body) == {"size": size, "sha256": hashlib.sha256(content).hexdigest()}
    # Refused before it was read; the client sees why.
    answer = await send("/refuse", bytes(900_000))
    assert (answer.status, json.loads(answer.body)["detail"]) == (409, "This is not wanted.")
    # aiohttp's own limit, where a body is read whole.
    answer = await send("/json", bytes(1_048_577 if http != "3" else 1_000_000), "POST")
    assert answer.status == (413 if http != "3" else 500)


@pytest.mark.parametrize("http", ["1.1", "2"])
async def test_large_uploads(http: str, served: Served, tls_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "body"
    content = os.urandom(1 << 20) * 24
    file.write_bytes(content)
    for chunked in (False, True):
        answer = await ask(http, f"{served.url}/upload", tls_folder, method="PUT", body=file, chunked=chunked)
        assert json.loads(answer.body) == {"size": 24 << 20, "sha256": hashlib.sha256(content).hexdigest()}


async def test_large_bodies_are_sent_to_tcp(served: Served, tls_folder: Path) -> None:
    async with quic(served.port, tls_folder) as client:
        length = ("content-length", str((1 << 20) + 1))
        stream_id = client.ask("/upload", length, method="PUT", body=[bytes(1000)], end=False)
        await client.until(lambda: stream_id in client.resets)
        assert client.resets[stream_id] == ErrorCode.H3_VERSION_FALLBACK
        # Who does not say how much will come is told in words, and a page of another origin may read them.
        origin = ("origin", "https://page.example.org")
        stream_id = client.ask("/upload", origin, method="PUT", body=[bytes(1000)], end=False)
        told = json.loads(await client.answer(stream_id))
    assert told["status"] == 421
    assert told["detail"] == "Over HTTP/3 a body has at most 1048576 bytes; please send this one over TCP."
    assert client.heads[stream_id]["access-control-allow-origin"] == "https://page.example.org"


@pytest.mark.parametrize("http", HTTP)
async def test_an_answer_that_breaks_off_is_no_answer(http: str, served: Served, tls_folder: Path) -> None:
    with pytest.raises(OSError):
        await ask(http, f"{served.url}/broken", tls_folder)
    assert (await ask(http, f"{served.url}/picture", tls_folder)).body == PICTURE


@pytest.mark.parametrize("http", HTTP)
async def test_http3_is_told_to_those_who_came_by_tcp(http: str, served: Served, tls_folder: Path) -> None:
    for path in ("/picture", "/parts", "/problem"):
        answer = await ask(http, served.url + path, tls_folder)
        assert answer.header("alt-svc") == ("" if http == "3" else f'h3=":{served.port}"; ma=3600')


@pytest.mark.parametrize("more", [["--h1"], []], ids=["1.1", "2"])
async def test_many_at_once(more: list[str], served: Served) -> None:
    """h2load, from several connections with several requests each."""
    if shutil.which("h2load") is None:
        pytest.skip("needs h2load (nghttp2-client)")
    process = await asyncio.create_subprocess_exec(
        "h2load", *more, "-n", "400", "-c", "4", "-m", "8", f"{served.url}/picture", stdout=subprocess.PIPE
    )
    told = (await process.communicate())[0].decode()
    assert "400 succeeded, 0 failed, 0 errored" in told
    assert "status codes: 400 2xx" in told
    assert f"({400 * len(PICTURE)}) data" in told
