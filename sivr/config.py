"""The YAML file of a host: frozen typed structures, unknown keys refused, errors that name the key path.

Only ``cli`` and ``roles`` read this; everybody else gets plain arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
import yaml

from sivr.crypto import PublicKey
from sivr.errors import Invalid

ROLES = ("web", "toplevel", "institution", "render")
RoleName = Literal["web", "toplevel", "institution", "render"]

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Megabytes = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every part of the file."""


class Tls(Settings, frozen=True, kw_only=True):
    """Certificate chain and private key, PEM."""

    certificate: str
    key: str


class Listen(Settings, frozen=True, kw_only=True):
    """Where a role listens. Roles of one process may share an address when their URLs differ in path."""

    host: str = "127.0.0.1"
    port: Port = 8443
    redirect_http_port: Port | None = None
    """Plain HTTP requests at this port are sent to the HTTPS address; without it plain HTTP is not served."""


class Log(Settings, frozen=True, kw_only=True):
    """Structured logs, one JSON object or one line of text each."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class TrustedToplevel(Settings, frozen=True, kw_only=True):
    """A toplevel whose access tokens are believed."""

    id: Slug
    public_keys: tuple[str, ...]


class WebToplevel(Settings, frozen=True, kw_only=True):
    """A toplevel that the front end offers at log in."""

    id: Slug
    name: str
    url: str


class SeedNode(Settings, frozen=True, kw_only=True):
    """A render node that belongs to the institution from the first start."""

    id: Slug
    name: str
    url: str
    public_key: str


class SeedInstitution(Settings, frozen=True, kw_only=True):
    """An institution that the toplevel knows from the first start."""

    id: Slug
    name: str
    url: str
    address: str = ""


class NodeInstitution(Settings, frozen=True, kw_only=True):
    """The institution a render node belongs to."""

    id: Slug
    url: str
    public_keys: tuple[str, ...]
    ca: str | None = None
    """PEM file of the authority that signed the institution's certificate; the system's store when absent."""


class Role(Settings, frozen=True, kw_only=True):
    """What every role has."""

    url: str
    """The address browsers use, e.g. https://sivr.example.org:8443 or .../toplevel."""
    listen: Listen
    tls: Tls
    request_timeout_s: Seconds = 60.0
    """A JSON body that takes longer to arrive is refused; uploads have ``limits.upload_idle_s`` instead."""


class ApiRole(Role, frozen=True, kw_only=True):
    """What every role with data has."""

    id: Slug
    database: str
    """sqlite:///PATH (relative to this file) or postgresql://USER:PASSWORD@HOST:PORT/NAME."""
    signing_key: str
    web_origins: tuple[str, ...]
    """Origins of the web roles whose pages may talk to this role."""


class Web(Role, frozen=True, kw_only=True):
    """The front end's files."""

    toplevels: tuple[WebToplevel, ...]
    connect_origins: tuple[str, ...] = ()
    """Origins of toplevels, institutions and nodes that the page may connect to (its content security
    policy); when empty, every https origin is allowed."""


class Toplevel(ApiRole, frozen=True, kw_only=True):
    """Who: sessions, users, patients, institutions, record types."""

    name: str = "SIVR"
    institutions: tuple[SeedInstitution, ...] = ()
    access_token_s: Positive = 300
    session_days: Positive = 14
    failed_logins_before_lock: Positive = 5
    lock_s: Positive = 60


class Institution(ApiRole, frozen=True, kw_only=True):
    """What: studies, findings, nodes, grants."""

    name: str
    toplevels: tuple[TrustedToplevel, ...]
    nodes: tuple[SeedNode, ...] = ()


class Limits(Settings, frozen=True, kw_only=True):
    """What a render node accepts."""

    upload_file_mb: Megabytes = 8192
    zip_members: Positive = 200_000
    zip_total_mb: Megabytes = 65_536
    zip_ratio: Positive = 200
    upload_idle_s: Seconds = 60.0
    unfinished_upload_days: Positive = 7
    picture_pixels: Positive = 16_777_216
    free_disk_mb: Megabytes = 512
    """Uploads are refused when the data folder has less than this left."""


