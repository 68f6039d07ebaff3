"""Simulated physicians at a real installation: what they ask for, what they note, and how time is split."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sivr.cli.bench.physician import (
    PARTS,
    SPLIT,
    Physician,
    Shown,
    open_physician,
    round_trip_ms,
    server_timing,
    split,
    to_and_fro,
)
from sivr.dicom.phantom import write_phantom
from tests.flows.people import physician
from tests.flows.system import System


def test_a_stack_is_read_down_and_up() -> None:
    assert [to_and_fro(number, 4) for number in range(8)] == [0, 1, 2, 3, 2, 1, 0, 1]
    assert [to_and_fro(number, 1) for number in range(3)] == [0, 0, 0]


def test_server_timing_is_read_as_servers_write_it() -> None:
    header = 'load;dur=1.5, render;desc="a, b";dur=2, encode;dur="0.25", cache, broken;dur=soon'
    assert server_timing(header)["load"] == 1.5
    assert server_timing("encode;dur=0.25, load;dur=x, gl-leap;dur=3") == {"encode": 0.25, "gl-leap": 3.0}
    assert server_timing("") == {}


@pytest.mark.parametrize("parts", [{"render": 4.0, "gl-x": 9.0}, {"load": 40.0, "render": 20.0}, {}])
def test_the_parts_of_a_picture_sum_up_to_the_whole(parts: dict[str, float]) -> None:
    shown = Shown(what="slice", whole_ms=20.0, first_byte_ms=15.0, body_ms=3.0, parts=parts)
    found = split(shown, round_trip_ms=0.7)
    assert tuple(found) == SPLIT
    assert all(spent >= 0 for spent in found.values())
    assert sum(found.values()) == pytest.approx(shown.whole_ms)


@pytest.fixture
async def reader(sivr_system: System, tmp_path: Path) -> AsyncIterator[tuple[Physician, list[Shown], str]]:
    files = write_phantom(tmp_path, "spheres", (16, 64, 64), study=uuid.uuid4().hex)
    async with physician(sivr_system) as ana:
        upload = await ana.new_upload(await ana.new_patient())
        await ana.upload(upload, files)
        study = str((await ana.indexed(upload))["studies"][0]["study_uid"])
        await ana.listed(study, len(files))
        node = await ana.visitor.may_view(ana.institution, study)
        noted: list[Shown] = []
        async with open_physician(ana.visitor, node, [study], noted.append, sivr_system.ca) as found:
            yield found, noted, study


async def test_a_physician_scrolls_turns_and_cuts(
    reader: tuple[Physician, list[Shown], str], sivr_system: System
) -> None:
    found, noted, study = reader
    (series,) = await found.contents(study)
    await found.scroll(study, series, per_s=50, seconds=0.4)
    slices = [one for one in noted if not one.skipped]
    assert len(noted) == 20
    assert {one.what for one in slices} == {"slice"}
    assert {(one.failure, one.quality) for one in slices} == {("", "lossless")}
    assert all(one.size_bytes > 0 for one in slices)
    noted.clear()
    await found.turn(study, series, per_s=10, seconds=0.3, viewport="96,96")
    await found.plane(study, series, 0.5, viewport="96,96")
    assert noted and all(one.failure == "" for one in noted), noted
    assert [one.what for one in noted][-1] == "plane"
    assert noted[0].quality == "preview"
    trip = await round_trip_ms(sivr_system.urls["render"])
    for one in noted:
        parts = split(one, trip)
        assert sum(parts[name] for name in PARTS) <= one.whole_ms + 1e-6
        assert parts["render"] > 0
    done, total = await found.loaded(study, series["series_uid"])
    assert 0 < done <= total == 16


async def test_a_refusal_is_noted_as_a_sentence(reader: tuple[Physician, list[Shown], str]) -> None:
    found, noted, study = reader
    (series,) = await found.contents(study)
    shown = await found.slice(study, series, 3, viewport="0,0")
    assert "viewport" in shown.failure
    assert noted == [shown]
