"""The Priority header, and who comes first."""

from __future__ import annotations

import pytest

from sivr.edge.limits import Bucket
from sivr.edge.priorities import DEFAULT, Priority, parse_priority, turn


@pytest.mark.parametrize(
    ("value", "priority"),
    [
        (b"", DEFAULT),
        (b"u=0", Priority(0, False)),
        (b"u=5, i", Priority(5, True)),
        (b"i,u=1", Priority(1, True)),
        (b"i=?0", DEFAULT),
        (b"u=2;x=y, i;z", Priority(2, True)),
        (b"u=2, new=(1 2)", Priority(2, False)),
        (b"u=8", DEFAULT),
        (b"u=-1", DEFAULT),
        (b"u=1, u=6", Priority(6, False)),
        (b"nonsense \xff", DEFAULT),
    ],
)
def test_header(value: bytes, priority: Priority) -> None:
    assert parse_priority(value) == priority


def test_turns() -> None:
    waiting = [
        (Priority(1, False), 9, 0),
        (Priority(3, False), 1, 5),
        (Priority(3, False), 3, 0),
        (Priority(3, True), 7, 2),
        (Priority(3, True), 5, 3),
        (Priority(7, False), 11, 0),
    ]
    other_way = waiting[::-1]
    other_way.sort(key=lambda one: turn(*one))
    assert other_way == waiting


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(10.0, 5.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(0.1)
    assert bucket.take(0.4)
    bucket.give(100.0)
    assert [bucket.take(0.4) for _ in range(6)] == [True] * 5 + [False]
