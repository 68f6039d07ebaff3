"""How well the network is hidden: what a reader waits for in Chromium on none, 2G and 4G.

    python benchmarks/seamless.py [--records head,C] [--lines 2G,4G] [--json FILE]

A recorded scroll (traces/scroll.json: ten slices a second, reversals, jumps, rests) is replayed with real
wheel events on a node of four processes, over Chromium's own emulation of the line. Then the window is
dragged and the volume turned. Times are those of the page's own clock, from the event's timestamp to the
frame after the picture was painted. A slice that was left before any picture of it was painted counts as
never shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from measure import Row, save, show
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from sivr.cli.bench import visit
from sivr.cli.bench.line import LINES, NO_LIMIT, Profile
from sivr.cli.bench.system import LOGIN, System, open_system
from sivr.dicom.phantom import benchmark_record

HERE = Path(__file__).resolve().parent
HEAD = HERE.parents[1] / "shared" / "data" / "ct-head-1mm"
TRACE = json.loads((HERE / "traces" / "scroll.json").read_text())
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")  # fmt: skip
WARM_S = 10.0
"""How long a reader looks at the first picture before he scrolls."""
REST_MS = 1400
"""An event that no other follows for so long is where the reader rests."""
SHOWN_MS, REACTION_MS = 50.0, 50.0
FULL_MS = {"none": 250.0, "2G": 700.0, "4G": 250.0}
PER_S = 8.0
DRAG_S = 4.0
NEVER = math.inf

PLAIN_PICTURES = 5
PLAIN = """async ([wanted, number]) => {
  const { node, study, series } = document.querySelector("sivr-stack-view").reader;
  const at = Math.floor((series.frames.length - 1) * (0.3 + number * 0.1));
  const { instance_uid, frame } = series.frames[at];
  const one = `instances/${instance_uid}/frames/${frame}/rendered`;
  const path = `/studies/${study}/series/${series.series_uid}/${one}`;
  const started = performance.now();
  const answer = await fetch(`${node.base}${path}?${wanted}`, { credentials: "include", cache: "no-store" });
  await createImageBitmap(await answer.blob());
  return performance.now() - started;
}"""
WATCH = (HERE / "seamless_watch.js").read_text()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one record over one line."""

    record: str
    line: str
    shown_ms: list[float]
    """Of every wheel event, until some picture of its slice was painted; infinite where none was."""
    full_ms: list[float]
    """Of every event the reader rested after, until a full-size picture was painted that is no preview."""
    lossless_ms: list[float]
    """The same, until the lossless picture was painted."""
    bytes_received: int
    """While scrolling, as Chromium counts them."""
    bytes_given_up: int
    """Of these, of requests that were canceled."""
    requests_given_up: int
    window_ms: list[float]
    """Of every movement while the window is dragged, until the screen showed something of it."""
    window_per_s: float
    """Pictures of the server in a second meanwhile."""
    turn_ms: list[float]
    turn_per_s: float
    first_ms: float
    """From opening the study until its first picture was painted."""
    memory_mb: float
    """Of the tab and of what draws for it, at the end (proportional set size)."""
    heap_mb: float
    webgl: int
    """Asked-for WebGL contexts."""
    at_hand: int
    """Events for which the page had a picture of the slice when the wheel turned."""
    plain_ms: dict[str, float]
    """The paper's way over the same line: a whole picture for every step, by format; median."""


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed; infinite where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.95) - 1)] if ordered else NEVER


def shown_after(events: Sequence[Mapping[str, Any]], paints: Sequence[Mapping[str, Any]]) -> list[float]:
    """For every event, ms until a picture of its slice was on the screen before the next one came."""
    found = []
    for number, event in enumerate(events):
        until = events[number + 1]["t"] if number + 1 < len(events) else NEVER
        first = next(
            (one["t"] for one in paints if one["index"] == event["index"] and event["t"] <= one["t"]), NEVER
        )
        # Painted a moment after the next event: it was seen, if late; long after, it was another visit.
        found.append(first - event["t"] if first < until + SHOWN_MS else NEVER)
    return found


