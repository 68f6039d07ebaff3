"""Figures for Prometheus: who may read them, and that they are understood and name nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from sivr.api.app import build_app
from sivr.api.metrics import METRICS, METRICS_ACCESS, Figure, MetricsAccess
from sivr.api.metrics_of_node import figures_of_imaging
from sivr.errors import Unauthenticated
from sivr.model.people import Actor
from tests.api.dicomweb.node import frame_path, running_node, series_path

TOKEN = "a-token-of-many-letters"


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples by name and labels; raises where Prometheus would not understand."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def nobody(request: web.Request) -> Actor:
    raise Unauthenticated("Nobody is known here.")


@asynccontextmanager
async def served(access: MetricsAccess | None) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """An application of no routes of its own."""
    app = build_app("web", [], nobody)

    async def own() -> list[Figure]:
        return [Figure("sivr_things", "Things", {("a",): 2, ("b",): 3}, ("kind",), "counter")]

    app[METRICS].add(own)
    if access is not None:
        app[METRICS_ACCESS] = access
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as http:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}", http
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("access", "headers", "status"),
    [
        (None, {}, 401),
        (MetricsAccess(), {}, 401),
        (MetricsAccess(token=TOKEN), {}, 401),
        (MetricsAccess(token=TOKEN), {"Authorization": "Bearer another"}, 401),
        (MetricsAccess(token=TOKEN), {"Authorization": f"Bearer {TOKEN}"}, 200),
        (MetricsAccess(networks=(ip_network("127.0.0.0/8"),)), {}, 200),
        (MetricsAccess(networks=(ip_network("10.0.0.0/8"),)), {}, 401),
        (MetricsAccess(TOKEN, (ip_network("127.0.0.1"),)), {}, 401),
        (MetricsAccess(TOKEN, (ip_network("127.0.0.1"),)), {"Authorization": f"Bearer {TOKEN}"}, 200),
        (MetricsAccess(TOKEN, (ip_network("10.0.0.0/8"),)), {"Authorization": f"Bearer {TOKEN}"}, 401),
    ],
)
async def test_who_may_read(access: MetricsAccess | None, headers: dict[str, str], status: int) -> None:
    async with served(access) as (url, http), http.get(url + "/metrics", headers=headers) as answer:
        assert answer.status == status
        body = await answer.text()
    if status == 200:
        assert samples(body)["sivr_things_total", frozenset({("kind", "b")})] == 3
    else:
        assert "sivr_" not in body


async def test_requests_by_template_and_status() -> None:
    async with served(MetricsAccess(networks=(ip_network("127.0.0.0/8"),))) as (url, http):
        for path in ("/health", "/health", "/nothing/1.2.3", "/nothing/4.5.6"):
            async with http.get(url + path) as answer:
                await answer.read()
        async with http.request("PROPFIND", url + "/health") as answer:
            await answer.read()
        async with http.get(url + "/metrics") as answer:
            found = samples(await answer.text())

    def count(method: str, route: str, status: int) -> float | None:
        labels = {"role": "web", "method": method, "route": route, "status": str(status)}
        return found.get(("sivr_http_requests_total", frozenset(labels.items())))

    assert count("GET", "/health", 200) == 2
    assert count("GET", "unknown", 401) == 2
    assert count("other", "unknown", 401) == 1
    labels = frozenset({"role": "web", "route": "/health"}.items())
    assert found["sivr_http_request_seconds_count", labels] == 2


async def test_mapped_addresses_are_those_they_stand_for() -> None:
    MetricsAccess(networks=(ip_network("10.1.0.0/16"),)).check("::ffff:10.1.2.3", "")
    with pytest.raises(Unauthenticated):
        MetricsAccess(networks=(ip_network("10.1.0.0/16"),)).check("no address", "")


async def test_pictures_and_the_node(tmp_path: Path) -> None:
    async with running_node(tmp_path / "node") as node:
        stored = await node.phantom(tmp_path / "in", "letter", (12, 12, 12))
        ana = node.viewer("ana", stored[0].header.study_uid)
        for path in (
            f"{frame_path(stored[0])}?accept=image/png&view=main",
            f"{series_path(stored[0])}/thumbnail?accept=image/png",
            f"{series_path(stored[0])}/rendered3d?accept=image/jpeg",
            f"{series_path(stored[0])}/renderedmpr?accept=image/png",
        ):
            assert (await ana.get(path)).status == 200
        metrics = node.app[METRICS]
        metrics.add(figures_of_imaging(node.imaging))
        text = (await metrics.text()).decode()
    found = samples(text)
    kinds = {
        dict(labels)["kind"]: value
        for (name, labels), value in found.items()
        if name == "sivr_pictures_total"
    }
    assert kinds == {"frame": 1, "thumbnail": 1, "volume": 1, "plane": 1}
    parts = {
        dict(labels)["part"]
        for name, labels in found
        if name == "sivr_picture_part_seconds_count" and ("kind", "volume") in labels
    }
    assert parts == {"queue", "load", "decode", "render", "encode"}
    assert found["sivr_render_jobs_total", frozenset({("end", "drawn")})] == 2
    assert found["sivr_cache_bytes", frozenset()] > 0
    assert found["sivr_queue_length", frozenset({("queue", "render"), ("class", "interaction")})] == 0
    header = stored[0].header
    for secret in (header.study_uid, header.series_uid, header.instance_uid, '"ana"'):
        assert secret not in text
