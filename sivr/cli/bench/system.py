"""A whole installation of its own in a scratch folder: four roles in four processes, for benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path

import yaml

from sivr import config
from sivr.cli.init import Plan, write
from sivr.errors import Unavailable
from sivr.model.directory import NewInstitution, NewUser
from sivr.peers import Client, open_client
from sivr.services.toplevel import create_user

ROLES: tuple[config.RoleName, ...] = ("toplevel", "institution", "render", "web")
HOST = "127.0.0.1"
LOGIN = "bench"
_READY_S = 240.0
"""The very first start compiles the kernels, which takes a while on a slow machine."""
_STOP_S = 20.0


class System:
    """The processes; use ``open_system``."""

    def __init__(self, file: Path, ca: Path, password: str) -> None:
        self._file = file
        self.ca = ca
        self.password = password
        settings = config.load(file).roles
        self._urls: dict[str, str] = {name: getattr(settings, name).url for name in ROLES}
        self.web = self._urls["web"]
        self.node = self._urls["render"]
        self._processes: dict[str, SpawnProcess] = {}

    def start(self, role: config.RoleName) -> None:
        """Start one role without waiting for it."""
        context = multiprocessing.get_context("spawn")
        log = self._file.parent / f"{role}.log"
        # Spawned by Python and not by a command line: the same from a checkout, a zipapp and an executable.
        process = context.Process(target=_serve, args=(str(self._file), role, str(log)), name=f"sivr-{role}")
        process.start()
        self._processes[role] = process

    async def stop(self, role: config.RoleName) -> None:
        """Stop one role and wait for its end."""
        process = self._processes.pop(role)
        process.terminate()
        await asyncio.to_thread(process.join, _STOP_S)
        if process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join)

    async def ready(self, role: config.RoleName) -> None:
        """Wait until a role does its work; raises Unavailable with what it says."""
        deadline = time.monotonic() + _READY_S
        async with open_client(self.ca) as client:
            while (reason := await _asked(client, f"{self._urls[role]}/health")) is not None:
                process = self._processes[role]
                if not process.is_alive():
                    raise Unavailable(f"The role {role} ended: {self._last_line(role)}")
                if time.monotonic() > deadline:
                    raise Unavailable(f"The role {role} is not ready: {reason}")
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Stop everything."""
        await asyncio.gather(*(self.stop(role) for role in ROLES if role in self._processes))

    def _last_line(self, role: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._file.parent / f"{role}.log").read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else "it said nothing"
        return "it said nothing"


async def _asked(client: Client, url: str) -> str | None:
    try:
        await client.ask("GET", url)
    except (Unavailable, ssl.SSLError) as error:
        return str(error)
    return None


def _serve(file: str, role: str, log: str) -> None:
    """The target of a role's process."""
    # Ctrl-C is the command's; it ends its roles itself.
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def outlive_nobody() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=outlive_nobody, daemon=True).start()
    from sivr.cli.main import main

    sys.exit(main(["run", "--config", file, "--role", role]))


@asynccontextmanager
async def open_system(folder: Path, **render: object) -> AsyncIterator[System]:
    """Run an installation in an empty folder, with one physician; ``render`` are settings of its node."""
    plan = Plan(
        web=HOST,
        toplevel=HOST,
        institution=HOST,
        render=(HOST,),
        port=_free_ports(len(ROLES)),
        separate_ports=True,
        institution_id="bench",
        institution_name="Bench",
        toplevel_name="Bench",
    )
    file = (await asyncio.to_thread(write, folder, plan))[0]
    if render:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        node = written["roles"]["render"]
        for name, value in render.items():
            node[name] = {**node.get(name, {}), **value} if isinstance(value, Mapping) else value
        file.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    system = System(file, folder / "ca" / "ca.pem", secrets.token_urlsafe(18))
    toplevel = config.load(file).roles.toplevel
    assert toplevel is not None
    known = [NewInstitution(id=one.id, name=one.name, url=one.url) for one in toplevel.institutions]
    physician = NewUser(
        login=LOGIN, name="Bench", password=system.password, roles=("physician",), institutions=("bench",)
    )
    await create_user(toplevel.database, physician, institutions=known)
    try:
        for role in ROLES:
            system.start(role)
        for role in ROLES:
            await system.ready(role)
        yield system
    finally:
        await asyncio.shield(system.close())


def _free_ports(count: int) -> int:
    """The first of ``count`` consecutive ports that are free on loopback; raises Unavailable."""
    for base in range(21000 + os.getpid() % 20000, 60000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    stack.enter_context(socket.socket()).bind((HOST, port))
            except OSError:
                continue
            return base
    raise Unavailable("There are no free ports.")
