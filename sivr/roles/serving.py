"""How addresses are served by the file, and what their listeners have done, as figures for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sivr.api.metrics import Figure, Source, Values
from sivr.config import EdgeSettings
from sivr.edge.limits import EdgeLimits
from sivr.edge.listener import Edge
from sivr.edge.traffic import Traffic


def edge_of(settings: EdgeSettings, public_port: int) -> Edge:
    """How the listener serves an address that browsers know by this port."""
    limits = EdgeLimits(
        connections=settings.connections,
        header_bytes=settings.header_kb * 1024,
        streams=settings.streams,
        resets_per_s=settings.resets_per_s,
        idle_s=settings.idle_s,
        stall_s=settings.stall_s,
        h3_connections=settings.h3_connections,
        h3_body_bytes=settings.h3_body_kb * 1024,
    )
    return Edge(settings.protocols, limits, settings.advertise_h3, public_port)


def figures_of_traffic(traffic: Traffic) -> Source:
    """The figures of one address, the same at every role there."""

    async def figures() -> Sequence[Figure]:
        return (
            Figure(
                "sivr_connections_accepted",
                "Connections accepted",
                _by(traffic.connections),
                ("http",),
                "counter",
            ),
            Figure("sivr_connections", "Connections of HTTP/2 and HTTP/3", _by(traffic.open), ("http",)),
            Figure(
                "sivr_requests_canceled", "Given up by clients", _by(traffic.canceled), ("http",), "counter"
            ),
            Figure("sivr_limits_hit", "Ended by a limit", _by(traffic.ended), ("limit",), "counter"),
        )

    return figures


def _by(counts: Counter[str]) -> Values:
    return {(name,): float(count) for name, count in counts.items()}
