"""Annotations as SR, GSPS and KOS: read back by us, by highdicom, and by DCMTK's checkers."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import uuid
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.sr.codedict import codes

from sivr.dicom.phantom import write_phantom
from sivr.dicom.rulers import ruler_values, write_ruler
from sivr.store.index import StoredInstance
from tests.api.dicomweb.node import Answer, Node, Viewer

pytestmark = pytest.mark.asyncio(loop_scope="module")

DRAWN: dict[str, list[list[float]]] = {
    "length": [[40.5, 30.5], [140.5, 30.5]],
    "polyline": [[10, 10], [40, 10], [40, 50.25]],
    "angle": [[100, 50], [50, 50], [50, 100]],
    "cobb": [[10, 10], [60, 10], [10, 100], [60, 125]],
    "rectangle": [[20.5, 30], [100, 90.5]],
    "ellipse": [[50, 100], [150, 100], [100, 60], [100, 140]],
    "circle": [[150, 120], [190, 120]],
    "freehand": [[20, 20], [200, 20], [20, 200]],
    "probe": [[40.5, 30.5]],
    "bidirectional": [[10, 10], [110, 10], [60, 0], [60, 40]],
    "arrow": [[30, 30], [60, 70]],
    "text": [[33, 44]],
    "mark": [],
    "key": [],
}
ANSWERS: dict[str, tuple[str, float]] = {
    "length": ("410668003", 50.0),
    "polyline": ("121211", 15 + 40.25 * 0.8),
    "angle": ("1483009", 90.0),
    "cobb": ("285285000", math.degrees(math.atan2(25 * 0.8, 50 * 0.5))),
    "rectangle": ("42798000", 79.5 * 60.5 * 0.4),
    "ellipse": ("42798000", math.pi * 50 * 40 * 0.4),
    "circle": ("42798000", math.pi * 400),
    "freehand": ("42798000", 180 * 180 / 2 * 0.4),
    "probe": ("111010", 3000 - 1024),
    "bidirectional": ("103339001", 50.0),
}


def annotations(stored: StoredInstance, **points: list[list[float]]) -> list[dict[str, Any]]:
    place = {
        "on": "frame", "series_uid": stored.header.series_uid,
        "instance_uid": stored.header.instance_uid, "frame": 1,
    }  # fmt: skip
    return [
        {
            "id": uuid.uuid5(uuid.NAMESPACE_OID, kind).hex, "kind": kind, "place": place, "points": found,
            "text": f"Nalaz č {kind}" if kind in ("arrow", "text", "mark") else "",
            "name": f"Ime {kind}" if kind in ("length", "key") else "",
        }
        for kind, found in points.items()
    ]  # fmt: skip


async def post(ana: Viewer, path: str, body: Any) -> Answer:
    options = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with ana.node.http.post(ana.node.url + path, headers=ana.headers, **options) as answer:
        return Answer(answer.status, answer.headers.copy(), await answer.read())


def essence(items: list[dict[str, Any]]) -> list[Any]:
    return sorted(
        [
            one["kind"], one["place"]["instance_uid"], one["place"]["frame"],
            [[round(part, 3) for part in point] for point in one["points"]], one["name"], one["text"],
        ]
        for one in items
    )  # fmt: skip


def numbers(data: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Every NUM below, in order."""
    found = [data] if data.get("ValueType") == "NUM" else []
    for child in data.get("ContentSequence", []):
        found += numbers(child)
    return found


def texts(data: pydicom.Dataset) -> list[str]:
    """Every text below."""
    found = [data.TextValue] if data.get("ValueType") == "TEXT" else []
    for child in data.get("ContentSequence", []):
        found += texts(child)
    return found


def complaints(told: bytes) -> list[str]:
    """What DCMTK finds wrong, without what it says of its own limits."""
    limits = ("does not support this Specific Character Set", "not yet supported")
    lines = told.decode().splitlines()
    return [
        one for one in lines if one[:2] in ("W:", "E:") and not one.endswith(limits) and limits[0] not in one
    ]


