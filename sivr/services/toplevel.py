"""The toplevel's services on its stores, opened together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sivr.crypto import ACCESS_AUDIENCE, SigningKey, Verifier
from sivr.model.directory import NewInstitution, NewUser, User
from sivr.services.institutions import InstitutionService
from sivr.services.login_guard import LoginGuard
from sivr.services.passwords import Passwords
from sivr.services.patients import PatientService
from sivr.services.record_types import RecordTypeService
from sivr.services.sessions import SessionRules, SessionService
from sivr.services.settings import SettingService
from sivr.services.users import UserService
from sivr.store.audit import Audit, By
from sivr.store.database import Database
from sivr.store.institutions import Institutions
from sivr.store.patients import Patients
from sivr.store.record_types import RecordTypes
from sivr.store.sessions import Sessions
from sivr.store.settings import Settings
from sivr.store.users import Users

CONFIGURATION = By("configuration")
"""Who acts when the sysadmin's file or command line asks."""


class ToplevelServices(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the toplevel's routes need."""

    id: str
    verifier: Verifier
    database: Database
    sessions: SessionService
    users: UserService
    institutions: InstitutionService
    record_types: RecordTypeService
    patients: PatientService
    settings: SettingService
    audit: Audit

    async def health(self) -> str:
        """An empty string when the database answers, else one sentence."""
        return await self.database.health()


@asynccontextmanager
async def open_toplevel(
    database_url: str,
    signing_key: SigningKey,
    toplevel_id: str,
    *,
    rules: SessionRules | None = None,
    institutions: Iterable[NewInstitution] = (),
) -> AsyncIterator[ToplevelServices]:
    """Open the database (upgrading its tables) and the services on it.

    ``institutions`` are added where they are not known yet. Raises Invalid, Unavailable.
    """
    rules = rules or SessionRules()
    async with Database(database_url, "toplevel") as database:
        users = Users(database)
        lifetime, grace = timedelta(days=rules.session_days), timedelta(seconds=rules.grace_s)
        known = Institutions(database)
        await known.ensure(institutions, CONFIGURATION)
        passwords, guard = Passwords(), LoginGuard()
        sessions = SessionService(
            users, Sessions(database, lifetime, grace), passwords, guard, signing_key, toplevel_id, rules
        )
        yield ToplevelServices(
            id=toplevel_id,
            verifier=Verifier({toplevel_id: [signing_key.public]}, ACCESS_AUDIENCE),
            database=database,
            sessions=sessions,
            users=UserService(users, passwords, guard, sessions),
            institutions=InstitutionService(known),
            record_types=RecordTypeService(RecordTypes(database)),
            patients=PatientService(Patients(database)),
            settings=SettingService(Settings(database)),
            audit=Audit(database),
        )


async def create_user(
    database_url: str,
    new: NewUser,
    *,
    must_change_password: bool = False,
    institutions: Iterable[NewInstitution] = (),
) -> User:
    """Add a user by the sysadmin's command line, whether or not the toplevel runs.

    ``institutions`` are those of the configuration file, which may not have been started yet.

    Raises Invalid, Conflict when the login is taken, Unavailable.
    """
    # No token is signed on this way, so any key will do.
    key = SigningKey.generate()
    async with open_toplevel(database_url, key, "toplevel", institutions=institutions) as services:
        return await services.users.add(new, CONFIGURATION, must_change_password=must_change_password)
