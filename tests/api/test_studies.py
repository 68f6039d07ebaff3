"""Studies of the institution through real sockets."""

from __future__ import annotations

import pytest

from tests.api.institution_asking import Asking
from tests.services.institution_place import ADA, ANA, VISITOR, notice_of

STUDY = {
    "study_uid", "patient_id", "patient_issuer", "node_id", "node", "modalities", "study_date", "study_time",
    "description", "accession_number", "series_count", "instance_count", "size_bytes", "complete",
    "findings_count", "series", "created_at", "updated_at",
}  # fmt: skip


async def test_nothing_is_there_yet(institution: Asking) -> None:
    assert await institution.ask(ANA, "GET", "/studies") == (200, {"items": [], "total": 0})


async def test_find_and_get(institution: Asking) -> None:
    await institution.tell(notice_of())
    await institution.tell(notice_of(study_uid="1.2.4", patient_id="patient-2", modalities=("MR",)))
    status, page = await institution.ask(ANA, "GET", "/studies?patient_id=patient-1&modality=CT&limit=10")
    assert (status, page["total"]) == (200, 1)
    (study,) = page["items"]
    assert set(study) == STUDY
    assert (study["study_date"], study["modalities"], study["findings_count"]) == ("2024-02-29", ["CT"], 0)
    assert study["created_at"].endswith("Z")
    assert study["node"] == {"id": "node-1", "name": "First node", "url": "https://node-1.example.org"}
    assert set(study["series"][0]) == {
        "series_uid", "modality", "number", "description", "body_part", "instance_count", "frame_count",
        "renderable", "has_volume", "why_no_volume",
    }  # fmt: skip
    assert await institution.ask(ANA, "GET", "/studies/1.2.3") == (200, study)
    _, page = await institution.ask(ANA, "GET", "/studies?date_from=2024-01-01&date_to=2024-12-31&limit=1")
    assert (len(page["items"]), page["total"]) == (1, 2)


async def test_viewing_is_open_to_every_physician(institution: Asking) -> None:
    await institution.tell(notice_of())
    assert (await institution.ask(VISITOR, "GET", "/studies/1.2.3"))[0] == 200
    for path in ("/studies", "/studies/1.2.3", "/studies/1.2.3/instances"):
        assert (await institution.ask(ADA, "GET", path))[0] == 403, path
        assert (await institution.ask(None, "GET", path))[0] == 401, path


async def test_hashes(institution: Asking) -> None:
    await institution.tell(notice_of([1]))
    status, instances = await institution.ask(ANA, "GET", "/studies/1.2.3/instances")
    assert status == 200
    (one,) = instances["items"]
    assert set(one) == {"instance_uid", "series_uid", "md5", "sha256", "size_bytes"}
    assert (len(one["md5"]), len(one["sha256"])) == (32, 64)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/1.9", 404),
        ("/studies/1.9/instances", 404),
        ("/studies?date_from=2024-01-02&date_to=2024-01-01", 400),
        ("/studies?date_from=yesterday", 400),
        ("/studies?limit=0", 400),
        ("/studies?limit=501", 400),
        ("/studies?offset=-1", 400),
        ("/studies?modality=CT&modality=MR", 400),
        ("/studies/%00", 404),
        ("/studies/%ED%A0%80", 404),
        ("/studies/%FF%FE", 404),
        ("/studies/%2e%2e%2f", 404),
        ("/studies?description=%00%ED%A0%80%FF", 200),
        ("/studies?description=%27%22%25_%5C", 200),
        ("/studies?description=" + "a%20" * 32, 200),
        ("/studies?description=" + "a%20" * 33, 400),
        ("/studies?description=" + "a-" * 1000, 400),
        ("/studies?description=" + "a" * 1001, 400),
    ],
)
async def test_strange_questions(institution: Asking, path: str, status: int) -> None:
    answered, body = await institution.ask(ANA, "GET", path)
    assert answered == status, body
    if status >= 400:
        assert body["detail"].endswith(".")
