"""``sivr smoke``: a scripted newcomer logs in, uploads, opens, looks at a slice and a volume, logs out."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from sivr import codec
from sivr.cli import password
from sivr.errors import Invalid, SivrError, Unavailable
from sivr.peers import Answer, Client, Visitor, open_client

PATIENT = {
    "family_name": "Smoke",
    "given_name": "Test",
    "insurance_number": "SMOKE-TEST",
    "insurance_issuer": "sivr smoke",
    "notes": "Made by sivr smoke. Holds a generated phantom, no patient's data.",
}
SHAPE = (24, 96, 96)
_WAIT_S = 60.0

_T = TypeVar("_T")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser(
        "smoke",
        help="log in, upload, open, slice, volume, log out: one line per step",
        description="Try a running installation as a physician would. The password is read from "
        "SIVR_PASSWORD, from standard input with --password-stdin, or asked for.",
    )
    found.add_argument("url", metavar="URL", help="address of the web role, e.g. https://localhost:8443")
    found.add_argument("--login", required=True, help="a physician who may store at an institution")
    found.add_argument("--password-stdin", action="store_true")
    found.add_argument("--wait", type=float, default=0.0, metavar="S", help="wait so long for it to start")
    found.add_argument("--ca", type=Path, metavar="FILE", help="PEM file of the authority to trust")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: 0 when every step worked, 1 when one failed."""
    if options.password_stdin:
        given = password.from_stdin()
    else:
        given = os.environ.get("SIVR_PASSWORD") or password.ask(
            f"Password of {options.login}: ", "set SIVR_PASSWORD or use --password-stdin"
        )
    try:
        asyncio.run(smoke(options.url, options.login, given, options.ca, print, options.wait))
    except StepFailed as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    return 0


class StepFailed(Exception):
    """A step that did not work, and why."""


class _Steps:
    """Runs steps and prints a line for each."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    async def do(self, name: str, work: Awaitable[_T], tell: Callable[[_T], str]) -> _T:
        started = time.perf_counter()
        try:
            result = await work
            told = tell(result)
        except SivrError as error:
            raise StepFailed(f"{name}: {error.message}") from error
        self._say(f"ok  {name:<12} {(time.perf_counter() - started) * 1000:6.0f} ms  {told}")
        return result


async def smoke(
    url: str, login: str, secret: str, ca: Path | None, say: Callable[[str], None], wait_s: float = 0.0
) -> None:
    """All steps; raises StepFailed. ``wait_s`` is how long the installation may take to answer at all."""
    steps = _Steps(say)
    async with open_client(ca) as client:
        await _answering(client, url, wait_s)
        visitor = Visitor(client, url)
        user = await steps.do("log in", visitor.log_in(login, secret), lambda one: str(one["name"]))
        institution = await steps.do(
            "institution", _own_institution(visitor, user), lambda one: f"{one['name']} at {one['url']}"
        )
        patient = await steps.do(
            "patient", visitor.find_or_create_patient(PATIENT), lambda one: f"record {one['id']}"
        )
        upload = await steps.do("upload", _upload(visitor, institution["url"], patient["id"]), _told_upload)
        study = upload["studies"][0]["study_uid"]
        await steps.do("index", _listed(visitor, institution["url"], study, patient["id"]), _told_study)
        node = await steps.do(
            "open", visitor.may_view(institution["url"], study), lambda found: f"on {found}"
        )
        contents = await steps.do("contents", visitor.view(node, study, "/contents"), _told_contents)
        series = contents.json()["series"][0]
        middle = series["frames"][len(series["frames"]) // 2]
        frame = (
            f"/series/{series['series_uid']}/instances/{middle['instance_uid']}"
            f"/frames/{middle['frame']}/rendered"
        )
        await steps.do("slice", visitor.view(node, study, frame, {"accept": "image/png"}), _told_picture)
        volume = {
            "accept": "image/png",
            "renderingmethod": "volume_rendered",
            "orientation": "a",
            "viewport": "256,256",
        }
        path = f"/series/{series['series_uid']}/rendered3d"
        await steps.do("volume", _complete(visitor, node, study, path, volume), _told_picture)
        await steps.do("log out", visitor.log_out(), lambda _: "")


async def _answering(client: Client, url: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            await client.ask("GET", f"{url.rstrip('/')}/config.json")
        except Unavailable:
            await asyncio.sleep(0.5)
        else:
            return


async def _own_institution(visitor: Visitor, user: dict[str, Any]) -> dict[str, Any]:
    for one in await visitor.institutions():
        if one["id"] in user["institutions"]:
            return one
    raise Invalid("This user may not store at any institution.")


async def _upload(visitor: Visitor, institution_url: str, patient_id: str) -> dict[str, Any]:
    # Imported here: only this step needs the whole of DICOM.
    from sivr.dicom.phantom import write_phantom

    node, grant = await visitor.may_store(institution_url, patient_id)
    url = await visitor.open_upload(node, grant, patient_id)
    with tempfile.TemporaryDirectory() as folder:
        files = await asyncio.to_thread(write_phantom, Path(folder), "letter", SHAPE, study="smoke")
        for number, file in enumerate(files):
            body = await asyncio.to_thread(file.read_bytes)
            result = await visitor.put_file(url, f"f{number}", file.name, body)
            if result["status"] not in ("stored", "duplicate"):
                raise Invalid(f"{file.name} was refused: {result['reason']}")
    deadline = time.monotonic() + _WAIT_S
    while True:
        state = await visitor.upload_state(url)
        if state["indexed"]:
            return state
        if time.monotonic() > deadline:
            raise Unavailable(f"The objects were not indexed within {_WAIT_S:.0f} s.")
        await asyncio.sleep(0.2)


async def _listed(visitor: Visitor, institution_url: str, study: str, patient_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _WAIT_S
    while True:
        page = await visitor.json("GET", f"{institution_url}/studies?patient_id={patient_id}")
        for one in page["items"]:
            if one["study_uid"] == study and one["instance_count"] >= SHAPE[0]:
                return dict(one)
        if time.monotonic() > deadline:
            raise Unavailable(f"The institution did not list the study within {_WAIT_S:.0f} s.")
        await asyncio.sleep(0.2)


async def _complete(visitor: Visitor, node: str, study: str, path: str, params: dict[str, str]) -> Answer:
    deadline = time.monotonic() + _WAIT_S
    while True:
        answer = await visitor.view(node, study, path, params)
        if answer.headers.get("Sivr-Complete", "yes") == "yes":
            return answer
        if time.monotonic() > deadline:
            raise Unavailable(f"The volume was not complete within {_WAIT_S:.0f} s.")
        await asyncio.sleep(0.2)


def _told_upload(state: dict[str, Any]) -> str:
    counts = state["counts"]
    return f"{counts['stored']} stored, {counts['duplicate']} there already, {counts['refused']} refused"


def _told_study(study: dict[str, Any]) -> str:
    return f"{study['instance_count']} instances in {study['series_count']} series"


def _told_contents(answer: Answer) -> str:
    series = answer.json()["series"]
    if not series or not series[0]["volume"]:
        raise Invalid("The uploaded series did not become a volume.")
    return f"{len(series)} series, {len(series[0]['frames'])} frames"


def _told_picture(answer: Answer) -> str:
    pixels = codec.decode(answer.body)
    if pixels.max() <= pixels.min():
        raise Invalid("The picture is empty.")
    return f"{pixels.shape[1]} x {pixels.shape[0]}, {len(answer.body) / 1000:.1f} kB"
