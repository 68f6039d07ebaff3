"""Every store test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'test.sqlite'}"
        return
    server = postgres.server()
    if server is None:
        pytest.skip("PostgreSQL is not installed here, so only SQLite was tested")
    url = server.create_database()
    yield url
    server.drop_database(url)
