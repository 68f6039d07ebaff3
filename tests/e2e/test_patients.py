"""Patients: create, search, edit, and two who edit at once."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import Enter


def test_created_with_diacritics_and_found_by_any_part_without_them(enter: Enter) -> None:
    user = enter("ana")
    bodies: list[str] = []
    user.page.on("request", lambda request: bodies.append(request.url))
    user.create_patient(
        "Đurđević-Žužul", given_name="Šime", birth_date="1951-12-24", sex="M", insurance_number="77 001-x"
    )
    expect(user.page.locator(".lead")).to_contain_text("24/12/1951")
    user.page.click(".patient-head a.back")
    row = user.page.locator("a.row", has_text="Đurđević-Žužul, Šime")
    for typed in ("djurdj", "zuz", "sim durd", "ŽUŽUL", "77001"):
        user.page.fill("#patient-search", typed)
        expect(row).to_be_visible()
    user.page.fill("#patient-search", "Nobody-Like-This")
    expect(user.page.locator(".found")).to_contain_text("No patient matches.")
    user.page.fill("#patient-search", "")
    user.page.fill("#patient-birth", "1951-12-24")
    expect(row).to_be_visible()
    user.page.fill("#patient-birth", "1951-12-25")
    expect(row).to_have_count(0)
    assert not [url for url in bodies if "urdj" in url or "1951" in url], "facts of patients stood in a URL"


def test_the_search_is_kept_when_coming_back(enter: Enter) -> None:
    user = enter("ana")
    user.create_patient("Backward", given_name="Ben")
    user.go("#/patients")
    user.page.fill("#patient-search", "backw")
    user.page.locator("a.row", has_text="Backward").first.click()
    expect(user.page.locator(".patient-head h1")).to_contain_text("Backward")
    user.page.go_back()
    expect(user.page.locator("#patient-search")).to_have_value("backw")
    expect(user.page.locator("a.row", has_text="Backward").first).to_be_visible()


def test_what_is_missing_is_told(enter: Enter) -> None:
    user = enter("ana")
    user.page.click("#new-patient")
    user.page.fill("dialog [name=family_name]", "")
    user.page.click("dialog button[type=submit]")
    expect(user.page.locator("dialog .trouble")).to_have_text("Please fill in: Family name.")
    user.page.keyboard.press("Escape")
    expect(user.page.locator("dialog")).to_have_count(0)


def test_two_who_edit_at_once_lose_nothing(enter: Enter) -> None:
    ana, marko = enter("ana"), enter("marko")
    patient = ana.create_patient("Shared", given_name="Sara", phone="1")
    marko.go(f"#/patients/{patient}")
    for user in (ana, marko):
        user.page.click(".patient-head button")
        user.page.wait_for_selector("dialog [name=family_name]")
    ana.page.fill("dialog [name=phone]", "222")
    ana.page.click("dialog button[type=submit]")
    expect(ana.page.locator("dialog")).to_have_count(0)
    marko.page.fill("dialog [name=notes]", "allergic to contrast medium")
    marko.page.click("dialog button[type=submit]")
    expect(marko.page.locator("dialog .trouble")).to_contain_text("Somebody else changed this record")
    marko.page.click("dialog .trouble >> text=Keep what I typed")
    expect(marko.page.locator("dialog [name=phone]")).to_have_value("222")
    expect(marko.page.locator("dialog [name=notes]")).to_have_value("allergic to contrast medium")
    marko.page.click("dialog button[type=submit]")
    expect(marko.page.locator(".notes")).to_have_text("allergic to contrast medium")


def test_an_unknown_patient_is_a_sentence(enter: Enter) -> None:
    user = enter("ana")
    user.go("#/patients/00000000000000000000000000000000")
    expect(user.page.locator(".state.bad")).to_be_visible()
