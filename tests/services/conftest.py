"""A node's store with nothing in it yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.stored import Store, open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store, on SQLite."""
    async with open_store(tmp_path / "node") as opened:
        yield opened
