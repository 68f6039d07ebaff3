"""Patients' records and their search on both databases."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest

from sivr.errors import Conflict, NotFound
from sivr.model.directory import NewPatient, Patient, PatientChange, PatientSearch
from sivr.model.names import folded, folded_number, name_parts, search_words
from sivr.store import patient_search
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.patients import Patients

BY = By("tester")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, "toplevel") as opened:
        yield opened


@pytest.fixture
async def patients(database: Database) -> Patients:
    return Patients(database)


async def add(patients: Patients, family_name: str, given_name: str = "", **facts: Any) -> Patient:
    return await patients.create(NewPatient(family_name=family_name, given_name=given_name, **facts), BY)


async def names(patients: Patients, query: str, **search: Any) -> list[str]:
    items, total = await patients.find(PatientSearch(query=query, **search))
    assert total == len(items)
    return [f"{one.given_name} {one.family_name}" for one in items]


async def test_what_is_created_is_read_back(patients: Patients) -> None:
    made = await add(
        patients,
        "Kovačević",
        "Marija",
        middle_name="Ana",
        birth_date=date(1951, 2, 28),
        sex="F",
        insurance_number="12-345",
        insurance_issuer="HZZO",
        phone="1",
        email="m@example.org",
        address="Street 1\n10000 Zagreb",
        notes="Notes",
    )
    assert await patients.get(made.id) == made
    assert made.version == 1


async def test_search_by_names(patients: Patients) -> None:
    await add(patients, "Kovačević", "Marija")
    await add(patients, "Kovač", "Ivan")
    await add(patients, "Marković", "Kosta")
    await add(patients, "Đurić", "Đurđa")
    await add(patients, "O'Brien-Müller", "Zoë")
    assert await names(patients, "kov mar") == ["Marija Kovačević"]
    assert await names(patients, "MAR kov") == ["Marija Kovačević"]
    assert await names(patients, "kov") == ["Ivan Kovač", "Marija Kovačević"]
    assert await names(patients, "mar ko") == ["Marija Kovačević", "Kosta Marković"]
    assert await names(patients, "djur") == ["Đurđa Đurić"]
    assert await names(patients, "durda") == ["Đurđa Đurić"]
    assert await names(patients, "mueller zoe") == ["Zoë O'Brien-Müller"]
    assert await names(patients, "ovac") == []
    assert await names(patients, "kov xyz") == []
    assert await names(patients, "%") == []
    assert await names(patients, "_") == []
    assert await names(patients, "  ") == [
        "Đurđa Đurić", "Ivan Kovač", "Marija Kovačević", "Kosta Marković", "Zoë O'Brien-Müller",
    ]  # fmt: skip


async def test_search_by_number_and_birth_date(patients: Patients) -> None:
    day = date(1980, 5, 17)
    await add(patients, "Horvat", "Ana", insurance_number="123 456", insurance_issuer="A", birth_date=day)
    await add(patients, "Horvat", "Iva", insurance_number="123-789", insurance_issuer="A")
    await add(patients, "Babić", "Ana", insurance_number="AB 1", insurance_issuer="B", birth_date=day)
    assert await names(patients, "", insurance_number="1234") == ["Ana Horvat"]
    assert await names(patients, "", insurance_number="123") == ["Ana Horvat", "Iva Horvat"]
    assert await names(patients, "", insurance_number="ab1") == ["Ana Babić"]
    assert await names(patients, "", insurance_number="-") == []
    assert await names(patients, "1237") == ["Iva Horvat"]
    assert await names(patients, "ana ab1") == ["Ana Babić"]
    assert await names(patients, "", birth_date=day) == ["Ana Babić", "Ana Horvat"]
    assert await names(patients, "hor", birth_date=day) == ["Ana Horvat"]
    assert await names(patients, "", birth_date=day, insurance_number="123") == ["Ana Horvat"]
    assert await names(patients, "iva", birth_date=day) == []


@pytest.mark.parametrize("number", ["DEMO-4", "demo 4", "DEMO4", "D.E-M/O 4"])
async def test_a_number_is_found_however_it_is_written(patients: Patients, number: str) -> None:
    await add(patients, "Müller", "Jürgen", insurance_number=number, insurance_issuer="A")
    await add(patients, "Horvat", "Ana", insurance_number="12-12-34", insurance_issuer="A")
    for query in (
        "DEMO-4",
        "demo-4",
        "DEMO 4",
        "demo4",
        " De mo-4 ",
        "DEMO\u20114",
        "demo-",
        "dem",
        "jur DEMO-4",
    ):
        assert await names(patients, query) == ["Jürgen Müller"], query
    for query in ("12-12", "12 12 34", "121234", "12-12-3 ana", "ana 12/12"):
        assert await names(patients, query) == ["Ana Horvat"], query
    for query in ("DEMO-5", "EMO-4", "DEMO-4 ana", "12-34", "-"):
        assert await names(patients, query) == [], query


async def test_pages_of_a_frequent_number(patients: Patients, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await add(patients, f"Horvat {number}", insurance_number=f"AB-1-{number}", insurance_issuer="A")
    monkeypatch.setattr(patient_search, "COUNTED", 3)
    items, total = await patients.find(PatientSearch(query="ab-1", limit=2, offset=2))
    assert ([one.family_name for one in items], total) == (["Horvat 2", "Horvat 3"], 3)


async def test_pages(patients: Patients) -> None:
    for number in range(7):
        await add(patients, "Horvat", f"Ana {number}")
    pages = [
        await patients.find(PatientSearch(query="horvat", limit=3, offset=offset)) for offset in (0, 3, 6, 9)
    ]
    assert [total for _, total in pages] == [7, 7, 7, 7]
    seen = [one.given_name for items, _ in pages for one in items]
    assert seen == [f"Ana {number}" for number in range(7)]


async def test_a_change_moves_the_index(patients: Patients) -> None:
    made = await add(patients, "Horvat", "Ana", insurance_number="1", birth_date=date(1980, 1, 1))
    change = PatientChange(version=1, family_name="Babić", insurance_number="2", birth_date=None)
    changed = await patients.change(made.id, change, BY)
    assert (changed.given_name, changed.birth_date, changed.version) == ("Ana", None, 2)
    assert changed.updated_at > made.updated_at
    assert await patients.get(made.id) == changed
    assert await names(patients, "horvat") == []
    assert await names(patients, "babic ana") == ["Ana Babić"]
    assert await names(patients, "", insurance_number="1") == []


async def test_insurance_numbers_are_unique_within_an_issuer(patients: Patients) -> None:
    first = await add(patients, "A", insurance_number="12-34", insurance_issuer="HZZO")
    await add(patients, "B", insurance_number="1234", insurance_issuer="Other")
    await add(patients, "C")
    second = await add(patients, "D")
    with pytest.raises(Conflict, match="already has this insurance number") as refused:
        await add(patients, "E", insurance_number="12 34", insurance_issuer="hzzo")
    assert refused.value.details == {"field": "insurance_number", "patient_id": first.id}
    with pytest.raises(Conflict, match="already has"):
        change = PatientChange(version=1, insurance_number="1234", insurance_issuer="HZZO")
        await patients.change(second.id, change, BY)
    assert await names(patients, "e") == []
    await patients.change(first.id, PatientChange(version=1, notes="the same number stays"), BY)


async def test_the_same_number_at_once_is_made_once(patients: Patients) -> None:
    results = await asyncio.gather(
        *(add(patients, f"N{n}", insurance_number="7", insurance_issuer="X") for n in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Patient) for one in results) == 1
    assert sum(isinstance(one, Conflict) for one in results) == 5


async def test_only_the_first_of_two_changes_wins(patients: Patients) -> None:
    made = await add(patients, "Horvat")
    results = await asyncio.gather(
        *(patients.change(made.id, PatientChange(version=1, notes=text), BY) for text in ("one", "two")),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, Conflict)]
    assert len(refused) == 1
    assert refused[0].details == {"version": 2}


async def test_unknown_records(patients: Patients) -> None:
    with pytest.raises(NotFound):
        await patients.get("no")
    with pytest.raises(NotFound):
        await patients.change("no", PatientChange(version=1), BY)


async def test_changes_are_written_down(database: Database, patients: Patients) -> None:
    made = await add(patients, "Horvat")
    await patients.change(made.id, PatientChange(version=1, notes="x"), BY)
    rows = await Audit(database).newest(object_id=made.id)
    assert [row.action for row in rows] == ["patient.change", "patient.create"]


@pytest.mark.parametrize("bounds", [(10_000, 20_000), (20, 20_000), (20, 5), (10_000, 5)])
async def test_every_way_of_looking_up_gives_the_same(
    patients: Patients, monkeypatch: pytest.MonkeyPatch, bounds: tuple[int, int]
) -> None:
    """Whatever word is looked up first, the answer is that of plain Python."""
    monkeypatch.setattr(patient_search, "COUNTED", bounds[0])
    monkeypatch.setattr(patient_search, "_FREQUENT", bounds[1])
    chance = random.Random(5)
    families = ["Kovačević", "Kovač", "Đurić", "Marić-Kos", "Müller", "12 Kos"]
    givens = ["Marija", "Marko", "Đurđa", "Ana Marija", "Kosta"]
    made = [
        await add(
            patients,
            chance.choice(families),
            chance.choice(givens),
            birth_date=chance.choice([None, date(1980, 1, 1), date(1990, 1, 1)]),
            insurance_number=str(number * 7),
        )
        for number in range(60)
    ]

    def expected(search: PatientSearch) -> set[str]:
        found = set()
        for one in made:
            parts = name_parts(one.family_name, one.given_name, one.middle_name)
            number = folded_number(one.insurance_number)
            words = all(
                any(part.startswith(word) for part in parts for word in spellings)
                or (any(c.isdigit() for c in spellings[0]) and number.startswith(spellings[0].upper()))
                for spellings in search_words(search.query)
            )
            born = search.birth_date in (None, one.birth_date)
            if words and born and number.startswith(folded_number(search.insurance_number)):
                found.add(one.id)
        return found

    for query in ("", "mar", "kov mar", "m k", "djur", "d ana", "1", "kos 12", "ko 1 m"):
        for born in (None, date(1980, 1, 1)):
            for insurance in ("", "1", "21"):
                search = PatientSearch(query=query, birth_date=born, insurance_number=insurance, limit=500)
                items, total = await patients.find(search)
                wanted = expected(search)
                assert {one.id for one in items} == wanted
                assert total == min(len(wanted), bounds[0])
                order = [(folded(one.family_name), folded(one.given_name), "", one.id) for one in items]
                assert order == sorted(order)
