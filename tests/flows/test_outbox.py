"""The institution is down during an upload: nothing is lost, and the study appears when it returns."""

from __future__ import annotations

from pathlib import Path

import pytest

from sivr.dicom.phantom import write_phantom
from tests.flows.people import physician
from tests.flows.system import System

SHAPE = (30, 64, 64)


@pytest.mark.slow
async def test_institution_stopped_during_an_upload(sivr_system: System, tmp_path: Path) -> None:
    files = write_phantom(tmp_path, "letter", SHAPE, study="institution stopped")
    async with physician(sivr_system) as ana:
        url = await ana.new_upload(await ana.new_patient())
        first = await ana.upload(url, files[:10])
        sivr_system.stop("institution", kill=True)
        try:
            rest = [
                await ana.visitor.put_file(url, f"r{number}", file.name, file.read_bytes())
                for number, file in enumerate(files[10:])
            ]
            assert {one["status"] for one in first + rest} == {"stored"}
            # Indexed although nobody can be told.
            study = (await ana.indexed(url))["studies"][0]["study_uid"]
        finally:
            sivr_system.start("institution")
            sivr_system.wait_ready("institution")
        listed = await ana.listed(study, len(files))
        assert listed["series"][0]["has_volume"]
        digests = await ana.visitor.json("GET", f"{ana.institution}/studies/{study}/instances")
        assert {one["sha256"] for one in digests["items"]} == {one["sha256"] for one in first + rest}
