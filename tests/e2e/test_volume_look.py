"""The look of a volume and what is cut away from it, in the browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User, differ

EXACT = "sivr-volume-view[data-painted][data-complete=yes][data-quality=lossless]"
VIEW = "document.querySelector('sivr-volume-view')"


def settled(user: User) -> list[int]:
    """The converged picture of what is asked for now: before, the same view may look a little otherwise."""
    user.until(f"!{VIEW}.waiting && {VIEW}.dataset.sampling === 'converged'")
    user.page.wait_for_selector(EXACT, timeout=SLOW_MS)
    return user.picture("sivr-volume-view canvas")


def in_3d(user: User, patient: str) -> list[int]:
    user.go(f"#/patients/{patient}")
    user.open_study()
    user.page.click("[data-tab='3d']")
    user.page.wait_for_selector(EXACT, timeout=SLOW_MS)
    return settled(user)


def test_cut_point_at_and_turn(enter: Enter, read_patient: str) -> None:
    """Crop box, lasso with undo, clipping plane, points, cube and turntable: one after the other, by mouse
    and keys."""
    user = enter("ana")
    page = user.page
    whole = in_3d(user, read_patient)
    x, y = user.middle("sivr-volume-view")

    page.keyboard.press("c")
    handle = page.locator("[data-handle=k-high]").bounding_box()
    assert handle is not None
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(handle["x"], y - 10, steps=5)
    with page.expect_request(re.compile(r"rendered3d\?.*&crop=-0\.5,127\.5,-0\.5,127\.5,-0\.5,1\d")):
        page.mouse.up()
        page.wait_for_timeout(800)
    cropped = settled(user)
    assert differ(whole, cropped) > 1
    assert sum(cropped[:320]) < 0.3 * sum(whole[:320]), "the top of the head is gone"

    page.keyboard.press("k")
    page.mouse.move(x - 60, y + 20)
    page.mouse.down()
    for dx, dy in ((60, 20), (60, 120), (-60, 120)):
        page.mouse.move(x + dx, y + dy, steps=4)
    expect(page.locator(".layer .lasso")).to_have_count(1)
    page.mouse.up()
    cut = settled(user)
    assert differ(cropped, cut) > 0.4
    page.keyboard.press("u")
    user.until(f"{VIEW}.look.lassos.length === 0")
    undone = settled(user)
    assert differ(undone, cut) > 0.4
    shown = page.evaluate(f"{VIEW}.shown.query")
    assert "crop=" in shown and "cut=" not in shown

    page.click("[data-menu=cuts] summary")
    page.click("[data-tool=uncut]")
    settled(user)
    shown = page.evaluate(f"{VIEW}.shown.query")
    assert "crop=" not in shown and "cut=" not in shown

    page.keyboard.press("b")
    assert differ(settled(user), whole) > 1, "what lies before the plane is gone"
    page.keyboard.press("b")
    settled(user)

    page.keyboard.press("m")
    page.mouse.click(x - 40, y)
    page.wait_for_selector("sivr-volume-view[data-picked]", timeout=SLOW_MS)
    first = page.get_attribute("sivr-volume-view", "data-picked")
    page.mouse.click(x + 50, y + 20)
    expect(page.locator(".volume-text")).to_contain_text("mm", timeout=SLOW_MS)
    second = page.get_attribute("sivr-volume-view", "data-picked")
    a, b = ([float(one) for one in (text or "").split(",")] for text in (first, second))
    apart = sum((one - other) ** 2 for one, other in zip(a, b, strict=True)) ** 0.5
    text = page.locator(".volume-text").text_content() or ""
    told = float(text.replace(",", "").split()[0])
    assert abs(told - apart) < 0.3
    # From the front the patient's left, +x, is on the right.
    assert b[0] > a[0] and b[2] < a[2]
    page.locator("sivr-volume-view").click(position={"x": 40, "y": 120})
    expect(page.locator(".notice").last).to_contain_text("Nothing is seen there", timeout=SLOW_MS)

    page.click(".cube [data-face=a]")
    page.keyboard.press("t")
    page.keyboard.press(" ")
    expect(page.locator("[data-tool=turntable-stop]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".letter.left")).not_to_have_text("R", timeout=SLOW_MS)
    page.keyboard.press(" ")
    expect(page.locator("[data-tool=turntable]")).to_be_visible()


def test_a_point_that_is_picked_is_where_the_planes_go(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    page = user.page
    in_3d(user, read_patient)
    page.click("[data-menu=layout] summary")
    page.click("[data-layout='1x2']")
    page.keyboard.press("n")
    page.locator(".series").first.click()
    page.click("[data-tab=mpr]")
    page.wait_for_selector("sivr-plane-view.plane-axial[data-painted]", timeout=SLOW_MS)
    place = page.locator(".plane-axial .corner.tl")
    before = place.inner_text()
    x, y = user.middle("sivr-volume-view")
    page.mouse.click(x, y)
    settled(user)
    page.keyboard.press("x")
    page.mouse.click(x - 20, y - 30)
    page.wait_for_selector("sivr-volume-view[data-picked]", timeout=SLOW_MS)
    expect(place).not_to_have_text(before)


def test_presets_a_function_of_ones_own_and_surfaces(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    page = user.page
    in_3d(user, read_patient)
    page.keyboard.press("v")
    page.wait_for_selector("[data-preset=ct-bone] canvas[data-made]", timeout=SLOW_MS)
    page.wait_for_selector("sivr-volume-panel[data-counted=all] .histogram", timeout=SLOW_MS)
    with page.expect_request(re.compile(r"rendered3d\?(?!orientation).*preset=ct-skin")):
        page.click("[data-preset=ct-skin]")
    skin = settled(user)

    page.locator("[data-point='1']").focus()
    with page.expect_request(re.compile(r"rendered3d\?(?!orientation).*transfer=absolute;-500,")):
        page.keyboard.press("Delete")
    page.locator("[data-point='1']").focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    own = settled(user)
    assert differ(skin, own) > 0.5
    page.fill("[name=own-name]", "Nježna koža")
    page.click("[data-tool=own-save]")
    expect(page.locator(".preset-tile").first).to_contain_text("Nježna koža")
    page.click("[data-preset=ct-bone]")
    settled(user)

    # Another visit: what was kept is there, and looks the same.
    other = enter("ana")
    in_3d(other, read_patient)
    other.page.keyboard.press("v")
    tile = other.page.locator(".preset-tile", has_text="Nježna koža")
    tile.click()
    assert differ(settled(other), own) < 2
    other.page.click("[data-tool=own-remove]")
    expect(tile).to_have_count(0)

    page.click("[data-menu=method] summary")
    with page.expect_request(re.compile(r"rendered3d\?.*isovalue=300&isocolor=ece0c8")):
        page.click("[data-menu=method] [data-value=surface]")
    bone = settled(user)
    page.locator("[name=iso]").fill("-300")
    assert differ(settled(user), bone) > 1
    expect(page.locator("sivr-volume-view .corner.br")).to_contain_text("Surface at")
    page.click("[data-preset=ct-mip-bone]")
    expect(page.locator("sivr-volume-view .corner.br")).to_contain_text("900")
    settled(user)
