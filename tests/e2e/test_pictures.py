"""Looks of a picture, cine, the glass, elements, key images, and pictures that leave the page."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User

COLORS = """() => {
  const canvas = document.querySelector(".pane canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let red = 0, grey = 0, white = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] > data[at + 2] + 30) red += 1;
    if (data[at] === 255) white += 1;
    if (data[at] === data[at + 1] && data[at] === data[at + 2]) grey += 1;
  }
  return { red, grey, white, width: canvas.width, all: data.length / 4 };
}"""
CORNER = ".corner.br"


def read(enter: Enter, patient: str, login: str = "ana", language: str = "en-GB") -> User:
    user = enter(login, language=language)
    user.go(f"#/patients/{patient}")
    user.open_study()
    return user


def colors(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(COLORS)
    return found


def test_looks_of_a_picture(enter: Enter, read_patient: str) -> None:
    user = read(enter, read_patient)
    page, keys, corner = user.page, user.page.keyboard, user.page.locator(CORNER)
    before = page.inner_text(f"{CORNER} > :first-child")
    keys.press("u")
    expect(page.locator(f"{CORNER} > :first-child")).not_to_have_text(before)
    keys.press("r")
    user.wait_exact()
    assert colors(page)["red"] == 0
    keys.press("g")
    expect(corner).to_contain_text("250 to")
    user.until("document.querySelector('.pane').dataset.quality === 'lossless'")
    user.until(f"({COLORS})().red > 100")
    page.click("[data-menu=look] summary")
    page.fill("[data-menu=look] input[type=number][name=band-low]", "2000")
    expect(corner).to_contain_text("2,000 to")
    user.until(f"({COLORS})().red === 0")
    page.keyboard.press("Escape")
    expect(page.locator("[data-menu=look][open]")).to_have_count(0)
    keys.press("g")
    keys.press("c")
    expect(corner).to_contain_text("Hot iron")
    user.until(f"({COLORS})().red > 1000")
    keys.press("Shift+I")
    expect(corner).to_contain_text("Pixels as stored")
    expect(page.locator(".pane canvas.pixels")).to_have_count(1)
    for _ in range(2):
        keys.press("Shift+I")
    expect(corner).to_contain_text("Cubic")
    user.until(f"({COLORS})().width > 128")
    keys.press("r")
    expect(corner).not_to_contain_text("Cubic")
    user.until(f"({COLORS})().width === 128 && ({COLORS})().red === 0")
    keys.press("Shift+Z")
    x, y = user.middle()
    page.mouse.move(x - 30, y)
    page.mouse.move(x, y + 10)
    expect(page.locator("canvas.lens")).to_be_visible()
    assert page.evaluate(COLORS.replace('".pane canvas"', '"canvas.lens"'))["width"] == 240
    keys.press("w")
    expect(page.locator("canvas.lens")).to_have_count(0)


def test_cine_and_key_images(enter: Enter, read_patient: str) -> None:
    user = read(enter, read_patient)
    page, keys = user.page, user.page.keyboard
    place, bar = page.locator(".slice-place"), page.locator(".cine-bar")
    expect(bar).to_be_hidden()
    keys.press("Home")
    for _ in range(4):
        keys.press("ArrowDown")
    expect(place).to_have_text("5 / 24")
    page.wait_for_selector("sivr-stack-view[data-index='4']", timeout=SLOW_MS)
    keys.press("k")
    expect(page.locator(".key-image")).to_be_visible()
    expect(page.locator(".slider-star")).to_have_count(1)
    keys.press("Shift+Home")
    expect(bar).to_be_visible()
    for _ in range(3):
        keys.press("ArrowDown")
    keys.press("Shift+End")
    expect(bar).to_contain_text("5 to 8")
    page.fill(".cine-rate", "30")
    page.press(".cine-rate", "Tab")
    keys.press("Shift+B")
    expect(page.locator("[data-cine=bounce][aria-pressed=true]")).to_have_count(1)
    page.click("[data-cine=play]")
    seen: list[int] = []
    user.until("document.querySelector('[data-cine=play]').dataset.playing === 'true'")
    while len(seen) < 40:
        number = int(user.place().split(" / ")[0])
        if not seen or seen[-1] != number:
            seen.append(number)
        page.wait_for_timeout(5)
    page.click("[data-cine=play]")
    assert set(seen) <= {5, 6, 7, 8} and {5, 8} <= set(seen)
    steps = {b - a for a, b in itertools.pairwise(seen)}
    assert -1 in steps, "back and forth"
    keys.press("End")
    keys.press("Shift+K")
    expect(place).to_have_text("5 / 24")
    page.reload()
    user.wait_exact()
    expect(page.locator(".slider-star")).to_have_count(1, timeout=SLOW_MS)
    page.click(".slider-star")
    # What is marked is the picture on the screen.
    page.wait_for_selector("sivr-stack-view[data-index='4']", timeout=SLOW_MS)
    keys.press("k")
    expect(page.locator(".slider-star")).to_have_count(0)


def test_elements_are_found(enter: Enter, read_patient: str) -> None:
    user = read(enter, read_patient)
    page = user.page
    page.keyboard.press("Shift+T")
    page.wait_for_selector(".tag-table tbody tr", timeout=SLOW_MS)
    everything = page.locator(".tag-table tbody tr").count()
    page.fill(".tag-search", "0028,0010")
    expect(page.locator(".tag-table tbody tr")).to_have_count(1)
    expect(page.locator(".tag-table tbody tr")).to_contain_text("Rows")
    expect(page.locator(".tag-table tbody tr")).to_contain_text("128")
    page.fill(".tag-search", "pixel spacing")
    expect(page.locator(".tag-table tbody")).to_contain_text("(0028,0030)")
    page.fill(".tag-search", "")
    expect(page.locator(".tag-table tbody tr")).to_have_count(everything)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def test_pictures_leave_the_page(enter: Enter, read_patient: str) -> None:
    user = read(enter, read_patient)
    page, keys = user.page, user.page.keyboard
    with page.expect_download() as saved:
        keys.press("Control+s")
    assert "Reader" not in saved.value.suggested_filename
    seen = np.asarray(Image.open(saved.value.path()).convert("RGB")).astype(int)
    assert max(seen.shape) >= 1600
    with page.expect_download() as saved:
        keys.press("Control+Shift+S")
    plain = np.asarray(Image.open(saved.value.path()))
    assert plain.shape == (128, 128)
    # What is in view is the frame in the middle with texts around it: brightest where the frame is.
    rows, columns = seen.shape[:2]
    middle = seen[:, (columns - rows) // 2 : (columns + rows) // 2].mean(axis=2)
    small = np.asarray(Image.fromarray(middle.astype(np.uint8)).resize((128, 128), Image.Resampling.BOX))
    assert np.corrcoef(small[16:112, 16:112].ravel(), plain[16:112, 16:112].ravel())[0, 1] > 0.97
    assert seen[: rows // 12, : columns // 4].max() > 180, "the patient's line"
    user.context.grant_permissions(["clipboard-read", "clipboard-write"])
    keys.press("Control+c")
    expect(page.locator(".notice")).to_contain_text("clipboard")
    kinds = page.evaluate("navigator.clipboard.read().then((items) => items.flatMap((one) => one.types))")
    assert kinds == ["image/png"]
    page.evaluate("window.print = () => { window.printed = true; }")
    keys.press("Control+p")
    user.until("window.printed === true")
    page.emulate_media(media="print")
    expect(page.locator(".print-sheet header")).to_contain_text("Reader, Rhea")
    expect(page.locator(".print-sheet canvas")).to_be_visible()
    expect(page.locator(".viewer-main")).to_be_hidden()
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".print-sheet")).to_have_count(0)
    keys.press("Shift+V")
    page.fill("dialog [name=last]", "6")
    page.fill("dialog [name=first]", "3")
    with page.expect_download(timeout=SLOW_MS) as saved:
        page.click("dialog button[type=submit]")
    assert Path(saved.value.path()).read_bytes()[4:12] == b"ftypiso8"
    expect(page.locator("dialog")).to_have_count(0)
    keys.press("Shift+V")
    page.select_option("dialog [name=format]", "image/webp")
    with page.expect_download(timeout=SLOW_MS) as saved:
        page.click("dialog button[type=submit]")
    with Image.open(io.BytesIO(Path(saved.value.path()).read_bytes())) as movie:
        assert movie.n_frames == 24


def test_the_keys_are_told_in_croatian(enter: Enter, read_patient: str) -> None:
    user = read(enter, read_patient, "marko", "hr-HR")
    user.page.keyboard.press("?")
    sheet = user.page.locator("dialog .key-sheet")
    if user.page.evaluate("document.documentElement.lang") == "hr":
        expect(sheet).to_contain_text("Povećalo")
        expect(sheet).to_contain_text("Spremi kao film")
    else:
        expect(sheet).to_contain_text("Magnifier")


@pytest.mark.parametrize("kind", ["ultrasound", "overlay"])
def test_real_pictures(enter: Enter, shared_data: Path, kind: str) -> None:
    various = shared_data / "various"
    path = {
        "ultrasound": various
        / "cornerstonejs__dicomParser/us/IM00001.fragmented_no_bot_jpeg_baseline.50.dcm",
        "overlay": various / "SMI__dicompixelanon/overlay/MR-SIEMENS-DICOM-WithOverlays.dcm",
    }[kind]
    user = enter("ana")
    user.create_patient(f"Real {kind}", given_name="Rea", birth_date="1970-02-03", sex="F")
    user.choose_files([path])
    user.wait_stored()
    user.page.wait_for_selector("article.study", timeout=SLOW_MS)
    user.page.click("a.study-link", timeout=SLOW_MS)
    user.page.wait_for_selector("sivr-stack-view[data-painted][data-quality]", timeout=SLOW_MS)
    page = user.page
    if kind == "ultrasound":
        page.keyboard.press("End")
        expect(page.locator(".corner.bl")).to_contain_text(re.compile(r"8 / 8 .* [\d,]+ ms"))
        page.click("[data-menu=look] summary")
        expect(page.locator("[data-menu=look] [data-look=overlay]")).to_be_visible()
        expect(page.locator("[data-menu=look] .swatch")).to_have_count(0)
        return
    user.wait_exact()
    count = f"({COLORS})().white"
    drawn = page.evaluate(count)
    page.keyboard.press("Shift+O")
    expect(page.locator(CORNER)).to_contain_text("without overlays")
    user.until(f"{count} < {drawn} - 50")
