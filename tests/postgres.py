"""A private PostgreSQL server for the tests: started once, on a free port, gone when Python ends."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.flows.system import free_ports


def binaries() -> Path | None:
    """The folder with initdb and pg_ctl, newest version first; None where PostgreSQL is not installed."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Server:
    """One cluster with trust authentication on 127.0.0.1; ``port`` says where."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._folder = Path(tempfile.mkdtemp(prefix="sivr-pg-"))
        self._owner: list[str] = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._data = self._folder / "data"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "postgres", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.port = free_ports(1)
        self.start()

    def start(self) -> None:
        """Start (again) on the same port."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} "
            "-c fsync=off -c shared_buffers=32MB -c max_connections=200"
        )
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-o", options, "-l",
                  str(self._folder / "log"), "start")  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; "immediate" is its crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def create_database(self) -> str:
        """A fresh, empty database; its URL."""
        name = f"t{uuid.uuid4().hex[:16]}"
        self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qc",
                  f"CREATE DATABASE {name}")  # fmt: skip
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Forget a database, connections or not."""
        self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qc",
                  f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")  # fmt: skip

    def close(self) -> None:
        """Stop the server and remove its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._owner, str(self._bin / program), *arguments]
        # pg_ctl's child keeps stdout open, so nothing is piped.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd="/", check=False)
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{program} failed: {output.read().decode(errors='replace')}")


@functools.cache
def server() -> Server | None:
    """The test run's server, started at the first call; None where PostgreSQL is not installed."""
    folder = binaries()
    if folder is None:
        return None
    started = Server(folder)
    atexit.register(started.close)
    return started
