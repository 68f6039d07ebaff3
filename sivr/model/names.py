"""How names are compared: without case, diacritics and punctuation, in every usual spelling.

"Đurić" is found by "djur", "dur" and "Đur"; "Müller" by "muller" and "mueller"; "O'Brien" by "obrien" and
"brien"; "Kovačević-Marić" by either half.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import product

# Letters that do not decompose, and those that people write in more than one way without their keyboard.
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "đ": ("d", "dj"),
    "ð": ("d",),
    "ø": ("o", "oe"),
    "ö": ("o", "oe"),
    "ä": ("a", "ae"),
    "ü": ("u", "ue"),
    "å": ("a", "aa"),
    "æ": ("ae", "a"),
    "œ": ("oe", "o"),
    "ł": ("l",),
    "ħ": ("h",),
    "ŧ": ("t",),
    "þ": ("th",),
    "ı": ("i",),
    "ĸ": ("k",),
    "ŋ": ("n",),
}
_MOST_SPELLINGS = 8
_APOSTROPHES = re.compile(r"['’ʼ`´‘]")
_BETWEEN = re.compile(r"[\W_]+")
_LONGEST_PART = 100
_MOST_WORDS = 8


def folded(text: str) -> str:
    """The first spelling, e.g. for sorting: lower case, no diacritics, single spaces."""
    return " ".join(spellings(word)[0] for word in _BETWEEN.split(_plain(text)) if word)


def spellings(word: str) -> tuple[str, ...]:
    """Every way a word may be typed, the shortest diacritics-free one first; never empty for a word."""
    choices: list[tuple[str, ...]] = []
    count = 1
    for letter in _plain(word):
        options = _SPELLINGS.get(letter)
        if options is None:
            bare = unicodedata.normalize("NFKD", letter)
            options = ("".join(one for one in bare if not unicodedata.combining(one)),)
        if count * len(options) > _MOST_SPELLINGS:
            options = options[:1]
        count *= len(options)
        choices.append(options)
    return tuple(dict.fromkeys("".join(letters)[:_LONGEST_PART] for letters in product(*choices)))


def name_parts(*names: str) -> set[str]:
    """Everything a name may be looked up by: each part in each spelling, parts around apostrophes too."""
    parts: set[str] = set()
    for name in names:
        plain = _plain(name)
        for text in (_APOSTROPHES.sub("", plain), plain):
            for word in _BETWEEN.split(text):
                parts.update(spellings(word))
    return parts - {""}


def search_words(query: str) -> list[tuple[str, ...]]:
    """The words of a search, each with the spellings to look for; at most eight, the rest is ignored."""
    return [spellings(word) for word in dict.fromkeys(_words(query))][:_MOST_WORDS]


def number_readings(query: str) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Every way to read neighbouring words as one insurance number: the number, and the other words.

    Hyphens and spaces separate names but are nothing in numbers: "Ana DEMO-4" may mean DEMO4 of Ana. Without
    digits only the whole search is read so.
    """
    words = _words(query)[:_MOST_WORDS]
    readings: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for start in range(len(words)):
        for stop in range(start + 1, len(words) + 1):
            number = folded_number("".join(words[start:stop]))
            whole = stop - start == len(words)
            if number and (whole or (stop - start > 1 and any(letter.isdigit() for letter in number))):
                others = dict.fromkeys(words[:start] + words[stop:])
                readings[(number, *others)] = [spellings(word) for word in others]
    return [(key[0], others) for key, others in readings.items()]


def folded_number(number: str) -> str:
    """An insurance number without its spaces and punctuation, upper case."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", number)).upper()


def _words(query: str) -> list[str]:
    return [word for word in _BETWEEN.split(_APOSTROPHES.sub("", _plain(query))) if word]


def _plain(text: str) -> str:
    # casefold makes ß to ss; composing first keeps ö one letter, however it was typed.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