async def ruler(node: Node, tmp_path: Path, kind: Any, study: str) -> StoredInstance:
    (stored,) = await node.add([write_ruler(tmp_path / f"{kind}.dcm", kind, study=study)])
    return stored


async def test_a_report_says_what_was_measured(node: Node, tmp_path: Path) -> None:
    stored = await ruler(node, tmp_path, "ct", "sr")
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    sent = annotations(stored, **DRAWN)
    answer = await post(ana, f"/studies/{study}/structured-reports", {"annotations": sent})
    assert answer.status == 200, answer.body
    path = tmp_path / "sr.dcm"
    path.write_bytes(answer.body)

    # DCMTK reads the whole tree without a word of complaint.
    told = subprocess.run(["dsrdump", "+Pc", str(path)], capture_output=True, check=False)
    assert told.returncode == 0 and not complaints(told.stderr)
    assert b"Imaging Measurement Report" in told.stdout and told.stdout.count(b"Measurement Group") == 12

    # highdicom finds each measurement by its tracking UID, with the figures numpy and geometry give.
    data = pydicom.dcmread(path)
    assert data.PatientName == "Phantom" and data.StudyInstanceUID == study and data.StudyID == "1"
    report = highdicom.sr.srread(path).content
    assert isinstance(report, highdicom.sr.MeasurementReport)
    groups = report.get_image_measurement_groups() + report.get_planar_roi_measurement_groups()
    assert report.get_observer_contexts() and groups
    container = next(
        item for item in data.ContentSequence
        if item.get("ConceptNameCodeSequence") and item.ConceptNameCodeSequence[0].CodeValue == "126010"
    )  # fmt: skip
    found: dict[str, list[pydicom.Dataset]] = {}
    for group in container.ContentSequence:
        uid = next(one.UID for one in group.ContentSequence if one.ValueType == "UIDREF")
        kind = next(one["kind"] for one in sent if uid == f"2.25.{uuid.UUID(one['id']).int}")
        tracker = next(one.TextValue for one in group.ContentSequence if one.ValueType == "TEXT")
        assert re.fullmatch(r"Cornerstone3DTools@\^0\.1\.0:\w+", tracker)
        found[kind] = numbers(group)
        first = found[kind][0].ContentSequence[0]
        assert (first.ValueType, first.RelationshipType) == ("SCOORD", "INFERRED FROM")
        reference = first.ContentSequence[0].ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == stored.header.instance_uid
        assert "ReferencedFrameNumber" not in reference, "the image has one frame"
    assert set(found) == set(DRAWN) - {"mark", "key"}
    for kind, (code, value) in ANSWERS.items():
        first = found[kind][0]
        assert first.ConceptNameCodeSequence[0].CodeValue == code
        assert float(first.MeasuredValueSequence[0].NumericValue) == pytest.approx(value), kind
    hu = ruler_values().astype(float) - 1024
    rows, columns = np.mgrid[0:240, 0:320] + 0.5
    inside = hu[(rows >= 30) & (rows <= 90.5) & (columns >= 20.5) & (columns <= 100)]
    by_code = {
        one.ConceptNameCodeSequence[0].CodeValue: one.MeasuredValueSequence[0] for one in found["rectangle"]
    }
    assert float(by_code["373098007"].FloatingPointValue) == pytest.approx(inside.mean())
    assert float(by_code["386136009"].FloatingPointValue) == pytest.approx(inside.std())
    assert by_code["373098007"].MeasurementUnitsCodeSequence[0].CodeValue == codes.UCUM.HounsfieldUnit.value

    # And back: the same annotations under the same ids.
    reading = (await post(ana, f"/studies/{study}/annotation-readings", answer.body)).json
    assert (reading["form"], reading["refused"]) == ("structured-report", [])
    expected = [one for one in sent if one["kind"] != "key"]
    # A circle is round in the patient: where pixels are not square it is written as an ellipse.
    for one in expected:
        if one["kind"] == "circle":
            one.update(kind="ellipse", points=[[110, 120], [190, 120], [150, 95], [150, 145]])
    assert essence(reading["annotations"]) == essence(expected)
    kept = {one["id"] for one in expected if one["kind"] != "mark"}
    assert kept <= {one["id"] for one in reading["annotations"]}


