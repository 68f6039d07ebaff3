"""Fixtures that every room's tests may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.system import System

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real, de-identified DICOM beside the checkout; tests that need it skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def sivr_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All four roles as separate processes on separate ports, with an administrator and two physicians."""
    with System(tmp_path_factory.mktemp("system")) as system:
        yield system
