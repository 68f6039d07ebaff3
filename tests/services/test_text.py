"""Cleaning and checking what people type."""

from __future__ import annotations

import unicodedata

import pytest

from sivr.errors import Invalid
from sivr.services.text import email, https_url, line, modalities, paragraphs, search_text, slug


def test_lines_are_trimmed_and_composed() -> None:
    typed = unicodedata.normalize("NFD", "  Marić \n  Ana ")
    assert line(typed, "name", "The name") == "Marić Ana"
    assert paragraphs(" a\r\nb\rc\t ", "notes", "The notes") == "a\nb\nc"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\ud800b"])
def test_characters_nobody_sees_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="cannot be shown") as refused:
        line(text, "name", "The name")
    assert refused.value.details == {"field": "name"}


def test_length_and_presence() -> None:
    with pytest.raises(Invalid, match="longer than 5 characters"):
        line("123456", "name", "The name", longest=5)
    with pytest.raises(Invalid, match="The name is missing"):
        line("  ", "name", "The name", required=True)
    assert line("", "name", "The name") == ""


def test_searches_of_many_words() -> None:
    assert search_text(" Thorax a.p. ", "description") == " Thorax a.p. "
    for text in ("a " * 33, "a-b_" * 20):
        with pytest.raises(Invalid, match="at most 32 words") as refused:
            search_text(text, "description")
        assert refused.value.details == {"field": "description", "most": 32}
    with pytest.raises(Invalid, match="longer than 1000 characters"):
        search_text("a" * 1001, "description")


@pytest.mark.parametrize("text", ["a", "a@", "@b", "a b@c", "a@b@c", "Ana <a@b.c>"])
def test_bad_email_addresses(text: str) -> None:
    with pytest.raises(Invalid):
        email(text)


def test_good_email_addresses() -> None:
    assert email(" ana@example.org ") == "ana@example.org"
    assert email("") == ""


@pytest.mark.parametrize(
    "text",
    ["", "http://a.b", "https://", "https:///x", "a.b", "https://u:p@a.b", "https://a.b?x", "https://a.b#x",
     "https://a b", "https://a.b:99999", "https://[a"],
)  # fmt: skip
def test_bad_addresses(text: str) -> None:
    with pytest.raises(Invalid, match="https://"):
        https_url(text)


def test_good_addresses() -> None:
    assert https_url("https://a.example.org:8443/general/") == "https://a.example.org:8443/general"


def test_ids() -> None:
    assert slug("general-2") == "general-2"
    for text in ("", "General", "-a", "a_b", "a" * 64, "č"):
        with pytest.raises(Invalid):
            slug(text)


def test_modalities() -> None:
    assert modalities((" ct", "MR", "CT")) == ("CT", "MR")
    for given in (("",), ("C T",), ("X" * 17,), tuple(f"M{n}" for n in range(101))):
        with pytest.raises(Invalid):
            modalities(given)
