"""What people type, cleaned and checked: one sentence and the field's name when it cannot be right."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from sivr.errors import Invalid
from sivr.model.names import folded

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_EMAIL = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}")
_LINES = frozenset("\n\t")
_MOST_WORDS = 32
_LONGEST_SEARCH = 1000


def line(text: str, field: str, label: str, *, longest: int = 200, required: bool = False) -> str:
    """One line of text, trimmed, composed (NFC), its runs of blanks made one; raises Invalid."""
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    return _checked(clean, field, label, longest, required, frozenset())


def paragraphs(text: str, field: str, label: str, *, longest: int = 20_000) -> str:
    """Text of several lines, trimmed; raises Invalid."""
    clean = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()
    return _checked(clean, field, label, longest, False, _LINES)


def search_text(text: str, field: str) -> str:
    """Words to look for, as given; raises Invalid when they are more than a database compares at once."""
    if len(text) > _LONGEST_SEARCH:
        raise Invalid(
            f"The search is longer than {_LONGEST_SEARCH} characters.",
            {"field": field, "longest": _LONGEST_SEARCH},
        )
    if len(folded(text).split()) > _MOST_WORDS:
        raise Invalid(f"A search has at most {_MOST_WORDS} words.", {"field": field, "most": _MOST_WORDS})
    return text


def email(text: str) -> str:
    """An e-mail address or nothing; raises Invalid."""
    clean = line(text, "email", "The e-mail address", longest=254)
    if clean and not _EMAIL.fullmatch(clean):
        raise Invalid("This is not an e-mail address.", {"field": "email"})
    return clean


def slug(text: str) -> str:
    """A short id as in the configuration; raises Invalid."""
    if not _SLUG.fullmatch(text):
        raise Invalid(
            "An id has 1 to 63 small letters, digits and hyphens, and begins with a letter or digit.",
            {"field": "id"},
        )
    return text


def https_url(text: str) -> str:
    """The address of a server, without a slash at the end; raises Invalid."""
    clean = line(text, "url", "The address", longest=500).rstrip("/")
    try:
        parts = urlsplit(clean)
        good = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or "@" in parts.netloc or " " in clean:
        raise Invalid("The address must begin with https:// and name a server.", {"field": "url"})
    return clean


def modalities(given: tuple[str, ...]) -> tuple[str, ...]:
    """Defined terms of Modality (PS3.3 C.7.3.1.1.1), upper case, each once; raises Invalid."""
    clean = tuple(dict.fromkeys(one.strip().upper() for one in given))
    for one in clean:
        if not _MODALITY.fullmatch(one):
            raise Invalid(
                "A modality is a short code such as CT, MR or XA (PS3.3 C.7.3.1.1.1).",
                {"field": "modalities"},
            )
    if len(clean) > 100:
        raise Invalid("At most 100 modalities can be listed.", {"field": "modalities"})
    return clean


def _checked(text: str, field: str, label: str, longest: int, required: bool, allowed: frozenset[str]) -> str:
    if required and not text:
        raise Invalid(f"{label} is missing.", {"field": field})
    if len(text) > longest:
        raise Invalid(f"{label} is longer than {longest} characters.", {"field": field, "longest": longest})
    # Control, surrogate and unassigned characters; U+0000 would stop PostgreSQL, the rest hides from readers.
    if any(unicodedata.category(one) in ("Cc", "Cs", "Cn") and one not in allowed for one in text):
        raise Invalid(f"{label} contains a character that cannot be shown.", {"field": field})
    return text
