"""The viewer: scroll, window, format, keys, fingers, two readers at once."""

from __future__ import annotations

import re
import time
from typing import Any

from playwright.sync_api import expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User, differ


def _read(enter: Enter, patient: str, login: str = "ana", *, phone: bool = False) -> User:
    user = enter(login, phone=phone)
    user.go(f"#/patients/{patient}")
    user.open_study()
    return user


def test_scroll_by_wheel_keys_and_slider(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    place = user.page.locator(".slice-place")
    expect(place).to_have_text("12 / 24")
    before = user.picture()
    user.page.mouse.move(*user.middle())
    user.page.mouse.wheel(0, 100)
    expect(place).to_have_text("13 / 24")
    for key, expected in (
        ("ArrowDown", "14"),
        ("ArrowUp", "13"),
        ("PageUp", "3"),
        ("Home", "1"),
        ("End", "24"),
        ("PageDown", "24"),
    ):
        user.page.keyboard.press(key)
        expect(place).to_have_text(f"{expected} / 24")
    user.page.locator("#slice").fill("5")
    expect(place).to_have_text("5 / 24")
    user.page.wait_for_selector("sivr-stack-view[data-index='4'][data-quality=lossless]", timeout=SLOW_MS)
    assert differ(before, user.picture()) > 0.5
    expect(user.page.locator(".corner.bl")).to_contain_text("5 / 24")


def test_after_try_again_a_key_moves_one_slice(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.page.route(re.compile("/contents$"), lambda route: route.abort(), times=1)
    user.page.click("a.study-link", timeout=SLOW_MS)
    user.page.click("button >> text=Try again")
    user.wait_exact()
    expect(user.page.locator(".slice-place")).to_have_text("12 / 24")
    user.page.keyboard.press("ArrowDown")
    expect(user.page.locator(".slice-place")).to_have_text("13 / 24")


def test_orientation_letters_and_facts_over_the_picture(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    letters = {side: user.page.inner_text(f".letter.{side}") for side in ("left", "right", "top", "bottom")}
    assert letters == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    for side in letters:
        expect(user.page.locator(f".letter.{side}")).to_be_visible()
    expect(user.page.locator(".corner.tl")).to_contain_text("Reader, Rhea")
    expect(user.page.locator(".scale")).to_contain_text("cm")
    user.page.keyboard.press("h")
    expect(user.page.locator(".letter.left")).to_have_text("L")
    user.page.keyboard.press("t")
    expect(user.page.locator(".letter.right")).to_have_text("A")


def test_a_drag_changes_the_window_at_once_and_two_readers_differ(enter: Enter, read_patient: str) -> None:
    ana = _read(enter, read_patient)
    marko = _read(enter, read_patient, "marko")
    window = ana.page.locator(".corner.br > :first-child")
    first = window.inner_text()
    own = marko.picture()
    ana.drag(300, 80)
    expect(window).not_to_have_text(first)
    ana.wait_exact()
    assert differ(ana.picture(), own) > 2
    assert marko.picture() == own
    ana.page.keyboard.press("0")
    expect(window).to_have_text(first)
    ana.wait_exact()
    assert differ(ana.picture(), own) < 1


def test_presets_and_typed_windows(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    corner = user.page.locator(".corner.br")
    user.page.keyboard.press("2")
    expect(corner).to_contain_text(re.compile(r"C -600\s+W 1,500"))
    user.page.click("[data-menu=window] summary")
    user.page.click("[data-menu=window] .choice >> text=Liver")
    expect(corner).to_contain_text(re.compile(r"C 90\s+W 150"))
    user.page.click("[data-menu=window] summary")
    user.page.fill("[data-menu=window] [name=center]", "77")
    user.page.fill("[data-menu=window] [name=width]", "333")
    user.page.click("[data-menu=window] form button")
    expect(corner).to_contain_text(re.compile(r"C 77\s+W 333"))
    user.wait_exact()


def test_the_format_menu(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    # Lossless pictures are at hand from the start (automatic format): only their badge is new.
    for value, kind in (("jpeg", "image/jpeg"), ("webp", "image/webp"), ("png", ""), ("auto", "")):
        answers = user.rendered(r"/rendered\?")
        user.page.click("[data-menu=format] summary")
        user.page.click(f"[data-menu=format] [data-value={value}]")
        quality = "lossless" if value in ("png", "auto") else "lossy"
        user.page.wait_for_selector(f"sivr-stack-view[data-quality={quality}]", timeout=SLOW_MS)
        badge = user.page.locator(".quality")
        expect(badge).to_contain_text("lossless" if quality == "lossless" else "lossy q90")
        deadline = time.monotonic() + SLOW_MS / 1000
        # Neighbors asked for in the former format may still arrive meanwhile.
        while kind and kind not in {answer.headers.get("content-type") for answer in answers if answer.ok}:
            assert time.monotonic() < deadline
            user.page.wait_for_timeout(50)


def test_right_drag_zooms_middle_drag_pans_and_fit_brings_back(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    canvas = user.page.locator("sivr-stack-view canvas")
    start = canvas.bounding_box()
    user.drag(0, -120, button="right")
    zoomed = canvas.bounding_box()
    user.drag(60, 40, button="middle")
    panned = canvas.bounding_box()
    assert start and zoomed and panned
    assert zoomed["width"] > start["width"] * 1.3
    assert abs(panned["x"] - zoomed["x"] - 60) < 2
    user.page.keyboard.press("f")
    user.page.wait_for_timeout(50)
    assert canvas.bounding_box() == start
    user.page.keyboard.press("i")
    user.page.wait_for_selector("[data-tool=invert][aria-pressed=true]")


def test_the_study_can_be_linked_and_names_stay_out_of_the_address(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient)
    address = user.page.url
    assert "Reader" not in address
    assert "Rhea" not in user.page.title()
    user.page.reload()
    user.wait_exact()
    assert user.page.url == address
    user.page.click(".viewer-head a")
    expect(user.page.locator(".patient-head h1")).to_contain_text("Reader")


def test_on_a_phone_by_fingers(enter: Enter, read_patient: str) -> None:
    user = _read(enter, read_patient, phone=True)
    expect(user.page.locator(".slice-place")).to_have_text("12 / 24")
    x, y = user.middle()
    devtools = user.context.new_cdp_session(user.page)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 13):
        point = {"x": x, "y": y + step * 10}
        devtools.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(user.page.locator(".slice-place")).not_to_have_text("12 / 24")
    user.page.click(".viewer-head .only-narrow")
    expect(user.page.locator(".series-side")).to_be_visible()
    user.page.click("button.series")
    expect(user.page.locator(".series-side")).not_to_be_in_viewport()
    wide = user.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390


def test_a_finding_whose_answer_was_lost_is_there_once(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.page.click(".study-foot button")

    devtools = user.context.new_cdp_session(user.page)
    losing = True

    def answered(event: dict[str, Any]) -> None:
        nonlocal losing
        what: dict[str, Any] = {"requestId": event["requestId"]}
        if losing and event["request"]["method"] == "POST":
            losing = False
            devtools.send("Fetch.failRequest", {**what, "errorReason": "ConnectionReset"})
        else:
            devtools.send("Fetch.continueRequest", what)

    devtools.on("Fetch.requestPaused", answered)
    paused = [{"urlPattern": "*/findings", "requestStage": "Response"}]
    devtools.send("Fetch.enable", {"patterns": paused})
    entry, add = ".finding-entry textarea", ".finding-entry button[type=submit]"
    sentence = user.page.locator(".finding-entry .trouble")
    user.page.fill(entry, "Lost once.")
    user.page.click(add)
    expect(sentence).to_contain_text("cannot be reached")
    user.page.click(add)
    expect(user.page.locator(entry)).to_have_value("")
    expect(user.page.locator("article.finding", has_text="Lost once.")).to_have_count(1)

    losing = True
    user.page.fill(entry, "Lost again.")
    user.page.click(add)
    expect(sentence).to_contain_text("cannot be reached")
    user.page.fill(entry, "Lost again and changed.")
    user.page.click(add)
    expect(sentence).to_contain_text("was stored")
    expect(user.page.locator("article.finding", has_text="Lost again.")).to_have_count(1)
    user.page.click(add)
    expect(user.page.locator("article.finding", has_text="Lost again and changed.")).to_have_count(1)


def test_findings_are_added_edited_and_keep_their_history(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.page.click(".study-foot button")
    user.page.fill(".finding-entry textarea", "No fracture. Šupljine uredne.")
    user.page.click(".finding-entry button[type=submit]")
    finding = user.page.locator("article.finding", has_text="Šupljine uredne")
    expect(finding).to_contain_text("Dr. Ana")
    finding.locator("button", has_text="Edit").click()
    user.page.fill(".finding-list textarea", "No fracture. Šupljine uredne. Control in a year.")
    user.page.click(".finding-list button[type=submit]")
    changed = user.page.locator("article.finding", has_text="Control in a year")
    changed.locator("button", has_text="History").click()
    expect(user.page.locator("dialog article.finding")).to_have_count(2)
    marko = enter("marko")
    marko.go(f"#/patients/{read_patient}")
    marko.page.click(".study-foot button")
    foreign = marko.page.locator("article.finding", has_text="Control in a year")
    expect(foreign).to_be_visible()
    expect(foreign.locator("button", has_text="Edit")).to_have_count(0)
