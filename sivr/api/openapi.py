"""The OpenAPI 3.1 document of a role, made from its routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from sivr.api.routing import Route

_PARAMETER = re.compile(r"{(\w+)(?::[^{}]*(?:{[^{}]*}[^{}]*)*)?}")
_REF = "#/components/schemas/{name}"


def plain_path(path: str) -> str:
    """An aiohttp path with its parameter patterns taken out: ``/a/{b:\\d+}`` becomes ``/a/{b}``."""
    return _PARAMETER.sub(r"{\1}", path)


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        schemas, components = msgspec.json.schema_components([route.query], ref_template=_REF)
        name = schemas[0].get("$ref", "").rsplit("/", 1)[-1]
        properties = components.get(name, {})
        required = properties.get("required", [])
        for field, schema in properties.get("properties", {}).items():
            found.append({"name": field, "in": "query", "required": field in required, "schema": schema})
    found.extend(
        {"name": one.name, "in": "header", "description": one.description, "schema": {"type": one.kind}}
        for one in route.headers
    )
    return found


def document(title: str, version: str, routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI document; every route of the role stands in it."""
    routes = list(routes)
    kinds = (kind for route in routes for kind in (route.query, route.body, route.response))
    unique = list(dict.fromkeys(kind for kind in kinds if kind is not None))
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    problem_ref = _REF.format(name="Problem")
    schema_of = dict(zip(unique, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        answer: dict[str, Any] = {"description": "Done"}
        if route.response is not None:
            answer["content"] = {"application/json": {"schema": schema_of[route.response]}}
        elif route.media_types != ("application/json",):
            answer["content"] = {media_type: {} for media_type in route.media_types}
        empty = route.response is None and "content" not in answer
        success = 204 if empty and route.status == 200 else route.status
        operation: dict[str, Any] = {
            "summary": route.summary,
            "parameters": _parameters(route),
            "responses": {
                str(success): answer,
                "default": {
                    "description": "A problem, in one sentence",
                    "content": {"application/problem+json": {"schema": {"$ref": problem_ref}}},
                },
            },
            "security": [] if route.public else [{"bearer": []}, {"cookie": []}],
        }
        if route.body is not None:
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": schema_of[route.body]}},
            }
        elif route.raw:
            operation["requestBody"] = {"content": {"application/octet-stream": {}}}
        paths.setdefault(plain_path(route.path), {})[route.method.lower()] = operation
    components["Problem"] = {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "One clear sentence"},
            "request_id": {"type": "string"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
            },
        },
    }
