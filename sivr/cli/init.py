"""``sivr init``: write working YAML files with keys, a local authority and certificates."""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from sivr import config
from sivr.cli.local_ca import LocalCa
from sivr.crypto import MasterKeys, SigningKey
from sivr.errors import Conflict, Invalid

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+")
_LOOPBACK = {"localhost": "localhost", "127.0.0.1": "localhost", "::1": "::1"}
"""What a host that only this machine can reach is bound to."""


class Place(msgspec.Struct, frozen=True):
    """Where one role of the plan runs."""

    role: str
    id: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The role's base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}{'' if self.port == 443 else f':{self.port}'}{self.path}"

    @property
    def origin(self) -> str:
        """The URL without its path."""
        return self.url.removesuffix(self.path) if self.path else self.url


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What ``init`` is asked to write."""

    web: str
    toplevel: str
    institution: str
    render: tuple[str, ...]
    port: int = 8443
    separate_ports: bool = False
    listen: str | None = None
    institution_id: str = "institution"
    institution_name: str = "Institution"
    toplevel_name: str = "SIVR"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    found = commands.add_parser(
        "init",
        help="write a working configuration with keys and certificates",
        description="Write YAML files, keys, a local certificate authority and certificates. With --host "
        "alone all four roles run on that host; name hosts for single roles to spread them.",
    )
    found.add_argument("folder", type=Path, metavar="DIR")
    found.add_argument(
        "--renew",
        action="store_true",
        help="only replace the server certificates in a folder that init wrote: for the same hosts and keys, "
        "signed with its ca/ca.key",
    )
    found.add_argument("--host", default="localhost", help="host of every role that no other option names")
    for role in ("web", "toplevel", "institution"):
        found.add_argument(f"--{role}", metavar="HOST", help=f"host of the {role} role")
    found.add_argument("--render", metavar="HOST", action="append", help="host of a render node (repeatable)")
    found.add_argument("--port", type=int, default=8443)
    found.add_argument(
        "--separate-ports", action="store_true", help="one port per role instead of one path per role"
    )
    found.add_argument(
        "--listen", metavar="ADDRESS", help="address to bind; default: all, or loopback for localhost"
    )
    found.add_argument("--institution-id", default="institution")
    found.add_argument("--institution-name", default="Institution")
    found.add_argument("--name", default="SIVR", help="name of the toplevel, shown at log in")
    found.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it and say what was written."""
    if options.renew:
        for line in renew(options.folder):
            print(line)
        print("Copy each to its host, if that is another; sivr takes it up there within seconds.")
        return 0
    plan = Plan(
        web=options.web or options.host,
        toplevel=options.toplevel or options.host,
        institution=options.institution or options.host,
        render=tuple(options.render or [options.host]),
        port=options.port,
        separate_ports=options.separate_ports,
        listen=options.listen,
        institution_id=options.institution_id,
        institution_name=options.institution_name,
        toplevel_name=options.name,
    )
    files = write(options.folder, plan)
    for file in files:
        print(f"wrote {file}")
    print(f"Certificate of the local authority, for browsers: {options.folder / 'ca' / 'ca.pem'}")
    for file in files:
        for master in sorted((file.parent / "keys").glob("*.master")):
            print(
                f"Keep a copy of {master} in a safe place: without it nothing that is stored can be opened."
            )
    print(f"Next: sivr user add --config {files[0]} --login admin --role administrator")
    print(f"Then: sivr run --config {files[0]}")
    return 0


def _places(plan: Plan) -> list[Place]:
    asked = [("web", "web", plan.web), ("toplevel", "toplevel", plan.toplevel)]
    asked.append(("institution", plan.institution_id, plan.institution))
    asked += [("render", f"node-{number}", host) for number, host in enumerate(plan.render, 1)]
    for _, _, host in asked:
        if not _HOST.fullmatch(host):
            raise Invalid(f"{host!r} is not a host name or address.")
    if len(set(plan.render)) < len(plan.render):
        raise Invalid("Each render node needs a host of its own.")
    places = []
    used: dict[str, int] = {}
    for role, name, host in asked:
        alone = sum(1 for _, _, other in asked if other == host) == 1
        port = plan.port + (used.get(host, 0) if plan.separate_ports else 0)
        used[host] = used.get(host, 0) + 1
        path = "" if role == "web" or alone or plan.separate_ports else f"/{role}"
        places.append(Place(role=role, id=name, host=host, port=port, path=path))
    return places


