"""Figures for Prometheus: counted while requests are answered, gathered from the services when asked for.

No label holds a UID, a name or anything else of a person: routes are templates, classes and kinds are words.
"""

from __future__ import annotations

import hmac
import ipaddress
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Literal

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sivr.api.routing import Routes
from sivr.errors import Unauthenticated
from sivr.model.rendering import PARTS, Picture

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PICTURE = web.ResponseKey("sivr.picture", Picture)
"""Where a response keeps the picture it answers with."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_REQUEST_S = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_PART_S = (0.0005, 0.002, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class MetricsAccess(msgspec.Struct, frozen=True):
    """Who may read the figures: whoever shows the token, from these networks; each where it is given."""

    token: str = ""
    networks: tuple[Network, ...] = ()

    def check(self, address: str, authorization: str) -> None:
        """Raises Unauthenticated, also where neither is given."""
        allowed = bool(self.token or self.networks)
        if self.networks:
            allowed = any(_address(address) in network for network in self.networks)
        if self.token:
            shown = authorization.removeprefix("Bearer ").encode()
            allowed = hmac.compare_digest(shown, self.token.encode()) and allowed
        if not allowed:
            raise Unauthenticated("The figures of this server are for its monitoring only.")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return ipaddress.ip_address("::")
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


Values = dict[tuple[str, ...], float]


class Figure(msgspec.Struct, frozen=True):
    """Something a service counts itself, or has at present."""

    name: str
    text: str
    values: Mapping[tuple[str, ...], float]
    """By the values of ``labels``."""
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"


Source = Callable[[], Awaitable[Sequence[Figure]]]


class _Spread:
    """How many of something took how long; on the event loop alone, so it needs no lock."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def show(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Put it into a family of metrics."""
        names = [*(repr(bound) for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class _Sent:
    """Pictures of one kind, media type and class."""

    def __init__(self) -> None:
        self.count = self.incomplete = self.size_bytes = 0
        self.parts = {part: _Spread(_PART_S) for part in PARTS}


class Metrics:
    """The figures of one role."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._protocols: Counter[str] = Counter()
        self._seconds: defaultdict[str, _Spread] = defaultdict(partial(_Spread, _REQUEST_S))
        self._pictures: defaultdict[tuple[str, str, str], _Sent] = defaultdict(_Sent)
        self._sources: list[Source] = []

    def add(self, source: Source) -> None:
        """Ask this too, whenever the figures are asked for."""
        self._sources.append(source)

    def request(self, method: str, route: str, status: int, seconds: float, http: str = "1.1") -> None:
        """A request was answered; ``route`` is the template of its path, ``http`` the protocol's version."""
        self._protocols[http] += 1
        self._requests[method if method in METHODS else "other", route, status] += 1
        self._seconds[route].add(seconds)

    def picture(self, picture: Picture) -> None:
        """A picture was sent."""
        sent = self._pictures[picture.kind, picture.media_type, picture.importance.label]
        sent.count += 1
        sent.incomplete += not picture.complete
        sent.size_bytes += len(picture.body)
        timing = picture.timing_ms
        for part, spread in sent.parts.items():
            spread.add(timing.get(part, 0.0) / 1000)

    async def text(self) -> bytes:
        """All figures in the text format of Prometheus."""
        figures = [figure for source in self._sources for figure in await source()]
        gathered = CollectorRegistry()
        gathered.register(_Gathered([*self._own(), *(_family(figure) for figure in figures)]))
        return generate_latest(self._process) + generate_latest(gathered)

    def _own(self) -> list[Metric]:
        requests = CounterMetricFamily(
            "sivr_http_requests", "Requests answered", labels=("role", "method", "route", "status")
        )
        for (method, route, status), count in self._requests.items():
            requests.add_metric((self._role, method, route, str(status)), count)
        protocols = CounterMetricFamily(
            "sivr_http_protocol_requests", "Of these, by version of HTTP", labels=("role", "http")
        )
        for http, count in self._protocols.items():
            protocols.add_metric((self._role, http), count)
        seconds = HistogramMetricFamily(
            "sivr_http_request_seconds", "Time to answer", labels=("role", "route")
        )
        for route, spread in self._seconds.items():
            spread.show(seconds, (self._role, route))
        labels = ("kind", "media_type", "class")
        pictures = CounterMetricFamily("sivr_pictures", "Pictures sent", labels=labels)
        incomplete = CounterMetricFamily(
            "sivr_pictures_incomplete", "Of these, of part of a volume", labels=labels
        )
        size = CounterMetricFamily("sivr_picture_bytes", "Bytes of pictures sent", labels=labels)
        parts = HistogramMetricFamily(
            "sivr_picture_part_seconds", "Where the time of pictures went, as in Server-Timing",
            labels=(*labels, "part"),
        )  # fmt: skip
        for key, sent in self._pictures.items():
            pictures.add_metric(key, sent.count)
            incomplete.add_metric(key, sent.incomplete)
            size.add_metric(key, sent.size_bytes)
            for part, spread in sent.parts.items():
                spread.show(parts, (*key, part))
        return [requests, protocols, seconds, pictures, incomplete, size, parts]


def _family(figure: Figure) -> Metric:
    kind = GaugeMetricFamily if figure.kind == "gauge" else CounterMetricFamily
    metric = kind(figure.name, figure.text, labels=figure.labels)
    for labels, value in figure.values.items():
        metric.add_metric(labels, value)
    return metric


class _Gathered(Collector):
    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> list[Metric]:
        return self._found


METRICS = web.AppKey("sivr.metrics", Metrics)
METRICS_ACCESS = web.AppKey("sivr.metrics_access", MetricsAccess)
"""Set by whoever runs the application; without it nobody may read the figures."""

routes = Routes()


@routes.get("/metrics", summary="Figures for Prometheus", media_types=("text/plain",), public=True)
async def metrics(request: web.Request) -> web.Response:
    """For the monitoring that the host's file lets in (``metrics``); nobody is logged in."""
    access = request.app.get(METRICS_ACCESS, MetricsAccess())
    access.check(request.remote or "", request.headers.get("Authorization", ""))
    return web.Response(body=await request.app[METRICS].text(), headers={"Content-Type": MEDIA_TYPE})
