"""Whatever is sent as a notice is read or refused in one sentence."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sivr.errors import Invalid
from sivr.services.notices import read_notice
from tests.services.institution_place import notice_of

GOOD = msgspec.json.encode(notice_of())


def refused_or_read(body: bytes) -> None:
    """Nothing but Invalid is raised, and what is read can be stored."""
    try:
        notice = read_notice(body)
    except Invalid as error:
        assert error.message.endswith(".")
        return
    assert b"\\u0000" not in msgspec.json.encode(notice)


@given(st.binary(max_size=200))
def test_bytes(body: bytes) -> None:
    refused_or_read(body)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8))
def test_damaged_notices(at: int, with_bytes: bytes) -> None:
    refused_or_read(GOOD[:at] + with_bytes + GOOD[at + len(with_bytes) :])


@given(
    st.dictionaries(
        st.sampled_from([*notice_of().__struct_fields__, "unknown"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_wrong_members(members: dict[str, object]) -> None:
    plain = msgspec.to_builtins(notice_of())
    try:
        body = msgspec.json.encode({**plain, **members})
    except (OverflowError, UnicodeEncodeError):
        return
    refused_or_read(body)


def test_texts_are_cleaned() -> None:
    notice = read_notice(msgspec.json.encode(notice_of(description="\ta\0\u202eb\u2028c" + "x" * 5000)))
    assert notice.description.startswith("a b cxx")
    assert len(notice.description) == 1024
    assert read_notice(GOOD) == notice_of()


def test_deep_nesting() -> None:
    with pytest.raises(Invalid):
        read_notice(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
