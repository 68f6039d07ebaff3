"""``sivr user add``: create a user in the toplevel's database, the first administrator above all."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import cast

from sivr import config
from sivr.cli import password
from sivr.errors import Invalid
from sivr.model.directory import NewInstitution, NewUser
from sivr.model.people import UserRole
from sivr.services.toplevel import create_user


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("user", help="manage users from the command line")
    actions = found.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("add", help="create a user")
    new.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the file with the toplevel role"
    )
    new.add_argument("--login", required=True)
    new.add_argument("--name", help="the person's name; default: the login")
    new.add_argument("--role", action="append", choices=("administrator", "physician"), default=[])
    new.add_argument(
        "--institution", action="append", default=[], metavar="ID", help="may store there (repeatable)"
    )
    new.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    new.set_defaults(run=run)


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return password.from_stdin()
    first = password.ask("Password: ", "use --password-stdin")
    if password.ask("Again: ", "use --password-stdin") != first:
        raise Invalid("The passwords differ.")
    return first


def run(options: argparse.Namespace) -> int:
    """Do it."""
    settings = config.load(options.config)
    toplevel = settings.roles.toplevel
    if toplevel is None:
        raise Invalid(f"roles.toplevel: {options.config} has no such role.")
    new = NewUser(
        login=options.login,
        name=options.name or options.login,
        password=_password(options.password_stdin),
        roles=tuple(cast(UserRole, role) for role in dict.fromkeys(options.role)),
        institutions=tuple(dict.fromkeys(options.institution)),
    )
    known = [
        NewInstitution(id=one.id, name=one.name, url=one.url, address=one.address)
        for one in toplevel.institutions
    ]
    user = asyncio.run(create_user(toplevel.database, new, institutions=known))
    print(f"Created {user.login} ({', '.join(user.roles) or 'no role'}).")
    return 0