def at_rest(
    events: Sequence[Mapping[str, Any]], paints: Sequence[Mapping[str, Any]], qualities: tuple[str, ...]
) -> list[float]:
    """For every event after which the reader rested, ms until such a picture of its slice was painted."""
    found = []
    for number, event in enumerate(events):
        until = events[number + 1]["t"] if number + 1 < len(events) else event["t"] + 4000
        if until - event["t"] < REST_MS:
            continue
        first = next(
            (
                one["t"]
                for one in paints
                if event["t"] <= one["t"] < until
                and one["index"] == event["index"]
                and one["quality"].startswith(qualities)
            ),
            NEVER,
        )
        found.append(first - event["t"])
    return found


async def emulate(tools: CDPSession, profile: Profile) -> None:
    """Give the page this line."""
    await tools.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": profile.round_trip_ms,
            "downloadThroughput": profile.down_bits_s / 8 or -1,
            "uploadThroughput": profile.up_bits_s / 8 or -1,
        },
    )


class Traffic:
    """Bytes that Chromium received for a page."""

    def __init__(self, tools: CDPSession) -> None:
        self.total = 0
        self.given_up = 0
        self.canceled = 0
        self._by_request: dict[str, int] = {}
        tools.on("Network.dataReceived", self._data)
        tools.on("Network.loadingFailed", self._failed)

    def _data(self, event: Mapping[str, Any]) -> None:
        size = event["encodedDataLength"] or event["dataLength"]
        self.total += size
        request = event["requestId"]
        self._by_request[request] = self._by_request.get(request, 0) + size

    def _failed(self, event: Mapping[str, Any]) -> None:
        if event.get("canceled"):
            self.canceled += 1
            self.given_up += self._by_request.pop(event["requestId"], 0)


async def memory_mb(browser: Browser) -> float:
    """Proportional set size of the page's process and of the one that draws, MB."""
    tools = await browser.new_browser_cdp_session()
    processes = (await tools.send("SystemInfo.getProcessInfo"))["processInfo"]
    await tools.detach()
    total = 0
    for process in processes:
        if process["type"] not in ("renderer", "GPU"):
            continue
        total += _pss_kb(process["id"])
    return total / 1000


