"""Installations to load: many physicians, one or several render nodes, a series of its own for everybody.

The four roles run as processes of the real command line, as in the tests of flows.
"""

from __future__ import annotations

import asyncio
import copy
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import yaml

from sivr import config
from sivr.crypto import SigningKey
from sivr.model.directory import NewInstitution, NewUser
from sivr.peers import open_client
from sivr.services.toplevel import create_user
from tests.flows.people import Person, Visitor
from tests.flows.system import HOST, System, free_ports

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct-head-1mm"


class Installation(System):
    """All roles, ``nodes`` render nodes of one institution and ``people`` physicians; a context manager.

    ``cores`` pins node number n to the processor ``cores[n]``, so that each is a machine of one core.
    """

    def __init__(
        self,
        folder: Path,
        *,
        people: int,
        nodes: int = 1,
        render: dict[str, object] | None = None,
        cores: Sequence[int] = (),
    ) -> None:
        super().__init__(folder)
        self.physicians = tuple(
            (f"reader-{number:03d}", f"secret of reader {number:03d}") for number in range(people)
        )
        self.cores = tuple(cores)
        self.nodes = ["render"] + [f"node-{number}" for number in range(2, nodes + 1)]
        self._files = {"render": self.file}
        tree = yaml.safe_load(self.file.read_text())
        tree["roles"]["render"].update(render or {})
        first = tree["roles"]["render"]
        for name in self.nodes[1:]:
            self._add_node(tree, first, name)
        self.file.write_text(yaml.safe_dump(tree, sort_keys=False))
        config.load(self.file)

    def _add_node(self, tree: dict[str, Any], first: dict[str, Any], name: str) -> None:
        port = free_ports(1)
        key = SigningKey.generate()
        key.save(self.folder / "keys" / f"{name}.key")
        node = copy.deepcopy(first)
        node |= {
            "url": f"https://{HOST}:{port}",
            "id": name,
            "name": name,
            "database": f"sqlite:///data/{name}.db",
            "signing_key": f"keys/{name}.key",
            "data": f"data/{name}",
        }
        node["listen"]["port"] = port
        seed = {"id": name, "name": name, "url": node["url"], "public_key": key.public.text}
        tree["roles"]["institution"]["nodes"].append(seed)
        self._files[name] = self.folder / f"{name}.yaml"
        self._files[name].write_text(yaml.safe_dump({"roles": {"render": node}}, sort_keys=False))
        self.urls[name] = node["url"]

    def __enter__(self) -> Installation:
        try:
            super().__enter__()
            asyncio.run(self._add_readers())
            for name in self.nodes[1:]:
                self.start(name)
            for name in self.nodes[1:]:
                self.wait_ready(name)
        except BaseException:
            # What has started must not outlive what has not.
            self.__exit__(None, None, None)
            raise
        return self

    async def _add_readers(self) -> None:
        toplevel = config.load(self.file).roles.toplevel
        assert toplevel is not None
        known = [NewInstitution(id=one.id, name=one.name, url=one.url) for one in toplevel.institutions]
        for login, secret in self.physicians:
            new = NewUser(
                login=login, name=login, password=secret, roles=("physician",), institutions=("general",)
            )
            await create_user(toplevel.database, new, institutions=known)

    def start(self, role: str) -> None:
        """Start a role, or a further node by its name."""
        if role not in self.nodes:
            super().start(role)
            return
        command = [
            sys.executable,
            "-m",
            "sivr",
            "run",
            "--config",
            str(self._files[role]),
            "--role",
            "render",
        ]
        place = self.nodes.index(role)
        pinned = self.cores[place : place + 1]
        with (self.folder / f"{role}.log").open("ab") as log:
            self._processes[role] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                preexec_fn=(lambda: os.sched_setaffinity(0, pinned)) if pinned else None,
            )

    @property
    def memory_mb(self) -> int:
        """What the YAML allows a node for decoded slices and textures."""
        render = config.load(self.file).roles.render
        assert render is not None
        return render.memory_mb


class Stored(msgspec.Struct, frozen=True):
    """A study on a node, as its contents describe its only series."""

    node: str
    study_uid: str
    series: dict[str, Any]


@asynccontextmanager
async def reader(system: System, number: int) -> AsyncIterator[Person]:
    """Physician ``number`` of the installation, logged in, with a client and cookies of their own."""
    async with open_client(system.ca) as client:
        visitor = Visitor(client, system.web)
        await visitor.log_in(*system.physicians[number])
        yield Person(visitor, system)


async def store(person: Person, files: Sequence[Path], node_id: str, patient: str = "") -> str:
    """Upload the files of one study to a node; the study's UID once its institution lists all of it.

    With a patient of its own unless one is named.
    """
    visitor = person.visitor
    patient = patient or await person.new_patient()
    wish = {
        "action": "store",
        "patient_id": patient,
        "patient_issuer": visitor.toplevel_id,
        "node_id": node_id,
    }
    granted = await visitor.json("POST", f"{person.institution}/grants", wish)
    upload = await visitor.open_upload(granted["node"]["url"], granted["grant"], patient)

    async def send(numbers: range) -> None:
        for number in numbers:
            file = files[number]
            body = await asyncio.to_thread(file.read_bytes)
            await visitor.put_file(upload, f"f{number}", file.name, body)

    # As the page does: a few files under way at a time.
    await asyncio.gather(*(send(range(start, len(files), 3)) for start in range(3)))
    state = await person.indexed(upload)
    study = str(state["studies"][0]["study_uid"])
    await person.listed(study, len(files))
    return study


async def view(person: Person, study: str) -> Stored:
    """Ask for the grant, show it to the node once; from then on the cookie will do."""
    visitor = person.visitor
    node = await visitor.may_view(person.institution, study)
    await visitor.json("POST", f"{node}/session", json={"grants": [visitor._grants[study]]})
    contents = (await visitor._client.ask("GET", f"{node}/studies/{study}/contents")).json()
    return Stored(node, study, dict(contents["series"][0]))


def heads(folder: Path, count: int, slices: int) -> list[list[Path]]:
    """Files of ``count`` studies of one CT series each: the same head with other UIDs, the middle slices.

    The real one where it lies beside the checkout, else a phantom of 512 x 512.
    """
    import pydicom

    from sivr.dicom.phantom import write_phantom

    if REAL.is_dir():
        found = []
        for path in sorted(REAL.iterdir()):
            try:
                data = pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
            if "ImagePositionPatient" in data:
                found.append(data)
        found.sort(key=lambda data: float(data.ImagePositionPatient[2]))
        start = max(0, (len(found) - slices) // 2)
        found = found[start : start + slices]
    else:
        paths = write_phantom(folder / "phantom", "head", (slices, 512, 512))
        found = [pydicom.dcmread(path) for path in paths]
    studies = []
    for number in range(count):
        here = folder / f"study-{number:03d}"
        here.mkdir(parents=True)
        study, series = (pydicom.uid.generate_uid(entropy_srcs=[f"{kind}{number}"]) for kind in ("st", "se"))
        files = []
        for place, data in enumerate(found):
            data.StudyInstanceUID, data.SeriesInstanceUID = study, series
            data.SOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[f"{number}/{place}"])
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
            files.append(here / f"{place:04d}.dcm")
            data.save_as(files[-1])
        studies.append(files)
    return studies
