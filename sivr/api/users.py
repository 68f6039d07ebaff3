"""Users: ``/me`` for everybody, ``/users`` for administrators."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, actor, address
from sivr.api.toplevel import services, session_id
from sivr.model.directory import (
    GivenPassword,
    NewUser,
    OwnChange,
    OwnPassword,
    User,
    UserChange,
    UserPage,
    UserQuery,
)

routes = Routes()


@routes.get("/me", summary="My own data", response=User, given_password=True)
async def me(request: web.Request) -> User:
    """The asking user."""
    return await services(request).users.own(actor(request))


@routes.patch("/me", summary="Change my own data", body=OwnChange, response=User, given_password=True)
async def change_me(request: web.Request, body: OwnChange) -> User:
    """Change one's own data."""
    return await services(request).users.change_own(actor(request), body, address(request))


@routes.put(
    "/me/password",
    summary="Change my password; my other sessions end",
    body=OwnPassword,
    given_password=True,
)
async def change_my_password(request: web.Request, body: OwnPassword) -> None:
    """Change one's own password."""
    users = services(request).users
    await users.change_own_password(actor(request), body, session_id(request), address(request))


@routes.get("/users", summary="Find users", query=UserQuery, response=UserPage, roles=("administrator",))
async def find(request: web.Request, query: UserQuery) -> UserPage:
    """Users by words in login, name and e-mail."""
    return await services(request).users.find(actor(request), query)


@routes.post(
    "/users", summary="Add a user", body=NewUser, response=User, status=201, roles=("administrator",)
)
async def create(request: web.Request, body: NewUser) -> User:
    """Add a user."""
    return await services(request).users.create(actor(request), body, address(request))


@routes.get("/users/{id}", summary="A user", response=User, roles=("administrator",))
async def get(request: web.Request) -> User:
    """One user."""
    return await services(request).users.get(actor(request), request.match_info["id"])


@routes.patch(
    "/users/{id}", summary="Change a user", body=UserChange, response=User, roles=("administrator",)
)
async def change(request: web.Request, body: UserChange) -> User:
    """Change one user."""
    key = request.match_info["id"]
    return await services(request).users.change(actor(request), key, body, address(request))


@routes.put(
    "/users/{id}/password", summary="Give a user a password", body=GivenPassword, roles=("administrator",)
)
async def give_password(request: web.Request, body: GivenPassword) -> None:
    """Give a user a password; the user's sessions end."""
    key = request.match_info["id"]
    await services(request).users.give_password(actor(request), key, body, address(request))


@routes.post("/users/{id}/unlock", summary="Let a user log in again at once", roles=("administrator",))
async def unlock(request: web.Request) -> None:
    """Forget a user's failed log-ins."""
    await services(request).users.unlock(actor(request), request.match_info["id"], address(request))
