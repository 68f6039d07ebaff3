"""Routes as a table: one declaration gives handler, authentication, types and OpenAPI entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec
from aiohttp import web

from sivr.api.bodies import whole
from sivr.errors import Invalid, Unauthenticated, Unsupported
from sivr.model.people import Actor, UserRole

Handler = Callable[..., Awaitable[Any]]
ACTOR = web.RequestKey("sivr.actor", Actor)
REQUEST_ID = web.RequestKey("sivr.request_id", str)


class Header(msgspec.Struct, frozen=True):
    """A request header that a route reads."""

    name: str
    description: str
    kind: Literal["string", "integer"] = "string"


class Route(msgspec.Struct, frozen=True):
    """One method on one path and everything that must be known about it."""

    method: str
    path: str
    handler: Handler
    summary: str
    query: type[Any] | None = None
    headers: tuple[Header, ...] = ()
    """What OpenAPI tells of them; the handler reads them itself."""
    body: type[Any] | None = None
    response: Any = None
    status: int = 200
    public: bool = False
    roles: tuple[UserRole, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)
    given_password: bool = False
    """True where also those may ask who have yet to replace a password that was given to them."""
    raw: bool = False
    """True where the handler reads the body itself (streams)."""


class Routes:
    """Collects the routes of one noun; a role joins those of its nouns."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, method: str, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Decorator that registers a handler for a method and a path ('{name}' marks parameters)."""

        def register(handler: Handler) -> Handler:
            self._routes.append(Route(method=method, path=path, handler=handler, **options))
            return handler

        return register

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a GET (HEAD is answered by it as well)."""
        return self.add("GET", path, **options)

    def head(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a HEAD whose answer is not that of a GET without the body."""
        return self.add("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a POST."""
        return self.add("POST", path, **options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a PUT."""
        return self.add("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a PATCH."""
        return self.add("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        """Register a DELETE."""
        return self.add("DELETE", path, **options)

    def join(self, *others: Iterable[Route]) -> Routes:
        """A new collection with these routes and those of the others."""
        joined = Routes()
        joined._routes = [*self._routes, *(route for other in others for route in other)]
        return joined


def actor(request: web.Request) -> Actor:
    """Who is asking; raises Unauthenticated on public routes where nobody is known."""
    found: Actor | None = request.get(ACTOR)
    if found is None:
        raise Unauthenticated("Please log in.")
    return found


def address(request: web.Request) -> str:
    """Where the request comes from, for the audit and against guessing."""
    return request.remote or ""


def json_response(value: object, status: int = 200) -> web.Response:
    """A JSON answer of any msgspec-encodable value."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def read_query(request: web.Request, kind: type[Any]) -> Any:
    """The query string as a struct; unknown names are ignored as PS3.18 asks, wrong values are Invalid."""
    values: dict[str, Any] = {}
    for name in dict.fromkeys(request.query.keys()):
        found = request.query.getall(name)
        values[name] = found if len(found) > 1 else found[0]
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(_sentence(error)) from error


async def read_body(request: web.Request, kind: type[Any]) -> Any:
    """The JSON body as a struct; raises Unsupported, Invalid, TooSlow."""
    if request.content_type not in ("application/json", "application/octet-stream"):
        raise Unsupported("The body must be application/json.")
    try:
        return msgspec.json.decode(await whole(request), type=kind)
    except msgspec.ValidationError as error:
        raise Invalid(_sentence(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("The body is not JSON.") from error
    except RecursionError as error:
        raise Invalid("The body is nested too deeply.") from error


def wrap(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An aiohttp handler that parses by the route's types and makes a response of the result."""

    async def answer(request: web.Request) -> web.StreamResponse:
        arguments: list[Any] = []
        if route.query is not None:
            arguments.append(read_query(request, route.query))
        if route.body is not None and not route.raw:
            arguments.append(await read_body(request, route.body))
        result = await route.handler(request, *arguments)
        if isinstance(result, web.StreamResponse):
            return result
        if result is None:
            return web.Response(status=204 if route.status == 200 else route.status)
        return json_response(result, route.status)

    return answer
