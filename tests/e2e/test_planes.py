"""Planes in the browser: turned, made thick, beside the volume, under a PET, and along a drawn curve."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
from playwright.sync_api import Locator, expect

from sivr.dicom.pet_phantom import HOT_SPOT, write_pet
from sivr.dicom.phantom import write_phantom
from sivr.gl.curves import path_of
from sivr.model.rendering import Curve
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User

EXACT = "[data-painted][data-complete=yes][data-quality=lossless]"
NAMES = ("axial", "coronal", "sagittal")


def plane(name: str) -> str:
    return f"sivr-plane-view.plane-{name}"


def asked(user: User, name: str) -> dict[str, str]:
    """What the newest picture of a plane was asked for with."""
    query: list[str] = user.page.evaluate("(name) => document.querySelector(name).query()", plane(name))
    return {key: values[0] for key, values in parse_qs("&".join(query)).items()}


def normal(user: User, name: str) -> Any:
    """Unit vector of a plane to its viewer, LPS, as its picture is asked for."""
    query = asked(user, name)
    position, look_at = (
        np.array([float(one) for one in query[key].split(",")])
        for key in ("viewpointposition", "viewpointlookat")
    )
    return (position - look_at) / np.linalg.norm(position - look_at)


def wait_exact(user: User, *names: str) -> None:
    for name in names or NAMES:
        user.page.wait_for_selector(plane(name) + EXACT, timeout=SLOW_MS)


def places(handles: Locator) -> list[tuple[float, float]]:
    """Middles of what is drawn, in CSS px of the page."""
    boxes = [box for one in handles.all() if (box := one.bounding_box()) is not None]
    return [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]


def test_planes_turn_thicken_and_lie_beside_the_volume(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    page = user.page
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    page.click("[data-tab='mpr']")
    wait_exact(user)
    expect(page.locator(f"{plane('axial')} .corner.bl")).to_contain_text("HU")
    # Drag the left end of the coronal plane's line about the crosshair.
    (x, y), *_ = places(page.locator(f"{plane('axial')} .handle.plane-coronal"))
    cx, cy = user.middle(plane("axial"))
    assert x < cx and abs(y - cy) < 3
    reach, angle = cx - x, math.radians(30)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(cx - reach * math.cos(angle), cy + reach * math.sin(angle), steps=8)
    page.mouse.up()
    wait_exact(user)
    # Its left end went down to the back, so its right end looks to the front: it turned counterclockwise as
    # seen from the feet.
    expect(page.locator(f"{plane('coronal')} .letter.right")).to_have_text("LA")
    expect(page.locator(f"{plane('axial')} .letter.right")).to_have_text("L")
    expect(page.locator(f"{plane('coronal')} .corner.tl")).to_contain_text("oblique")
    normals = [normal(user, name) for name in NAMES]
    assert np.allclose(np.array(normals) @ np.array(normals).T, np.eye(3), atol=1e-3), "still at right angles"
    assert np.allclose(normals[0], [0, 0, -1])
    turned = math.degrees(math.acos(float(np.clip(normals[1] @ [0, -1, 0], -1, 1))))
    assert abs(turned - 30) < 1.5
    assert normals[1][0] < -0.4, "its viewer went to the patient's right"
    # Double oblique from the keyboard, in the coronal plane.
    page.locator(plane("coronal")).focus()
    page.keyboard.press("Shift+ArrowLeft")
    wait_exact(user)
    assert abs(normal(user, "axial") @ [0, 0, -1]) < 0.999
    page.keyboard.press("o")
    wait_exact(user)
    assert np.allclose([normal(user, name) for name in NAMES], [[0, 0, -1], [0, -1, 0], [1, 0, 0]])
    # A slab: by keys, by the menu, by its handles.
    for _ in range(4):
        page.keyboard.press(".")
    page.keyboard.press("m")
    wait_exact(user)
    assert (asked(user, "axial")["mprslab"], asked(user, "axial")["renderingmethod"]) == ("4", "maximum_ip")
    expect(page.locator(f"{plane('axial')} .corner.br")).to_contain_text("4 mm MIP")
    page.click("[data-menu=slab] summary")
    page.click("[data-menu=slab] [data-value=slab-20]")
    expect(page.locator("[data-menu=slab] summary")).to_contain_text("20 mm MIP")
    page.keyboard.press("Escape")
    grips = places(page.locator(f"{plane('axial')} rect.handle.plane-sagittal"))
    right = max(grips)
    page.mouse.move(*right)
    page.mouse.down()
    page.mouse.move(right[0] + (right[0] - cx), right[1], steps=4)
    page.mouse.up()
    assert 30 < float(asked(user, "axial")["mprslab"]) < 50, "twice as thick"
    page.keyboard.press("i")
    wait_exact(user)
    assert asked(user, "sagittal")["invert"] == "yes"
    # Colors and highlighted values, as in 2D.
    page.keyboard.press("g")
    page.click("[data-menu=look] summary")
    page.click("[data-menu=look] [data-value=hot-iron]")
    wait_exact(user)
    query = asked(user, "axial")
    assert query["palette"] == "hot-iron" and re.fullmatch(r"-?[\d.]+,-?[\d.]+", query["threshold"])
    # The volume in the fourth field, and one plane alone.
    page.keyboard.press("v")
    page.wait_for_selector("sivr-planes sivr-volume-view[data-painted]", timeout=SLOW_MS)
    assert page.locator("sivr-planes .pane:visible").count() == 4
    page.locator(plane("sagittal")).dblclick(position={"x": 30, "y": 60})
    assert page.locator("sivr-planes .pane:visible").count() == 1
    wait_exact(user, "sagittal")
    page.locator(plane("sagittal")).dblclick(position={"x": 30, "y": 60})
    assert page.locator("sivr-planes .pane:visible").count() == 4
    page.keyboard.press("r")
    wait_exact(user)
    assert "mprslab" not in asked(user, "axial") and "invert" not in asked(user, "axial")


def test_a_pet_over_a_ct_and_a_curve(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    page = user.page
    ct = write_phantom(tmp_path / "ct", "spheres", (32, 64, 64), study="planes-of-two")
    pet = write_pet(tmp_path / "pet", ct[0])
    user.create_patient("Fusion", given_name="Fina")
    user.choose_files([*ct, *pet])
    user.wait_stored()
    user.open_study()
    page.click("[data-tab='mpr']")
    wait_exact(user)
    page.evaluate("(point) => document.querySelector('sivr-planes').setPoint(point)", list(HOT_SPOT))
    page.click("[data-menu=fusion] summary")
    page.click("[data-menu=fusion] .choice:has-text('PET')")
    wait_exact(user)
    query = asked(user, "axial")
    assert query["overlay_palette"] == "hot-iron" and query["overlay_window"] == "12500,25000,linear-exact", (
        "SUV 0 to 5 where SUV 1 is 5000 Bq/ml"
    )
    expect(page.locator(f"{plane('axial')} .corner.bl")).to_contain_text(re.compile(r"SUV (7\.9|8)"))
    page.click("[data-menu=fusion] summary")
    page.click("[data-menu=fusion] [data-value='suv-20']")
    wait_exact(user)
    # The hot spot is where the crosshair is, in every plane; colors say so.
    for name in NAMES:
        red, green, blue = color_at_crosshair(user, name)
        assert red > 200 and red - blue > 40, (name, red, green, blue)
    page.keyboard.press("b")
    wait_exact(user)
    assert "overlay_series" not in asked(user, "axial")
    red, _, blue = color_at_crosshair(user, "axial")
    assert red == blue, "the CT alone is grey"
    page.keyboard.press("b")
    page.click("[data-menu=fusion] summary")
    page.locator("[name=opacity]").fill("0.3")
    page.click("[data-menu=fusion] [data-value='suv-10']")
    wait_exact(user)
    assert asked(user, "axial")["overlay_opacity"] == "0.3"
    # A curve through three of the balls, across slices: their centers are clicked where they are seen.
    page.keyboard.press("k")
    hint = page.locator("sivr-curved-view .pane-message:visible")
    expect(hint).to_contain_text("Click along")
    page.keyboard.press("i")
    wait_exact(user)
    page.keyboard.press("i")
    wait_exact(user)
    expect(hint).to_contain_text("Click along")
    centers = [(-30.0, -30.0, 0.0), (30.0, -30.0, -10.0), (30.0, 30.0, 20.0)]
    for center in centers:
        page.evaluate("(point) => document.querySelector('sivr-planes').setPoint(point)", list(center))
        at = page.evaluate(
            """([name, point]) => document.querySelector(name).toScreen(point)""",
            [plane("axial"), list(center)],
        )
        box = page.locator(plane("axial")).bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])
    page.wait_for_selector("sivr-curved-view" + EXACT, timeout=SLOW_MS)
    points = page.evaluate("() => document.querySelector('sivr-planes').curve.points")
    # A click is as exact as a pixel of the screen.
    assert np.abs(np.array(points) - np.array(centers)).max() < 0.5
    length_mm = path_of(Curve(tuple(tuple(one) for one in points))).length_mm  # type: ignore[misc]
    drawn_mm = page.evaluate("() => document.querySelector('sivr-planes').curveLength_mm")
    assert abs(drawn_mm - length_mm) < 0.01 * length_mm, "drawn here as the server walks it"
    label = page.locator("sivr-curved-view .corner.bl")
    expect(label).to_contain_text(re.compile(rf"{length_mm:.1f}|{length_mm + 0.1:.1f}|{length_mm - 0.1:.1f}"))
    # A click on the curve puts a point between two others.
    page.evaluate("() => document.querySelector('sivr-planes').addKnot([0, -31, -5], true)")
    assert page.evaluate("() => document.querySelector('sivr-planes').curve.points")[1] == [0, -31, -5]
    page.evaluate(
        "(points) => document.querySelector('sivr-planes').setCurve("
        "{points, form: 'straightened', turn_deg: 0})",
        points,
    )
    page.wait_for_selector("sivr-curved-view" + EXACT, timeout=SLOW_MS)
    # The wheel turns about the curve; the crosshair follows a click on the curved picture.
    page.locator("sivr-curved-view").hover()
    page.mouse.wheel(0, -240)
    expect(page.locator("sivr-curved-view .corner.tl")).to_contain_text("10°")
    page.keyboard.press("c")
    middle = user.middle("sivr-curved-view")
    page.mouse.click(*middle)
    point = np.array(page.evaluate("() => document.querySelector('sivr-planes').point"))
    path = path_of(Curve(tuple(tuple(one) for one in points)))  # type: ignore[misc]
    halfway = path.at(np.array([path.length_mm / 2]))[0][0]
    assert np.linalg.norm(point - halfway) < 1.5, "the middle of the picture is the middle of the curve"
    page.click("[data-menu=curve] summary")
    with page.expect_response(lambda response: "curveform=stretched" in response.url and response.ok):
        page.click("[data-menu=curve] [data-value=stretched]")
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.wait_for_selector("sivr-curved-view", state="detached")


def color_at_crosshair(user: User, name: str) -> tuple[int, int, int]:
    """Red, green, blue of the picture where the planes meet."""
    found = user.page.evaluate(
        """(name) => {
          const view = document.querySelector(name);
          const at = view.toScreen(view.planes.point);
          const { canvas } = view;
          const drawn = canvas.getContext("2d");
          const scale = canvas.width / view.width;
          return [...drawn.getImageData(Math.round(at.x * scale), Math.round(at.y * scale), 1, 1).data];
        }""",
        plane(name),
    )
    return found[0], found[1], found[2]
