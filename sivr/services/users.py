"""Users: their own data for everybody, all of them for administrators."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec
from msgspec import UNSET

from sivr.errors import Invalid, NotFound, Unauthenticated
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
from sivr.model.people import Actor
from sivr.services.login_guard import LoginGuard
from sivr.services.passwords import Passwords, check_rules
from sivr.services.permission import require_role
from sivr.services.sessions import SessionService
from sivr.services.text import email, line, search_text
from sivr.store.audit import By
from sivr.store.users import Users

_LOGIN = re.compile(r"[\w.@+-]{2,64}")
_Change = TypeVar("_Change", NewUser, UserChange, OwnChange)


class UserService:
    """Users of one toplevel."""

    def __init__(
        self, users: Users, passwords: Passwords, guard: LoginGuard, sessions: SessionService
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._guard = guard
        self._sessions = sessions

    async def own(self, actor: Actor) -> User:
        """One's own data; raises Unauthenticated when the account is gone or inactive."""
        try:
            user = await self._users.get(actor.id)
        except NotFound as error:
            raise Unauthenticated("This user is not known any more.") from error
        if not user.active:
            raise Unauthenticated("This user is not active any more.")
        return user

    async def change_own(self, actor: Actor, change: OwnChange, address: str) -> User:
        """Change one's own data; raises Invalid."""
        await self.own(actor)
        return await self._users.change_own(actor.id, _clean(change), By(actor.id, address))

    async def change_own_password(
        self, actor: Actor, change: OwnPassword, session_id: str, address: str
    ) -> None:
        """Change one's own password; every other session of this user ends.

        Raises Invalid when the current password is wrong or the new one breaks a rule, TooMany after repeated
        failures: a page left open must not be a place to guess.
        """
        user = await self.own(actor)
        check_rules(change.new, user.login, "new")
        async with self._guard.alone(user.login):
            try:
                await self._sessions.check_password(user.login, change.current, address)
            except Unauthenticated as error:
                raise Invalid("The current password is wrong.", {"field": "current"}) from error
            if change.new == change.current:
                raise Invalid("The new password must differ from the current one.", {"field": "new"})
            hashed = await self._passwords.hash(change.new)
            await self._users.set_password(
                user.id, hashed, By(user.id, address), must_change=False, keep_session=session_id
            )

    async def find(self, actor: Actor, query: UserQuery) -> UserPage:
        """Users, for administrators; raises Forbidden, Invalid."""
        require_role(actor, "administrator")
        items, total = await self._users.find(search_text(query.query, "query"), query.limit, query.offset)
        return UserPage(items, total)

    async def get(self, actor: Actor, user_id: str) -> User:
        """One user, for administrators; raises Forbidden, NotFound."""
        require_role(actor, "administrator")
        return await self._users.get(user_id)

    async def create(self, actor: Actor, new: NewUser, address: str) -> User:
        """Add a user, who is asked to change the password; raises Forbidden, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self.add(new, By(actor.id, address), must_change_password=True)

    async def add(self, new: NewUser, by: By, *, must_change_password: bool) -> User:
        """Add a user on the word of whoever runs this server; raises Invalid, Conflict."""
        clean = _clean(new)
        check_rules(clean.password, clean.login)
        hashed = await self._passwords.hash(clean.password)
        return await self._users.create(clean, hashed, by, must_change_password=must_change_password)

    async def change(self, actor: Actor, user_id: str, change: UserChange, address: str) -> User:
        """Change a user; raises Forbidden, NotFound, Invalid, Conflict."""
        require_role(actor, "administrator")
        return await self._users.change(user_id, _clean(change), By(actor.id, address))

    async def give_password(self, actor: Actor, user_id: str, given: GivenPassword, address: str) -> None:
        """Give a user a new password, to be changed at the next log in; the user's sessions end.

        Raises Forbidden, NotFound, Invalid.
        """
        require_role(actor, "administrator")
        user = await self._users.get(user_id)
        check_rules(given.new, user.login, "new")
        hashed = await self._passwords.hash(given.new)
        by = By(actor.id, address)
        await self._users.set_password(user_id, hashed, by, must_change=user_id != actor.id)

    async def unlock(self, actor: Actor, user_id: str, address: str) -> None:
        """Let a user log in again at once; raises Forbidden, NotFound."""
        require_role(actor, "administrator")
        await self._users.unlock(user_id, By(actor.id, address))


def _clean(given: _Change) -> _Change:
    """The same with every text cleaned; raises Invalid."""
    values: dict[str, object] = {}
    login = getattr(given, "login", UNSET)
    if isinstance(login, str):
        login = line(login, "login", "The login", required=True)
        if not _LOGIN.fullmatch(login):
            raise Invalid(
                "A login has 2 to 64 letters, digits and the signs . @ + - _ and no blanks.",
                {"field": "login"},
            )
        values["login"] = login
    if isinstance(given.name, str):
        values["name"] = line(given.name, "name", "The name", required=True)
    if isinstance(given.email, str):
        values["email"] = email(given.email)
    if isinstance(given.phone, str):
        values["phone"] = line(given.phone, "phone", "The phone number", longest=50)
    return msgspec.structs.replace(given, **values)