def write(folder: Path, plan: Plan) -> list[Path]:
    """Write everything into ``folder`` (new or empty) and return the YAML files.

    With one host the file is ``folder/sivr.yaml``; with several it is ``folder/HOST/sivr.yaml``, and each
    such folder is all that its host needs. Raises Conflict when the folder is in use, Invalid for bad names.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty; nothing was written.")
    places = _places(plan)
    hosts = list(dict.fromkeys(place.host for place in places))
    keys = {(place.role, place.id): SigningKey.generate() for place in places if place.role != "web"}
    folder.mkdir(parents=True, exist_ok=True)
    ca = LocalCa()
    ca.save(folder / "ca")
    files = []
    for host in hosts:
        here = folder if len(hosts) == 1 else folder / host
        (here / "tls").mkdir(parents=True)
        (here / "keys").mkdir(mode=0o700)
        names = [host, "localhost", "127.0.0.1", "::1"] if host in _LOOPBACK else [host]
        ca.issue(here / "tls", names)
        shutil.copy(folder / "ca" / "ca.pem", here / "tls" / "ca.pem")
        mine = [place for place in places if place.host == host]
        for place in mine:
            if place.role != "web":
                keys[place.role, place.id].save(here / "keys" / f"{place.id}.key")
            if place.role == "render":
                MasterKeys.generate().save(here / "keys" / f"{place.id}.master")
        tree = _tree(plan, places, mine, {name: key.public.text for name, key in keys.items()})
        file = here / "sivr.yaml"
        text = "# Written by sivr init; every key is explained in example.yaml.\n"
        file.write_text(text + yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
        os.chmod(file, 0o640)  # noqa: PTH101
        config.load(file)
        files.append(file)
    return files


def renew(folder: Path) -> Iterator[str]:
    """Replace the server certificates in a folder that ``write`` filled, and nothing else; one line for each,
    when it is done. Those of other authorities are left alone. Raises Invalid when the authority's key is not
    there or there is nothing to renew.
    """
    ca = LocalCa.load(folder / "ca")
    renewed = 0
    for path in sorted((*folder.glob("tls/server.pem"), *folder.glob("*/tls/server.pem"))):
        end = ca.renew(path)
        if end is None:
            yield f"left {path} alone: another authority issued it"
        else:
            renewed += 1
            yield f"renewed {path}: good until {end:%Y-%m-%d}"
    if not renewed:
        raise Invalid(f"{folder} holds no server certificate of its own authority; nothing was renewed.")


def _tree(
    plan: Plan, places: list[Place], mine: list[Place], public: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    by_role = {place.role: place for place in places}
    web, toplevel, institution = by_role["web"], by_role["toplevel"], by_role["institution"]
    nodes = [place for place in places if place.role == "render"]
    toplevel_key = public["toplevel", "toplevel"]
    roles: dict[str, Any] = {}
    for place in mine:
        # "::" is every address of both families; see sivr/edge/listener.py.
        bind = plan.listen or _LOOPBACK.get(place.host, "::")
        role: dict[str, Any] = {
            "url": place.url,
            "listen": {"host": bind, "port": place.port},
            "tls": {"certificate": "tls/server.pem", "key": "tls/server.key"},
        }
        if place.role == "web":
            role["toplevels"] = [{"id": "toplevel", "name": plan.toplevel_name, "url": toplevel.url}]
        else:
            role["id"] = place.id
            role["database"] = f"sqlite:///data/{place.id}.db"
            role["signing_key"] = f"keys/{place.id}.key"
            role["web_origins"] = [web.origin]
        if place.role == "toplevel":
            role["name"] = plan.toplevel_name
            role["institutions"] = [
                {"id": plan.institution_id, "name": plan.institution_name, "url": institution.url}
            ]
        if place.role == "institution":
            role["name"] = plan.institution_name
            role["toplevels"] = [{"id": "toplevel", "public_keys": [toplevel_key]}]
            role["nodes"] = [
                {"id": node.id, "name": node.id, "url": node.url, "public_key": public["render", node.id]}
                for node in nodes
            ]
        if place.role == "render":
            role["name"] = place.id
            role["data"] = f"data/{place.id}"
            role["storage"] = {
                "compress": True,
                "encrypt": True,
                "master_key": f"keys/{place.id}.master",
            }
            role["toplevels"] = [{"id": "toplevel", "public_keys": [toplevel_key]}]
            role["institution"] = {
                "id": plan.institution_id,
                "url": institution.url,
                "public_keys": [public["institution", plan.institution_id]],
                "ca": "tls/ca.pem",
            }
        roles[place.role] = role
    return {"log": {"level": "info", "format": "json"}, "roles": roles}
