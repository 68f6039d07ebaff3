"""A real Chromium and a patient whose study was uploaded through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from sivr.dicom.phantom import write_phantom
from tests.e2e.people_at_work import ARGUMENTS, CHROMIUM, User
from tests.flows.system import System

Enter = Callable[..., User]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium of the system. Of package scope, because it must be gone before asyncio tests run again."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def enter(browser: Browser, sivr_system: System) -> Iterator[Enter]:
    """Make users, each with a browser window of their own: ``enter("ana")`` logs in, ``enter()`` does not."""
    users: list[User] = []
    passwords = dict([sivr_system.admin, *sivr_system.physicians])

    def make(login: str = "", *, phone: bool = False, language: str = "en-GB") -> User:
        user = User(browser, sivr_system, phone=phone, language=language)
        users.append(user)
        if login:
            user.log_in(login, passwords[login])
        return user

    yield make
    for user in users:
        user.close()


@pytest.fixture(scope="package")
def phantom_head(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small CT phantom of a head: 24 slices of 128 x 128."""
    return write_phantom(tmp_path_factory.mktemp("phantom"), "head", (24, 128, 128), study="e2e")


@pytest.fixture(scope="package")
def read_patient(browser: Browser, sivr_system: System, phantom_head: list[Path]) -> str:
    """Id of a patient whose phantom study was uploaded through the page."""
    user = User(browser, sivr_system)
    user.log_in(*sivr_system.physicians[0])
    patient = user.create_patient("Reader", given_name="Rhea", birth_date="1970-02-03", sex="F")
    user.choose_files(phantom_head)
    user.wait_stored()
    user.page.wait_for_selector("article.study", timeout=60_000)
    user.close()
    return patient
