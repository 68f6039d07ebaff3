"""``sivr check``: say what is wrong with a configuration file, by key path."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from sivr import config
from sivr.crypto import MasterKeys, SigningKey
from sivr.edge.certificates import certificate_end, ending, tls_context
from sivr.errors import Invalid, Unavailable
from sivr.services.storage_care import master_in_force


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
    if settings.roles.render is not None:
        _check_storage(settings.roles.render)
    devices = _devices(settings.roles.render) if settings.roles.render is not None else []
    print(f"{options.file}: good ({', '.join(config.role_names(settings))}).")
    for line in devices:
        print(line)
    for name, own_id, key in keys:
        print(f"public key of {name} {own_id}: {key}")
    for certificate, where in certificates.items():
        if warning := _warning(Path(certificate)):
            print(f"sivr: warning: {where}: {warning}", file=sys.stderr)
    return 0


def _check_storage(render: config.Render) -> None:
    """Raise Invalid where the master key cannot open what the node has stored. A database that does not
    answer is a warning: it may be on another host that is not there yet."""
    here = "roles.render.storage.master_key"
    try:
        needed = asyncio.run(master_in_force(render.database))
    except Unavailable as error:
        print(f"sivr: warning: roles.render.database: {error.message}", file=sys.stderr)
        needed = None
    if render.storage.master_key is None:
        if needed is not None:
            raise Invalid(f"{here}: this node has encrypted objects; the master key {needed} is needed.")
        return
    found = MasterKeys.load(Path(render.storage.master_key)).ids
    if needed is not None and needed not in found:
        raise Invalid(f"{here}: the master key {needed} is needed, the file holds {', '.join(found)}.")


def _devices(render: config.Render) -> list[str]:
    """A line for each graphics device of this machine; raises Invalid where the one that is named is none of
    them."""
    if render.gl_platform not in ("auto", "egl"):
        return []
    from sivr.gl.devices import probe

    found = probe()
    choice = render.gl_device
    lines = [device.line() for device in found]
    if choice != "all" and not any(choice in (device.index, *device.nodes) for device in found):
        there = "; ".join(lines) or "EGL is not installed or knows none"
        raise Invalid(f"roles.render.gl_device: there is no graphics device {choice} here ({there}).")
    return lines


def _warning(certificate: Path) -> str:
    try:
        return ending(certificate_end(certificate))
    except Invalid as error:
        return error.message
