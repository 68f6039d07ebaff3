"""Several cells: layouts, scrolling together, lines of reference, priors, hanging protocols, every key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import expect
from pydicom.uid import generate_uid

from sivr.dicom.phantom import write_phantom
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User

MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"


def coronal(files: list[Path], folder: Path) -> list[Path]:
    """The same head, cut the other way: a series of its own in the same study and coordinates."""
    sets = [pydicom.dcmread(path) for path in files]
    cube = np.stack([data.pixel_array for data in sets])
    step = float(sets[1].ImagePositionPatient[2]) - float(sets[0].ImagePositionPatient[2])
    x, y, z = map(float, sets[0].ImagePositionPatient)
    spacing = float(sets[0].PixelSpacing[0])
    series = generate_uid()
    folder.mkdir()
    made = []
    for row in range(0, cube.shape[1], 8):
        data = pydicom.dcmread(files[0])
        data.SeriesInstanceUID, data.SOPInstanceUID = series, generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.SeriesNumber, data.InstanceNumber, data.SeriesDescription = 2, row // 8 + 1, "coronal"
        data.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        data.ImagePositionPatient = [x, y + row * spacing, z + (len(sets) - 1) * step]
        data.PixelSpacing = [abs(step), float(sets[0].PixelSpacing[1])]
        data.SliceThickness = 8 * spacing
        plane = np.ascontiguousarray(cube[::-1, row])
        data.Rows, data.Columns = plane.shape
        data.PixelData = plane.tobytes()
        path = folder / f"{row}.dcm"
        data.save_as(path)
        made.append(path)
    return made


def mammograms(folder: Path, like: Path) -> list[Path]:
    """Four views in one series, as scanners of one vendor send them; each has its own brightness."""
    study, series = generate_uid(), generate_uid()
    made = []
    for number, (side, view) in enumerate((("L", "CC"), ("R", "MLO"), ("R", "CC"), ("L", "MLO"))):
        data = pydicom.dcmread(like)
        for name in (
            "ImageOrientationPatient",
            "ImagePositionPatient",
            "FrameOfReferenceUID",
            "SliceLocation",
        ):
            if name in data:
                delattr(data, name)
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = MAMMOGRAPHY
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.StudyInstanceUID, data.SeriesInstanceUID = study, series
        data.Modality, data.ImageLaterality, data.ViewPosition = "MG", side, view
        data.InstanceNumber = number + 1
        data.StudyDescription = "Mammography"
        path = folder / f"{side}-{view}.dcm"
        data.save_as(path)
        made.append(path)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """A study of two series in the same coordinates, a prior with others, and mammograms."""
    folder = tmp_path_factory.mktemp("workspace")
    now = write_phantom(folder / "now", "head", (24, 64, 64), study="workspace now")
    prior = write_phantom(folder / "prior", "head", (12, 64, 64), study="workspace prior")
    reference = generate_uid()
    for path in prior:
        data = pydicom.dcmread(path)
        data.FrameOfReferenceUID = reference
        data.StudyDate, data.StudyDescription = "20200102", "Earlier head"
        data.save_as(path)
    (folder / "mg").mkdir()
    return {
        "now": [*now, *coronal(now, folder / "coronal")],
        "prior": prior,
        "mg": mammograms(folder / "mg", now[0]),
    }


def stored(user: User, files: list[Path], studies: int) -> None:
    """Send files on the patient's page, until so many studies are complete there."""
    patient = user.page.url.rpartition("/")[2]
    user.choose_files(files)
    user.wait_stored()
    user.go(f"#/patients/{patient}")
    user.page.reload()
    expect(user.page.locator("article.study")).to_have_count(studies, timeout=SLOW_MS)
    expect(user.page.get_by_text("still arriving")).to_have_count(0, timeout=SLOW_MS)


def places(user: User) -> list[int]:
    """The frame shown in every stack, in the order of reading."""
    found: list[int] = user.page.evaluate(
        "[...document.querySelectorAll('sivr-stack-view')].map((one) => one.reader.index)"
    )
    return found


def at_place(user: User, expected: list[int]) -> None:
    """Until the stacks show these frames."""
    user.until(
        "JSON.stringify([...document.querySelectorAll('sivr-stack-view')].map((one) => one.reader.index))"
        f" === '{str(expected).replace(' ', '')}'"
    )


