"""A host: the roles its file names, each opened, mounted on its address, and served until told to stop."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from sivr.api.app import HEALTH_NOTE
from sivr.api.metrics import METRICS, METRICS_ACCESS, MetricsAccess
from sivr.config import Config, Metrics, Role
from sivr.edge.certificates import ServerCertificate, watch_certificate
from sivr.edge.listener import listen_https, listen_redirect
from sivr.edge.mount import mount
from sivr.edge.traffic import Traffic
from sivr.errors import Invalid
from sivr.roles.serving import edge_of, figures_of_traffic

log = logging.getLogger("sivr.host")

# The order in which roles open: those that others report to come first.
_OPENING_ORDER = ("toplevel", "institution", "render", "web")


@asynccontextmanager
async def open_host(config: Config, names: Iterable[str]) -> AsyncIterator[None]:
    """Run these roles of the file; inside the context they answer."""
    wanted = set(names)
    access = _metrics_access(config.metrics)
    async with AsyncExitStack() as stack:
        addresses: dict[tuple[str, int], dict[str, web.Application]] = {}
        settings_at: dict[tuple[str, int], list[Role]] = {}
        for name in _OPENING_ORDER:
            if name not in wanted:
                continue
            settings: Role | None = getattr(config.roles, name)
            if settings is None:
                raise Invalid(f"The file has no role {name}.")
            # Imported only when started: a host without the render role needs no OpenGL.
            module = importlib.import_module(f"sivr.roles.{name}")
            app = await stack.enter_async_context(getattr(module, f"open_{name}")(settings))
            address = (settings.listen.host, settings.listen.port)
            addresses.setdefault(address, {})[urlsplit(settings.url).path.rstrip("/")] = app
            settings_at.setdefault(address, []).append(settings)
        for address, apps in addresses.items():
            # Those of one address do not contradict each other; the file was checked for it.
            sharing = settings_at[address]
            files = sharing[0].tls
            certificate = ServerCertificate(Path(files.certificate), Path(files.key))
            note = await stack.enter_async_context(watch_certificate(certificate))
            traffic = Traffic()
            for app in apps.values():
                app[METRICS].add(figures_of_traffic(traffic))
                app[HEALTH_NOTE] = note
                app[METRICS_ACCESS] = access
            edge = edge_of(config.edge, urlsplit(sharing[0].url).port or 443)
            await stack.enter_async_context(listen_https(mount(apps), *address, certificate, edge, traffic))
            redirects = {one.listen.redirect_http_port: urlsplit(one.url).netloc for one in sharing}
            for port, netloc in redirects.items():
                if port is not None:
                    await stack.enter_async_context(listen_redirect(address[0], port, f"https://{netloc}"))
        yield


def _metrics_access(settings: Metrics | None) -> MetricsAccess:
    if settings is None:
        return MetricsAccess()
    token = Path(settings.token_file).read_text(encoding="ascii").strip() if settings.token_file else ""
    return MetricsAccess(token, tuple(ip_network(one) for one in settings.addresses))


async def run_host(config: Config, names: Iterable[str], stop: asyncio.Event) -> None:
    """Run these roles until ``stop`` is set."""
    names = tuple(names)
    async with open_host(config, names):
        log.info("ready", extra={"roles": ",".join(names)})
        await stop.wait()
        log.info("stopping")
