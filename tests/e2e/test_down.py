"""An institution that is down blocks nobody."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS
from tests.flows.system import System


def test_an_institution_that_is_down_is_shown_as_down_and_comes_back(
    enter: Enter, read_patient: str, sivr_system: System
) -> None:
    admin = enter("admin")
    admin.go("#/administration/institutions")
    admin.page.click("[data-action=create]")
    admin.page.fill("dialog [name=id]", "silent")
    admin.page.fill("dialog [name=name]", "Silent Clinic")
    admin.page.fill("dialog [name=url]", "https://127.0.0.1:4")
    admin.page.click("dialog button[type=submit]")
    expect(admin.page.locator("tr", has_text="Silent Clinic")).to_be_visible()
    user = enter("ana")
    try:
        user.go(f"#/patients/{read_patient}")
        silent = user.page.locator("[data-institution=silent]")
        general = user.page.locator("[data-institution=general]")
        expect(silent).to_have_attribute("data-state", "down", timeout=SLOW_MS)
        expect(silent).to_contain_text("Silent Clinic does not answer at present.")
        expect(general.locator("article.study").first).to_be_visible()
        sivr_system.stop("institution")
        user.page.reload()
        expect(general).to_have_attribute("data-state", "down", timeout=SLOW_MS)
        expect(user.page.locator(".patient-head h1")).to_contain_text("Reader")
    finally:
        sivr_system.start("institution")
        sivr_system.wait_ready("institution")
    general.locator("button", has_text="Try again").click()
    expect(general.locator("article.study").first).to_be_visible(timeout=SLOW_MS)
    admin.page.locator("tr", has_text="Silent Clinic").locator("button", has_text="Remove").click()
    admin.page.click("dialog button.danger")
    expect(admin.page.locator("tr", has_text="Silent Clinic")).to_have_count(0)
