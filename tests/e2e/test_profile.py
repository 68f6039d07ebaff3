"""Everybody's own data, language and password."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import Enter
from tests.flows.system import System


def test_own_data_and_language(enter: Enter, sivr_system: System) -> None:
    sivr_system.add_user("petra", "petra's long secret", "Dr. Petra", "physician")
    user = enter()
    user.log_in("petra", "petra's long secret")
    user.go("#/profile")
    user.page.fill("[name=phone]", "+385 1 234 567")
    user.page.select_option("[name=language]", "hr")
    user.page.click("sivr-profile-page form >> text=Save")
    expect(user.page.locator("h1")).to_have_text("Profil i lozinka")
    user.page.reload()
    expect(user.page.locator("[name=phone]")).to_have_value("+385 1 234 567")
    expect(user.page.locator("h1")).to_have_text("Profil i lozinka")


def test_the_password_change_ends_other_sessions(enter: Enter, sivr_system: System) -> None:
    sivr_system.add_user("ivo", "ivo's long secret", "Dr. Ivo", "physician")
    here, elsewhere = enter(), enter()
    for user in (here, elsewhere):
        user.log_in("ivo", "ivo's long secret")
    here.go("#/profile")
    here.page.fill("[name=current]", "not the current one")
    here.page.fill("[name=next]", "a better and longer one")
    here.page.fill("[name=again]", "a better and longer one")
    here.page.click("sivr-password-form button[type=submit]")
    expect(here.page.locator("sivr-password-form .trouble")).to_contain_text("current password is wrong")
    here.page.fill("[name=current]", "ivo's long secret")
    here.page.click("sivr-password-form button[type=submit]")
    expect(here.page.locator(".notice")).to_contain_text("The password is changed")
    here.page.reload()
    expect(here.page.locator("h1")).to_have_text("Profile and password")
    elsewhere.page.reload()
    expect(elsewhere.page.locator("sivr-login-form")).to_be_visible()
