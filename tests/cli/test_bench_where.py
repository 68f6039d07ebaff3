"""What ``sivr bench URL`` and ``--where`` say of a real installation, and of figures with a known answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sivr.cli.bench import visit, where
from sivr.cli.bench.crowd import Measured, Trips, measured
from sivr.cli.bench.line import Profile, open_line
from sivr.cli.bench.physician import SPLIT, Shown
from tests.flows.system import System

NARROW = Profile("narrow", 500_000.0, 500_000.0, 20.0)


def command(system: System, *more: str) -> list[str]:
    login = system.physicians[0][0]
    return [
        sys.executable,
        "-m",
        "sivr",
        "bench",
        system.web,
        "--login",
        login,
        "--ca",
        str(system.ca),
        *more,
    ]


def environment(system: System) -> dict[str, str]:
    return {**os.environ, "SIVR_PASSWORD": system.physicians[0][1]}


def run(system: System, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(system, *more), env=environment(system), capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
def test_an_installation_is_measured_step_by_step(sivr_system: System, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    wish = ("--upload", "--quick", "--seconds", "1", "--clients", "2", "--json", str(file))
    done = run(sivr_system, *wish)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    names = [step["name"] for step in found["steps"]]
    assert names[1:] == [
        "first volume, whole series loaded", "slice, PNG", "slice, JPEG", "volume, draft",
        "volume, finished", "maximum projection", "coronal plane, 10 mm", "1 scrolling at 5/s",
        "2 scrolling at 5/s",
    ]  # fmt: skip
    assert found["frames"] == 24
    for step in found["steps"]:
        assert step["failures"] == {}, step
        assert step["count"] > 0
        assert set(step["parts_ms"]) == set(SPLIT)
        assert step["median_ms"] <= step["p95_ms"]
        # The slowest quarter is no quicker than all.
        assert sum(step["tail_ms"].values()) >= sum(step["parts_ms"].values()) - 1e-6
        assert step["parts_ms"]["render"] > 0
        assert step["name"] in done.stdout
    again = run(sivr_system, "--quick", "--seconds", "0.5", "--clients", "1", "--json", "-")
    assert again.returncode == 0, again.stderr
    assert "24 of 24 slices in memory already" in json.loads(again.stdout)["steps"][0]["name"]


@pytest.mark.slow
async def test_a_narrow_line_is_named(sivr_system: System) -> None:
    login, secret = sivr_system.physicians[0]
    said: list[str] = []
    async with visit.log_in(sivr_system.web, login, secret, sivr_system.ca) as visitor:
        place = await visit.store_phantom(visitor, (24, 128, 128))
        async with open_line(place.node_url, NARROW) as line:
            found = await where.measure(
                place,
                sivr_system.ca,
                max_users=12,
                seconds=1.5,
                total_s=60.0,
                limit_ms=400.0,
                say=said.append,
                node_url=line.url,
                trip=line.round_trip_ms,
            )
    assert found["part"] == "network", said
    assert found["users"] > 1
    assert [step["users"] for step in found["steps"]] == sorted({step["users"] for step in found["steps"]})
    assert found["sentence"] == said[-1]
    assert "the line between here and the node: a faster line" in said[-1]
    assert f"At {found['users']} physicians p95 is" in said[-1]


def pictures(count: int, queue_ms: float, render_ms: float) -> list[Shown]:
    whole = 5.0 + queue_ms + render_ms
    parts = {"queue": queue_ms, "render": render_ms}
    return [Shown(what="slice", whole_ms=whole, first_byte_ms=whole, parts=parts) for _ in range(count)]


def test_the_sentence_names_what_grew_with_figures() -> None:
    first = measured("1", pictures(10, 0.0, 10.0), Trips(1.0))
    last = measured("14", pictures(100, 122.0, 88.0), Trips(1.0))
    found = where.growth(first, last)
    assert (found.part, round(found.share, 2)) == ("queue", 0.61)
    said = where.sentence(14, last, found, 150.0, "")
    assert said == (
        "At 14 physicians p95 is 215 ms; 61% of the growth is waiting for a free picture thread or render "
        "worker: more cores, or a second node, would help most."
    )
    assert where.sentence(14, first, found, 150.0, "--max-users 14").startswith(
        "Up to 14 physicians p95 stays at 15 ms, below 150 ms (--max-users 14)"
    )


def test_the_line_is_told_as_it_was_when_a_picture_was_asked_for() -> None:
    trips = Trips()
    assert (trips.at(5.0), trips.mean()) == (0.0, 0.0)
    for at, trip_ms in ((1.0, 10.0), (2.0, 20.0), (3.0, 600.0)):
        trips.note(at, trip_ms)
    assert [trips.at(when) for when in (0.0, 1.0, 1.5, 2.5, 9.0)] == [10.0, 10.0, 20.0, 600.0, 600.0]
    shown = [Shown(what="slice", whole_ms=700.0, first_byte_ms=700.0, asked_at=2.5)]
    assert measured("1", shown, trips).parts_ms["network"] == 600.0


def test_failures_are_told_and_nothing_is_divided_by_nothing() -> None:
    slow = measured("1", pictures(4, 300.0, 0.0), Trips(1.0))
    found = where.growth(slow, slow)
    assert found.share == 0.0
    assert "it was as slow with one, and the time goes to waiting for a free" in where.sentence(
        1, slow, found, 150.0, ""
    )
    refused = [Shown(what="slice", whole_ms=1.0, failure="The server is busy.")] * 3
    broken: Measured = measured("2", pictures(1, 0.0, 1.0) + refused, Trips(1.0))
    assert broken.failures == {"The server is busy.": 3}
    assert "and 3 of 4 fail" in where.sentence(2, broken, where.growth(slow, broken), 150.0, "")


def test_whose_machine_it_is() -> None:
    assert visit.is_here("https://127.0.0.1:8443/render")
    # An address for documentation (RFC 5737), which no machine has.
    assert not visit.is_here("https://192.0.2.1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--where"], "--where needs the URL"),
        (["https://localhost:1"], "needs --login"),
        (["https://localhost:1", "--login", "x", "--clients", "0"], "more than 0"),
        (["paper", "--records", "A,X"], "Records are A, B, C, D."),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sivr", "bench", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_ended_at_any_time(sivr_system: System, told: signal.Signals) -> None:
    with subprocess.Popen(
        command(sivr_system, "--where", "--upload", "--quick", "--seconds", "30"),
        env=environment(sivr_system),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background inherits that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as bench:
        assert bench.stdout is not None and bench.stderr is not None
        for line in bench.stdout:
            if "CT series of" in line:
                break
        bench.send_signal(told)
        assert bench.wait(30) == 130
        assert bench.stderr.read() == ""
