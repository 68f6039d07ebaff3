"""Everybody gets in: contrast and names by axe-core, a whole visit by keys alone and one by fingers alone."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def faults(page: Page) -> list[str]:
    """What axe-core finds on the page, a line each."""
    found: dict[str, Any] = Axe().run(page, options=RULES).response
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("language", ["en-GB", "hr-HR"])
def test_every_page_has_names_and_contrast(enter: Enter, read_patient: str, language: str) -> None:
    user = enter(language=language)
    user.go()
    user.page.wait_for_selector("sivr-login-form")
    assert faults(user.page) == []
    user.type_login(*user.system.physicians[0])
    user.page.wait_for_selector(".patient-list, #new-patient")
    assert faults(user.page) == []
    user.go(f"#/patients/{read_patient}")
    user.page.wait_for_selector("article.study", timeout=SLOW_MS)
    assert faults(user.page) == []
    user.open_study()
    assert faults(user.page) == []
    for tab, view in (("mpr", "sivr-plane-view"), ("3d", "sivr-volume-view")):
        user.page.click(f"[data-tab='{tab}']")
        user.page.wait_for_selector(f"{view}[data-painted]", timeout=SLOW_MS)
        assert faults(user.page) == [], tab
    user.page.keyboard.press("?")
    user.page.wait_for_selector("dialog")
    assert faults(user.page) == []


def test_administration_has_names_and_contrast(enter: Enter) -> None:
    user = enter()
    user.go()
    user.type_login(*user.system.admin)
    user.page.wait_for_selector(".menu.user")
    for tab in ("users", "institutions", "record-types", "nodes", "queues"):
        user.go(f"#/administration/{tab}")
        user.page.wait_for_timeout(400)
        assert faults(user.page) == [], tab


def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Press Tab until this has the focus, as somebody without a mouse does."""
    for _ in range(most):
        if page.evaluate("(selector) => !!document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by keys")


def test_a_visit_by_keys_alone(enter: Enter, read_patient: str) -> None:
    user = enter()
    page = user.page
    user.go()
    page.wait_for_selector("sivr-login-form")
    login, password = user.system.physicians[0]
    tab_to(page, "[name=login]")
    page.keyboard.type(login)
    tab_to(page, "[name=password]")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    page.wait_for_selector("input[type=search]")
    tab_to(page, "input[type=search]")
    page.keyboard.type("reader")
    expect(page.locator("a", has_text="Reader")).to_have_count(1)
    tab_to(page, f"a[href$='{read_patient}']")
    page.keyboard.press("Enter")
    page.wait_for_selector("a.study-link", timeout=SLOW_MS)
    tab_to(page, "a.study-link")
    page.keyboard.press("Enter")
    user.wait_exact()
    assert user.place() == "12 / 24"
    page.keyboard.press("ArrowDown")
    expect(page.locator(".slice-place")).to_have_text("13 / 24")
    page.keyboard.press("2")
    expect(page.locator(".corner.br").first).to_contain_text("1,500")
    # Measure: a length in the middle, its end moved by ten pixels.
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    label = page.locator(".layer", has_text="mm")
    expect(label).to_have_count(1)
    before = label.text_content()
    page.keyboard.press(".")
    page.keyboard.press("Shift+ArrowRight")
    expect(label).not_to_have_text(before or "")
    page.keyboard.press("Delete")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+v")
    page.wait_for_selector("sivr-volume-view[data-painted]", timeout=SLOW_MS)
    painted = page.get_attribute("sivr-volume-view", "data-painted")
    page.keyboard.press("ArrowLeft")
    user.until(f"document.querySelector('sivr-volume-view').dataset.painted !== '{painted}'")
    tab_to(page, ".viewer-head a", most=120)
    page.keyboard.press("Enter")
    page.wait_for_selector(".menu.user summary")
    tab_to(page, ".menu.user summary")
    page.keyboard.press("Enter")
    tab_to(page, ".menu.user .sheet > button")
    page.keyboard.press("Enter")
    page.wait_for_selector("sivr-login-form")


def test_a_visit_by_fingers_alone(enter: Enter, read_patient: str) -> None:
    user = enter(phone=True)
    page = user.page
    login, password = user.system.physicians[0]
    user.go()
    page.tap("[name=login]")
    page.keyboard.type(login)
    page.tap("[name=password]")
    page.keyboard.type(password)
    page.tap("sivr-login-form button[type=submit]")
    page.tap("input[type=search]")
    page.keyboard.type("reader")
    page.tap("a:has-text('Reader')")
    page.wait_for_selector("a.study-link", timeout=SLOW_MS)
    page.tap("a.study-link")
    user.wait_exact()
    x, y = user.middle()
    swipe(user, [(x, y + step * 10) for step in range(13)])
    expect(page.locator(".slice-place")).not_to_have_text("12 / 24")
    page.tap("[data-tool=window]")
    window = page.locator(".corner.br").first
    before = window.inner_text()
    swipe(user, [(x + step * 8, y) for step in range(13)])
    expect(window).not_to_have_text(before)
    page.tap("[data-menu=measure] summary")
    page.tap("[data-tool=length]")
    swipe(user, [(x - 60 + step * 10, y) for step in range(13)])
    expect(page.locator(".layer", has_text="mm")).to_have_count(1)
    page.tap("[data-tab='3d']")
    page.wait_for_selector("sivr-volume-view[data-painted]", timeout=SLOW_MS)
    painted = page.get_attribute("sivr-volume-view", "data-painted")
    swipe(user, [(x + step * 8, y) for step in range(13)])
    user.until(f"document.querySelector('sivr-volume-view').dataset.painted !== '{painted}'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap(".viewer-head a")
    page.tap(".menu.user summary")
    page.tap(".menu.user .sheet > button")
    page.wait_for_selector("sivr-login-form")


def swipe(user: User, points: list[tuple[float, float]]) -> None:
    """Draw one finger over the screen."""
    devtools = user.context.new_cdp_session(user.page)

    def send(kind: str, point: tuple[float, float] | None) -> None:
        touches = [] if point is None else [{"x": point[0], "y": point[1]}]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", points[0])
    for point in points[1:]:
        send("touchMove", point)
    send("touchEnd", None)
    devtools.detach()
    # A tap that follows at once is half of a double tap to Chromium.
    user.page.wait_for_timeout(400)
