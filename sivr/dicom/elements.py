"""Values out of data sets, whatever state they are in: what cannot be understood counts as absent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

from sivr.errors import Invalid

_LIMIT = 1024
"""Longest text kept of one element: a description is a sentence, not a book."""


def value(data: Dataset, tag: int) -> Any:
    """The value of an element, None when it is absent, empty or broken."""
    try:
        element = data.get(tag)
        found = None if element is None else element.value
    except RecursionError:
        raise
    except Exception:
        # pydicom converts lazily and raises a dozen kinds of errors; a broken value is an absent one.
        return None
    return None if found is None or found == "" or found == b"" else found


def values(data: Dataset, tag: int) -> tuple[Any, ...]:
    """All values of an element."""
    found = value(data, tag)
    if found is None:
        return ()
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        return (found,)
    return tuple(found)


def text(data: Dataset, tag: int, separator: str = " ") -> str:
    """Text without control characters and padding; several values are joined."""
    joined = separator.join(str(part) for part in values(data, tag))
    return "".join(c if c.isprintable() else " " for c in joined[: 4 * _LIMIT]).strip()[:_LIMIT]


def texts(data: Dataset, tag: int) -> tuple[str, ...]:
    """Each value of a multi-valued text element."""
    return tuple(str(part).strip(" \0")[:64] for part in values(data, tag)[:32])


def _float(found: Any) -> float | None:
    try:
        number = float(str(found).strip(" \0").replace(",", ".")) if isinstance(found, str) else float(found)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def numbers(data: Dataset, tag: int) -> tuple[float, ...]:
    """All values as finite numbers; empty when one of them is none."""
    found = tuple(_float(part) for part in _raw_numbers(data, tag))
    return tuple(n for n in found if n is not None) if None not in found else ()


def _raw_numbers(data: Dataset, tag: int) -> tuple[Any, ...]:
    found = values(data, tag)
    if found:
        return found
    # A decimal string pydicom refuses ("-0450 HU", a comma) is still in the raw element.
    try:
        raw = data.get_item(tag)
        content = getattr(raw, "value", None)
    except Exception:
        return ()
    if isinstance(content, bytes) and len(content) <= _LIMIT:
        return tuple(part for part in content.decode("latin-1").split("\\") if part.strip(" \0"))
    return ()


def number(data: Dataset, tag: int) -> float | None:
    """The first value as a finite number."""
    found = numbers(data, tag)
    return found[0] if found else None


def integer(data: Dataset, tag: int) -> int | None:
    """The first value as an integer; one that no VR of DICOM can hold (PS3.5 6.2) counts as absent."""
    found = number(data, tag)
    return None if found is None or abs(found) > 2**63 - 1024 else int(found)


def items(data: Dataset, tag: int) -> tuple[Dataset, ...]:
    """The items of a sequence; Invalid when they cannot be read, since frames would be shown without them."""
    try:
        element = data.get(tag)
        found = None if element is None else element.value
    except RecursionError:
        raise
    except Exception as error:
        if isinstance(error.__context__, RecursionError):
            raise RecursionError from error
        raise Invalid(f"The sequence ({tag >> 16:04X},{tag & 0xFFFF:04X}) is damaged.") from error
    if found is None or isinstance(found, str | bytes):
        return ()
    try:
        return tuple(item for item in found if isinstance(item, Dataset))
    except TypeError:
        return ()


def first_item(data: Dataset, tag: int) -> Dataset | None:
    """The first item of a sequence."""
    found = items(data, tag)
    return found[0] if found else None


def uid(data: Dataset, tag: int) -> str:
    """A UID without padding; Invalid when it holds anything but digits and dots (PS3.5 9.1).

    The standard ends at 64 characters; some writers go on a little, and their images are good.
    """
    found = str(values(data, tag)[0] if values(data, tag) else "").strip(" \0")
    if len(found) > 96 or found.strip("0123456789."):
        raise Invalid(f"The unique identifier in ({tag >> 16:04X},{tag & 0xFFFF:04X}) is not valid.")
    return found
