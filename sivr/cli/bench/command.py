"""The arguments of ``sivr bench`` and which benchmark they mean."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from sivr.cli import password
from sivr.cli.bench import capacity, report
from sivr.errors import Invalid

NICENESS = 10
"""A node that serves on this host goes first."""
UPLOADED, UPLOADED_QUICK = (120, 512, 512), (24, 128, 128)
"""Slices, rows, columns of the generated head."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser(
        "bench",
        help="how fast this host is, an installation, or the paper's tables",
        description="Without an argument: how fast this host draws, encodes, decodes and stores. With the "
        "URL of an installation: how long its pictures take and where that time goes; with --where, how many "
        "physicians it bears and what the next one would wait for. 'paper': the tables of the paper that "
        "SIVR follows, measured here. 'capacity': what a region needs, computed from measured costs. The "
        "password is read from SIVR_PASSWORD, from standard input with --password-stdin, or asked for.",
    )
    found.add_argument(
        "target", nargs="?", metavar="URL|paper|capacity", help="address of the web role, or a word"
    )
    found.add_argument("--json", metavar="FILE", help="write the figures there; - is standard output")
    found.add_argument("--quick", action="store_true", help="fewer pictures, rougher figures")
    site = found.add_argument_group("an installation")
    site.add_argument("--login", help="a physician")
    site.add_argument("--password-stdin", action="store_true")
    site.add_argument("--ca", type=Path, metavar="FILE", help="PEM file of the authority to trust")
    site.add_argument(
        "--study", default="", metavar="UID", help="the study to read; default: the longest found"
    )
    site.add_argument(
        "--upload",
        nargs="?",
        const="",
        metavar="INSURANCE_NUMBER",
        help="store a generated head first, with the patient of this number or a patient 'Bench, Test'",
    )
    site.add_argument("--clients", type=int, default=4, metavar="N", help="physicians at once, at most")
    site.add_argument("--seconds", type=float, default=4.0, metavar="S", help="for each number of physicians")
    where = found.add_argument_group("an installation, with --where")
    where.add_argument("--where", action="store_true", help="where the next slow user's time goes")
    where.add_argument("--max-users", type=int, default=40, metavar="N")
    where.add_argument("--total-seconds", type=float, default=120.0, metavar="S")
    where.add_argument(
        "--limit-ms", type=float, default=150.0, metavar="MS", help="p95 of a slice; default 150"
    )
    paper = found.add_argument_group("the paper")
    paper.add_argument(
        "--records", default="A,B,C,D", help="which of A,B,C,D; D needs 4 GB of memory and disk"
    )
    paper.add_argument("--out", type=Path, metavar="DIR", help="write paper.md and plots there")
    paper.add_argument(
        "--folder", type=Path, metavar="DIR", help="where to work; default: the temporary folder"
    )
    capacity.arguments(found)
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it."""
    # Figures on standard output are for programs; what people read goes beside them.
    say = _said_aside if options.json == "-" else _said
    # Who ends it from outside should find no more of it left than who presses Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.target is None:
        if options.where:
            raise Invalid("--where needs the URL of an installation.")
        result = _host(options, say)
    elif options.target == "paper":
        result = _paper(options, say)
    elif options.target == "capacity":
        result = report.heading("capacity") | capacity.compute(options, say)
    else:
        result = _installation(options, say)
    if options.json:
        report.write_json(options.json, result)
    return 0


def _said(text: str) -> None:
    print(text, flush=True)


def _said_aside(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    return asyncio.run(work)


def _installation(options: argparse.Namespace, say: Any) -> dict[str, Any]:
    if not options.login:
        raise Invalid("Measuring an installation needs --login, a physician there.")
    if options.clients < 1 or options.max_users < 1 or options.seconds <= 0 or options.total_seconds <= 0:
        raise Invalid("Numbers of physicians and seconds must be more than 0.")
    if options.password_stdin:
        secret = password.from_stdin()
    else:
        secret = os.environ.get("SIVR_PASSWORD") or password.ask(
            f"Password of {options.login}: ", "set SIVR_PASSWORD or use --password-stdin"
        )
    return _run(_visit(options, secret, say))


async def _visit(options: argparse.Namespace, secret: str, say: Any) -> dict[str, Any]:
    from sivr.cli.bench import installation, visit, where

    async with visit.log_in(options.target, options.login, secret, options.ca) as visitor:
        if options.upload is not None:
            shape = UPLOADED_QUICK if options.quick else UPLOADED
            say(f"storing a generated head of {shape[0]} slices ...")
            place = await visit.store_phantom(visitor, shape, options.upload)
        else:
            place = await visit.find(visitor, options.study)
        series = place.series
        say(
            f"{series['modality']} series of {len(series['frames'])} frames, {series['columns']} x "
            f"{series['rows']}, at {place.node_url}"
        )
        if visit.is_here(place.node_url):
            say("The node is on this machine: what asks takes a part of the processor that answers.")
        if options.where:
            result = await where.measure(
                place,
                options.ca,
                max_users=options.max_users,
                seconds=options.seconds,
                total_s=options.total_seconds,
                limit_ms=options.limit_ms,
                say=say,
            )
        else:
            result = await installation.measure(
                place, options.ca, options.clients, options.seconds, options.quick, say
            )
    return report.heading("where" if options.where else "installation") | {"node": place.node_url} | result


def _host(options: argparse.Namespace, say: Any) -> dict[str, Any]:
    from sivr.cli.bench import host

    os.nice(NICENESS)
    return report.heading("host") | _run(host.measure(options.quick, say))


def _paper(options: argparse.Namespace, say: Any) -> dict[str, Any]:
    from sivr.cli.bench import paper

    os.nice(NICENESS)
    letters = tuple(
        dict.fromkeys(part.strip().upper() for part in options.records.split(",") if part.strip())
    )
    return _run(paper.reproduce(letters, options.folder, options.out, options.quick, say))
