"""How soon a newcomer reads on a slow line: the page's first load, and from the log in to the first slice.

    python benchmarks/first_load.py [--lines none,2G,4G] [--json FILE]

A browser that has never seen the page opens a study's address on a node of four processes, over Chromium's
own emulation of the line (which slows requests, not handshakes). The form is usable when its button can be
pressed. The reader types for three seconds; meanwhile the page may fetch what it likes.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from measure import Row, save, show
from playwright.async_api import CDPSession, async_playwright
from seamless import ARGUMENTS, HEAD, emulate, stored

from sivr.cli.bench.line import LINES, NO_LIMIT, Profile
from sivr.cli.bench.system import LOGIN

TYPING_S = 3.0
MOST_BYTES, MOST_MS, FIRST_SLICE_MS = 150_000, 3000.0, 3000.0


class Received:
    """Bytes of whole answers as they came over the wire, heads included."""

    def __init__(self, tools: CDPSession) -> None:
        self.total = 0
        tools.on("Network.loadingFinished", self._finished)

    def _finished(self, event: Mapping[str, Any]) -> None:
        self.total += int(event["encodedDataLength"])


class Loaded(msgspec.Struct, frozen=True):
    """One first visit."""

    line: str
    usable_ms: float
    usable_bytes: int
    slice_ms: float
    exact_ms: float
    slice_bytes: int


async def load(url: str, route: str, password: str, profile: Profile) -> Loaded:
    """One visit with a browser of its own, nothing cached."""
    async with async_playwright() as player:
        browser = await player.chromium.launch(executable_path=shutil.which("chromium"), args=list(ARGUMENTS))
        context = await browser.new_context(
            ignore_https_errors=True, viewport={"width": 1280, "height": 900}, locale="en-GB"
        )
        page = await context.new_page()
        tools = await context.new_cdp_session(page)
        await tools.send("Network.enable")
        if profile != NO_LIMIT:
            await emulate(tools, profile)
        traffic = Received(tools)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await page.goto(f"{url}/{route}", wait_until="commit")
        await page.wait_for_selector("sivr-login-form button[type=submit]", timeout=60_000)
        usable_ms, usable_bytes = (loop.time() - begun) * 1000, traffic.total
        await page.fill("[name=login]", LOGIN)
        await page.fill("[name=password]", password)
        await asyncio.sleep(TYPING_S)
        before = traffic.total
        begun = loop.time()
        await page.click("sivr-login-form button[type=submit]")
        await page.wait_for_selector("sivr-stack-view[data-painted]", timeout=60_000)
        slice_ms = (loop.time() - begun) * 1000
        await page.wait_for_selector("sivr-stack-view[data-quality=lossless]", timeout=60_000)
        exact_ms = (loop.time() - begun) * 1000
        found = Loaded(profile.name, usable_ms, usable_bytes, slice_ms, exact_ms, traffic.total - before)
        await browser.close()
        return found


def rows_of(one: Loaded) -> list[Row]:
    """Lines of the table, each with what was promised."""
    slow = 1.0 if one.line == "2G" else 0.0
    return [
        Row(f"bytes until the log in is usable: {one.line}", f"{one.usable_bytes / 1000:.0f} kB",
            f"at most {MOST_BYTES / 1000:.0f} kB", MOST_BYTES / one.usable_bytes, 1.0),
        Row(f"time until the log in is usable: {one.line}", f"{one.usable_ms:.0f} ms",
            f"at most {MOST_MS:.0f} ms", MOST_MS / one.usable_ms, slow),
        Row(f"log in to first slice: {one.line}", f"{one.slice_ms:.0f} ms",
            f"at most {FIRST_SLICE_MS:.0f} ms", FIRST_SLICE_MS / one.slice_ms, slow,
            f"{one.slice_bytes / 1000:.0f} kB; the lossless picture after {one.exact_ms:.0f} ms"),
    ]  # fmt: skip


async def measure(lines: list[str], rounds: int) -> list[Loaded]:
    """Every line, the median visit of each."""
    record = "head" if HEAD.is_dir() else "B"
    found = []
    with tempfile.TemporaryDirectory(prefix="sivr-first-load-") as scratch:
        async with stored(Path(scratch), [record]) as (system, patient, places):
            place = places[record]
            route = f"#/patients/{patient}/studies/bench/{place.study_uid}/{place.series['series_uid']}"
            for profile in LINES:
                if profile.name not in lines:
                    continue
                visits = [await load(system.web, route, system.password, profile) for _ in range(rounds)]
                median = sorted(visits, key=lambda one: one.slice_ms)[rounds // 2]
                print(show(rows_of(median)), flush=True)
                found.append(median)
    return found


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", default="none,2G,4G")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if shutil.which("chromium") is None:
        print("skipped: chromium is not here")
        return
    rows = [row for one in asyncio.run(measure(given.lines.split(","), given.rounds)) for row in rows_of(one)]
    print(show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
