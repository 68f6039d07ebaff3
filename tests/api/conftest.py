"""Fixtures for the tests of the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.institution_asking import Asking, answering


@pytest.fixture
async def institution(tmp_path: Path) -> AsyncIterator[Asking]:
    """The institution ``general`` with two nodes and no studies."""
    async with answering(tmp_path) as asking:
        yield asking
