"""Real clients: curl for HTTP/1.1 and HTTP/2, curl with ngtcp2 (curl_cffi) for HTTP/3."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from curl_cffi import Curl, CurlHttpVersion, CurlInfo, CurlOpt

HTTP = ("1.1", "2", "3")
TIMEOUT_S = 60


class Answer(msgspec.Struct, frozen=True):
    """What a client saw."""

    http: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first of a name, empty where there is none."""
        return next((value for found, value in self.headers if found == name), "")


async def ask(
    http: str,
    url: str,
    ca: Path,
    *,
    method: str = "GET",
    headers: Sequence[str] = (),
    body: Path | None = None,
    chunked: bool = False,
) -> Answer:
    """Ask by one version of HTTP; raises OSError when no whole answer comes."""
    sent = [*headers, *(["Transfer-Encoding: chunked"] if chunked and http == "1.1" else [])]
    if http == "3":
        return await asyncio.to_thread(_curl_of_wheel, url, ca, method, sent, body, chunked)
    return await _curl(http, url, ca, method, sent, body, chunked)


async def _curl(
    http: str, url: str, ca: Path, method: str, headers: Sequence[str], body: Path | None, chunked: bool
) -> Answer:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    kept = Path(tempfile.mkdtemp())
    command = ["curl", "-sS", "--max-time", str(TIMEOUT_S), "--cacert", str(ca / "ca.pem")]
    command += ["-D", str(kept / "head"), "-o", str(kept / "body")]
    command += ["--http2" if http == "2" else "--http1.1", "-w", "%{http_version}"]
    command += ["-I"] if method == "HEAD" else ["-X", method]
    for header in headers:
        command += ["-H", header]
    if body is not None:
        command += ["-T", "-" if chunked else str(body)]
    with body.open("rb") if body is not None else contextlib.nullcontext() as given:
        process = await asyncio.create_subprocess_exec(
            *command,
            url,
            stdin=given if chunked else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        version, error = await process.communicate()
    try:
        if process.returncode:
            raise OSError(process.returncode, error.decode())
        # Interim answers come before the last one.
        head = (kept / "head").read_bytes().strip().split(b"\r\n\r\n")[-1].decode("latin-1").split("\r\n")
        found = (kept / "body").read_bytes() if method != "HEAD" and (kept / "body").exists() else b""
        return Answer(version.decode(), int(head[0].split()[1]), _pairs(head[1:]), found)
    finally:
        shutil.rmtree(kept)


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in lines if ":" in line]
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def _curl_of_wheel(
    url: str, ca: Path, method: str, headers: Sequence[str], body: Path | None, chunked: bool
) -> Answer:
    curl = Curl()
    lines: list[bytes] = []
    pieces: list[bytes] = []
    try:
        curl.setopt(CurlOpt.URL, url.encode())
        curl.setopt(CurlOpt.CAINFO, str(ca / "ca.pem").encode())
        curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V3ONLY)
        curl.setopt(CurlOpt.TIMEOUT_MS, TIMEOUT_S * 1000)
        curl.setopt(CurlOpt.CUSTOMREQUEST, method.encode())
        curl.setopt(CurlOpt.HTTPHEADER, [header.encode() for header in headers])
        if method == "HEAD":
            curl.setopt(CurlOpt.NOBODY, 1)
        if body is not None:
            given = body.read_bytes()
            if chunked:
                raise NotImplementedError("the wheel's curl is given whole bodies only")
            curl.setopt(CurlOpt.POSTFIELDS, given)
            curl.setopt(CurlOpt.POSTFIELDSIZE, len(given))
        curl.setopt(CurlOpt.HEADERFUNCTION, lambda line: lines.append(line) or len(line))
        curl.setopt(CurlOpt.WRITEFUNCTION, lambda piece: pieces.append(bytes(piece)) or len(piece))
        try:
            curl.perform()
        except Exception as error:
            raise OSError(str(error)) from error
        status = int(curl.getinfo(CurlInfo.RESPONSE_CODE))  # type: ignore[arg-type]
        version = {30: "3"}.get(int(curl.getinfo(CurlInfo.HTTP_VERSION)), "?")  # type: ignore[arg-type]
    finally:
        curl.close()
    start = max(number for number, line in enumerate(lines) if line.startswith(b"HTTP/"))
    return Answer(
        version, status, _pairs([line.decode("latin-1") for line in lines[start + 1 :]]), b"".join(pieces)
    )
