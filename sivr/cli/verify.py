"""``sivr verify``: read every stored object and compare it with its hash."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from sivr import config
from sivr.errors import Invalid
from sivr.services.storage_care import scrub

_SAY_EVERY = 1000


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser(
        "verify",
        help="read every stored object and compare it with its hash",
        description="Read every object that a render node has accepted and compare it with its SHA-256. The "
        "damaged ones are named on standard output; nothing is changed. The node may go on running.",
    )
    found.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the file with the render role"
    )
    found.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: 1 when an object is damaged."""
    render = config.load(options.config).roles.render
    if render is None:
        raise Invalid(f"roles.render: {options.config} has no such role.")
    if options.threads < 1:
        raise Invalid("--threads: at least one.")
    return asyncio.run(_verify(render, options.threads))


async def _verify(render: config.Render, threads: int) -> int:
    total = looked = damaged = erased = 0

    def begin(count: int) -> None:
        nonlocal total
        total = count

    master_key = Path(render.storage.master_key) if render.storage.master_key else None
    async for one in scrub(render.database, Path(render.data), master_key, threads=threads, begin=begin):
        looked += 1
        if one.erased:
            erased += 1
        elif one.reason:
            damaged += 1
            print(f"{one.made.instance_uid} of study {one.made.study_uid} ({one.made.sha256}): {one.reason}")
        if looked % _SAY_EVERY == 0:
            print(f"{looked} of {total}", file=sys.stderr)
    print(f"{looked} objects: {damaged} damaged, {erased} of studies whose keys were erased.")
    return 1 if damaged else 0