def test_cells_scroll_together_show_lines_and_hang_beside_a_prior(
    enter: Enter, files: dict[str, list[Path]]
) -> None:
    user = enter("ana")
    user.create_patient("Workspace", given_name="Wilma")
    stored(user, files["now"], 1)
    stored(user, files["prior"], 2)
    page = user.page
    page.locator("article.study", has_not_text="Earlier head").locator("a.study-link").click()
    user.wait_exact()
    expect(page.locator("button.series")).to_have_count(2)

    page.keyboard.press("Alt+2")
    expect(page.locator("sivr-cell")).to_have_count(2)
    expect(page.get_by_text("Choose a series, or drag one here.")).to_be_visible()
    page.drag_and_drop("button.series >> text=coronal", "sivr-cell >> nth=1")
    expect(page.locator("sivr-stack-view")).to_have_count(2)
    page.wait_for_selector("sivr-cell:nth-child(2) sivr-stack-view[data-painted]", timeout=SLOW_MS)
    # The line of the coronal frame lies in the axial one as the numbers say: straight across, at its y.
    line = page.locator("sivr-cell").first.locator(".reference-lines .reference")
    expect(line).to_have_count(1)
    ends: dict[str, float] = page.evaluate("""() => {
      const [axial, coronal] = document.querySelectorAll('sivr-stack-view');
      const line = axial.querySelector('.reference-lines .reference');
      const from = axial.fromScreen({x: +line.getAttribute('x1'), y: +line.getAttribute('y1')});
      const to = axial.fromScreen({x: +line.getAttribute('x2'), y: +line.getAttribute('y2')});
      const a = axial.series.frames[axial.reader.index];
      const c = coronal.series.frames[coronal.reader.index];
      return {y1: from.y, y2: to.y, length: Math.abs(to.x - from.x),
              expected: (c.origin[1] - a.origin[1]) / axial.series.spacing_mm[0] + 0.5};
    }""")
    assert abs(ends["y1"] - ends["expected"]) < 0.01
    assert abs(ends["y2"] - ends["expected"]) < 0.01
    assert ends["length"] == pytest.approx(64, abs=0.01)
    # Frames that are not parallel do not pull each other.
    before = places(user)
    page.keyboard.press("ArrowDown")
    at_place(user, [before[0], before[1] + 1])

    # The prior has coordinates of its own: it keeps its distance in mm (its slices are twice as thick).
    page.click(".other-study")
    expect(page.locator(".series-of h3")).to_have_count(2)
    at_place(user, [before[0], 5])
    page.locator("sivr-stack-view").first.click()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    at_place(user, [before[0] + 4, 7])
    page.keyboard.press("j")
    page.keyboard.press("ArrowUp")
    at_place(user, [before[0] + 3, 7])
    page.keyboard.press("j")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    at_place(user, [before[0] + 1, 6])

    # One field fills the stage and gives it back; the next field takes the keys.
    page.keyboard.press("e")
    expect(page.locator("sivr-stack-view")).to_have_count(1)
    page.keyboard.press("e")
    expect(page.locator("sivr-stack-view")).to_have_count(2)
    page.keyboard.press("n")
    expect(page.locator("sivr-cell.active")).to_contain_text("Earlier head")

    # Kept as it hangs, the next opening hangs it so.
    page.keyboard.press("Alt+v")
    page.wait_for_selector("sivr-volume-view[data-painted]", timeout=SLOW_MS)
    page.click("[data-menu=hanging] summary")
    page.click(".keep-hanging")
    page.fill("dialog [name=name]", "Head and volume")
    page.click("dialog button[type=submit]")
    expect(page.locator("dialog")).to_have_count(0)
    address = page.url.rpartition("/")[0]
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("sivr-cell", timeout=SLOW_MS)
    expect(page.locator("sivr-cell")).to_have_count(2)
    page.click("[data-menu=hanging] summary")
    own = page.locator(".protocol", has_text="Head and volume")
    own.locator("button[aria-label=Remove]").click()
    page.click("[data-menu=hanging] summary")
    expect(own).to_have_count(0)


def test_four_mammograms_hang_back_to_back(enter: Enter, files: dict[str, list[Path]]) -> None:
    user = enter("marko")
    user.create_patient("Mammography", given_name="Mara")
    stored(user, files["mg"], 1)
    user.page.click("a.study-link", timeout=SLOW_MS)
    expect(user.page.locator("sivr-stack-view")).to_have_count(4, timeout=SLOW_MS)
    shown: list[str] = user.page.evaluate(
        "[...document.querySelectorAll('sivr-stack-view')].map((one) => one.reader.frame.side)"
    )
    assert shown == ["R CC", "L CC", "R MLO", "L MLO"]


def test_no_key_means_two_things(enter: Enter, read_patient: str) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.open_study()
    twice: dict[str, Any] = user.page.evaluate("""async () => {
      const { TABLES } = await import(new URL('actions/tables.js', document.baseURI).href);
      const found = {};
      for (const [kind, { actions }] of Object.entries(TABLES)) {
        const keys = {};
        for (const action of actions) {
          for (const key of action.keys ?? []) (keys[key] ??= []).push(action);
        }
        for (const [key, some] of Object.entries(keys)) {
          // The first that can be done is done: all but the last must say when.
          const unclear = some.slice(0, -1).some((one) => !one.when);
          if (unclear) (found[kind] ??= {})[key] = some.map((one) => one.id);
        }
        if (new Set(actions.map((one) => one.id)).size !== actions.length) found[kind + ' ids'] = true;
      }
      return found;
    }""")
    # "lines" never belong to a volume, and say so.
    assert twice.pop("volume", {}) == {"l": ["sides", "lines"]}
    assert twice == {}
    user.page.keyboard.press("?")
    dialog = user.page.locator("dialog")
    for sentence in ("Invert", "Scroll together", "Turn the volume; finer with Shift", "Crosshair"):
        expect(dialog.get_by_text(sentence).first).to_be_visible()
    user.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
