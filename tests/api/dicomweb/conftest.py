"""A running node with nothing stored yet."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.api.dicomweb.node import Node, running_node


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """The node, on a real socket; its tests use studies of their own."""
    async with running_node(tmp_path_factory.mktemp("node")) as running:
        yield running
