"""Upload: progress, refused files by name, duplicates, cancel, a lost connection."""

from __future__ import annotations

import re
import time
import zipfile
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import Route, expect

from sivr.dicom.phantom import write_phantom
from tests.e2e.conftest import Enter
from tests.e2e.people_at_work import SLOW_MS, User
from tests.flows.system import System


def _head(folder: Path) -> list[Path]:
    """The CT head beside the checkout, or a phantom where it is absent."""
    real = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct-head-1mm"
    if real.is_dir():
        return sorted(real.glob("I*"))
    return write_phantom(folder, "head", (40, 256, 256), study="upload")


def test_a_head_with_a_file_that_is_no_dicom(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Upload", given_name="Una")
    files = _head(tmp_path / "head")
    letter = tmp_path / "Đurđević to the colleague.txt"
    letter.write_text("Dear colleague")
    urls: list[str] = []
    user.page.on("request", lambda request: urls.append(unquote(request.url)))
    user.choose_files([letter, *files])
    expect(user.page.locator(".upload-card progress").first).to_be_visible()
    user.go("#/patients")
    expect(user.page.locator(".upload-card")).to_be_visible()
    user.page.go_back()
    user.wait_stored()
    card = user.page.locator(".upload-card")
    expect(card.locator(".facts")).to_contain_text(f"{len(files)} stored")
    expect(card.locator(".facts")).to_contain_text("1 refused")
    refused = card.locator("li[data-state=refused]")
    expect(refused).to_contain_text("Đurđević to the colleague.txt")
    expect(refused.locator(".note")).to_contain_text("not")
    expect(user.page.locator("article.study")).to_contain_text(f"{len(files)} objects", timeout=SLOW_MS)
    assert any("/files/" in url for url in urls)
    assert not [url for url in urls if "colleague" in url or files[0].name in url], "file names stood in URLs"


def test_each_upload_is_listened_to_once(enter: Enter, read_patient: str, phantom_head: list[Path]) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    user.context.add_init_script(COUNT_LISTENERS)
    user.page.reload()
    user.page.wait_for_selector("article.study")
    for count in (1, 2, 3):
        user.choose_files(phantom_head[:2])
        done = user.page.locator(".upload-card[data-state=done]")
        expect(done).to_have_count(count, timeout=2 * SLOW_MS)
        assert user.page.evaluate("window.listeners") == count


COUNT_LISTENERS = """(() => {
  window.listeners = 0;
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, ...more) {
    if (type === "indexed") window.listeners += 1;
    return add.call(this, type, ...more);
  };
})()"""


def test_the_same_files_again_are_known_and_a_zip_is_opened(
    enter: Enter, read_patient: str, phantom_head: list[Path], tmp_path: Path
) -> None:
    user = enter("ana")
    user.go(f"#/patients/{read_patient}")
    archive = tmp_path / "again.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in phantom_head[:5]:
            packed.write(file, f"series/{file.name}")
        packed.writestr("series/readme.txt", "not a picture")
    user.choose_files([archive, *phantom_head[:3]])
    user.wait_stored()
    facts = user.page.locator(".upload-card .facts")
    expect(facts).to_contain_text("8 were there already")
    expect(facts).to_contain_text("1 refused")
    expect(user.page.locator(".upload-card .member")).to_contain_text("readme.txt")


def test_a_node_that_dies_loses_nothing_and_the_file_goes_on_where_it_was(
    enter: Enter, sivr_system: System, tmp_path: Path
) -> None:
    user = enter("ana")
    user.create_patient("Lossy", given_name="Lina")
    [file] = write_phantom(tmp_path, "head", (80, 256, 256), multi_frame=True, study="lost")
    offsets: list[int] = []

    def sent(headers: dict[str, str]) -> None:
        if "upload-offset" in headers:
            offsets.append(int(headers["upload-offset"]))

    user.page.on("request", lambda request: sent(request.headers) if request.method == "PUT" else None)
    _upload_bytes_per_second(user, 1_500_000)
    user.choose_files([file])
    user.until("document.querySelector('.upload-card > progress')?.value > 0.3")
    sivr_system.stop("render", kill=True)
    expect(user.page.locator(".upload-card")).to_have_attribute("data-state", "waiting", timeout=SLOW_MS)
    _upload_bytes_per_second(user, -1)
    sivr_system.start("render")
    sivr_system.wait_ready("render")
    user.wait_stored()
    assert offsets[0] == 0
    assert offsets[-1] > 0, "the file was sent again from its beginning"
    expect(user.page.locator(".upload-card .facts")).to_contain_text("1 stored")


def test_an_upload_of_refused_files_only_says_that_nothing_was_stored(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Refused", given_name="Rea")
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear colleague")
    user.choose_files([letter])
    user.wait_stored()
    card = user.page.locator(".upload-card")
    expect(card.locator("strong")).to_contain_text("Nothing was stored")
    expect(card).to_have_attribute("data-outcome", "nothing")
    assert card.locator(".upload-head + progress").evaluate("bar => bar.value") == 0
    user.page.click(".upload-card button.quiet")
    # A study of its own: what another patient has would be refused here.
    image = write_phantom(tmp_path / "image", "head", (2, 64, 64), study="mixed")[0]
    user.choose_files([letter, image])
    user.wait_stored()
    expect(card.locator("strong")).to_contain_text("1 stored, 1 refused")
    expect(card).to_have_attribute("data-outcome", "some")


def test_stored_files_that_are_being_indexed_are_told(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Index", given_name="Ines")
    held: list[Route] = []
    address = re.compile(r"/uploads/[^/]+\?files=no")
    user.page.route(address, lambda route: held.append(route))
    user.choose_files(write_phantom(tmp_path, "head", (2, 64, 64), study="indexing"))
    expect(user.page.get_by_text("2 files are stored and being indexed.")).to_be_visible()
    # This lets go what was held back.
    user.page.unroute(address)
    expect(user.page.locator("article.study")).to_be_visible(timeout=SLOW_MS)


def _upload_bytes_per_second(user: User, rate: int) -> None:
    devtools = user.context.new_cdp_session(user.page)
    devtools.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate}
    devtools.send("Network.emulateNetworkConditions", limits)


def test_cancel_stops_and_says_so(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Cancel", given_name="Cora")
    files = write_phantom(tmp_path, "head", (40, 256, 256), study="cancel")
    _upload_bytes_per_second(user, 400_000)
    user.choose_files(files)
    expect(user.page.locator(".upload-card")).to_have_attribute("data-state", "sending")
    user.page.click(".upload-card button.quiet")
    user.page.click("dialog button.danger")
    expect(user.page.locator(".upload-card")).to_have_attribute("data-state", "canceled")
    user.page.click(".upload-card button.quiet")
    expect(user.page.locator(".upload-card")).to_have_count(0)


def test_log_out_while_files_are_sent_stays_logged_out(enter: Enter, tmp_path: Path) -> None:
    user = enter("ana")
    user.create_patient("Away", given_name="Ada")
    files = write_phantom(tmp_path, "head", (40, 256, 256), study="away")
    _upload_bytes_per_second(user, 400_000)
    user.choose_files(files)
    expect(user.page.locator(".upload-card")).to_have_attribute("data-state", "sending")
    user.until("document.querySelector('.upload-card > progress')?.value > 0")
    renewed = user.rendered("/session/renew$")
    user.page.click(".menu.user summary")
    user.page.click(".menu.user .sheet > button")
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    deadline = time.monotonic() + SLOW_MS / 1000
    while user.context.cookies():
        assert time.monotonic() < deadline, user.context.cookies()
        user.page.wait_for_timeout(50)
    expect(user.page.locator("sivr-login-form")).to_be_visible()
    assert renewed == [], "somebody who had logged out was to be logged in again"
