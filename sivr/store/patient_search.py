"""Finding patients' records quickly among millions, on both databases alike.

Each word of a search is a range of the index of name parts. A rare word is looked up first and the others are
checked for what it found; when every word is frequent, walking the records in the order of the answer finds a
page soon. Which of the two is known from counts that stop early.

Neighbouring words may also be one insurance number with its hyphens and spaces: a range of the index of
numbers that is empty for most searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sivr.model.directory import PatientSearch
from sivr.model.names import folded_number, number_readings, search_words
from sivr.store.schema.toplevel import patient, patient_name

COUNTED = 10_000
"""More matches than this are not counted: nobody pages that far."""
_FREQUENT = 20_000
# Greater than every character that follows a prefix, so a prefix is the range between it and prefix + this.
_LAST = "\U0010ffff"

_Condition = sa.ColumnElement[bool]


class _Word(msgspec.Struct, frozen=True):
    """One word: its spellings, and the number it may begin instead (empty without digits)."""

    spellings: tuple[str, ...]
    number: str

    def names(self, table: Any) -> _Condition:
        """Name parts in ``table`` that begin so."""
        return sa.or_(*(_begins(table.c.part, one) for one in self.spellings))

    def holds(self) -> _Condition:
        """Whether a given record has the word."""
        part = patient_name.alias()
        named = sa.exists().where(part.c.patient_id == patient.c.id, self.names(part))
        return sa.or_(named, _begins(patient.c.insurance_folded, self.number)) if self.number else named

    def ids(self) -> Any:
        """Ids of all records that have the word, some of them twice."""
        named = sa.select(patient_name.c.patient_id).where(self.names(patient_name))
        if not self.number:
            return named
        numbered = sa.select(patient.c.id).where(_begins(patient.c.insurance_folded, self.number))
        return named.union_all(numbered)


async def find_rows(
    connection: AsyncConnection, search: PatientSearch, columns: Sequence[sa.Column[Any]]
) -> tuple[Sequence[sa.Row[Any]], int]:
    """A page of matching rows by ``sort_key``, and how many match, at most ``COUNTED``."""
    words = [_word(spellings) for spellings in search_words(search.query)]
    facts: list[_Condition] = []
    if search.birth_date is not None:
        facts.append(patient.c.birth_date == search.birth_date)
    number = folded_number(search.insurance_number)
    if number:
        facts.append(_begins(patient.c.insurance_folded, number))
    unusable = (search.query.strip() and not words) or (search.insurance_number.strip() and not number)
    if unusable:
        # Only punctuation was typed: nothing begins so.
        return [], 0
    numbered = await _numbered(connection, search.query, facts)
    matching: Any = await _matching(connection, words, facts)
    if numbered:
        matching = sa.union(matching, *(sa.select(patient.c.id).where(one) for one in numbered))
    total = (
        await connection.scalar(sa.select(sa.func.count()).select_from(matching.limit(COUNTED).subquery()))
        or 0
    )
    if total <= search.offset and total < COUNTED:
        return [], total
    page = (
        sa.select(*columns)
        .order_by(patient.c.sort_key, patient.c.id)
        .limit(search.limit)
        .offset(search.offset)
    )
    if total < COUNTED:
        page = page.where(patient.c.id.in_(matching))
    else:
        page = page.where(sa.or_(sa.and_(sa.true(), *facts, *(word.holds() for word in words)), *numbered))
    return (await connection.execute(page)).all(), total


async def _numbered(connection: AsyncConnection, query: str, facts: list[_Condition]) -> list[_Condition]:
    """Readings of the search as an insurance number with which some record's number begins."""
    found: list[_Condition] = []
    for number, others in number_readings(query):
        begins = _begins(patient.c.insurance_folded, number)
        if await connection.scalar(sa.select(patient.c.id).where(begins).limit(1)):
            found.append(sa.and_(begins, *facts, *(_word(one).holds() for one in others)))
    return found


async def _matching(
    connection: AsyncConnection, words: list[_Word], facts: list[_Condition]
) -> sa.Select[Any]:
    """Ids of the records that match everything, looked up by what is rarest."""
    first: _Word | None = None
    if words:
        sizes = [await _size(connection, word.ids()) for word in words]
        first = words[sizes.index(min(sizes))]
        if facts and await _size(connection, sa.select(patient.c.id).where(*facts)) <= min(sizes):
            first = None
    others = [word.holds() for word in words if word is not first]
    if first is None:
        return sa.select(patient.c.id).where(*facts, *others)
    if first.number:
        return sa.select(patient.c.id).where(patient.c.id.in_(first.ids()), *facts, *others)
    return (
        sa.select(patient_name.c.patient_id)
        .distinct()
        .join(patient)
        .where(first.names(patient_name), *facts, *others)
    )


async def _size(connection: AsyncConnection, ids: Any) -> int:
    counted = sa.select(sa.func.count()).select_from(ids.limit(_FREQUENT).subquery())
    return await connection.scalar(counted) or 0


def _word(spellings: tuple[str, ...]) -> _Word:
    number = folded_number(spellings[0])
    return _Word(spellings, number if any(letter.isdigit() for letter in number) else "")


def _begins(column: sa.ColumnElement[str], prefix: str) -> _Condition:
    return sa.and_(column >= prefix, column < prefix + _LAST)
