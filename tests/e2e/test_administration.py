"""Administrators: users, institutions, record types, nodes."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import Enter


def test_a_new_user_must_change_the_given_password(enter: Enter) -> None:
    admin = enter("admin")
    expect(admin.page.locator("h1")).to_have_text("Administration")
    admin.page.click("[data-action=create]")
    admin.page.fill("dialog [name=login]", "novi")
    admin.page.fill("dialog [name=name]", "Dr. Novi Liječnik")
    admin.page.fill("dialog [name=password]", "given for the first day")
    admin.page.check("dialog [name=institutions][value=general]")
    admin.page.click("dialog button[type=submit]")
    expect(admin.page.locator("tr", has_text="Dr. Novi Liječnik")).to_contain_text("General Hospital")
    fresh = enter()
    fresh.go("#/patients")
    fresh.type_login("novi", "given for the first day")
    expect(fresh.page.locator("h1")).to_have_text("Password")
    fresh.page.fill("[name=current]", "given for the first day")
    fresh.page.fill("[name=next]", "my own and nobody else's")
    fresh.page.fill("[name=again]", "my own, mistyped")
    fresh.page.click("sivr-password-form button[type=submit]")
    expect(fresh.page.locator(".trouble")).to_have_text("The two new passwords differ.")
    fresh.page.fill("[name=again]", "my own and nobody else's")
    fresh.page.click("sivr-password-form button[type=submit]")
    expect(fresh.page.locator("h1")).to_have_text("Patients")
    admin.page.locator("tr", has_text="Dr. Novi Liječnik").locator("button", has_text="Edit").click()
    admin.page.uncheck("dialog [name=active]")
    admin.page.click("dialog button[type=submit]")
    expect(admin.page.locator("tr", has_text="Dr. Novi Liječnik")).to_contain_text("inactive")


def test_institutions_and_record_types(enter: Enter) -> None:
    admin = enter("admin")
    admin.go("#/administration/institutions")
    expect(admin.page.locator("tr", has_text="General Hospital")).to_be_visible()
    admin.page.click("[data-action=create]")
    admin.page.fill("dialog [name=id]", "otok")
    admin.page.fill("dialog [name=name]", "Otočka ambulanta")
    admin.page.fill("dialog [name=url]", "https://127.0.0.1:1")
    admin.page.click("dialog button[type=submit]")
    row = admin.page.locator("tr", has_text="Otočka ambulanta")
    expect(row).to_be_visible()
    row.locator("button", has_text="Remove").click()
    admin.page.click("dialog button.danger")
    expect(row).to_have_count(0)
    admin.go("#/administration/record-types")
    admin.page.click("[data-action=create]")
    admin.page.fill("dialog [name=code]", "MAMMO")
    admin.page.fill("dialog [name=name]", "Mammography")
    admin.page.fill("dialog [name=modalities]", "MG, CR")
    admin.page.click("dialog button[type=submit]")
    expect(admin.page.locator("tr", has_text="Mammography")).to_contain_text("MG, CR")


def test_nodes_and_their_queues(enter: Enter) -> None:
    admin = enter("admin")
    admin.go("#/administration/nodes")
    row = admin.page.locator("tbody tr").first
    expect(row).to_contain_text("node-1")
    row.locator("button", has_text="Queues").click()
    expect(admin.page.locator("dialog")).to_contain_text("Indexing")
    expect(admin.page.locator("dialog")).to_contain_text("Nothing failed.")


def test_physicians_see_no_administration(enter: Enter) -> None:
    user = enter("ana")
    expect(user.page.locator(".way")).to_have_count(1)
    user.go("#/administration")
    expect(user.page.locator(".state.bad")).to_be_visible()