class Storage(Settings, frozen=True, kw_only=True):
    """How a render node stores new objects; those that are there stay as they are, and readable."""

    compress: bool = True
    encrypt: bool = False
    cipher: Literal["aes-256-gcm", "xchacha20-poly1305"] = "aes-256-gcm"
    master_key: str | None = None
    """File with the key that wraps the studies' keys: needed to encrypt, and to read what is encrypted."""
    derived_mb: Annotated[int, msgspec.Meta(ge=0)] = 4096
    """What was made from objects and can be made again (overviews of volumes); the oldest goes first. With 0
    nothing is made ahead or kept."""


class Render(ApiRole, frozen=True, kw_only=True):
    """Bytes: upload, indexing, pictures."""

    name: str
    data: str
    """Folder for DICOM objects and unfinished uploads."""
    toplevels: tuple[TrustedToplevel, ...]
    institution: NodeInstitution
    memory_mb: Megabytes = 4096
    """Decoded slices and textures of all open studies together."""
    decode_threads: Positive | None = None
    """Default: one per core."""
    render_workers: Positive | None = None
    """Default: one per core, at most four."""
    render_queue: Positive = 64
    gl_platform: Literal["auto", "egl", "glfw", "osmesa", "software"] = "auto"
    gl_device: int | str = "all"
    """all, the number of a graphics device as ``sivr check`` lists them, or the path of its DRM node."""
    texture_budget_mb: Megabytes | Literal["auto"] = "auto"
    """Textures on one graphics device, all workers together; auto is a share of what it has."""
    indexing_workers: Positive = 2
    storage: Storage = Storage()
    limits: Limits = Limits()


class Roles(Settings, frozen=True, kw_only=True):
    """The roles this host can start; absent ones are not there."""

    web: Web | None = None
    toplevel: Toplevel | None = None
    institution: Institution | None = None
    render: Render | None = None


class Metrics(Settings, frozen=True, kw_only=True):
    """Who may read ``/metrics`` of the roles here; without it nobody may. What is given must be met."""

    token_file: str | None = None
    """A file with a token of at least 16 characters that Prometheus sends as ``Authorization: Bearer``."""
    addresses: tuple[str, ...] = ()
    """Addresses or networks that may ask, for example 10.1.2.3 or 10.1.0.0/16."""


class EdgeSettings(Settings, frozen=True, kw_only=True):
    """How every address of this host is served, and what strangers may ask of it."""

    protocols: tuple[Literal["http/1.1", "h2", "h3"], ...] = ("http/1.1", "h2", "h3")
    """h3 is served at the UDP port of the same number."""
    advertise_h3: bool = True
    """Whether browsers that came by TCP are told of HTTP/3."""
    connections: Positive = 4096
    header_kb: Annotated[int, msgspec.Meta(ge=16, le=1024)] = 64
    """All headers of one request over HTTP/2 and HTTP/3; over HTTP/1.1 each may have 16."""
    streams: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Requests at once on one connection of HTTP/2 or HTTP/3."""
    resets_per_s: Positive = 100
    """Requests that may be given up on one connection; ten seconds' worth at once."""
    idle_s: Seconds = 75.0
    """Connections without a request are closed after so long."""
    stall_s: Seconds = 60.0
    """So long an answer waits for a client that takes nothing of it."""
    h3_connections: Positive = 32
    h3_body_kb: Positive = 1024
    """Larger bodies are sent to TCP."""


class Config(Settings, frozen=True, kw_only=True):
    """One host's file."""

    roles: Roles
    log: Log = Log()
    edge: EdgeSettings = EdgeSettings()
    metrics: Metrics | None = None


def role_names(config: Config) -> tuple[RoleName, ...]:
    """The roles the file describes, from the browser inwards."""
    return tuple(cast(RoleName, name) for name in ROLES if getattr(config.roles, name) is not None)


