"""The capacity table against cases computed by hand, and what it refuses."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import pytest

from sivr.cli.bench import capacity, costs
from sivr.cli.bench.capacity import Host, Region, need
from sivr.cli.bench.costs import Costs, FileCost, NodeCost, PictureCost, StudyCost, ViewerCost
from sivr.cli.main import main
from sivr.errors import Invalid

SLICE = 524_288
COSTS = Costs(
    machine="made up",
    date="2026-01-01",
    pictures={
        "slice_png": PictureCost(bytes=50_000, serving_ms=1.0, making_ms=1.0),
        "draft": PictureCost(bytes=10_000, serving_ms=1.0, making_ms=39.0),
    },
    file=FileCost(cpu_ms=20, bytes=SLICE, sealed_part=0.5, database_bytes=2_000),
    study=StudyCost(institution_cpu_ms=5, open_cpu_ms=100, open_bytes_per_slice=600_000, slices=100),
    viewer=ViewerCost(
        memory_bytes=1_000_000, login_cpu_ms=50, open_cpu_ms=50, pictures_per_s={"slice_png": 5, "draft": 2}
    ),
    node=NodeCost(memory_bytes=500_000_000, cores=2),
)
REGION = Region(
    people=250_000,
    studies_per_person=1.0,
    study_mb=SLICE * 200 / 1e6,
    working_day_part=1.0,
    peak_hour_part=0.1,
    readings=1,
    reading_min=12,
    views=1,
    view_min=6,
    peak_factor=1.0,
    years=10,
)
HOST = Host(cores=4, memory_gb=16, busy_part=0.5)


def test_a_region_by_hand() -> None:
    found = need(REGION, HOST, COSTS)
    # 250 000 studies on 250 days are 1000 a day, a tenth of them in the busiest hour.
    assert found.studies_per_year == 250_000
    assert found.studies_peak_hour == pytest.approx(100)
    assert found.files_per_study == pytest.approx(200)
    assert found.files_peak_s == pytest.approx(100 * 200 / 3600)
    # 100 x 104.8576 MB in an hour.
    assert found.ingest_mbit == pytest.approx(100 * 104.8576 * 8 / 3600)
    assert found.stored_raw_tb_year == pytest.approx(26.2144)
    assert found.stored_sealed_tb_year == pytest.approx(13.1072)
    assert found.stored_sealed_tb_kept == pytest.approx(131.072)
    assert found.database_gb_year == pytest.approx(100)
    # 100 an hour, each looked at for 18 minutes in all.
    assert found.readers == pytest.approx(30)
    # A reader: 5 x 2 ms + 2 x 40 ms = 90 ms a second; 5 x 50 kB + 2 x 10 kB.
    assert found.viewing_cores == pytest.approx(30 * 0.09)
    assert found.viewing_mbit == pytest.approx(30 * 0.27 * 8)
    # 200 studies opened an hour, each 2 x 100 ms for 200 slices and 50 ms for the visit.
    assert found.opening_cores == pytest.approx(200 / 3600 * 0.25)
    assert found.ingest_cores == pytest.approx(100 * 200 / 3600 * 0.02)
    busy = 2.7 + 200 / 3600 * 0.25 + 100 * 200 / 3600 * 0.02
    assert found.cores == pytest.approx(busy / 0.5)
    # The serving thread: 7 ms a second for each reader.
    assert found.serving_nodes == pytest.approx(30 * 0.007 / 0.5)
    assert found.memory_gb == pytest.approx(30 * (200 * 0.0006 + 0.001))
    assert (found.nodes_for_cores, found.nodes_for_memory, found.nodes) == (2, 1, 3)


def test_one_thread_that_serves_may_ask_for_more_nodes_than_cores_do() -> None:
    busy = msgspec.structs.replace(
        COSTS,
        pictures={"slice_png": PictureCost(bytes=1, serving_ms=10, making_ms=0)},
        viewer=msgspec.structs.replace(COSTS.viewer, pictures_per_s={"slice_png": 10}),
    )
    found = need(REGION, msgspec.structs.replace(HOST, cores=64), busy)
    # 30 readers x 10 x 10 ms are 3 threads' time, at half load 6.
    assert found.serving_nodes == pytest.approx(6)
    assert found.nodes_for_cores == 6


def test_slow_lines_carry_less_and_slow_cores_do_less() -> None:
    slow = need(msgspec.structs.replace(REGION, line_mbit=0.5), HOST, COSTS)
    assert slow.viewing_mbit == pytest.approx(30 * 0.5)
    half = need(REGION, msgspec.structs.replace(HOST, speed=0.5), COSTS)
    assert half.cores == pytest.approx(2 * need(REGION, HOST, COSTS).cores)


def test_a_county_without_people_needs_a_node_and_a_spare_one() -> None:
    found = need(msgspec.structs.replace(REGION, people=0), HOST, COSTS)
    assert found.readers == 0 and found.cores == 0 and found.nodes == 2


@pytest.mark.parametrize(
    ("region", "host", "says"),
    [
        ({"people": -1}, {}, "people"),
        ({"study_mb": float("nan")}, {}, "study_mb"),
        ({"peak_hour_part": 1.5}, {}, "peak_hour_part"),
        ({}, {"busy_part": 0.0}, "busy_part"),
        ({}, {"cores": 0}, "cores"),
        ({}, {"memory_gb": 0.55}, "memory"),
    ],
)
def test_what_makes_no_sense_is_refused(region: dict[str, float], host: dict[str, float], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        need(msgspec.structs.replace(REGION, **region), msgspec.structs.replace(HOST, **host), COSTS)


def test_the_command_says_the_table_and_answers_as_json() -> None:
    parser = argparse.ArgumentParser()
    capacity.arguments(parser)
    said: list[str] = []
    given = parser.parse_args(["--people", "50000", "--cores", "8", "--line-mbit", "0.2"])
    found = capacity.compute(given, said.append)
    assert found["region"]["people"] == 50_000 and found["host"]["cores"] == 8
    assert found["need"]["studies_per_year"] == pytest.approx(55_000)
    text = "\n".join(said)
    assert "55,000" in text and "nodes, one of them spare" in text
    assert len(capacity.rows(need(REGION, HOST, COSTS))) == text.count("\n") - 2


def test_the_command_line_writes_json_and_refuses_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "capacity", "--people", "20000", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert msgspec.json.decode(said.out)["region"]["people"] == 20_000
    assert "studies a year" in said.err
    assert main(["bench", "capacity", "--people", "-1"]) == 2
    assert "people must be a number" in capsys.readouterr().err


def test_the_measured_costs_are_whole() -> None:
    found = costs.load()
    assert found.viewer.pictures_per_s
    assert all(one.cpu_ms > 0 and one.bytes > 0 for one in found.pictures.values())
    assert 0 < found.file.sealed_part < 1.2
    assert found.viewer_cpu() > found.viewer_serving() > 0


def test_costs_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        costs.load(tmp_path / "absent.json")
    file = tmp_path / "costs.json"
    file.write_text("{}")
    with pytest.raises(Invalid, match="does not hold"):
        costs.load(file)
    unknown = msgspec.structs.replace(COSTS.viewer, pictures_per_s={"hologram": 1.0})
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(COSTS, viewer=unknown)))
    with pytest.raises(Invalid, match="hologram"):
        costs.load(file)
