"""The simulator against queueing theory, and that it loses no request."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
import simulation
from simulation import Clock, Node, Pool, Stage, Trace, Wish, predict

from sivr.cli.bench import costs as measured

JOBS = 12_000


def mean_stay(
    draw: Callable[[random.Random], float],
    *,
    per_s: float,
    pool: Pool,
    cores: float,
) -> tuple[float, float]:
    """Mean time in a node with one pool under Poisson arrivals, and the part of its cores that was busy."""
    luck = random.Random(20)
    clock = Clock()
    node = Node(clock, cores, {"only": pool})
    stays: list[float] = []

    def arrive(at: float) -> None:
        node.submit([Stage("only", draw(luck))], lambda: stays.append(clock.now - at))

    at = 0.0
    for _ in range(JOBS):
        at += luck.expovariate(per_s)
        clock.at(at, lambda at=at: arrive(at))  # type: ignore[misc]
    clock.run()
    assert len(stays) == JOBS
    return sum(stays) / JOBS, node.busy_s / clock.now / cores


def exponential(luck: random.Random) -> float:
    return luck.expovariate(1.0)


def constant(_: random.Random) -> float:
    return 1.0


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_server_with_exponential_service_is_m_m_1(load: float) -> None:
    stay, busy = mean_stay(exponential, per_s=load, pool=Pool(1), cores=1)
    assert stay == pytest.approx(1 / (1 - load), rel=0.05)
    assert busy == pytest.approx(load, rel=0.03)


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_server_with_constant_service_is_m_d_1(load: float) -> None:
    # Pollaczek and Khinchine: half the wait of M/M/1.
    stay, _ = mean_stay(constant, per_s=load, pool=Pool(1), cores=1)
    assert stay == pytest.approx(1 + load / (2 * (1 - load)), rel=0.05)


def test_two_servers_on_two_cores_are_m_m_2() -> None:
    load, servers = 0.75, 2
    offered = load * servers
    # Erlang C.
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - load)
    waits = last / (sum(terms) + last)
    stay, busy = mean_stay(exponential, per_s=offered, pool=Pool(servers), cores=2)
    assert stay == pytest.approx(1 + waits / (servers * (1 - load)), rel=0.05)
    assert busy == pytest.approx(load, rel=0.03)


@pytest.mark.parametrize("draw", [constant, exponential])
def test_cores_that_all_share_are_m_g_1_processor_sharing(draw: Callable[[random.Random], float]) -> None:
    # The mean does not depend on the distribution of service (insensitivity).
    stay, _ = mean_stay(draw, per_s=0.6, pool=Pool(10_000), cores=1)
    assert stay == pytest.approx(1 / (1 - 0.6), rel=0.06)


def test_a_wide_job_uses_all_cores() -> None:
    clock = Clock()
    node = Node(clock, 4, {"only": Pool(1, width=4)})
    ends: list[float] = []
    for _ in range(2):
        node.submit([Stage("only", 8.0)], lambda: ends.append(clock.now))
    clock.run()
    assert ends == pytest.approx([2.0, 4.0])


def test_weights_share_a_core_and_leave_what_one_cannot_use() -> None:
    clock = Clock()
    node = Node(clock, 1, {"heavy": Pool(1, weight=3), "light": Pool(1, weight=1)})
    ends: dict[str, float] = {}
    for name in ("heavy", "light"):
        node.submit([Stage(name, 3.0)], lambda name=name: ends.setdefault(name, clock.now))  # type: ignore[misc]
    clock.run()
    # 3/4 of the core each second for 4 s; then the other has it alone.
    assert ends == pytest.approx({"heavy": 4.0, "light": 6.0})
    two = Node(Clock(), 2, {"heavy": Pool(1, weight=100), "light": Pool(1, weight=1)})
    two.submit([Stage("heavy", 1.0)], lambda: None)
    two.submit([Stage("light", 1.0)], lambda: None)
    assert two._rates() == pytest.approx({"heavy": 1.0, "light": 1.0})


def test_stages_follow_each_other_and_a_canceled_job_makes_room() -> None:
    clock = Clock()
    node = Node(clock, 1, {"a": Pool(1), "b": Pool(1)})
    ends: list[str] = []
    node.submit([Stage("a", 1.0), Stage("b", 2.0)], lambda: ends.append(f"both {clock.now:g}"))
    running = node.submit([Stage("a", 5.0)], lambda: ends.append("never"))
    clock.at(1.5, lambda: node.cancel(running))
    clock.run()
    # From 1.0 to 1.5 the second job shares the core.
    assert ends == ["both 3.25"]
    assert node.busy_s == pytest.approx(3.25)


TRACE = Trace(
    "made up",
    10.0,
    tuple(
        Wish(at_ms=n * 50.0, kind="slice_png" if n % 3 else "draft", view="s" if n % 3 else "v")
        for n in range(200)
    ),
)


@pytest.mark.parametrize("users", [1, 7, 60])
@pytest.mark.parametrize("nodes", [1, 2])
def test_every_wish_is_accounted_for(users: int, nodes: int) -> None:
    found = predict(TRACE, measured.load(), users=users, nodes=nodes, cores=1, seconds=20.0)
    assert found.wished == users * 400
    assert found.answered + found.overtaken + found.given_up + found.left == found.wished
    assert 0 < found.busy_part <= 1.0 + 1e-6


def test_more_users_wait_longer_and_more_nodes_less() -> None:
    few, many = (
        predict(TRACE, measured.load(), users=users, nodes=1, cores=1, seconds=20.0) for users in (2, 60)
    )
    spread = predict(TRACE, measured.load(), users=60, nodes=8, cores=1, seconds=20.0)
    assert few.p95_ms["slices"] < many.p95_ms["slices"]
    assert spread.p95_ms["slices"] < many.p95_ms["slices"]
    assert few.busy_part < many.busy_part


def test_the_same_seed_gives_the_same_answer() -> None:
    first, again = (
        predict(TRACE, measured.load(), users=5, nodes=2, cores=2, seconds=10.0, seed=3) for _ in range(2)
    )
    assert first == again


def test_a_session_begins_anywhere_and_goes_round() -> None:
    trace = Trace("three", 3.0, tuple(Wish(n * 1000.0, "slice_png", "s") for n in range(3)))
    found = trace.from_place(1.5, 4.0)
    assert [at for at, _ in found] == pytest.approx([0.5, 1.5, 2.5, 3.5])
    assert trace.per_s() == pytest.approx({"slice_png": 1.0})


def test_the_recorded_session_holds_nothing_but_kinds_and_times() -> None:
    trace = simulation.read_trace()
    known = measured.load().pictures
    assert trace.wishes and all(one.kind in known for one in trace.wishes)
    assert list(trace.wishes) == sorted(trace.wishes, key=lambda one: one.at_ms)
    assert all(0 <= one.at_ms <= trace.seconds * 1000 for one in trace.wishes)
    assert all(len(one.view) <= 3 for one in trace.wishes)
