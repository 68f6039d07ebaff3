"""The network hidden: film strips, what is left behind, exact pictures at rest, the panel that tells.

No times: on a busy machine they say nothing; benchmarks/seamless.py measures them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import CDPSession, expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User

READER = "document.querySelector('sivr-stack-view').reader"
WATCH = """() => {
  const pane = document.querySelector("sivr-stack-view");
  window.seen = [];
  new MutationObserver(() => window.seen.push([Number(pane.dataset.index), pane.dataset.quality]))
    .observe(pane, { attributes: true, attributeFilter: ["data-painted", "data-quality", "data-index"] });
}"""


def slow_line(user: User, bytes_s: float = 93_750, latency_ms: float = 100) -> CDPSession:
    """Put the page on a line of this kind; the paper's 2G unless said otherwise."""
    tools = user.context.new_cdp_session(user.page)
    tools.send("Network.enable")
    narrow(tools, bytes_s, latency_ms)
    return tools


def narrow(tools: CDPSession, bytes_s: float, latency_ms: float = 100) -> None:
    tools.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": latency_ms, "downloadThroughput": bytes_s, "uploadThroughput": 31_250},
    )


def seen(user: User) -> list[tuple[int, str]]:
    """Index and badge of everything that was on the screen since ``WATCH``, repetitions left out."""
    found: list[tuple[int, str]] = []
    for index, quality in user.page.evaluate("window.seen"):
        if not found or found[-1] != (index, quality):
            found.append((index, quality))
    return found


@pytest.fixture
def ana(enter: Enter, read_patient: str) -> User:
    """A physician on the patient's page, over 2G."""
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.page.wait_for_selector("a.study-link", timeout=SLOW_MS)
    return user


def test_a_slice_nobody_fetched_is_there_as_a_preview_and_then_exactly(ana: User) -> None:
    asked = ana.rendered(r"/(rendered|filmstrip)\?")
    slow_line(ana)
    ana.open_study()
    ana.until(f"{READER}.strip.complete")
    tiles = f"[...Array({READER}.count).keys()].filter((one) => {READER}.strip.tile(one, '')).length"
    ana.until(f"{tiles} === 24")
    strips = [one for one in asked if "/filmstrip?" in one.url]
    assert strips and all(one.headers["sivr-quality"] == "preview" for one in strips)
    fetched = set(
        re.findall(r"/frames/(\d+)/rendered|/instances/([\d.]+)/", " ".join(one.url for one in asked))
    )
    last = ana.page.evaluate(f"{READER}.series.frames[23].instance_uid")
    assert not any(last in "".join(one) for one in fetched), "the last slice itself was never asked for"
    ana.page.evaluate(WATCH)
    ana.page.keyboard.press("End")
    ana.page.wait_for_selector("sivr-stack-view[data-index='23'][data-quality=lossless]", timeout=SLOW_MS)
    shown = [quality for index, quality in seen(ana) if index == 23]
    assert shown[0] == "preview", "some picture of it came at once"
    assert shown[-1] == "lossless", "and the exact one at rest"
    expect(ana.page.locator(".quality")).to_have_text("lossless")


def test_a_preview_takes_the_new_window_at_once_and_the_strip_follows(ana: User) -> None:
    slow_line(ana)
    ana.open_study()
    ana.until(f"{READER}.strip.complete")
    asked = ana.rendered(r"/filmstrip\?")
    ana.page.keyboard.press("2")
    ana.wait_exact()
    ana.until(f"{READER}.strip.complete")
    assert any("window=-600" in one.url for one in asked), "small pictures come anew in the window of now"
    ana.page.evaluate(WATCH)
    ana.page.keyboard.press("Home")
    ana.page.wait_for_selector("sivr-stack-view[data-index='0'][data-quality=lossless]", timeout=SLOW_MS)
    assert (0, "preview") in seen(ana)


def test_what_is_left_behind_is_canceled_also_while_it_arrives(ana: User) -> None:
    tools = slow_line(ana)
    ana.open_study()
    ana.until(f"{READER}.strip.complete && {READER}.strip.tile(0, '')")
    given_up: list[dict[str, Any]] = []
    ended: set[str] = set()
    tools.on("Network.loadingFailed", lambda event: given_up.append(event))
    tools.on("Network.loadingFinished", lambda event: ended.add(event["requestId"]))
    # So narrow that a picture takes many seconds: whoever goes on does not wait for it.
    narrow(tools, 400)
    ana.page.keyboard.press("Home")
    heads: list[str] = []
    tools.on("Network.responseReceived", lambda event: heads.append(event["response"]["url"]))
    ana.until("performance.now() > 0")
    while not any("/rendered?" in url for url in heads):
        ana.page.wait_for_timeout(50)
    before = ana.page.evaluate("import('/net/line.js').then(({ line }) => line.given_up)")
    ana.page.keyboard.press("End")
    while not [one for one in given_up if one.get("canceled")]:
        ana.page.wait_for_timeout(50)
    after = ana.page.evaluate("import('/net/line.js').then(({ line }) => line.given_up)")
    assert after["requests"] > before["requests"]
    assert not {one["requestId"] for one in given_up} & ended
    narrow(tools, 93_750)
    ana.page.wait_for_selector("sivr-stack-view[data-index='23'][data-quality=lossless]", timeout=SLOW_MS)


