"""The command line: finds the command, runs it, turns domain errors into one sentence and exit code 2."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from sivr import __version__
from sivr.errors import SivrError

COMMANDS = ("run", "check", "init", "user", "demo", "smoke", "bench", "keys", "verify")


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of these commands."""
    found = argparse.ArgumentParser(prog="sivr", description="Seamless image and volume rendering.")
    found.add_argument("--version", action="version", version=f"sivr {__version__}")
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"sivr.cli.{name}").add(commands)
    return found


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 done, 2 wrong input or configuration, 1 anything else that failed."""
    # Only the command that is meant is imported, so that each starts quickly and needs only its own.
    meant = [name for name in arguments[:1] if name in COMMANDS]
    options = parser(meant or COMMANDS).parse_args(arguments)
    try:
        return int(options.run(options))
    except SivrError as error:
        for line in error.message.splitlines():
            print(f"sivr: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