def load(path: Path) -> Config:
    """Read a file; raises Invalid with one sentence per fault, each with its key path.

    Relative paths in the file are relative to the file's folder; they come back absolute.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8 text.") from error
    return parse(text, path.resolve().parent)


def parse(text: str, folder: Path) -> Config:
    """As ``load``, from text."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise Invalid(
            f"This is not YAML{where}: {getattr(error, 'problem', None) or 'syntax error'}."
        ) from error
    if not isinstance(tree, dict):
        raise Invalid("The file must be a mapping with the key 'roles'.")
    try:
        config = msgspec.convert(tree, Config, str_keys=True)
    except msgspec.ValidationError as error:
        raise Invalid(_key_path(str(error))) from error
    config = cast(Config, _absolute(config, folder))
    faults = list(_faults(config))
    if faults:
        raise Invalid("\n".join(faults), {"faults": faults})
    return config


_MSGSPEC_PATH = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`")


def _key_path(message: str) -> str:
    """msgspec's message as ``key.path: sentence``."""
    match = _MSGSPEC_PATH.match(message)
    what, path = (match["what"], match["path"]) if match else (message, "")
    if found := _UNKNOWN.search(what):
        return f"{_join(path, found['name'])}: there is no such key."
    if found := _MISSING.search(what):
        return f"{_join(path, found['name'])}: this key is missing."
    return f"{path or 'file'}: {what[:1].lower()}{what[1:]}."


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_PATH_FIELDS = {"certificate", "key", "signing_key", "master_key", "data", "ca", "token_file"}


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, msgspec.Struct):
        changed: dict[str, Any] = {}
        for name in value.__struct_fields__:
            old = getattr(value, name)
            if name in _PATH_FIELDS and isinstance(old, str):
                new: Any = str(folder / old)
            elif name == "database" and isinstance(old, str) and old.startswith("sqlite:///"):
                new = "sqlite:///" + str(folder / old.removeprefix("sqlite:///"))
            else:
                new = _absolute(old, folder)
            if new is not old:
                changed[name] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        return tuple(_absolute(one, folder) for one in value)
    return value


def _faults(config: Config) -> Iterator[str]:
    """What types cannot say; each sentence begins with its key path."""
    names = role_names(config)
    if not names:
        yield "roles: name at least one of web, toplevel, institution, render."
    taken: dict[tuple[str, int], dict[str, str]] = {}
    for name in names:
        role = cast(Role, getattr(config.roles, name))
        here = f"roles.{name}"
        yield from _url_faults(f"{here}.url", role.url)
        for field in ("certificate", "key"):
            yield from _file_faults(f"{here}.tls.{field}", getattr(role.tls, field))
        prefix = urlsplit(role.url).path.rstrip("/")
        others = taken.setdefault((role.listen.host, role.listen.port), {})
        if prefix in others:
            yield f"{here}.url: the role {others[prefix]} answers at this address and path already."
        yield from _shared_faults(here, role, others, config)
        others[prefix] = name
        if isinstance(role, ApiRole):
            yield from _api_faults(here, role)
    if config.roles.render:
        yield from _device_faults(config.roles.render)
    if "http/1.1" not in config.edge.protocols:
        yield "edge.protocols: http/1.1 cannot be left out; nodes and monitoring speak it."
    if config.metrics:
        yield from _metrics_faults(config.metrics)
    yield from _trust_faults(config)


def _metrics_faults(metrics: Metrics) -> Iterator[str]:
    if metrics.token_file is None and not metrics.addresses:
        yield "metrics: give a token_file, addresses or both; without this key nobody may read the figures."
    if metrics.token_file is not None:
        path = Path(metrics.token_file)
        yield from _file_faults("metrics.token_file", metrics.token_file)
        if path.is_file():
            token = path.read_bytes().strip()
            if len(token) < 16 or not token.isascii() or not token.decode("ascii").isprintable():
                yield "metrics.token_file: the token must be one line of at least 16 ASCII characters."
    for index, address in enumerate(metrics.addresses):
        try:
            ip_network(address)
        except ValueError as error:
            yield f"metrics.addresses[{index}]: {error}."


def _device_faults(render: Render) -> Iterator[str]:
    """What can be no graphics device, or is asked of a platform that lets none be chosen."""
    device, here = render.gl_device, "roles.render.gl_device"
    if device == "all":
        return
    if device < 0 if isinstance(device, int) else not device.startswith("/"):
        yield f"{here}: must be all, the number of a graphics device, or a path such as /dev/dri/renderD128."
    elif render.gl_platform not in ("auto", "egl"):
        yield f"{here}: a graphics device can be chosen where gl_platform is auto or egl."


def _shared_faults(here: str, role: Role, others: Mapping[str, str], config: Config) -> Iterator[str]:
    """Where a role contradicts one that stands before it at the same address."""
    for other in others.values():
        before = cast(Role, getattr(config.roles, other))
        for field in ("certificate", "key"):
            if getattr(role.tls, field) != getattr(before.tls, field):
                yield f"{here}.tls.{field}: the role {other} has another file for the same address."
                return
        ports = {role.listen.redirect_http_port, before.listen.redirect_http_port} - {None}
        if len(ports) > 1:
            yield f"{here}.listen.redirect_http_port: the role {other} has another port for the same address."
            return


def _url_faults(path: str, url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        yield f"{path}: must be an https:// address."
    elif parts.query or parts.fragment or url.endswith("/"):
        yield f"{path}: must have no query, fragment or slash at the end."


def _origin_faults(path: str, origin: str) -> Iterator[str]:
    yield from _url_faults(path, origin)
    if urlsplit(origin).path:
        yield f"{path}: an origin has no path."


def _file_faults(path: str, file: str) -> Iterator[str]:
    if not Path(file).is_file():
        yield f"{path}: there is no file {file}."


def _key_faults(path: str, key: str) -> Iterator[str]:
    try:
        PublicKey.parse(key)
    except Invalid as error:
        yield f"{path}: {error.message}"


def _api_faults(here: str, role: ApiRole) -> Iterator[str]:
    yield from _file_faults(f"{here}.signing_key", role.signing_key)
    if not role.database.startswith(("sqlite:///", "postgresql://")):
        yield f"{here}.database: must begin with sqlite:/// or postgresql://."
    for index, origin in enumerate(role.web_origins):
        yield from _origin_faults(f"{here}.web_origins[{index}]", origin)


def _trust_faults(config: Config) -> Iterator[str]:
    for name in ("institution", "render"):
        role = cast("Institution | Render | None", getattr(config.roles, name))
        for index, top in enumerate(role.toplevels if role else ()):
            for number, key in enumerate(top.public_keys):
                yield from _key_faults(f"roles.{name}.toplevels[{index}].public_keys[{number}]", key)
    if config.roles.institution:
        for index, node in enumerate(config.roles.institution.nodes):
            yield from _key_faults(f"roles.institution.nodes[{index}].public_key", node.public_key)
            yield from _url_faults(f"roles.institution.nodes[{index}].url", node.url)
    if config.roles.render:
        institution = config.roles.render.institution
        yield from _url_faults("roles.render.institution.url", institution.url)
        for number, key in enumerate(institution.public_keys):
            yield from _key_faults(f"roles.render.institution.public_keys[{number}]", key)
        if institution.ca:
            yield from _file_faults("roles.render.institution.ca", institution.ca)
        storage = config.roles.render.storage
        if storage.master_key:
            yield from _file_faults("roles.render.storage.master_key", storage.master_key)
        elif storage.encrypt:
            yield "roles.render.storage.master_key: this key is needed to encrypt; sivr init writes one."
    if config.roles.toplevel:
        for index, known in enumerate(config.roles.toplevel.institutions):
            yield from _url_faults(f"roles.toplevel.institutions[{index}].url", known.url)
    if config.roles.web:
        for index, offered in enumerate(config.roles.web.toplevels):
            yield from _url_faults(f"roles.web.toplevels[{index}].url", offered.url)
