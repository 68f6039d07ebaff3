"""A host with several roles on one address."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import yaml

from sivr import config
from sivr.cli.init import Plan, write
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
