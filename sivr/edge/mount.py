"""Several roles on one address: each under the path of its URL."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web


def mount(apps: Mapping[str, web.Application]) -> web.Application:
    """One application that answers every given path prefix ('' is the root) with its role's application."""
    root = apps.get("") or web.Application()
    for prefix, app in apps.items():
        if prefix:
            root.add_subapp(prefix, app)
    return root
