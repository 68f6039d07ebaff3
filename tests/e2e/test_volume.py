"""Volumes in the browser: by rays and by planes."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from sivr.dicom.phantom import write_phantom
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, differ

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


def test_a_single_slice_says_why_it_has_no_volume(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Flat", given_name="Fedor")
    user.choose_files(write_phantom(tmp_path, "ramp", (1, 64, 64), study="flat"))
    user.wait_stored()
    user.open_study()
    user.page.click("[data-tab='3d']")
    expect(user.page.locator(".pane-message")).to_contain_text("There is no volume of this series")