def _pss_kb(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


async def plain(page: Page) -> dict[str, float]:
    """What the paper did for every step, over the same line: ask for the whole picture and wait for it."""
    found = {}
    for name, wanted in (("PNG", "accept=image/png"), ("WebP", "accept=image/webp&quality=80")):
        times = [await page.evaluate(PLAIN, [wanted, number]) for number in range(PLAIN_PICTURES)]
        found[name] = statistics.median(times)
    return found


async def scroll(page: Page) -> None:
    """Replay the trace with real wheel events over the picture."""
    box = await page.locator("sivr-stack-view").first.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for at_ms, notches in TRACE["wheel"]:
        early = begun + at_ms / 1000 - loop.time()
        # A busy machine may be late; two notches at once would be another hand than the recorded one.
        begun -= min(0.0, early)
        await asyncio.sleep(max(0.0, early))
        await page.mouse.wheel(0, 100 * notches if abs(notches) == 1 else 120 * notches)
    await asyncio.sleep(max(0.0, begun + TRACE["ends_ms"] / 1000 - loop.time()))


async def drag(page: Page, selector: str) -> tuple[list[float], float]:
    """Drag over an element for a while: ms until the screen showed something of each movement, and pictures
    of the server in a second."""
    box = await page.locator(selector).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.evaluate("window.watched.moves.length = window.watched.changes.length = 0")
    before = int(await page.locator(selector).first.get_attribute("data-painted") or 0)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    step = 0
    while loop.time() - begun < DRAG_S:
        step += 1
        await page.mouse.move(x + 90 * math.sin(step / 18), y + 40 * math.sin(step / 29))
        await asyncio.sleep(max(0.0, begun + step / 20 - loop.time()))
    painted = int(await page.locator(selector).first.get_attribute("data-painted") or 0) - before
    took = loop.time() - begun
    watched = await page.evaluate("({moves: window.watched.moves, changes: window.watched.changes})")
    await page.mouse.up()
    found = []
    for move in watched["moves"]:
        found.append(next((t - move for t in watched["changes"] if t >= move), NEVER))
    # Of the last one the answer may not have been waited for.
    return found[:-2], painted / took


async def read(
    browser: Browser, system: System, place: visit.Opened, patient: str, record: str, profile: Profile
) -> Seen:
    """A reader's visit: open, rest, scroll, drag the window, turn the volume."""
    context = await browser.new_context(
        ignore_https_errors=True, viewport={"width": 1280, "height": 900}, locale="en-GB"
    )
    page = await context.new_page()
    await page.add_init_script(WATCH)
    tools = await context.new_cdp_session(page)
    await tools.send("Network.enable")
    await tools.send("Performance.enable")
    await page.goto(system.web)
    await page.fill("[name=login]", LOGIN)
    await page.fill("[name=password]", system.password)
    await page.click("sivr-login-form button[type=submit]")
    await page.wait_for_selector(".menu.user")
    if profile != NO_LIMIT:
        await emulate(tools, profile)
    route = f"#/patients/{patient}/studies/bench/{place.study_uid}/{place.series['series_uid']}"
    started = await page.evaluate("performance.now()")
    await page.evaluate("(route) => { location.hash = route; }", route)
    await page.wait_for_selector("sivr-stack-view[data-painted]", timeout=120_000)
    first_ms = (await page.evaluate("window.watched.paints[0].t")) - started
    await page.wait_for_selector("sivr-stack-view[data-quality=lossless]", timeout=120_000)
    await asyncio.sleep(WARM_S)
    traffic = Traffic(tools)
    await page.evaluate("window.watched.paints.length = window.watched.wheels.length = 0")
    await scroll(page)
    seen = await page.evaluate("window.watched")
    received, given_up, canceled = traffic.total, traffic.given_up, traffic.canceled
    plain_ms = await plain(page)
    window_ms, window_per_s = await drag(page, "sivr-stack-view")
    turn_ms, turn_per_s = [], 0.0
    if place.series["volume"] is not None:
        await page.keyboard.press(KEY_3D)
        await page.wait_for_selector("sivr-volume-view[data-painted]", timeout=120_000)
        at_rest_there = "sivr-volume-view[data-sampling=full], sivr-volume-view[data-sampling=converged]"
        await page.wait_for_selector(at_rest_there, timeout=120_000)
        turn_ms, turn_per_s = await drag(page, "sivr-volume-view")
    await tools.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in (await tools.send("Performance.getMetrics"))["metrics"]}
    found = Seen(
        record=record, line=profile.name,
        shown_ms=shown_after(seen["wheels"], seen["paints"]),
        full_ms=at_rest(seen["wheels"], seen["paints"], ("lossless", "lossy")),
        lossless_ms=at_rest(seen["wheels"], seen["paints"], ("lossless",)),
        bytes_received=received, bytes_given_up=given_up, requests_given_up=canceled,
        window_ms=window_ms, window_per_s=window_per_s, turn_ms=turn_ms, turn_per_s=turn_per_s,
        first_ms=first_ms, memory_mb=await memory_mb(browser),
        heap_mb=metrics.get("JSHeapUsedSize", 0) / 1e6, webgl=seen["webgl"],
        at_hand=sum(one["tile"] for one in seen["wheels"]), plain_ms=plain_ms,
    )  # fmt: skip
    await context.close()
    return found


KEY_3D = "Alt+v"


