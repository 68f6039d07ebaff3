"""Power cuts of the render node during an upload: every acknowledged file is there, indexed once."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sivr import codec
from sivr.dicom.phantom import write_phantom
from sivr.errors import SivrError
from sivr.store.sealing import is_sealed
from tests.flows.people import Person, physician
from tests.flows.system import System

FILES = 200
CUTS = 10
AT_ONCE = 3


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kill_at_random_moments(tmp_path: Path) -> None:
    files = write_phantom(tmp_path / "files", "letter", (FILES, 48, 48), study="power cuts")
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with System(tmp_path / "system") as system:
        async with physician(system) as ana:
            url = await ana.new_upload(await ana.new_patient())
            acknowledged: dict[str, dict[str, Any]] = {}
            waiting = list(enumerate(files))
            cuts = 0

            async def send() -> None:
                while waiting:
                    number, file = waiting.pop(0)
                    try:
                        result = await ana.visitor.put_file(url, f"f{number}", file.name, file.read_bytes())
                    except SivrError:
                        waiting.append((number, file))
                        await asyncio.sleep(0.05)
                    else:
                        assert result["status"] in ("stored", "duplicate"), result
                        acknowledged[file.name] = result

            async def cut() -> None:
                nonlocal cuts
                for part in range(1, CUTS + 1):
                    wanted = FILES * part // (CUTS + 1)
                    while len(acknowledged) < wanted:
                        assert system.is_running("render"), system.log("render")
                        await asyncio.sleep(0.005)
                    await asyncio.sleep(chance.uniform(0, 0.05))
                    system.stop("render", kill=True)
                    cuts += 1
                    # The next cut waits for files, not for the drawing code to be ready.
                    system.start("render")
                await asyncio.to_thread(system.wait_ready, "render")

            await asyncio.gather(cut(), *(send() for _ in range(AT_ONCE)))
            assert cuts == CUTS
            assert len(acknowledged) == FILES
            await _check(ana, system, url, files, acknowledged)


async def _check(
    ana: Person, system: System, url: str, files: list[Path], acknowledged: dict[str, dict[str, Any]]
) -> None:
    state = await ana.indexed(url)
    study = state["studies"][0]["study_uid"]
    assert len(state["studies"]) == 1
    await ana.listed(study, FILES)
    verify = [sys.executable, "-m", "sivr", "verify", "--config", str(system.folder / "sivr.yaml")]
    verified = await asyncio.to_thread(subprocess.run, verify, capture_output=True, text=True)
    assert verified.returncode == 0, verified
    assert verified.stdout == f"{FILES} objects: 0 damaged, 0 of studies whose keys were erased.\n"
    blobs = system.folder / "data" / "node-1" / "blobs"
    for file in files:
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        assert acknowledged[file.name]["sha256"] == sha256
        stored = blobs / sha256[:2] / sha256[2:4] / sha256
        # Compressed and encrypted, as init has it: verify has opened them.
        assert is_sealed(stored.read_bytes())
    with sqlite3.connect(f"file:{system.folder}/data/node-1.db?mode=ro", uri=True) as rows:
        hashes = [row[0] for row in rows.execute("SELECT sha256 FROM instance")]
        assert sorted(hashes) == sorted(one["sha256"] for one in acknowledged.values())
        assert rows.execute("SELECT count(*) FROM message").fetchone() == (0,)
    rows.close()
    series = await ana.series(study)
    assert len(series["frames"]) == FILES
    for place in (0, FILES // 2, FILES - 1):
        picture = codec.decode((await ana.rendered(study, series, place)).body)
        assert picture.shape == (48, 48)
