"""A certificate and a listener for tests of protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sivr.cli.local_ca import LocalCa
from tests.edge.served import Served, serving


@pytest.fixture(scope="session")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and a server's certificate for loopback."""
    folder = tmp_path_factory.mktemp("tls")
    ca = LocalCa()
    ca.save(folder)
    ca.issue(folder, ["localhost", "127.0.0.1"])
    return folder


@pytest.fixture
async def served(tls_folder: Path) -> AsyncIterator[Served]:
    """The test application at an address of its own, over all protocols."""
    async with serving(tls_folder) as found:
        yield found
