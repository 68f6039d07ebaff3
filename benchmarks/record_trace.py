"""Record what the reading page asks for while somebody reads: a real session in headless Chromium.

    python benchmarks/record_trace.py [--out benchmarks/traces/reading.json]

A CT head is scrolled, windowed, turned, projected and cut. Written down are kinds and times of requests for
pictures, no addresses and nothing of the patient.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
from installation import Installation, heads, reader, store
from playwright.sync_api import sync_playwright
from simulation import TRACE, Trace, Wish

from tests.e2e.people_at_work import ARGUMENTS, CHROMIUM, SLOW_MS, User

PICTURE = re.compile(r"/(rendered|rendered3d|renderedmpr)\?(.*)$")
VOLUME = "sivr-volume-view[data-painted][data-complete=yes][data-quality=lossless]"
WHAT = (
    "CT head of 140 slices: scrolled at 5 slices/s to and fro, another window, a volume turned and at rest, "
    "its maximum projection, three planes"
)


def kind_of(url: str) -> tuple[str, str] | None:
    """Kind of picture and the view that asks; None for other requests."""
    found = PICTURE.search(url)
    if found is None:
        return None
    resource, query = found.groups()
    options = dict(part.partition("=")[::2] for part in query.split("&"))
    draft = options.get("draft") == "yes"
    if resource == "rendered":
        kind = "slice_jpeg" if "jpeg" in options.get("accept", "") else "slice_png"
    elif resource == "renderedmpr":
        kind = "plane_draft" if draft else "plane"
    elif options.get("renderingmethod") == "volume_rendered":
        kind = "draft" if draft else "full"
    else:
        kind = "mip_draft" if draft else "mip"
    return kind, options.get("view", "").rpartition(".")[0]


class Recorder:
    """Collects requests of a page by Chromium's own clock."""

    def __init__(self, user: User) -> None:
        self._seen: list[tuple[float, str, str]] = []
        session = user.context.new_cdp_session(user.page)
        session.on("Network.requestWillBeSent", self._sent)
        session.send("Network.enable")

    def _sent(self, event: dict[str, object]) -> None:
        request, at = event["request"], event["timestamp"]
        assert isinstance(request, dict) and isinstance(at, float)
        found = kind_of(str(request["url"])) if request["method"] == "GET" else None
        if found is not None:
            self._seen.append((at, *found))

    def trace(self, seconds: float) -> Trace:
        """What was asked for, the first request at 0."""
        seen = sorted(self._seen)
        names: dict[str, str] = {"": "a"}
        for _, _, view in seen:
            names.setdefault(view, f"v{len(names)}")
        start = seen[0][0]
        wishes = tuple(Wish(round((at - start) * 1000, 1), kind, names[view]) for at, kind, view in seen)
        return Trace(WHAT, round(max(seconds, wishes[-1].at_ms / 1000), 1), wishes)


def scroll(user: User, seconds: float, by: int) -> None:
    """Turn the wheel five times a second."""
    until = time.monotonic() + seconds
    due = time.monotonic()
    while due < until:
        user.page.mouse.wheel(0, by)
        due += 0.2
        user.page.wait_for_timeout(max(1.0, (due - time.monotonic()) * 1000))


def turn(user: User, seconds: float, selector: str = ".pane") -> None:
    """Drag to and fro."""
    x, y = user.middle(selector)
    user.page.mouse.move(x, y)
    user.page.mouse.down()
    until, step = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        step += 1
        user.page.mouse.move(x + 150 * (step % 120 - 60) / 60, y + 40 * (step % 70 - 35) / 35)
        user.page.wait_for_timeout(16)
    user.page.mouse.up()


def read(user: User) -> float:
    """The session; how long it took, in seconds."""
    page = user.page
    started = time.monotonic()
    user.open_study()
    page.mouse.move(*user.middle())
    scroll(user, 10, 100)
    page.wait_for_timeout(1500)
    scroll(user, 4, -100)
    page.wait_for_timeout(1000)
    page.keyboard.press("2")
    page.wait_for_timeout(500)
    scroll(user, 6, -100)
    page.wait_for_timeout(1500)
    page.click("[data-tab='3d']")
    page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    for _ in range(2):
        turn(user, 3.5)
        page.wait_for_timeout(1500)
    page.click("[data-menu=method] summary")
    page.click("[data-menu=method] [data-value=maximum_ip]")
    page.wait_for_timeout(1000)
    turn(user, 2)
    page.wait_for_timeout(1500)
    page.click("[data-tab='mpr']")
    page.wait_for_selector("sivr-plane-view.plane-axial[data-painted]", timeout=SLOW_MS)
    turn(user, 2.5, ".plane-axial.pane")
    page.wait_for_timeout(500)
    page.mouse.move(*user.middle(".plane-coronal.pane"))
    scroll(user, 2, 100)
    page.wait_for_timeout(1500)
    return time.monotonic() - started


async def _prepare(system: Installation, files: list[Path]) -> str:
    async with reader(system, 0) as person:
        patient = await person.new_patient()
        await store(person, files, "node-1", patient)
        return patient


def main() -> None:
    """Record and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=TRACE)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (files,) = heads(folder / "files", 1, 140)
        with Installation(folder / "system", people=1) as system:
            patient = asyncio.run(_prepare(system, files))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
                user = User(browser, system)
                user.page.set_viewport_size({"width": 1280, "height": 800})
                user.log_in(*system.physicians[0])
                user.go(f"#/patients/{patient}")
                recorder = Recorder(user)
                trace = recorder.trace(read(user))
                user.close()
                browser.close()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.format(msgspec.json.encode(trace), indent=0)
    given.out.write_text(body.decode().replace("\n", " ").replace("}, {", "},\n{") + "\n")
    print(f"{len(trace.wishes)} requests in {trace.seconds} s")
    for kind, per_s in sorted(trace.per_s().items()):
        print(f"{kind:12} {per_s:.2f}/s")


if __name__ == "__main__":
    main()