async def test_units_and_origins_are_told(node: Node, tmp_path: Path) -> None:
    for kind, unit, value, origin in (
        ("dx", "mm", 12.0, "Spacing: detector corrected by ERMF 1.25"),
        ("dx-detector", "mm", 15.0, "Spacing: detector"),
        ("mg", "mm", 8.0, "Spacing: calibrated geometry breast support"),
        ("us", "mm", 20.0, "Spacing: ultrasound region"),
        ("pixels", "{pixels}", 100.0, "Spacing: pixels"),
    ):
        stored = await ruler(node, tmp_path, kind, f"sr-{kind}")
        study = stored.header.study_uid
        sent = annotations(stored, length=[[20.5, 30.5], [120.5, 30.5]], circle=[[100, 60], [110, 60]])
        answer = await post(
            node.viewer("ana", study), f"/studies/{study}/structured-reports", {"annotations": sent}
        )
        data = pydicom.dcmread(io.BytesIO(answer.body))
        first = numbers(data)[0].MeasuredValueSequence[0]
        assert (first.MeasurementUnitsCodeSequence[0].CodeValue, float(first.NumericValue)) == (unit, value)
        assert origin in texts(data)
        reading = (
            await post(node.viewer("ana", study), f"/studies/{study}/annotation-readings", answer.body)
        ).json
        assert [one["kind"] for one in reading["annotations"]][1] == (
            "ellipse" if kind == "pixels" else "circle"
        )


async def test_several_frames(node: Node, tmp_path: Path) -> None:
    (stored,) = await node.add(
        write_phantom(tmp_path / "in", "ramp", (6, 16, 16), multi_frame=True, study="sr-many")
    )
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    sent = annotations(stored, length=[[1, 1], [9, 1]], key=[])
    for one in sent:
        one["place"]["frame"] = 4
    for form in ("structured-reports", "presentation-states", "key-object-selections"):
        answer = await post(ana, f"/studies/{study}/{form}", {"annotations": sent})
        assert answer.status == 200, answer.body
        reading = (await post(ana, f"/studies/{study}/annotation-readings", answer.body)).json
        assert {one["place"]["frame"] for one in reading["annotations"]} == {4}, form


async def test_a_presentation_state(node: Node, tmp_path: Path) -> None:
    stored = await ruler(node, tmp_path, "ct", "gsps")
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    # DCMTK's checker knows no UTF-8.
    sent = [one | {"text": one["text"].replace("č", "c")} for one in annotations(stored, **DRAWN)]
    answer = await post(ana, f"/studies/{study}/presentation-states", {"annotations": sent})
    assert answer.status == 200, answer.body
    path = tmp_path / "pr.dcm"
    path.write_bytes(answer.body)
    told = subprocess.run(["dcmpschk", str(path)], capture_output=True, check=False)
    out = told.stdout + told.stderr
    assert told.returncode == 0 and b"Test passed" in out and b"Error" not in out, out
    data = pydicom.dcmread(path)
    area = data.DisplayedAreaSelectionSequence[0]
    assert (area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner) == (
        [1, 1],
        [320, 240],
    )
    assert [float(one) for one in area.PresentationPixelSpacing] == [0.8, 0.5]
    assert (data.SoftcopyVOILUTSequence[0].WindowCenter, data.SoftcopyVOILUTSequence[0].WindowWidth) == (
        500,
        3000,
    )
    reading = (await post(ana, f"/studies/{study}/annotation-readings", answer.body)).json
    found: dict[str, list[Any]] = {}
    for one in reading["annotations"]:
        found.setdefault(one["kind"], []).append(one)
    assert DRAWN["length"] in [one["points"] for one in found["length"]]
    assert DRAWN["freehand"] in [one["points"] for one in found["freehand"]]
    assert DRAWN["ellipse"] in [one["points"] for one in found["ellipse"]]
    assert any("length 50 mm" in one["text"] and "Ime length" in one["text"] for one in found["text"])


