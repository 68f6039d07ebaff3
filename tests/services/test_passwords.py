"""Password rules and hashing off the event loop."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest

from sivr.errors import Invalid, TooMany
from sivr.services.passwords import LONGEST, Passwords, check_rules


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("short", "at least 10"),
        ("x" * (LONGEST + 1), "at most 256"),
        ("physician.ana", "must not be the login"),
        ("PHYSICIAN.ANA", "must not be the login"),
        ("physician anaphysician.ana", "must not be the login"),
        ("aaaaaaaaaaaaaaa", "repeat"),
        ("abababababab", "repeat"),
    ],
)
def test_weak_passwords_are_refused(password: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        check_rules(password, "physician.ana")


@pytest.mark.parametrize("password", ["ten chars!", "žuta kuća na moru", "physician.ana and more"])
def test_good_passwords(password: str) -> None:
    check_rules(password, "physician.ana")


async def test_right_and_wrong() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("žuta kuća na moru")
    assert await passwords.verify(hashed, "žuta kuća na moru")
    assert await passwords.verify(hashed, unicodedata.normalize("NFD", "žuta kuća na moru"))
    assert not await passwords.verify(hashed, "zuta kuca na moru")
    assert not await passwords.verify(hashed, "")
    assert not await passwords.verify(None, "žuta kuća na moru")
    assert not await passwords.verify(hashed, "x" * 1_000_000)
    assert not await passwords.verify(hashed, "\ud800")


async def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords()
    monkeypatch.setattr("sivr.services.passwords._MOST_WAITING", 4)
    results = await asyncio.gather(
        *(passwords.hash("one password") for _ in range(7)), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, TooMany)]
    assert len(refused) == 3
    assert refused[0].details["retry_after_s"] == 5
    assert await passwords.hash("later there is room again")
