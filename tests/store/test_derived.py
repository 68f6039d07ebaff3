"""Derived files: what was written, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sivr.crypto import new_study_key
from sivr.errors import Gone, Invalid, NotFound
from sivr.store.derived import Derived
from sivr.store.sealing import CHUNK_BYTES, Form, StudyKey

STUDY, NAME = "1.2.3", "1.2.3.4/abc/bricks.1"
BODY = bytes(range(256)) * 5000
FORMS = [Form(), Form(True), Form(False, "aes-256-gcm"), Form(True, "xchacha20-poly1305")]


class Keys:
    """Keys of studies, in memory."""

    def __init__(self) -> None:
        self.of_study: dict[str, StudyKey] = {}

    def key_for(self, study_uid: str) -> StudyKey:
        made = StudyKey(bytes([len(self.of_study)] * 16), new_study_key())
        return self.of_study.setdefault(study_uid, made)

    def key_of(self, key_id: bytes) -> bytes:
        for one in self.of_study.values():
            if one.id == key_id:
                return one.key
        raise Gone("erased")


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture(params=FORMS, ids=["raw", "compressed", "encrypted", "both"])
def derived(request: pytest.FixtureRequest, tmp_path: Path, keys: Keys) -> Derived:
    return Derived(tmp_path / "derived", request.param, keys.key_for, keys.key_of)


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


def test_write_open_and_ranges(derived: Derived) -> None:
    derived.write(STUDY, NAME, [BODY[:1000], memoryview(BODY)[1000:]])
    with derived.open(STUDY, NAME) as file:
        assert file.size == len(BODY) > 2 * CHUNK_BYTES
        assert file.read(0, 1 << 30) == BODY
        assert file.read(CHUNK_BYTES - 3, 10) == BODY[CHUNK_BYTES - 3 : CHUNK_BYTES + 7]
        assert file.read(len(BODY), 5) == b""
        out = bytearray(20)
        assert file.read_into(77, memoryview(out)) == 20
        assert out == BODY[77:97]
        derived.write(STUDY, NAME, [b"new"])
        assert file.read(0, 5) == BODY[:5]
    with derived.open(STUDY, NAME) as file:
        assert file.read(0, 5) == b"new"


def test_absent_removed_and_trimmed(derived: Derived, tmp_path: Path) -> None:
    derived.remove(STUDY)
    with pytest.raises(NotFound):
        derived.open(STUDY, NAME)
    for study, name in ((STUDY, NAME), (STUDY, "other"), ("4.5", NAME)):
        derived.write(study, name, [BODY])
    derived.remove(STUDY, "other")
    with pytest.raises(NotFound):
        derived.open(STUDY, "other")
    derived.open(STUDY, NAME).__exit__(None, None, None)
    derived.remove(STUDY)
    with pytest.raises(NotFound):
        derived.open(STUDY, NAME)
    [left] = files(tmp_path / "derived")
    assert derived.trim(left.stat().st_size) == 0
    assert derived.trim(0) > 0
    assert not files(tmp_path / "derived")


def test_what_is_damaged_or_moved_is_not_there(derived: Derived, tmp_path: Path) -> None:
    derived.write(STUDY, NAME, [BODY])
    derived.write(STUDY, "other", [BODY[::-1]])
    one, two = files(tmp_path / "derived")
    one.write_bytes(two.read_bytes())
    for name in (NAME, "other"):
        try:
            with derived.open(STUDY, name) as file:
                found = file.read(0, 1 << 30)
        except NotFound:
            continue
        assert found == (BODY if name == NAME else BODY[::-1])
    derived.write(STUDY, NAME, [BODY])
    with derived.open(STUDY, NAME) as file:
        for path in files(tmp_path / "derived"):
            with path.open("r+b") as broken:
                broken.seek(-20, 2)
                broken.write(b"?" * 10)
        with pytest.raises(NotFound):
            file.read(0, 1 << 30)


def test_nothing_opens_without_its_key(tmp_path: Path, keys: Keys) -> None:
    derived = Derived(tmp_path, Form(True, "aes-256-gcm"), keys.key_for, keys.key_of)
    derived.write(STUDY, NAME, [BODY])
    keys.of_study.clear()
    with pytest.raises(NotFound):
        derived.open(STUDY, NAME)
    assert not files(tmp_path)
    with pytest.raises(Invalid):
        Derived(tmp_path, Form(False, "aes-256-gcm")).write(STUDY, NAME, [BODY])
