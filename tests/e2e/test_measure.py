"""Measuring in the browser: every tool on frames with known answers; kept, shared, undone, out and in."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, expect

from sivr.dicom.rulers import RulerKind, ruler_values, write_ruler
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User
from tests.flows.system import System

KINDS: tuple[RulerKind, ...] = ("ct", "dx", "dx-detector", "mg", "us", "pixels")
VIEW = "document.querySelector('sivr-stack-view')"
TO_SCREEN = f"""([x, y]) => {{
  const view = {VIEW}, box = view.getBoundingClientRect(), at = view.toScreen({{ x, y }});
  return [box.left + at.x, box.top + at.y];
}}"""
DRAWN = f"""() => [...{VIEW}.drawings.book.all].map(({{ kind, points, version, text, deleted }}) =>
  ({{ kind, points, version, text, deleted }}))"""
Point = tuple[float, float]


@pytest.fixture(scope="module")
def ruler_patient(browser: Browser, sivr_system: System, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Id of a patient with one study of ruler phantoms, a series each."""
    folder = tmp_path_factory.mktemp("rulers")
    user = User(browser, sivr_system)
    user.log_in(*sivr_system.physicians[0])
    patient = user.create_patient("Ruler", given_name="Rita", birth_date="1970-02-03", sex="F")
    user.choose_files([write_ruler(folder / f"{kind}.dcm", kind, study="e2e") for kind in KINDS])
    user.wait_stored()
    user.page.wait_for_selector("article.study", timeout=SLOW_MS)
    user.close()
    return patient