async def test_key_objects_in_and_out_of_a_study(node: Node, tmp_path: Path) -> None:
    stored = await ruler(node, tmp_path, "ct", "kos")
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    sent = annotations(stored, length=DRAWN["length"], key=[])
    answer = await post(ana, f"/studies/{study}/key-object-selections", {"annotations": sent})
    path = tmp_path / "ko.dcm"
    path.write_bytes(answer.body)
    told = subprocess.run(["dsrdump", "+Pc", str(path)], capture_output=True, check=False)
    assert told.returncode == 0 and not complaints(told.stderr)
    highdicom.ko.KeyObjectSelectionDocument.from_dataset(pydicom.dcmread(path))
    # Stored in the study it is found there and read.
    await node.add([path])
    listed = (await ana.get(f"/studies/{study}/annotation-objects")).json["items"]
    assert [one["form"] for one in listed] == ["key-object-selection"]
    reading = (
        await ana.get(f"/studies/{study}/annotation-objects/{listed[0]['instance_uid']}/annotations")
    ).json
    (key,) = reading["annotations"]
    assert (key["kind"], key["place"]["instance_uid"], key["text"]) == (
        "key",
        stored.header.instance_uid,
        "Ime key",
    )


async def test_the_form_of_the_plane_viewer(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", (9, 8, 8))
    study, series = stored[0].header.study_uid, stored[0].header.series_uid
    ana = node.viewer("ana", study)
    document = [
        {"Anomaly": "Motion", "Slices": [2, "4-6"]},
        {"anomaly": "Metal", "slices": "9"},
        {"Anomaly": "Beyond", "Slices": [10]},
        {"Slices": [1]},
        {"Anomaly": "Words", "Slices": ["two"]},
    ]
    body = json.dumps(document).encode()
    reading = (await post(ana, f"/studies/{study}/annotation-readings?series={series}", body)).json
    assert reading["form"] == "plane-viewer"
    assert [(one["kind"], one["text"]) for one in reading["annotations"]] == [("mark", "Motion")] * 4 + [
        ("mark", "Metal")
    ]
    # The phantom's files are in the order of its slices.
    order = [one.header.instance_uid for one in stored]
    assert [order.index(one["place"]["instance_uid"]) + 1 for one in reading["annotations"]] == [
        2,
        4,
        5,
        6,
        9,
    ]
    assert [one["index"] for one in reading["refused"]] == [2, 3, 4]
    assert "9 slices; there is no slice 10" in reading["refused"][0]["reason"]
    written = (
        await post(ana, f"/studies/{study}/plane-viewer-documents", {"annotations": reading["annotations"]})
    ).json
    assert written == [
        {"Series": series, "Anomaly": "Motion", "Slices": [2, 4, 5, 6]},
        {"Series": series, "Anomaly": "Metal", "Slices": [9]},
    ]


async def test_refusals(node: Node, tmp_path: Path) -> None:
    stored = await ruler(node, tmp_path, "ct", "refusals")
    other = await ruler(node, tmp_path, "mg", "elsewhere")
    study = stored.header.study_uid
    ana = node.viewer("ana", study)
    own = json.dumps(
        {"annotations": [*annotations(stored, **DRAWN), *annotations(other, length=DRAWN["length"])]}
    )
    reading = (await post(ana, f"/studies/{study}/annotation-readings", own.encode())).json
    assert len(reading["annotations"]) == len(DRAWN) and [one["index"] for one in reading["refused"]] == [14]
    for body in (b"", b"{", b"{}", b"nonsense", b'[{"a": 1}]', (tmp_path / "ct.dcm").read_bytes()):
        answer = await post(ana, f"/studies/{study}/annotation-readings", body)
        assert answer.status == 400 and answer.json["detail"].endswith("."), body[:20]
    for form in ("structured-reports", "presentation-states", "key-object-selections"):
        path = f"/studies/{study}/{form}"
        assert (await post(ana, path, {"annotations": []})).status == 400
        problem = await post(ana, path, {"annotations": annotations(other, length=DRAWN["length"])})
        assert problem.status == 404 and problem.json["detail"].startswith("Annotation 1: ")
        assert (await post(node.viewer("eve"), path, {"annotations": [1]})).status == 403
