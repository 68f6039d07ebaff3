"""What the file says of an address reaches the listener, and its figures reach Prometheus."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import msgspec
import yaml

from sivr import config
from sivr.cli.init import Plan, write
from sivr.edge.limits import EdgeLimits
from sivr.peers import client_tls
from sivr.roles.host import open_host
from sivr.roles.serving import edge_of
from tests.flows.system import HOST, free_ports


def test_the_defaults_are_the_same() -> None:
    """Of the file and of whoever listens without one."""
    edge = edge_of(config.EdgeSettings(), 443)
    assert edge.limits == EdgeLimits()
    assert (tuple(edge.protocols), edge.advertise_h3, edge.public_port) == (
        ("http/1.1", "h2", "h3"),
        True,
        443,
    )


def test_every_key_counts() -> None:
    changed = config.EdgeSettings(
        protocols=("http/1.1",), advertise_h3=False, connections=1, header_kb=17, streams=2, resets_per_s=3,
        idle_s=4, stall_s=5, h3_connections=6, h3_body_kb=7,
    )  # fmt: skip
    edge, default = edge_of(changed, 443), edge_of(config.EdgeSettings(), 443)
    assert edge.protocols == ("http/1.1",) and not edge.advertise_h3
    for field in msgspec.structs.fields(EdgeLimits):
        assert getattr(edge.limits, field.name) != getattr(default.limits, field.name), field.name


async def test_figures(tmp_path: Path) -> None:
    port = free_ports(1)
    (file,) = write(tmp_path, Plan(web=HOST, toplevel=HOST, institution=HOST, render=(HOST,), port=port))
    tree = yaml.safe_load(file.read_text())
    tree["metrics"] = {"addresses": [HOST]}
    settings = config.parse(yaml.safe_dump(tree), file.parent)
    trusted = client_tls(tmp_path / "ca" / "ca.pem")
    async with open_host(settings, ("web",)), aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"https://{HOST}:{port}/metrics", ssl=trusted) as answer:
                text = await answer.text()
    assert 'sivr_connections_accepted_total{http="1.1"} 1.0' in text
    assert 'sivr_http_protocol_requests_total{http="1.1",role="web"} 1.0' in text
