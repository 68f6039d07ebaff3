"""Log in, stay in, log out."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS
from tests.flows.system import System


def test_a_wrong_password_is_told_in_a_sentence_and_the_right_one_opens_the_patients(
    enter: Enter, sivr_system: System
) -> None:
    user = enter()
    user.go()
    user.type_login("ana", "not her secret")
    expect(user.page.locator(".trouble")).to_have_text("User name or password is wrong.")
    user.type_login(*sivr_system.physicians[0])
    expect(user.page.locator("h1")).to_have_text("Patients")
    assert user.page.url.endswith("#/patients")


def test_a_reload_keeps_the_user_in_and_nothing_secret_is_stored(enter: Enter) -> None:
    user = enter("ana")
    user.page.reload()
    expect(user.page.locator(".menu.user summary")).to_contain_text("Dr. Ana")
    stored = user.page.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
    )
    assert "eyJ" not in stored
    assert "ana" not in stored


def test_log_out_ends_everything_in_every_tab(enter: Enter) -> None:
    user = enter("ana")
    other = user.context.new_page()
    other.goto(user.page.url)
    other.wait_for_selector(".menu.user")
    user.page.click(".menu.user summary")
    user.page.click(".menu.user .sheet > button")
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    expect(other.locator("sivr-login-form")).to_be_visible()
    user.page.wait_for_load_state("networkidle")
    user.page.reload()
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    user.go("#/patients")
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    assert [cookie["name"] for cookie in user.context.cookies() if "refresh" in cookie["name"]] == []


def test_log_out_ends_sessions_on_servers_not_asked_since_the_reload(
    enter: Enter, read_patient: str, sivr_system: System
) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    assert len(user.context.cookies()) == 3, "toplevel, institution and node"
    user.go("#/patients")
    asked: list[str] = []
    user.page.on("request", lambda request: asked.append(request.url))
    user.page.reload()
    user.page.wait_for_selector(".menu.user")
    other = user.context.new_page()
    other.goto(user.page.url)
    other.wait_for_selector(".menu.user")
    # The study was read in a tab that is gone.
    user.page.close()
    others = (sivr_system.urls["institution"], sivr_system.urls["render"])
    assert not [url for url in asked if url.startswith(others)]
    other.click(".menu.user summary")
    other.click(".menu.user .sheet > button")
    expect(other.locator("sivr-login-form")).to_be_visible()
    other.wait_for_load_state("networkidle")
    assert user.context.cookies() == []
    assert "sivr.places" not in other.evaluate("Object.keys(localStorage)")


def test_log_out_does_not_wait_for_a_server_that_is_silent(
    enter: Enter, read_patient: str, sivr_system: System
) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.go("#/patients")
    # Never answered.
    user.page.route(re.compile("^" + re.escape(sivr_system.urls["institution"]) + "/session"), lambda _: None)
    user.page.click(".menu.user summary")
    user.page.click(".menu.user .sheet > button")
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    deadline = time.monotonic() + SLOW_MS / 1000
    while len(user.context.cookies()) > 1:
        assert time.monotonic() < deadline, user.context.cookies()
        user.page.wait_for_timeout(50)
    [left] = user.context.cookies()
    assert "institution" in str(left["name"])


def test_the_address_that_was_asked_for_opens_after_log_in(enter: Enter, sivr_system: System) -> None:
    user = enter()
    user.go("#/profile")
    user.type_login(*sivr_system.physicians[0])
    expect(user.page.locator("h1")).to_have_text("Profile and password")


def test_too_many_failures_lock_with_a_countdown(enter: Enter, sivr_system: System) -> None:
    sivr_system.add_user("clumsy", "clumsy's long secret", "Dr. Clumsy", "physician")
    user = enter()
    user.go()
    button = user.page.locator("sivr-login-form button[type=submit]")
    for _ in range(8):
        user.type_login("clumsy", "wrong again and again")
        expect(user.page.locator(".trouble")).to_be_visible()
        user.until("!document.querySelector('form.busy')")
        if button.is_disabled():
            break
    expect(button).to_be_disabled()
    expect(user.page.locator(".trouble")).to_contain_text("Try again in")


def test_the_session_is_renewed_silently_before_the_token_ends(enter: Enter) -> None:
    user = enter()
    user.page.clock.install()
    user.log_in(*user.system.physicians[0])
    with user.page.expect_response(lambda response: response.url.endswith("/session/renew")) as renewed:
        user.page.clock.fast_forward(250_000)
    with user.page.expect_response(lambda response: "/patients/search" in response.url):
        user.page.fill("#patient-search", "nobody of this name")
        user.page.clock.fast_forward(1000)
    assert renewed.value.ok
    expect(user.page.locator(".found")).to_contain_text("No patient matches.")


def test_a_lost_session_asks_again_over_the_page(enter: Enter, sivr_system: System) -> None:
    user = enter()
    user.page.clock.install()
    user.log_in(*sivr_system.physicians[0])
    user.page.click("#new-patient")
    user.page.fill("dialog [name=family_name]", "Unsaved")
    user.context.clear_cookies()
    user.page.clock.fast_forward(250_000)
    expect(user.page.locator("dialog sivr-login-form")).to_be_visible()
    user.type_login(*sivr_system.physicians[0])
    expect(user.page.locator("dialog sivr-login-form")).to_have_count(0)
    expect(user.page.locator("dialog [name=family_name]")).to_have_value("Unsaved")


def test_croatian(enter: Enter) -> None:
    user = enter(language="hr-HR")
    user.go()
    expect(user.page.locator("sivr-login-form button[type=submit]")).to_have_text("Prijava")
    user.type_login("nobody", "nothing at all")
    expect(user.page.locator(".trouble")).to_contain_text("nisu ispravni")
    user.page.click(".languages [lang=en]")
    expect(user.page.locator("sivr-login-form button[type=submit]")).to_have_text("Log in")
