"""The slow lines of `sivr bench paper` against the network profiles of Chromium, which the paper used.

    python benchmarks/lines.py [--rounds 3] [--json FILE]

A picture-sized body is fetched over HTTPS by headless Chromium: once with its own emulation of 2G and 4G
(Network.emulateNetworkConditions, as developer tools set it), once without, through our proxy. Both go to the
same server in this process. The ratio of the times should be near 1.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import ssl
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import web
from measure import Row, save, show
from playwright.async_api import async_playwright

from sivr.cli.bench.line import LINES, NO_LIMIT, Profile, open_line
from sivr.cli.init import Plan, write

SIZES = (20_000, 75_000, 150_000)
ALLOWED = 0.8
"""Least ratio of the quicker to the slower that counts as the same line."""

_FETCH = """async (url) => {
  const started = performance.now();
  const answer = await fetch(url, {cache: "no-store"});
  await answer.arrayBuffer();
  return performance.now() - started;
}"""


async def times(page: Any, url: str, rounds: int) -> dict[int, float]:
    """Median ms of each size, on a connection that is open."""
    await page.goto(f"{url}/0")
    found = {}
    for size in SIZES:
        await page.evaluate(_FETCH, f"{url}/{size}")
        found[size] = statistics.median([await page.evaluate(_FETCH, f"{url}/{size}") for _ in range(rounds)])
    return found


async def emulated(browser: Any, url: str, profile: Profile, rounds: int) -> dict[int, float]:
    """By Chromium's own network profile."""
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    tools = await context.new_cdp_session(page)
    await tools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": profile.round_trip_ms,
            "downloadThroughput": profile.down_bits_s / 8,
            "uploadThroughput": profile.up_bits_s / 8,
        },
    )
    found = await times(page, url, rounds)
    await context.close()
    return found


async def shaped(browser: Any, url: str, profile: Profile, rounds: int) -> dict[int, float]:
    """Through our proxy."""
    async with open_line(url, profile) as line:
        context = await browser.new_context(ignore_https_errors=True)
        found = await times(await context.new_page(), line.url, rounds)
        await context.close()
    return found


async def compare(rounds: int) -> list[Row]:
    """Both ways for every line and size."""
    rows = []

    async def body(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int(request.match_info["size"])), content_type="text/plain")

    app = web.Application()
    app.router.add_get(r"/{size:\d+}", body)
    with tempfile.TemporaryDirectory() as folder:
        here = "127.0.0.1"
        write(Path(folder), Plan(web=here, toplevel=here, institution=here, render=(here,)))
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(Path(folder) / "tls" / "server.pem", Path(folder) / "tls" / "server.key")
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, here, 0, ssl_context=tls)
        await site.start()
        url = f"https://{here}:{runner.addresses[0][1]}"
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for profile in LINES:
                if profile == NO_LIMIT:
                    continue
                ours = await shaped(browser, url, profile, rounds)
                theirs = await emulated(browser, url, profile, rounds)
                for size in SIZES:
                    low, high = sorted((ours[size], theirs[size]))
                    rows.append(
                        Row(
                            f"{size // 1000} kB over {profile.name}",
                            f"proxy {ours[size]:.0f} ms",
                            f"Chromium {theirs[size]:.0f} ms",
                            low / high,
                            ALLOWED,
                            f"ours / Chromium {ours[size] / theirs[size]:.2f}",
                        )
                    )
            await browser.close()
        await runner.cleanup()
    return rows


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if shutil.which("chromium") is None:
        print("skipped: chromium is not here")
        return
    rows = asyncio.run(compare(given.rounds))
    print(show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
