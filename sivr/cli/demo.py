"""``sivr demo``: everything on this machine, with demo users, patients and a generated study."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path

from sivr import config
from sivr.cli.init import Plan, write
from sivr.errors import Conflict, Invalid, SivrError, Unavailable
from sivr.model.directory import NewInstitution, NewUser
from sivr.peers import Visitor, open_client
from sivr.roles.host import open_host
from sivr.roles.logs import start_logging
from sivr.services.toplevel import create_user

INSTITUTION = ("general", "General Hospital")
USERS = (
    ("admin", "Ada Administrator", "demo-admin-2022", "administrator"),
    ("ana", "Dr. Ana Horvat", "demo-ana-2022", "physician"),
    ("marko", "Dr. Marko Kovačević", "demo-marko-2022", "physician"),
)
PATIENTS = (
    {"family_name": "Demo", "given_name": "Phantom", "sex": "O", "birth_date": "1970-01-01",
     "insurance_number": "DEMO-1", "insurance_issuer": "demo",
     "notes": "A generated head study: no patient's data."},
    {"family_name": "Kovačević", "given_name": "Marija", "sex": "F", "birth_date": "1958-03-14",
     "insurance_number": "DEMO-2", "insurance_issuer": "demo", "notes": ""},
    {"family_name": "Đurić", "given_name": "Željko", "middle_name": "Ivan", "sex": "M",
     "birth_date": "1943-11-30", "insurance_number": "DEMO-3", "insurance_issuer": "demo", "notes": ""},
    {"family_name": "Müller", "given_name": "Jürgen", "sex": "M", "birth_date": "1981-07-02",
     "insurance_number": "DEMO-4", "insurance_issuer": "demo", "notes": ""},
)  # fmt: skip
RECORD_TYPES = (
    {"code": "CT", "name": "Computed tomography", "modalities": ["CT"]},
    {"code": "MR", "name": "Magnetic resonance", "modalities": ["MR"]},
    {"code": "PET", "name": "Positron emission tomography", "modalities": ["PT"]},
    {"code": "XR", "name": "Radiography", "modalities": ["CR", "DX", "MG"]},
)
STUDY_SHAPE = (120, 512, 512)
"""Slices, rows, columns of the generated head."""
_READY_S = 180.0
"""The very first start compiles the kernels, which takes a while on a slow machine."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("demo", help="run everything here with demo users and a demo study")
    found.add_argument("folder", type=Path, metavar="DIR", help="made on the first start, kept after that")
    found.add_argument("--host", default="localhost", help="name under which browsers reach this machine")
    found.add_argument("--port", type=int, default=8443)
    found.add_argument(
        "--log", action="store_true", help="show the log instead of writing it to DIR/sivr.log"
    )
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it until Ctrl-C."""
    file = _prepare(options.folder, options.host, options.port)
    settings = config.load(file)
    if options.log:
        start_logging("info", "text")
    else:
        start_logging("info", "json", options.folder / "sivr.log")
    asyncio.run(_serve(settings, options.folder))
    return 0


def _prepare(folder: Path, host: str, port: int) -> Path:
    """The configuration file; written when there is none."""
    file = folder / "sivr.yaml"
    if file.is_file():
        known = config.load(file).roles.web
        wanted = f"https://{host}:{port}" if port != 443 else f"https://{host}"
        if known is not None and known.url != wanted:
            raise Conflict(
                f"{folder} was made for {known.url}; use another folder for {wanted}, or remove this one."
            )
        return file
    plan = Plan(
        web=host,
        toplevel=host,
        institution=host,
        render=(host,),
        port=port,
        institution_id=INSTITUTION[0],
        institution_name=INSTITUTION[1],
        toplevel_name="Demo County",
    )
    _say(f"Writing a configuration with keys and certificates into {folder}/ ...")
    return write(folder, plan)[0]


async def _serve(settings: config.Config, folder: Path) -> None:
    web, toplevel = settings.roles.web, settings.roles.toplevel
    if web is None or toplevel is None:
        raise Invalid(f"{folder}/sivr.yaml is not a demo configuration.")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    marker = folder / "demo-data"
    first = not marker.exists()
    if first:
        _say("Creating demo users ...")
        await _create_users(toplevel)
    _say("Starting web, toplevel, institution and render ...")
    _say("  (the first start on a machine prepares the drawing code and takes about a minute)")
    async with open_host(settings, config.role_names(settings)):
        work = asyncio.create_task(_fill(settings, folder, marker))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        else:
            work.result()
            _greet(web.url, folder, first)
            await stopping
        _say("Stopping ...")
    _say("Stopped. The data stays in place; start again whenever you like.")


async def _create_users(toplevel: config.Toplevel) -> None:
    known = [
        NewInstitution(id=one.id, name=one.name, url=one.url, address=one.address)
        for one in toplevel.institutions
    ]
    for login, name, password, role in USERS:
        physician = role == "physician"
        new = NewUser(
            login=login,
            name=name,
            password=password,
            roles=("physician",) if physician else ("administrator",),
            institutions=(INSTITUTION[0],) if physician else (),
        )
        # Users that a first start made before it was interrupted are fine.
        with contextlib.suppress(Conflict):
            await create_user(toplevel.database, new, institutions=known)


async def _fill(settings: config.Config, folder: Path, marker: Path) -> None:
    """Wait until every role is ready; on the first start make patients and a study."""
    web = settings.roles.web
    assert web is not None
    ca = folder / "ca" / "ca.pem"
    async with open_client(ca) as client:
        for name in config.role_names(settings):
            role: config.Role = getattr(settings.roles, name)
            deadline = time.monotonic() + _READY_S
            while True:
                try:
                    await client.ask("GET", f"{role.url}/health")
                    break
                except (Unavailable, ssl.SSLError) as error:
                    if time.monotonic() > deadline:
                        raise Unavailable(f"The role {name} is not ready: {error}") from error
                await asyncio.sleep(0.2)
        if marker.exists():
            return
        _say("Creating demo patients and a generated head study ...")
        await _create_record_types(Visitor(client, web.url))
        visitor = Visitor(client, web.url)
        login, _, password, _ = USERS[1]
        await visitor.log_in(login, password)
        patients = [await visitor.find_or_create_patient(one) for one in PATIENTS]
        await _upload(visitor, patients[0]["id"])
        await visitor.log_out()
    marker.write_text("The demo's users, patients and study are made.\n")


async def _create_record_types(administrator: Visitor) -> None:
    login, _, password, _ = USERS[0]
    await administrator.log_in(login, password)
    for one in RECORD_TYPES:
        with contextlib.suppress(Conflict):
            await administrator.json("POST", f"{administrator.toplevel_url}/record-types", one)
    await administrator.log_out()


async def _upload(visitor: Visitor, patient_id: str) -> None:
    # Imported here: only the first start needs the whole of DICOM in this process twice.
    from sivr.dicom.phantom import write_phantom

    institution = (await visitor.institutions())[0]
    node, grant = await visitor.may_store(institution["url"], patient_id)
    url = await visitor.open_upload(node, grant, patient_id)
    with tempfile.TemporaryDirectory() as scratch:
        files = await asyncio.to_thread(write_phantom, Path(scratch), "head", STUDY_SHAPE)
        for number, file in enumerate(files, 1):
            body = await asyncio.to_thread(file.read_bytes)
            result = await visitor.put_file(url, f"f{number}", file.name, body)
            if result["status"] == "refused":
                raise Invalid(f"The demo study was refused: {result['reason']}")
            if number % 16 == 0 or number == len(files):
                _say(f"  {number} of {len(files)} slices")
    deadline = time.monotonic() + _READY_S
    study = ""
    while True:
        state = await visitor.upload_state(url)
        if state["indexed"]:
            study = state["studies"][0]["study_uid"]
            with contextlib.suppress(SivrError):
                await visitor.may_view(institution["url"], study)
                return
        if time.monotonic() > deadline:
            raise Unavailable("The demo study was not indexed in time.")
        await asyncio.sleep(0.2)


def _greet(url: str, folder: Path, first: bool) -> None:
    # Trying the passwords would count as failures to log in.
    logins = "The logins:" if first else "The logins as first made (a password may have been changed since):"
    lines = [
        "",
        f"SIVR is running at {url}",
        "",
        logins,
        *(f"  {login:<6} {password:<16} {name}, {role}" for login, name, password, role in USERS),
        "",
        f"The browser warns once about the certificate, or import {folder / 'ca' / 'ca.pem'} into it.",
        f"The log is {folder / 'sivr.log'}. Ctrl-C stops everything; the data stays.",
        "",
    ]
    _say("\n".join(lines))


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
