"""``sivr check``: say what is wrong with a configuration file, by key path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sivr import config
from sivr.crypto import SigningKey
from sivr.edge.certificates import certificate_end, ending
from sivr.edge.listener import tls_context
from sivr.errors import Invalid


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser("check", help="say what is wrong with a configuration file")
    found.add_argument("file", type=Path, metavar="FILE")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it: exit code 2 (by the error) when something is wrong. A certificate that ends soon, or has ended,
    is a warning."""
    settings = config.load(options.file)
    keys = []
    certificates: dict[str, str] = {}
    for name in config.role_names(settings):
        role: config.Role = getattr(settings.roles, name)
        tls_context(Path(role.tls.certificate), Path(role.tls.key))
        certificates.setdefault(role.tls.certificate, f"roles.{name}.tls.certificate")
        if isinstance(role, config.ApiRole):
            keys.append((name, role.id, SigningKey.load(Path(role.signing_key)).public.text))
    print(f"{options.file}: good ({', '.join(config.role_names(settings))}).")
    for name, own_id, key in keys:
        print(f"public key of {name} {own_id}: {key}")
    for certificate, where in certificates.items():
        if warning := _warning(Path(certificate)):
            print(f"sivr: warning: {where}: {warning}", file=sys.stderr)
    return 0


def _warning(certificate: Path) -> str:
    try:
        return ending(certificate_end(certificate))
    except Invalid as error:
        return error.message
