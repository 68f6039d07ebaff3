"""``sivr check``: say what is wrong with a configuration file, by key path."""

from __future__ import annotations

import argparse
from pathlib import Path

from sivr import config
from sivr.crypto import SigningKey
from sivr.edge.listener import tls_context


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("check", help="say what is wrong with a configuration file")
    found.add_argument("file", type=Path, metavar="FILE")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: exit code 2 (by the error) when something is wrong."""
    settings = config.load(options.file)
    keys = []
    for name in config.role_names(settings):
        role: config.Role = getattr(settings.roles, name)
        tls_context(Path(role.tls.certificate), Path(role.tls.key))
        if isinstance(role, config.ApiRole):
            keys.append((name, role.id, SigningKey.load(Path(role.signing_key)).public.text))
    print(f"{options.file}: good ({', '.join(config.role_names(settings))}).")
    for name, own_id, key in keys:
        print(f"public key of {name} {own_id}: {key}")
    return 0
