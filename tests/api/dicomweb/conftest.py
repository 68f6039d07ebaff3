"""A running node with nothing stored yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.dicomweb.node import Node, running_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """The node, on a real socket."""
    async with running_node(tmp_path / "node") as running:
        yield running
