"""Importance first, then turns."""

from __future__ import annotations

import pytest

from sivr.model.importance import Importance
from sivr.services.turns import Turns


def test_classes_and_turns() -> None:
    turns: Turns[str] = Turns()
    for importance in reversed(Importance):
        for user, count in (("ana", 3), ("ivo", 1)):
            for number in range(count):
                turns.put(f"{importance.label} {user} {number}", importance, user)
    assert len(turns) == 16
    assert turns.before(Importance.REFINEMENT) == 8 and turns.waiting(Importance.INDEXING) == 4
    taken = [turns.take() for _ in range(16)]
    assert taken == [
        f"{importance.label} {who}"
        for importance in Importance
        for who in ("ana 0", "ivo 0", "ana 1", "ana 2")
    ]
    with pytest.raises(IndexError):
        turns.take()


def test_whoever_had_a_turn_goes_behind_who_has_not() -> None:
    turns: Turns[int] = Turns()
    for number in range(3):
        turns.put(number, Importance.INTERACTION, "ana")
    assert turns.take() == 0
    turns.put(10, Importance.INTERACTION, "ivo")
    assert [turns.take() for _ in range(3)] == [1, 10, 2]


def test_taking_out_and_clearing() -> None:
    turns: Turns[int] = Turns()
    turns.put(1, Importance.PREFETCH, "ana")
    turns.put(2, Importance.PREFETCH, "ana")
    assert turns.remove(1, Importance.PREFETCH, "ana")
    assert not turns.remove(1, Importance.PREFETCH, "ana")
    assert not turns.remove(2, Importance.INTERACTION, "ana")
    assert not turns.remove(2, Importance.PREFETCH, "ivo")
    assert turns.clear() == [2] and len(turns) == 0
