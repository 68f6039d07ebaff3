"""Volumes in the browser: by rays and by planes."""

from __future__ import annotations

import re
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Route, expect

from sivr.dicom.phantom import write_phantom
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, differ

PLANE = "sivr-plane-view.plane-axial[data-painted][data-complete=yes][data-quality=lossless]"
LOSSLESS = re.compile("^lossless")
VOLUME = "sivr-volume-view[data-painted][data-complete=yes][data-quality=lossless]"


def test_the_head_turns(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("[data-tab='3d']")
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    front = user.picture()
    assert max(front) > 40, "the volume is black"
    assert user.page.inner_text(".letter.left") == "R"
    assert user.page.inner_text(".letter.top") == "H"
    user.drag(220, 40)
    expect(user.page.locator(".letter.left")).not_to_have_text("R")
    user.page.wait_for_timeout(400)
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    turned = user.picture()
    assert max(turned) > 40
    assert differ(front, turned) > 1
    for side, letters in (("h", ("R", "A")), ("l", ("A", "H")), ("f", ("R", "A")), ("p", ("L", "H"))):
        user.page.click(f"[data-side={side}]")
        expect(user.page.locator(".letter.top")).to_have_text(letters[1])
        left = {"h": "L", "l": "A", "f": "R", "p": "L"}[side]
        expect(user.page.locator(".letter.left")).to_have_text(left)


def test_methods_and_presets_change_the_picture(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("[data-tab='3d']")
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    volume = user.picture()
    asked = user.rendered(r"/rendered3d\?.*renderingmethod=maximum_ip")
    user.page.click("[data-menu=method] summary")
    user.page.click("[data-menu=method] [data-value=maximum_ip]")
    user.page.wait_for_timeout(400)
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    assert asked
    projected = user.picture()
    assert max(projected) > 40
    assert differ(volume, projected) > 1


def test_a_projection_of_a_ct_begins_with_a_window_that_fits_it(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("[data-tab='3d']")
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    corner = user.page.locator(".corner.br")
    wanted = {"maximum_ip": "300,1400", "minimum_ip": "-700,600", "average_ip": "0,700"}
    for method, window in wanted.items():
        center, width = window.split(",")
        with user.page.expect_request(re.compile(rf"{method}&.*window={window},linear")):
            user.page.click("[data-menu=method] summary")
            user.page.click(f"[data-menu=method] [data-value={method}]")
        shown = corner.inner_text().replace(",", "").replace("\u2212", "-")
        assert center in shown
        assert width in shown
    with user.page.expect_request(lambda request: "window=0,700" not in request.url):
        user.page.keyboard.press("0")


def test_three_planes_follow_one_point(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("[data-tab='mpr']")
    for name in ("axial", "coronal", "sagittal"):
        user.page.wait_for_selector(f"sivr-plane-view.plane-{name}[data-painted]", timeout=SLOW_MS)
    place = user.page.locator(".plane-sagittal .corner.tl")
    before = place.inner_text()
    x, y = user.middle(".plane-axial.pane")
    user.page.mouse.click(x + 60, y)
    expect(place).not_to_have_text(before)
    assert max(user.picture(".plane-axial canvas")) > 40


@pytest.mark.parametrize("menu", ["preset", "method"])
def test_the_badge_says_preview_when_another_kind_of_picture_is_asked_for(
    enter: Enter, read_patient: str, menu: str
) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("[data-tab='3d']")
    user.page.wait_for_selector(VOLUME, timeout=SLOW_MS)
    held: list[Route] = []
    address = re.compile(r"/rendered3d\?")
    user.page.route(address, lambda route: held.append(route))
    user.page.click(f"[data-menu={menu}] summary")
    # In the click's own turn: a moment later, the old picture must not stand under the old badge.
    kind = user.page.evaluate(
        """(menu) => {
          document.querySelector(`[data-menu=${menu}] [aria-checked=false]`).click();
          return document.querySelector(".pane .quality").dataset.quality;
        }""",
        menu,
    )
    assert kind == "preview"
    user.page.unroute(address)
    expect(user.page.locator(".pane .quality")).to_have_text(LOSSLESS, timeout=SLOW_MS)


@pytest.mark.parametrize("tab", ["3d", "mpr"])
def test_the_badge_says_preview_until_the_picture_asked_for_is_there(
    enter: Enter, read_patient: str, tab: str
) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click(f"[data-tab='{tab}']")
    selector, resource = VOLUME, "rendered3d"
    if tab == "mpr":
        selector, resource = PLANE, "renderedmpr"
    user.page.wait_for_selector(selector, timeout=SLOW_MS)
    pane = user.page.locator(selector.partition("[")[0])
    painted = pane.get_attribute("data-painted")
    held: list[Route] = []
    address = re.compile(rf"/{resource}\?")
    user.page.route(address, lambda route: held.append(route))
    pane.focus()
    user.page.keyboard.press("ArrowRight")
    expect(pane.locator(".quality")).to_have_text("preview")
    assert pane.get_attribute("data-painted") == painted, "the answers were held back"
    assert held
    # This lets go what was held back.
    user.page.unroute(address)
    expect(pane.locator(".quality")).to_have_text(LOSSLESS, timeout=SLOW_MS)
    for badge in user.page.locator(".pane .quality").all():
        expect(badge).to_have_text(LOSSLESS, timeout=SLOW_MS)


def test_slices_that_cannot_be_decoded_are_told_over_the_picture(enter: Enter, tmp_path: Path) -> None:
    files = write_phantom(tmp_path, "head", (24, 64, 64), study="torn")
    for file in (files[3], files[17]):
        data = pydicom.dcmread(file)
        data.file_meta.TransferSyntaxUID = pydicom.uid.JPEG2000Lossless
        data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 this is no code stream"])
        data["PixelData"].VR = "OB"
        data.save_as(file)
    user = enter("ana")
    user.create_patient("Torn", given_name="Tea")
    user.choose_files(files)
    user.wait_stored()
    user.open_study()
    for tab in ("3d", "mpr"):
        user.page.click(f"[data-tab='{tab}']")
        for pane in user.page.locator(".pane").all():
            warning = pane.locator(".warning")
            expect(warning).to_contain_text("2 of 24 slices cannot be decoded", timeout=SLOW_MS)
            text, letter = warning.bounding_box(), pane.locator(".letter.right").bounding_box()
            assert text and letter and text["y"] + text["height"] < letter["y"]


def test_a_single_slice_says_why_it_has_no_volume(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Flat", given_name="Fedor")
    user.choose_files(write_phantom(tmp_path, "ramp", (1, 64, 64), study="flat"))
    user.wait_stored()
    user.open_study()
    tab = user.page.locator("[data-tab='3d']")
    expect(tab).to_have_attribute("title", re.compile("There is no volume of this series"))
    tab.click(force=True)
    expect(user.page.get_by_text("There is no volume of this series")).to_be_visible()
    expect(user.page.locator("sivr-stack-view")).to_be_visible()
    expect(user.page.locator("[data-tab='2d']")).to_have_attribute("aria-selected", "true")


def test_the_tools_stay_beside_the_findings(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.page.set_viewport_size({"width": 1024, "height": 768})
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    user.page.click("#findings-button")
    for tab in ("2d", "mpr", "3d"):
        user.page.click(f"[data-tab='{tab}']")
        panel = user.page.locator(".side-panel").bounding_box()
        menu = user.page.locator("[data-menu=format]").bounding_box()
        assert panel
        assert menu
        assert menu["x"] + menu["width"] <= panel["x"], tab


def test_windows_of_the_file_have_names_and_one_is_ticked(enter: Enter, tmp_path: Path) -> None:
    files = write_phantom(tmp_path, "head", (1, 64, 64), study="windows")
    data = pydicom.dcmread(files[0])
    data.WindowCenter, data.WindowWidth = [40, 40], [80, 80]
    if "WindowCenterWidthExplanation" in data:
        del data.WindowCenterWidthExplanation
    data.save_as(files[0])
    user = enter("ana")
    user.create_patient("Windows", given_name="Wanda")
    user.choose_files(files)
    user.wait_stored()
    user.open_study()
    menu = user.page.locator("[data-menu=window]")
    menu.locator("summary").click()
    expect(menu.get_by_text("Window 2 of the file")).to_be_visible()
    expect(menu.locator("[aria-checked=true]")).to_have_count(1)


def test_a_view_that_rests_converges(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    refined = re.compile(r"/rendered3d\?.*refine=")
    held: list[Route] = []
    user.page.route(refined, lambda route: held.append(route))
    user.page.click("[data-tab='3d']")
    badge = user.page.locator(".pane .quality")
    expect(badge).to_have_text("lossless · full quality", timeout=SLOW_MS)
    with user.page.expect_event("requestfailed", lambda request: bool(refined.search(request.url))):
        while not held:
            user.page.wait_for_timeout(50)
        # Whoever moves does not wait for what was better of the old view.
        user.drag(60, 20)
    expect(badge).to_have_text("lossless · full quality", timeout=SLOW_MS)
    full = user.picture()
    while len(held) < 2:
        user.page.wait_for_timeout(50)
    user.page.unroute(refined)
    expect(badge).to_have_text("lossless · converged", timeout=SLOW_MS)
    converged = user.picture()
    assert 0 < differ(full, converged) < 8, "the same view, drawn better"
    user.page.route(re.compile(r"/rendered3d\?"), lambda route: held.append(route))
    user.page.locator("sivr-volume-view").focus()
    user.page.keyboard.press("ArrowRight")
    expect(badge).to_have_text("preview")
