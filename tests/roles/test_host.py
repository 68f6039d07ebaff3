"""A host with several roles on one address."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
import yaml

from sivr import config
from sivr.cli.init import Plan, write
from sivr.cli.local_ca import LocalCa
from sivr.roles.host import open_host
from tests.flows.system import HOST, free_ports


async def test_any_role_of_an_address_may_name_the_redirect(tmp_path: Path) -> None:
    port = free_ports(2)
    (file,) = write(tmp_path, Plan(web=HOST, toplevel=HOST, institution=HOST, render=(HOST,), port=port))
    tree = yaml.safe_load(file.read_text())
    tree["roles"]["web"]["listen"].pop("redirect_http_port", None)
    tree["roles"]["toplevel"]["listen"]["redirect_http_port"] = port + 1
    settings = config.parse(yaml.safe_dump(tree), file.parent)
    async with (
        open_host(settings, ("web", "toplevel")),
        aiohttp.ClientSession() as session,
        session.get(f"http://{HOST}:{port + 1}/", allow_redirects=False) as answer,
    ):
        assert (answer.status, answer.headers["Location"]) == (308, f"https://{HOST}:{port}/")


async def test_a_certificate_that_ends_soon_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_ports(1)
    (file,) = write(tmp_path, Plan(web=HOST, toplevel=HOST, institution=HOST, render=(HOST,), port=port))
    for one in (tmp_path / "tls").glob("server.*"):
        one.unlink()
    LocalCa.load(tmp_path / "ca").issue(tmp_path / "tls", [HOST], 10)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "ca" / "ca.pem"))
    async with open_host(config.load(file), ("web", "toplevel")), aiohttp.ClientSession() as session:
        for path in ("/health", "/toplevel/health"):
            async with session.get(f"https://{HOST}:{port}{path}", ssl=trusted) as answer:
                health = await answer.json()
                assert (answer.status, health["ready"]) == (200, True)
                assert health["note"].startswith("The TLS certificate ends on")
    (told,) = [one for one in caplog.records if one.getMessage() == "certificate"]
    assert "ends on" in vars(told)["reason"]