class Reader:
    """Somebody who reads the rulers and draws on them."""

    def __init__(self, user: User, patient: str) -> None:
        self.user = user
        self.page = user.page
        user.go(f"#/patients/{patient}")
        user.open_study()

    def series(self, kind: RulerKind) -> None:
        """Show one of the rulers."""
        self.page.click(f".series-side >> text='Ruler {kind}'")
        self.user.until(f"{VIEW}.series.description === 'Ruler {kind}' && !!{VIEW}.reader?.shown")

    def at(self, point: Point) -> Point:
        """Where a point of the frame is on the screen."""
        x, y = self.page.evaluate(TO_SCREEN, list(point))
        return round(x), round(y)

    def drag(self, *points: Point) -> None:
        """With the left button, from point to point of the frame."""
        self.page.mouse.move(*self.at(points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(point), steps=3)
        self.page.mouse.up()

    def tap(self, *points: Point) -> None:
        """Click on each."""
        for point in points:
            self.page.mouse.click(*self.at(point))

    def draw(self, key: str, *points: Point, taps: bool = False) -> dict[str, Any]:
        """Take a tool and draw; what came of it, once the server has it."""
        before = len(self.drawn())
        # What is chosen would be taken hold of where the new one begins.
        self.page.keyboard.press("Escape")
        self.page.keyboard.press(key)
        (self.tap if taps else self.drag)(*points)
        self.user.until(f"{VIEW}.drawings.book.all.length === {before + 1}")
        self.saved()
        return self.drawn()[-1]

    def drawn(self) -> list[dict[str, Any]]:
        """Everything that is drawn in the study, oldest first."""
        found: list[dict[str, Any]] = self.page.evaluate(DRAWN)
        return found

    def saved(self) -> None:
        """Until the institution has everything."""
        self.user.until(f"{VIEW}.drawings.book.state === 'saved'")

    def label(self, kind: str, has: str) -> str:
        """The text beside the newest drawing of a kind, once it says that."""
        newest = self.page.evaluate(
            f"{VIEW}.drawings.book.all.filter((one) => one.kind === '{kind}').pop().id"
        )
        found = self.page.locator(f".drawing[data-annotation='{newest}'] .label")
        expect(found).to_contain_text(has, timeout=SLOW_MS)
        return " | ".join(found.locator("tspan").all_text_contents())


def number(text: str) -> float:
    """The first number of a label."""
    found = re.search(r"-?[\d,]+(?:\.\d+)?", text)
    assert found, text
    return float(found[0].replace(",", ""))


def near(points: Sequence[Sequence[float]], wanted: Sequence[Point]) -> bool:
    """Whether points are where they were meant to be, within one pixel."""
    return len(points) == len(wanted) and all(
        math.hypot(x - u, y - v) <= 1 for (x, y), (u, v) in zip(points, wanted, strict=True)
    )


def test_lengths_and_angles_say_whose_spacing_they_are(enter: Enter, ruler_patient: str) -> None:
    reader = Reader(enter("ana"), ruler_patient)
    a, b, c = (40.5, 30.5), (140.5, 30.5), (40.5, 105.5)
    for kind, step, unit, origin in (
        ("ct", (0.5, 0.8), "mm", "in patient"),
        ("dx", (0.12, 0.12), "mm", "at detector, divided by 1.25"),
        ("dx-detector", (0.15, 0.15), "mm", "at detector"),
        ("mg", (0.08, 0.08), "mm", "calibrated by geometry breast support"),
        ("us", (0.2, 0.2), "mm", "ultrasound region"),
        ("pixels", (1.0, 2.0), "px", "not calibrated"),
    ):
        reader.series(kind)  # type: ignore[arg-type]
        # Lengths along columns and along rows, within one pixel of the truth.
        for other, pixels, size in ((b, 100, step[0]), (c, 75, step[1])):
            made = reader.draw("d", a, other)
            assert near(made["points"], [a, other]), (kind, made)
            text = reader.label("length", origin)
            assert f" {unit} " in text
            assert number(text) == pytest.approx(pixels * size, abs=size), (kind, text)
        if kind not in ("ct", "dx", "mg", "us"):
            continue
        slanted = reader.draw("a", (140.5, 105.5), a, b, taps=True)
        expected = math.degrees(math.atan2(75 * step[1], 100 * step[0]))
        assert near(slanted["points"], [(140.5, 105.5), a, b])
        assert number(reader.label("angle", "°")) == pytest.approx(expected, abs=1), kind
    # Other regions of ultrasound have other scales, and some have no millimeters at all.
    reader.series("us")
    reader.draw("d", (200.5, 40.5), (290.5, 40.5))
    assert number(reader.label("length", "9")) == pytest.approx(9, abs=0.1)
    reader.draw("d", (20.5, 140.5), (120.5, 190.5))
    text = reader.label("length", " s")
    assert number(text) == pytest.approx(0.5, abs=0.005)
    assert number(text.split("|")[1]) == pytest.approx(10, abs=0.2)
    reader.draw("d", (200.5, 140.5), (250.5, 190.5))
    assert "cm/s" in reader.label("length", "cm/s")
    reader.draw("d", (100.5, 60.5), (250.5, 60.5))
    assert number(reader.label("length", "not calibrated")) == pytest.approx(150, abs=1)


def figures(text: str) -> tuple[float, float, float, float]:
    """Mean, SD, least and greatest of a label."""
    found = re.search(r"Mean ([-\d.,]+) HU · SD ([\d.,]+) \| min ([-\d.,]+) · max ([-\d.,]+)", text)
    assert found, text
    return tuple(float(one.replace(",", "")) for one in found.groups())  # type: ignore[return-value]


def test_regions_count_what_numpy_counts(enter: Enter, ruler_patient: str) -> None:
    reader = Reader(enter("ana"), ruler_patient)
    reader.series("ct")
    hu = ruler_values().astype(float) - 1024
    rows, columns = np.mgrid[0:240, 0:320] + 0.5

    def check(kind: str, inside: Any, size_mm2: float) -> None:
        text = reader.label(kind, "SD")
        values = hu[inside]
        expected = (values.mean(), values.std(), values.min(), values.max())
        assert figures(text) == pytest.approx(expected, abs=0.06, rel=1e-3), (kind, text)
        told = number(text) * (100 if "cm²" in text.split("|")[0] else 1)
        assert told == pytest.approx(size_mm2, rel=0.01), (kind, text)

    box = reader.draw("q", (170, 120), (260, 200))["points"]
    assert near(box, [(170, 120), (260, 200)])
    (x0, y0), (x1, y1) = box
    check(
        "rectangle",
        (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1),
        (x1 - x0) * (y1 - y0) * 0.4,
    )
    (left, y), (right, _), (x, top), (_, bottom) = reader.draw("Shift+E", (20, 130), (120, 210))["points"]
    half = ((right - left) / 2, (bottom - top) / 2)
    check(
        "ellipse",
        ((columns - x) / half[0]) ** 2 + ((rows - y) / half[1]) ** 2 <= 1,
        math.pi * half[0] * half[1] * 0.4,
    )
    (x, y), (px, py) = reader.draw("Shift+C", (230, 60), (260, 60))["points"]
    radius = math.hypot((px - x) * 0.5, (py - y) * 0.8)
    check("circle", ((columns - x) * 0.5) ** 2 + ((rows - y) * 0.8) ** 2 <= radius**2, math.pi * radius**2)
    corners = [(300.0, 20.0), (312.0, 20.0), (312.0, 200.0), (300.0, 200.0), (300.0, 22.0)]
    outline = reader.draw("Shift+F", *corners)["points"]
    assert len(outline) > 8
    inside = np.zeros(hu.shape, bool)
    for row, column in np.argwhere((columns > 295) & (columns < 318)):
        crossings = [
            ax + (row + 0.5 - ay) * (bx - ax) / (by - ay)
            for (ax, ay), (bx, by) in zip(outline, [*outline[1:], outline[0]], strict=True)
            if (ay <= row + 0.5 < by) or (by <= row + 0.5 < ay)
        ]
        inside[row, column] = sum(column + 0.5 >= one for one in crossings) % 2 == 1
    twice = sum(
        ax * by - bx * ay for (ax, ay), (bx, by) in zip(outline, [*outline[1:], outline[0]], strict=True)
    )
    check("freehand", inside, abs(twice) / 2 * 0.4)
    reader.draw("v", (290.5, 110.5), taps=True)
    assert number(reader.label("probe", "HU")) == 3000 - 1024


def test_other_kinds_handles_and_keys(enter: Enter, ruler_patient: str) -> None:
    reader = Reader(enter("ana"), ruler_patient)
    page = reader.page
    reader.series("mg")
    cobb = reader.draw("Shift+A", (20.5, 140.5), (80.5, 140.5), (20.5, 200.5), (80.5, 170.5), taps=True)
    assert len(cobb["points"]) == 4
    assert number(reader.label("cobb", "°")) == pytest.approx(math.degrees(math.atan2(30, 60)), abs=1)
    axes = reader.draw("b", (200.5, 60.5), (300.5, 60.5))["points"]
    assert near(axes[2:], [(250.5, 35.5), (250.5, 85.5)])
    long, short = reader.label("bidirectional", "×").split("×")
    assert (number(long), number(short)) == (pytest.approx(8, abs=0.08), pytest.approx(4, abs=0.08))
    page.keyboard.press("Shift+D")
    reader.tap((100.5, 200.5), (150.5, 200.5))
    page.mouse.dblclick(*reader.at((150.5, 230.5)))
    assert number(reader.label("polyline", "mm")) == pytest.approx(80 * 0.08, abs=0.16)
    page.keyboard.press("Shift+W")
    reader.drag((220.5, 150.5), (260.5, 190.5))
    page.fill("dialog [name=text]", "Mikrokalcifikati")
    page.click("dialog button[type=submit]")
    reader.label("arrow", "Mikrokalcifikati")
    page.keyboard.press("k")
    expect(page.locator(".corner .key-image")).to_contain_text("Key image")
    reader.saved()

    # A handle by the mouse, the whole by the keys, away and back again.
    length = reader.draw("d", (180.5, 210.5), (240.5, 210.5))
    reader.drag(tuple(length["points"][1]), (280.5, 210.5))
    assert number(reader.label("length", "mm")) == pytest.approx(8, abs=0.1)
    # Letting go of the handle leaves it in the keyboard's hand.
    page.keyboard.press("Shift+ArrowLeft")
    assert near(reader.drawn()[-1]["points"], [(180.5, 210.5), (270.5, 210.5)])
    page.keyboard.press("Escape")
    page.keyboard.press("Shift+M")
    page.keyboard.press("ArrowDown")
    assert near(reader.drawn()[-1]["points"], [(180.5, 211.5), (270.5, 211.5)])
    count = len(reader.drawn())
    page.keyboard.press("Delete")
    assert len(reader.drawn()) == count - 1
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert near(reader.drawn()[-1]["points"], [(180.5, 210.5), (270.5, 210.5)])
    page.keyboard.press("Control+y")
    assert near(reader.drawn()[-1]["points"], [(180.5, 211.5), (270.5, 211.5)])
    reader.saved()

    # Without a mouse: one in the middle, its end moved.
    page.keyboard.press("d")
    page.keyboard.press("Enter")
    page.keyboard.press(".")
    page.keyboard.press(".")
    before = reader.drawn()[-1]["points"]
    page.keyboard.press("ArrowRight")
    after = reader.drawn()[-1]["points"]
    assert after[0] == before[0] and after[1][0] == pytest.approx(before[1][0] + 1)
    expect(page.locator("#annotation-voice")).to_contain_text("Length")
    # They turn with the picture, and stay on their pixels.
    page.keyboard.press("t")
    page.wait_for_timeout(100)
    assert reader.drawn()[-1]["points"] == after


def test_two_readers_a_broken_line_and_files(enter: Enter, ruler_patient: str, tmp_path: Path) -> None:
    ana, marko = Reader(enter("ana"), ruler_patient), Reader(enter("marko"), ruler_patient)
    for reader in (ana, marko):
        reader.series("dx")
    there = len(ana.drawn())
    marko.user.until(f"{VIEW}.drawings.book.all.length === {there}")
    # What one draws the other sees without asking, and may not change.
    ana.draw("Shift+C", (250.5, 180.5), (270.5, 180.5))
    marko.user.until(f"{VIEW}.drawings.book.all.length === {there + 1}")
    expect(marko.page.locator(".drawing[data-kind=circle]")).to_have_count(1)
    marko.tap((250.5, 160.5))
    marko.page.keyboard.press("Delete")
    assert len(marko.drawn()) == there + 1
    # The line breaks: nothing is lost, and it says so.
    ana.page.click("#annotations-button")
    state = ana.page.locator(".annotations-state")
    expect(state).to_have_attribute("data-state", "saved")
    ana.user.context.set_offline(True)
    ana.page.keyboard.press("q")
    ana.drag((20.5, 150.5), (60.5, 190.5))
    expect(state).to_have_attribute("data-state", "retrying", timeout=SLOW_MS)
    ana.user.context.set_offline(False)
    expect(state).to_have_attribute("data-state", "saved", timeout=SLOW_MS)
    marko.user.until(f"{VIEW}.drawings.book.all.length === {there + 2}")

    # The list: named, hidden, only for oneself, and found again from another series.
    mine = ana.page.locator(".annotation[data-kind=rectangle]").last
    mine.locator("[data-action=rename]").click()
    ana.page.fill("dialog [name=name]", "Sjena")
    ana.page.click("dialog button[type=submit]")
    expect(mine).to_contain_text("Sjena")
    mine.locator("[data-action=hide]").click()
    expect(ana.page.locator(".drawing[data-kind=rectangle]")).to_have_count(0)
    mine.locator("[data-action=hide]").click()
    mine.locator("[data-action=visibility]").click()
    ana.saved()
    marko.user.until(f"{VIEW}.drawings.book.all.length === {there + 1}")
    ana.series("us")
    mine.locator("[data-action=jump]").click()
    expect(ana.page.locator(".corner.bl")).to_contain_text("Ruler dx")
    expect(ana.page.locator(".drawing.chosen")).to_contain_text("Sjena")

    # Out as files, whose numbers are those of the labels; in again without doubles.
    saved: dict[str, Path] = {}
    for form in ("json", "structured-reports", "presentation-states", "key-object-selections"):
        ana.page.click("[data-menu=annotations-export] summary")
        with ana.page.expect_download() as download:
            ana.page.click(f"[data-menu=annotations-export] [data-value={form}]")
        saved[form] = tmp_path / download.value.suggested_filename
        download.value.save_as(saved[form])
    assert len(json.loads(saved["json"].read_text())["annotations"]) == there + 2
    report = pydicom.dcmread(saved["structured-reports"])
    assert report.Modality == "SR" and "Sjena" in report.to_json()
    for form in ("json", "structured-reports"):
        ana.page.set_input_files(".annotations-head input[type=file]", saved[form])
        expect(ana.page.locator(".notice, dialog").last).to_contain_text("Taken over", timeout=SLOW_MS)
        if ana.page.locator("dialog").count():
            ana.page.keyboard.press("Escape")
    plane = tmp_path / "slices.json"
    plane.write_text(json.dumps([{"Anomaly": "Pomak", "Slices": [1]}, {"Anomaly": "Ništa", "Slices": [7]}]))
    ana.page.set_input_files(".annotations-head input[type=file]", plane)
    expect(ana.page.locator("dialog")).to_contain_text("there is no slice 7")
    ana.page.keyboard.press("Escape")
    expect(ana.page.locator(".drawing.whole")).to_contain_text("Pomak")

    # And all of it is still there after a new start.
    count = len(ana.drawn())
    ana.page.reload()
    ana.user.wait_exact()
    ana.user.until(f"{VIEW}.drawings?.book.all.length === {count}")


def test_fingers_measure(enter: Enter, ruler_patient: str) -> None:
    user = enter("ana", phone=True)
    reader = Reader(user, ruler_patient)
    page = reader.page
    before = len(reader.drawn())
    page.locator("[data-menu=measure] summary").tap()
    page.locator("[data-menu=measure] [data-tool=length]").tap()
    for point in ((100.5, 180.5), (200.5, 180.5)):
        page.touchscreen.tap(*reader.at(point))
    user.until(f"{VIEW}.drawings.book.all.length === {before + 1}")
    made = reader.drawn()[-1]["points"]
    assert near(made, [(100.5, 180.5), (200.5, 180.5)])
    assert "in patient" in reader.label("length", "mm")
    reader.saved()
