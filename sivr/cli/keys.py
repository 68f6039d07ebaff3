"""``sivr keys``: replace a render node's master key, erase the key of a study."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from pathlib import Path

from sivr import config
from sivr.errors import Invalid
from sivr.services.storage_care import replace_master_key, shred_study

_UID = re.compile(r"[0-9.]{1,64}")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("keys", help="replace the master key, erase a study's key")
    actions = found.add_subparsers(required=True, metavar="ACTION")
    rotate = actions.add_parser(
        "rotate",
        help="make a new master key",
        description="Wrap every study's key with a new master key, which takes the place of the old one in "
        "its file. No object is touched, and the node may go on running. Copy the new file to a safe place.",
    )
    rotate.set_defaults(run=_rotate)
    shred = actions.add_parser(
        "shred",
        help="erase a study for good",
        description="Erase the key of a study. Its encrypted objects, and copies of them anywhere, cannot be "
        "opened any more by anybody, unless an older copy of the database and the master key of that time "
        "are both kept.",
    )
    shred.add_argument("study", metavar="STUDY", help="Study Instance UID")
    shred.add_argument("--yes", action="store_true", help="do not ask")
    shred.set_defaults(run=_shred)
    for one in (rotate, shred):
        one.add_argument(
            "--config", type=Path, required=True, metavar="FILE", help="the file with the render role"
        )


def _storage(file: Path) -> tuple[str, Path]:
    render = config.load(file).roles.render
    if render is None:
        raise Invalid(f"roles.render: {file} has no such role.")
    if render.storage.master_key is None:
        raise Invalid(f"roles.render.storage.master_key: {file} has no such key; nothing is encrypted.")
    return render.database, Path(render.storage.master_key)


def _rotate(options: argparse.Namespace) -> int:
    database, master_key = _storage(options.config)
    count = asyncio.run(replace_master_key(database, master_key))
    print(f"{master_key} holds a new key, and wraps those of {count} studies. Keep a copy in a safe place.")
    return 0


def _shred(options: argparse.Namespace) -> int:
    if not _UID.fullmatch(options.study):
        raise Invalid(f"{options.study!r} is not a Study Instance UID.")
    database, master_key = _storage(options.config)
    if not options.yes:
        if not sys.stdin.isatty():
            raise Invalid("Nobody can be asked here; use --yes.")
        if input(f"Erase the study {options.study} for good? Type yes: ").strip() != "yes":
            raise Invalid("Nothing was erased.")
    asyncio.run(shred_study(database, master_key, options.study))
    print("The key is erased. A running node forgets it within a minute.")
    return 0
