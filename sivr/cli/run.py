"""``sivr run``: start the roles of a file and serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from sivr import config
from sivr.errors import Invalid
from sivr.roles.host import run_host
from sivr.roles.logs import start_logging


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("run", help="start the roles of a configuration file")
    found.add_argument("--config", type=Path, required=True, metavar="FILE")
    found.add_argument(
        "--role",
        action="append",
        choices=config.ROLES,
        help="only this role (repeatable); default: every role of the file",
    )
    found.set_defaults(run=run)


async def serve(settings: config.Config, names: tuple[str, ...]) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    await run_host(settings, names, stop)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    settings = config.load(options.config)
    present = config.role_names(settings)
    names = tuple(dict.fromkeys(options.role or present))
    for name in names:
        if name not in present:
            raise Invalid(f"roles.{name}: {options.config} has no such role.")
    start_logging(settings.log.level, settings.log.format)
    asyncio.run(serve(settings, names))
    return 0