def rows_of(seen: Seen) -> list[Row]:
    """Lines of the table, each with what was promised."""
    where = f"{seen.record}, {seen.line}"
    missed = sum(one == NEVER for one in seen.shown_ms)
    full = FULL_MS[seen.line]
    plain = "the paper's way " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in seen.plain_ms.items())

    def time(what: str, found: float, most: float, note: str = "", peer: str = "-") -> Row:
        ratio = most / found if 0 < found < NEVER else 0.0
        told = f"p95 {found:.0f} ms" if found < NEVER else "not always"
        told += f" of {most:.0f}" if most else ""
        return Row(f"{what}: {where}", told, peer, ratio, 1.0 if most else 0.0, note)

    rows = [
        time("wheel to some picture of the slice", p95(seen.shown_ms), SHOWN_MS,
             f"{len(seen.shown_ms)} events, {seen.at_hand} with a picture at hand, {missed} never painted",
             plain),
        time("wheel to the full picture at rest", p95(seen.full_ms), full, f"{len(seen.full_ms)} rests",
             plain),
        time("wheel to the lossless picture at rest", p95(seen.lossless_ms), 0.0,
             f"scroll: {seen.bytes_received / 1000:.0f} kB, {seen.bytes_given_up / 1000:.1f} kB of "
             f"{seen.requests_given_up} canceled requests"),
        time("window drag to reaction", p95(seen.window_ms), REACTION_MS),
        Row(f"server's pictures while dragging: {where}", f"{seen.window_per_s:.1f} /s", f"{PER_S:g} /s",
            seen.window_per_s / PER_S, 1.0 if seen.line == "2G" else 0.0),
    ]  # fmt: skip
    if seen.turn_ms:
        rows += [
            time("3D rotation to reaction", p95(seen.turn_ms), REACTION_MS),
            Row(f"server's pictures while turning: {where}", f"{seen.turn_per_s:.1f} /s", f"{PER_S:g} /s",
                seen.turn_per_s / PER_S, 1.0 if seen.line == "2G" else 0.0),
        ]  # fmt: skip
    rows.append(
        Row(f"memory of the tab: {where}", f"{seen.memory_mb:.0f} MB", "-", 0.0, 0.0,
            f"JavaScript heap {seen.heap_mb:.0f} MB; WebGL contexts {seen.webgl}; first picture "
            f"{seen.first_ms:.0f} ms after opening")
    )  # fmt: skip
    return rows


@asynccontextmanager
async def stored(
    folder: Path, records: Sequence[str]
) -> AsyncIterator[tuple[System, str, dict[str, visit.Opened]]]:
    """An installation with these records: itself, the patient's id, and the records opened."""
    async with open_system(folder / "site") as system:
        places = {}
        async with visit.log_in(system.web, LOGIN, system.password, system.ca) as visitor:
            institution = await visit.own_institution(visitor)
            patient = str((await visitor.find_or_create_patient(visit.PATIENT))["id"])
            for record in records:
                if record == "head":
                    files = sorted(HEAD.glob("I*"))
                else:
                    files = await asyncio.to_thread(benchmark_record, folder / record, record)
                study = await visit.store(visitor, institution, patient, files)
                places[record] = await visit.opened(visitor, institution, study)
                print(f"record {record} is stored", flush=True)
            yield system, patient, places


async def measure(records: Sequence[str], lines: Sequence[str]) -> list[Seen]:
    """Every record over every line."""
    found = []
    with tempfile.TemporaryDirectory(prefix="sivr-seamless-") as scratch:
        async with stored(Path(scratch), records) as (system, patient, places), async_playwright() as player:
            for record in records:
                for profile in LINES:
                    if profile.name not in lines:
                        continue
                    # A browser of its own each: nothing cached, and its memory is this record's.
                    browser = await player.chromium.launch(
                        executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
                    )
                    seen = await read(browser, system, places[record], patient, record, profile)
                    await browser.close()
                    print(show(rows_of(seen)), flush=True)
                    found.append(seen)
    return found


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", default="head,C", help="of head, A, B, C, D")
    parser.add_argument("--lines", default="none,2G,4G", help="of none, 2G, 4G")
    parser.add_argument("--rounds", type=int, help="1: the head over 2G only")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if shutil.which("chromium") is None:
        print("skipped: chromium is not here")
        return
    wanted, lines = given.records.split(","), given.lines.split(",")
    if given.rounds == 1:
        wanted, lines = ["head"], ["2G"]
    records = [one for one in wanted if one != "head" or HEAD.is_dir()]
    found = asyncio.run(measure(records, lines))
    rows = [row for seen in found for row in rows_of(seen)]
    print(show(rows))
    if given.json:
        save(given.json, rows)


if __name__ == "__main__":
    main()
