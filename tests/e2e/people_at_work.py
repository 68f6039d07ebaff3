"""What a user does in the browser, in a few words, for the tests of this folder."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from tests.flows.system import System

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1920, "height": 1080}
PHONE = {"width": 390, "height": 844}
SLOW_MS = 60_000
"""For what two busy cores may take long for; never a measurement."""


class User:
    """One person at one browser; every error that the page itself makes is collected."""

    def __init__(
        self, browser: Browser, system: System, *, phone: bool = False, language: str = "en-GB"
    ) -> None:
        self.system = system
        self.context: BrowserContext = browser.new_context(
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type]
            has_touch=phone,
            is_mobile=phone,
            device_scale_factor=2 if phone else 1,
            # The certificate comes from the test's own authority.
            ignore_https_errors=True,
            locale=language,
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self._console(message.type, message.text))

    def _console(self, kind: str, text: str) -> None:
        # Chromium writes a line for every status over 399; the tests look at the page's own sentences.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.errors.append(text)

    def close(self) -> None:
        """Leave, and fail where the page's own code failed."""
        self.context.close()
        assert self.errors == []

    def go(self, hash_route: str = "") -> None:
        """Open an address of the page."""
        self.page.goto(f"{self.system.web}/{hash_route}")

    def type_login(self, login: str, password: str) -> None:
        """Fill the log in form and send it."""
        self.page.fill("[name=login]", login)
        self.page.fill("[name=password]", password)
        self.page.click("sivr-login-form button[type=submit]")

    def log_in(self, login: str, password: str) -> None:
        """Open the page and log in."""
        self.go()
        self.type_login(login, password)
        self.page.wait_for_selector(".menu.user")

    def create_patient(self, family_name: str, **fields: str) -> str:
        """Create a patient from the list; the answer is the patient's id."""
        self.go("#/patients")
        self.page.click("#new-patient")
        self.page.fill("dialog [name=family_name]", family_name)
        for name, value in fields.items():
            if name == "sex":
                self.page.select_option("dialog [name=sex]", value)
            else:
                self.page.fill(f"dialog [name={name}]", value)
        self.page.click("dialog button[type=submit]")
        expect(self.page.locator(".patient-head h1")).to_contain_text(family_name)
        return self.page.url.rpartition("/")[2]

    def choose_files(self, files: Sequence[Path | str]) -> None:
        """Choose files on a patient's page."""
        self.page.wait_for_selector(".drop")
        self.page.set_input_files("[data-pick=files]", [str(one) for one in files])

    def wait_stored(self) -> None:
        """Until the upload is stored and indexed."""
        self.page.wait_for_selector(".upload-card[data-state=done]", timeout=2 * SLOW_MS)

    def open_study(self) -> None:
        """Open the first study of the patient's page and wait for its exact picture."""
        self.page.click("a.study-link", timeout=SLOW_MS)
        self.wait_exact()

    def wait_exact(self) -> None:
        """Until the exact picture of what is asked for is on the screen."""
        self.page.wait_for_selector("sivr-stack-view[data-painted][data-quality=lossless]", timeout=SLOW_MS)

    def place(self) -> str:
        """What stands beside the slider, e.g. '3 / 24'."""
        return self.page.inner_text(".slice-place")

    def picture(self, selector: str = ".pane canvas") -> list[int]:
        """Grey levels of the picture on the stage, 32 x 32, adjusted as the eye sees it."""
        found: list[int] = self.page.evaluate(READ_PICTURE, selector)
        return found

    def middle(self, selector: str = ".pane") -> tuple[float, float]:
        """The middle of an element, CSS px."""
        box = self.page.locator(selector).first.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, dx: float, dy: float, *, button: Any = "left", selector: str = ".pane") -> None:
        """Drag from the middle of an element."""
        x, y = self.middle(selector)
        self.page.mouse.move(x, y)
        self.page.mouse.down(button=button)
        self.page.mouse.move(x + dx / 2, y + dy / 2, steps=4)
        self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up(button=button)

    def until(self, expression: str) -> None:
        """Until a JavaScript expression is true; the page's policy forbids Playwright's own way."""
        deadline = time.monotonic() + SLOW_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(50)

    def rendered(self, pattern: str) -> list[Response]:
        """From now on, collects answers whose URL matches."""
        found: list[Response] = []
        self.page.on(
            "response", lambda response: found.append(response) if re.search(pattern, response.url) else None
        )
        return found


READ_PICTURE = """(selector) => {
  const canvas = document.querySelector(selector);
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  const drawing = small.getContext("2d");
  drawing.filter = getComputedStyle(canvas).filter === "none" ? "none" : canvas.style.filter;
  drawing.drawImage(canvas, 0, 0, 32, 32);
  const { data } = drawing.getImageData(0, 0, 32, 32);
  const grey = [];
  for (let at = 0; at < data.length; at += 4) {
    grey.push(Math.round((data[at] + data[at + 1] + data[at + 2]) / 3));
  }
  return grey;
}"""


def differ(one: Sequence[int], other: Sequence[int]) -> float:
    """Mean difference of two pictures in grey levels."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)
