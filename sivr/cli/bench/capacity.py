"""``sivr bench capacity``: what a region needs, computed from measured costs and stated assumptions.

Every formula stands in docs/capacity.md beside a table made by this file.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sivr.cli.bench import report
from sivr.cli.bench.costs import MEASURED, Costs, load
from sivr.errors import Invalid

MEGABYTE = 1e6
WORKING_DAYS = 250
SLICE_BYTES = 512 * 512 * 2


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """Who is served, and how they work. What has no source is an assumption; see docs/capacity.md."""

    people: int = 1_000_000
    studies_per_person: float = 1.1
    """A year."""
    study_mb: float = 100.0
    working_day_part: float = 0.9
    """Part of a year's studies that falls on its 250 working days."""
    peak_hour_part: float = 0.14
    """Part of a working day's studies that falls into its busiest hour."""
    readings: float = 1.0
    """How often a study is read for a report."""
    reading_min: float = 10.0
    views: float = 2.0
    """How often others look at it: who referred, wards, boards, comparisons with older studies."""
    view_min: float = 3.0
    peak_factor: float = 1.5
    """How much more than the mean of the busiest hour must be borne: people come in groups."""
    years: float = 10.0
    """How long studies are kept."""
    line_mbit: float = 0.0
    """A reader's line where it is slower than what pictures need; 0: it is not."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A machine for render nodes."""

    cores: int = 2
    memory_gb: float = 16.0
    speed: float = 1.0
    """Work per core and second, as a part of that of the machine the costs were measured on."""
    busy_part: float = 0.6
    """Of its cores at the peak: above that queues grow quickly."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    studies_per_year: float
    studies_peak_hour: float
    files_per_study: float
    files_peak_s: float
    ingest_mbit: float
    stored_raw_tb_year: float
    stored_sealed_tb_year: float
    stored_sealed_tb_kept: float
    database_gb_year: float
    readers: float
    """At the same time, at the peak."""
    viewing_mbit: float
    viewing_cores: float
    opening_cores: float
    ingest_cores: float
    cores: float
    """Of the measured speed, with ``busy_part`` taken into account."""
    serving_nodes: float
    """Nodes that the serving thread alone would ask for."""
    memory_gb: float
    nodes_for_cores: int
    nodes_for_memory: int
    nodes: int
    """The most of those, and one more that may fail."""


def need(region: Region, host: Host, costs: Costs) -> Need:
    """What the region needs at its peak; raises Invalid."""
    _check(region, host)
    studies = region.people * region.studies_per_person
    peak = studies * region.working_day_part / WORKING_DAYS * region.peak_hour_part * region.peak_factor
    study_bytes = region.study_mb * MEGABYTE
    slices = study_bytes / SLICE_BYTES
    files_s = peak * slices / 3600
    # Little's law: those who are there are those who come in an hour, times the hours they stay.
    minutes = region.readings * region.reading_min + region.views * region.view_min
    readers = peak * minutes / 60
    openings_s = peak * (region.readings + region.views) / 3600
    bytes_s = costs.viewer_bytes_per_s()
    if region.line_mbit:
        bytes_s = min(bytes_s, region.line_mbit * 1e6 / 8)
    viewing = readers * costs.viewer_cpu()
    opening = openings_s * (costs.study.open_cpu_ms * slices / costs.study.slices + costs.viewer.open_cpu_ms)
    ingesting = files_s * costs.file.cpu_ms / 1000
    opening /= 1000
    cores = (viewing + opening + ingesting) / host.speed / host.busy_part
    serving = readers * costs.viewer_serving() / host.speed / host.busy_part
    memory = readers * (slices * costs.study.open_bytes_per_slice + costs.viewer.memory_bytes)
    for_cores = max(1, math.ceil(round(max(cores / host.cores, serving), 6)))
    room = host.memory_gb * 1e9 - costs.node.memory_bytes
    if room <= slices * costs.study.open_bytes_per_slice:
        raise Invalid("A host of so little memory cannot hold one open study.")
    for_memory = max(1, math.ceil(round(memory / room, 6)))
    year = studies * study_bytes
    return Need(
        studies_per_year=studies,
        studies_peak_hour=peak,
        files_per_study=slices,
        files_peak_s=files_s,
        ingest_mbit=peak * study_bytes * 8 / 3600 / 1e6,
        stored_raw_tb_year=year / 1e12,
        stored_sealed_tb_year=year * costs.file.sealed_part / 1e12,
        stored_sealed_tb_kept=year * costs.file.sealed_part * region.years / 1e12,
        database_gb_year=studies * slices * costs.file.database_bytes / 1e9,
        readers=readers,
        viewing_mbit=readers * bytes_s * 8 / 1e6,
        viewing_cores=viewing,
        opening_cores=opening,
        ingest_cores=ingesting,
        cores=cores,
        serving_nodes=serving,
        memory_gb=memory / 1e9,
        nodes_for_cores=for_cores,
        nodes_for_memory=for_memory,
        nodes=max(for_cores, for_memory) + 1,
    )


def _check(region: Region, host: Host) -> None:
    for name, value in (msgspec.structs.asdict(region) | msgspec.structs.asdict(host)).items():
        if not math.isfinite(value) or value < 0:
            raise Invalid(f"{name} must be a number that is not negative.")
    for name in ("cores", "memory_gb", "speed", "busy_part"):
        if not getattr(host, name) > 0:
            raise Invalid(f"{name} must be more than 0.")
    parts = {name: getattr(region, name) for name in ("working_day_part", "peak_hour_part")}
    for name, value in (parts | {"busy_part": host.busy_part}).items():
        if value > 1:
            raise Invalid(f"{name} is a part of a whole: at most 1.")


_LINES: tuple[tuple[str, Callable[[Need], str]], ...] = (
    ("studies a year", lambda n: f"{n.studies_per_year:,.0f}"),
    ("studies in the busiest hour", lambda n: f"{n.studies_peak_hour:,.0f}"),
    ("files of one slice at the peak", lambda n: f"{n.files_peak_s:.0f}/s"),
    ("network into the nodes at the peak", lambda n: f"{n.ingest_mbit:,.0f} Mbit/s"),
    ("storage a year, as sent", lambda n: f"{n.stored_raw_tb_year:.1f} TB"),
    ("storage a year, sealed", lambda n: f"{n.stored_sealed_tb_year:.1f} TB"),
    ("storage of all years kept, sealed", lambda n: f"{n.stored_sealed_tb_kept:.0f} TB"),
    ("databases of the nodes a year", lambda n: f"{n.database_gb_year:.0f} GB"),
    ("readers at the same time", lambda n: f"{n.readers:.0f}"),
    ("network out of the nodes at the peak", lambda n: f"{n.viewing_mbit:,.0f} Mbit/s"),
    ("cores busy with pictures", lambda n: f"{n.viewing_cores:.2f}"),
    ("cores busy with opening studies", lambda n: f"{n.opening_cores:.2f}"),
    ("cores busy with new files", lambda n: f"{n.ingest_cores:.2f}"),
    ("cores to have", lambda n: f"{n.cores:.1f}"),
    ("memory of open studies and sessions", lambda n: f"{n.memory_gb:.1f} GB"),
    ("nodes by cores / by memory", lambda n: f"{n.nodes_for_cores} / {n.nodes_for_memory}"),
    ("nodes, one of them spare", lambda n: f"{n.nodes}"),
)


def rows(found: Need) -> list[tuple[str, str]]:
    """The answer, line by line."""
    return [(name, tell(found)) for name, tell in _LINES]


_REGION = {
    "people": "inhabitants",
    "studies_per_person": "studies per person and year",
    "study_mb": "size of a study, MB",
    "working_day_part": "part of the studies that falls on 250 working days",
    "peak_hour_part": "part of a day's studies in its busiest hour",
    "readings": "readings for a report per study",
    "reading_min": "minutes of a reading",
    "views": "further looks per study",
    "view_min": "minutes of such a look",
    "peak_factor": "how much more than the mean busiest hour",
    "years": "years that studies are kept",
    "line_mbit": "a reader's line, Mbit/s; 0: as quick as needed",
}
_HOST = {
    "cores": "cores of a node",
    "memory_gb": "memory of a node, GB",
    "speed": "speed of a core, as a part of the measured machine's",
    "busy_part": "how busy cores may be at the peak",
}


def arguments(found: argparse.ArgumentParser) -> None:
    """Options of ``sivr bench capacity``."""
    group = found.add_argument_group("the capacity of a region")
    group.add_argument("--costs", type=Path, default=MEASURED, metavar="FILE", help="measured costs, JSON")
    for kind, texts in ((Region, _REGION), (Host, _HOST)):
        for field in msgspec.structs.fields(kind):
            name = "--" + field.name.replace("_", "-")
            group.add_argument(
                name,
                type=type(field.default),
                default=field.default,
                metavar="N",
                help=f"{texts[field.name]} (default {field.default})",
            )


def compute(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """The table of these options, said, and as JSON takes it; raises Invalid."""
    costs = load(options.costs)
    given = vars(options)
    region = Region(**{field.name: given[field.name] for field in msgspec.structs.fields(Region)})
    host = Host(**{field.name: given[field.name] for field in msgspec.structs.fields(Host)})
    found = need(region, host, costs)
    say(f"Costs measured {costs.date} on {costs.machine}.")
    say(report.table(("what", "needed"), rows(found)))
    return {
        "what": "capacity",
        "costs": {"machine": costs.machine, "date": costs.date},
        "region": msgspec.to_builtins(region),
        "host": msgspec.to_builtins(host),
        "need": msgspec.to_builtins(found),
    }
