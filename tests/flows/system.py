"""A whole SIVR installation for tests: four processes of the real command line on four ports."""

from __future__ import annotations

import atexit
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from sivr import config
from sivr.cli.init import Plan, write

ROLES = ("toplevel", "institution", "render", "web")
HOST = "127.0.0.1"
START_S = 60.0
FIRST_PORT, LAST_PORT = 20000, 32000
ADMINISTRATOR = ("admin", "administrator's own secret")
PHYSICIANS = (("ana", "ana's long secret"), ("marko", "marko's long secret"))


def free_ports(count: int) -> int:
    """The first of ``count`` consecutive ports that are free on loopback, and this process's from now on.

    Below the kernel's own choice (net.ipv4.ip_local_port_range), so that no outgoing connection takes one
    before it is listened on. Other processes that run tests are told by a name each, which the kernel forgets
    with the process.
    """
    for base in range(FIRST_PORT, LAST_PORT, count):
        ports = range(base, base + count)
        if _reserve(ports):
            if all(_is_free(port) for port in ports):
                return base
            _release(ports)
    raise RuntimeError("no free ports")


_reserved: dict[int, socket.socket] = {}


def _reserve(ports: range) -> bool:
    """Whether all of them are ours now, and were nobody's."""
    for port in ports:
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0sivr-test-port-{port}")
        except OSError:
            name.close()
            _release(range(ports.start, port))
            return False
        _reserved[port] = name
    return True


def _release(ports: range) -> None:
    for port in ports:
        _reserved.pop(port).close()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as one:
            if kind == socket.SOCK_STREAM:
                # What a stopped server's connections left behind (TIME_WAIT) is nobody's, as asyncio has it.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((HOST, port))
            except OSError:
                return False
    return True


@atexit.register
def _release_all() -> None:
    for name in _reserved.values():
        name.close()


class System:
    """All four roles, each in a process of its own; a context manager that leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(4)
        plan = Plan(
            web=HOST,
            toplevel=HOST,
            institution=HOST,
            render=(HOST,),
            port=self.port,
            separate_ports=True,
            institution_id="general",
            institution_name="General Hospital",
            toplevel_name="County",
        )
        self.file = write(folder, plan)[0]
        self.ca = folder / "ca" / "ca.pem"
        self.tls = ssl.create_default_context(cafile=str(self.ca))
        settings = config.load(self.file).roles
        self.urls = {name: getattr(settings, name).url for name in ROLES}
        self.web = self.urls["web"]
        self.admin = ADMINISTRATOR
        self.physicians = PHYSICIANS
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> System:
        self.add_user(*ADMINISTRATOR, "Ada Administrator", "administrator")
        for login, password in PHYSICIANS:
            self.add_user(login, password, f"Dr. {login.title()}", "physician")
        try:
            for role in ROLES:
                self.start(role)
            for role in ROLES:
                self.wait_ready(role)
        except BaseException:
            # __exit__ is not called where __enter__ fails.
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for role in list(self._processes):
            self.stop(role)

    def add_user(self, login: str, password: str, name: str, role: str) -> None:
        """Create a user by the command line, as a sysadmin does."""
        command = [sys.executable, "-m", "sivr", "user", "add", "--config", str(self.file), "--login", login]
        command += ["--name", name, "--role", role, "--password-stdin"]
        if role == "physician":
            command += ["--institution", "general"]
        subprocess.run(command, input=password.encode(), check=True, stdout=subprocess.DEVNULL)

    def start(self, role: str) -> None:
        """Start one role without waiting for it."""
        log = (self.folder / f"{role}.log").open("ab")
        command = [sys.executable, "-m", "sivr", "run", "--config", str(self.file), "--role", role]
        self._processes[role] = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()

    def stop(self, role: str, kill: bool = False) -> int:
        """Stop one role, politely or as a power cut does; returns the exit code."""
        process = self._processes.pop(role)
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def process_id(self, role: str) -> int:
        """The process id of a running role."""
        return self._processes[role].pid

    def is_running(self, role: str) -> bool:
        """Whether the role's process has not ended."""
        return self._processes[role].poll() is None

    def wait_ready(self, role: str) -> None:
        """Wait until the role's health says ready; fails with its log when it does not come."""
        deadline = time.monotonic() + START_S
        reason = ""
        while time.monotonic() < deadline:
            process = self._processes[role]
            if process.poll() is not None:
                raise AssertionError(f"{role} ended with {process.returncode}:\n{self.log(role)}")
            try:
                with urllib.request.urlopen(self.urls[role] + "/health", context=self.tls, timeout=5):
                    return
            except urllib.error.HTTPError as error:
                reason = error.read().decode()
            except OSError as error:
                reason = str(error)
            time.sleep(0.1)
        raise AssertionError(f"{role} is not ready: {reason}\n{self.log(role)}")

    def log(self, role: str) -> str:
        """What the role has logged so far."""
        return (self.folder / f"{role}.log").read_text(errors="replace")