def test_the_panel_tells_of_the_line(ana: User) -> None:
    slow_line(ana)
    ana.open_study()
    ana.page.keyboard.press("Alt+n")
    panel = ana.page.locator("sivr-network")
    expect(panel.locator("[data-fact=quality]")).to_have_text(re.compile("lossless|preview"))
    expect(panel.locator("[data-fact=protocol]")).to_have_text(re.compile(r"^(http/1\.1|h2|h3)$"))
    expect(panel.locator("[data-fact=goodput]")).to_have_text(re.compile(r"[\d.]+ Mbit/s"))
    expect(panel.locator(".parts-list")).to_contain_text("encoding")
    expect(panel.locator(".parts")).to_have_attribute("aria-label", re.compile("network"))
    ana.page.keyboard.press("Alt+n")
    expect(panel).to_have_count(0)


PLANS = """async () => {
  const { nextSheet, strip, restDelay, keyOf } = await import("/model/strip-plan.js");
  const order = (count, index, direction, tiles) => {
    const had = new Set();
    const found = [];
    for (;;) {
      const sheet = nextSheet({ count, index, direction, tiles, has: (one) => had.has(keyOf(one)) });
      if (!sheet || found.length > 500) return found;
      had.add(keyOf(sheet));
      found.push([sheet.start, sheet.step]);
    }
  };
  return {
    long: order(555, 277, 1, 32), short: order(40, 39, -1, 16), one: order(2, 0, 1, 8),
    slow: strip(555, 93750, 0.075), quick: strip(555, 500000, 0.14), huge: strip(20000, 93750, 0.075),
    paused: restDelay(Infinity, 100, 600), stepping: restDelay(100, 100, 300),
    idle: restDelay(300, 100, 60), four: restDelay(100, 20, 130),
  };
}"""


def test_sheets_come_in_a_likely_order_and_fit_the_line(enter: Enter) -> None:
    user = enter()
    user.go()
    found = user.page.evaluate(PLANS)
    long = found["long"]
    assert long[:2] == [[256, 1], [288, 1]], "where the reader is, then what lies on the way"
    coarse = [start for start, step in long if step == 8]
    assert sorted(coarse) == [0, 256, 512], "every eighth of all"
    assert [step for _, step in long[2:5]] == [8, 8, 8]
    fine = [start for start, step in long if step == 1]
    assert sorted(fine) == list(range(0, 555, 32)), "everything, once"
    assert fine.index(320) < fine.index(192), "ahead before behind"
    assert found["short"] == [[32, 1], [16, 1], [0, 1]]
    assert found["one"] == [[0, 1]]
    for plan, line, weight in (("slow", 93_750, 0.075), ("quick", 500_000, 0.14)):
        side, tiles = found[plan]["side"], found[plan]["tiles"]
        assert 555 * side**2 * weight <= 5 * line, "the whole series within five seconds"
        assert 555 * side**2 * 4 <= 40 * 2**20, "and all of it unpacked"
        assert tiles * side**2 * weight <= 0.15 * line or tiles == 8, "no sheet holds the line up for long"
    assert found["huge"]["side"] == 64
    assert found["paused"] == 0, "a single step is looked at"
    assert 100 < found["stepping"] <= 140, "who scrolls is waited for"
    assert found["idle"] == 0, "who steps slowly sees every picture"
    assert 30 <= found["four"] < 100


BOUND = """async () => {
  const { ByteCache } = await import("/lib/cache.js");
  const dropped = [];
  const cache = new ByteCache(1000, (value) => dropped.push(value));
  for (let number = 0; number < 500; number += 1) cache.put(String(number), number, 90);
  const { heldBytes } = await import("/tools/film-strip.js");
  return [cache.bytes, dropped.length, heldBytes()];
}"""


def test_what_a_tab_holds_is_bounded(enter: Enter) -> None:
    user = enter()
    user.go()
    held, dropped, strips = user.page.evaluate(BOUND)
    assert held <= 1000
    assert dropped == 500 - held // 90
    assert strips == {"encoded": 0, "decoded": 0}
