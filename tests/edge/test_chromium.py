"""A real Chromium: HTTP/2 by itself, HTTP/3 when told of it, large bodies back to TCP, pictures given up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Page, async_playwright

from tests.e2e.people_at_work import ARGUMENTS, CHROMIUM
from tests.edge.served import HOST, PICTURE, Served

pytestmark = pytest.mark.e2e

ASK = """async ([path, options]) => {
    if (options.bytes) options.body = new Blob([new Uint8Array(options.bytes)]);
    const answer = await fetch(path, options);
    const body = await answer.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    const entry = performance.getEntriesByName(answer.url).at(-1);
    return {
        status: answer.status,
        protocol: entry.nextHopProtocol,
        sha256: Array.from(digest, (one) => one.toString(16).padStart(2, "0")).join(""),
        text: body.byteLength < 1000 ? new TextDecoder().decode(body) : "",
    };
}"""
GIVE_UP = """async (path) => {
    const control = new AbortController();
    const asked = fetch(path, { signal: control.signal }).catch((error) => error.name);
    await new Promise((done) => setTimeout(done, 300));
    control.abort();
    return await asked;
}"""


@asynccontextmanager
async def chromium(served: Served, tls: Path, *more: str) -> AsyncIterator[Page]:
    """A page at the server's address."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    certificate = x509.load_pem_x509_certificate((tls / "server.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    arguments = [one for one in ARGUMENTS if one != "--disable-quic"]
    arguments += [f"--ignore-certificate-errors-spki-list={pin}", *more]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            page = await browser.new_page()
            await page.goto(f"{served.url}/echo")
            yield page
        finally:
            await browser.close()


async def ask(page: Page, path: str, **options: Any) -> dict[str, Any]:
    """Ask from the page."""
    found: dict[str, Any] = await page.evaluate(ASK, [path, options])
    return found


async def looks_right(page: Page, served: Served, protocol: str) -> None:
    """A picture, one given up, and others after it."""
    found = await ask(page, "/picture", cache="no-store")
    assert (found["status"], found["protocol"]) == (200, protocol)
    assert found["sha256"] == hashlib.sha256(PICTURE).hexdigest()
    assert await page.evaluate(GIVE_UP, "/slow") == "AbortError"
    async with asyncio.timeout(30):
        await served.canceled.wait()
    many = await asyncio.gather(*(ask(page, f"/picture?n={n}", cache="no-store") for n in range(30)))
    assert {(one["status"], one["protocol"]) for one in many} == {(200, protocol)}


async def test_http2_by_itself(served: Served, tls_folder: Path) -> None:
    async with chromium(served, tls_folder, "--disable-quic") as page:
        await looks_right(page, served, "h2")
        size = 5_000_000
        found = await ask(page, "/upload", method="PUT", bytes=size)
        assert (found["status"], found["protocol"]) == (200, "h2")
        assert f'"size": {size}' in found["text"]
        # Refused before it was read: the page sees why.
        found = await ask(page, "/refuse", method="PUT", bytes=size)
        assert (found["status"], found["protocol"]) == (409, "h2")
    assert served.traffic.connections["2"] == 1


async def test_http3_by_force(served: Served, tls_folder: Path) -> None:
    async with chromium(served, tls_folder, f"--origin-to-force-quic-on={HOST}:{served.port}") as page:
        await looks_right(page, served, "h3")
        for path, status in (("/upload", 200), ("/refuse", 409)):
            found = await ask(page, path, method="PUT", bytes=500_000)
            assert (found["status"], found["protocol"]) == (status, "h3")


async def test_http3_when_told_of_it_and_large_bodies_back_to_tcp(served: Served, tls_folder: Path) -> None:
    # Named for another port, so that Chromium believes a private authority for this host but forces nothing.
    async with chromium(served, tls_folder, f"--origin-to-force-quic-on={HOST}:1") as page:
        async with asyncio.timeout(60):
            while (await ask(page, "/picture", cache="no-store"))["protocol"] != "h3":
                await asyncio.sleep(0.1)
        await looks_right(page, served, "h3")
        size = 5_000_000
        found = await ask(page, "/upload", method="PUT", bytes=size)
        assert (found["status"], found["protocol"]) == (200, "h2")
        assert f'"size": {size}' in found["text"]
