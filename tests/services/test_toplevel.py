"""What the toplevel's services allow and refuse, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sivr.errors import Conflict, Forbidden, Invalid, TooMany, Unauthenticated
from sivr.model.directory import (
    GivenPassword,
    NewInstitution,
    NewPatient,
    NewRecordType,
    NewUser,
    OwnChange,
    OwnPassword,
    PatientChange,
    PatientSearch,
    RecordTypeChange,
    UserChange,
    UserQuery,
)
from sivr.model.people import Actor
from sivr.services.sessions import SessionRules
from sivr.services.toplevel import ToplevelServices, create_user
from tests.services.toplevel_place import ADMINISTRATOR, PHYSICIAN, log_in, open_place

HERE = "192.0.2.1"
NOBODY = Actor(id="x", name="X", roles=(), institutions=(), toplevel="county")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[ToplevelServices]:
    async with open_place(tmp_path) as opened:
        yield opened


async def test_the_token_says_who(services: ToplevelServices) -> None:
    actor = await log_in(services, ("ANA", PHYSICIAN[1]))
    assert (actor.name, actor.roles, actor.institutions, actor.toplevel) == (
        "Ana", ("physician",), ("general",), "county",
    )  # fmt: skip


async def test_all_refusals_are_the_same(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    new = NewUser(login="gone", name="Gone", password="a fairly long secret", active=False)
    await services.users.create(administrator, new, HERE)
    for login, password in (("nobody", "x"), ("ana", "wrong"), ("gone", "a fairly long secret"), ("", "")):
        with pytest.raises(Unauthenticated) as refused:
            await services.sessions.log_in(login, password, HERE)
        assert refused.value.message == "The login or the password is wrong."
        assert refused.value.details == {}


@pytest.mark.parametrize("login", ["ana", "nobody"])
async def test_guessing_is_locked_out(services: ToplevelServices, login: str) -> None:
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await services.sessions.log_in(login, "wrong", HERE)
    with pytest.raises(TooMany) as refused:
        await services.sessions.log_in(login, PHYSICIAN[1], "198.51.100.7")
    assert refused.value.details["retry_after_s"] in range(50, 61)


async def test_guesses_at_once_are_counted_one_by_one(services: ToplevelServices) -> None:
    results = await asyncio.gather(
        *(services.sessions.log_in("ana", f"guess {n}", HERE) for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(one, Unauthenticated) for one in results) == 5
    assert sum(isinstance(one, TooMany) for one in results) == 3


async def test_unlock_and_success_forget_failures(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    physician = await log_in(services, PHYSICIAN)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await services.sessions.log_in("ana", "wrong", HERE)
    assert (await services.users.get(administrator, physician.id)).locked_until is not None
    await services.users.unlock(administrator, physician.id, HERE)
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                await services.sessions.log_in("ana", "wrong", HERE)
        await log_in(services, PHYSICIAN)


async def test_a_lock_ends(tmp_path: Path) -> None:
    async with open_place(tmp_path, SessionRules(failures_before_lock=1, lock_s=1)) as services:
        with pytest.raises(Unauthenticated):
            await services.sessions.log_in("ana", "wrong", HERE)
        while True:
            try:
                await log_in(services, PHYSICIAN)
                break
            except TooMany:
                await asyncio.sleep(0.1)


async def test_signs_in_are_written_down(services: ToplevelServices) -> None:
    physician = await log_in(services, PHYSICIAN)
    with pytest.raises(Unauthenticated):
        await services.sessions.log_in("ana", "wrong", "198.51.100.7")
    refused, started = await services.audit.newest(2)
    assert (refused.action, refused.actor_id, refused.address) == (
        "session.refuse",
        physician.id,
        "198.51.100.7",
    )
    assert (started.action, started.actor_id) == ("session.start", physician.id)


async def test_role_changes_reach_the_token_at_renewal(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    opened = await services.sessions.log_in(*PHYSICIAN, HERE)
    change = UserChange(version=1, roles=("physician", "administrator"))
    await services.users.change(administrator, opened.answer.user.id, change, HERE)
    renewed = await services.sessions.renew(opened.refresh_token, HERE)
    assert services.verifier.verify(renewed.answer.access_token)["roles"] == ["physician", "administrator"]


async def test_own_password(services: ToplevelServices) -> None:
    physician = await log_in(services, PHYSICIAN)
    here = await services.sessions.log_in(*PHYSICIAN, HERE)
    elsewhere = await services.sessions.log_in(*PHYSICIAN, HERE)
    session_id = services.verifier.verify(here.answer.access_token)["sid"]

    async def change(current: str, new: str) -> None:
        body = OwnPassword(current=current, new=new)
        await services.users.change_own_password(physician, body, session_id, HERE)

    with pytest.raises(Invalid, match="current password is wrong"):
        await change("wrong", "another long secret")
    with pytest.raises(Invalid, match="at least 10"):
        await change(PHYSICIAN[1], "short")
    with pytest.raises(Invalid, match="must differ"):
        await change(PHYSICIAN[1], PHYSICIAN[1])
    await change(PHYSICIAN[1], "another long secret")
    await services.sessions.renew(here.refresh_token, HERE)
    with pytest.raises(Unauthenticated):
        await services.sessions.renew(elsewhere.refresh_token, HERE)
    with pytest.raises(Unauthenticated):
        await log_in(services, PHYSICIAN)
    await log_in(services, ("ana", "another long secret"))


async def test_guessing_the_current_password_locks(services: ToplevelServices) -> None:
    physician = await log_in(services, PHYSICIAN)
    body = OwnPassword(current="wrong", new="another long secret")
    for _ in range(5):
        with pytest.raises(Invalid):
            await services.users.change_own_password(physician, body, "", HERE)
    with pytest.raises(TooMany):
        await services.users.change_own_password(physician, body, "", HERE)


async def test_given_passwords_must_be_changed(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    new = NewUser(login="marko", name="Marko", password="first long secret")
    made = await services.users.create(administrator, new, HERE)
    opened = await services.sessions.log_in("marko", "first long secret", HERE)
    assert opened.answer.must_change_password
    marko = Actor(id=made.id, name="Marko", roles=(), institutions=(), toplevel="county")
    body = OwnPassword(current="first long secret", new="second long secret")
    await services.users.change_own_password(marko, body, "", HERE)
    assert not (await services.users.own(marko)).must_change_password
    await services.users.give_password(administrator, made.id, GivenPassword(new="third long secret"), HERE)
    again = await services.sessions.log_in("marko", "third long secret", HERE)
    assert again.answer.must_change_password
    own = GivenPassword(new="the administrator's other")
    await services.users.give_password(administrator, administrator.id, own, HERE)
    assert not (await services.users.own(administrator)).must_change_password


async def test_inactive_users_lose_their_own_page(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    physician = await log_in(services, PHYSICIAN)
    await services.users.change(administrator, physician.id, UserChange(version=1, active=False), HERE)
    with pytest.raises(Unauthenticated):
        await services.users.own(physician)
    with pytest.raises(Unauthenticated):
        await services.users.own(NOBODY)


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"login": "a"}, "login"),
        ({"login": "with blank"}, "login"),
        ({"login": "<script>"}, "login"),
        ({"name": " "}, "name"),
        ({"email": "nonsense"}, "email"),
        ({"password": "short"}, "password"),
        ({"login": "someonelong", "password": "SomeoneLong"}, "password"),
        ({"phone": "1" * 51}, "phone"),
        ({"institutions": ("nowhere",)}, "institutions"),
    ],
)
async def test_bad_users(services: ToplevelServices, facts: dict[str, Any], field: str) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    good = {"login": "marko", "name": "Marko", "password": "a fairly long secret"}
    with pytest.raises(Invalid) as refused:
        await services.users.create(administrator, NewUser(**{**good, **facts}), HERE)
    assert refused.value.details["field"] == field


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"family_name": ""}, "family name is missing"),
        ({"given_name": "x" * 101}, "longer than 100"),
        ({"birth_date": datetime.now(UTC).date() + timedelta(days=2)}, "lies in the future"),
        ({"birth_date": date(1850, 1, 1)}, "more than 150 years"),
        ({"email": "x"}, "not an e-mail"),
        ({"notes": "x\x00"}, "cannot be shown"),
    ],
)
async def test_bad_patients(services: ToplevelServices, facts: dict[str, Any], sentence: str) -> None:
    physician = await log_in(services, PHYSICIAN)
    with pytest.raises(Invalid, match=sentence):
        await services.patients.create(physician, NewPatient(**{"family_name": "Horvat", **facts}), HERE)
    made = await services.patients.create(physician, NewPatient(family_name="Horvat"), HERE)
    with pytest.raises(Invalid, match=sentence):
        await services.patients.change(physician, made.id, PatientChange(version=1, **facts), HERE)


async def test_who_may_what(services: ToplevelServices) -> None:
    administrator = await log_in(services, ADMINISTRATOR)
    physician = await log_in(services, PHYSICIAN)
    patients, users, types = services.patients, services.users, services.record_types
    new_user = NewUser(login="marko", name="M", password="a fairly long secret")
    new_place = NewInstitution(id="clinic", name="C", url="https://c.example.org")
    for actor in (administrator, NOBODY):
        for attempt in (
            patients.find(actor, PatientSearch()),
            patients.get(actor, "x"),
            patients.create(actor, NewPatient(family_name="X"), HERE),
            patients.change(actor, "x", PatientChange(version=1), HERE),
        ):
            with pytest.raises(Forbidden, match="Only physicians"):
                await attempt
    for actor in (physician, NOBODY):
        for attempt in (
            users.find(actor, UserQuery()),
            users.get(actor, "x"),
            users.create(actor, new_user, HERE),
            users.change(actor, "x", UserChange(version=1), HERE),
            users.give_password(actor, "x", GivenPassword(new="a fairly long secret"), HERE),
            users.unlock(actor, "x", HERE),
            services.institutions.create(actor, new_place, HERE),
            services.institutions.delete(actor, "general", HERE),
            types.create(actor, NewRecordType(code="CT", name="CT"), HERE),
            types.change(actor, "x", RecordTypeChange(version=1), HERE),
            types.delete(actor, "x", HERE),
        ):
            with pytest.raises(Forbidden, match="Only administrators"):
                await attempt


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    async with open_place(tmp_path) as services:
        physician = await log_in(services, PHYSICIAN)
        opened = await services.sessions.log_in(*PHYSICIAN, HERE)
        made = await services.patients.create(physician, NewPatient(family_name="Horvat"), HERE)
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                await services.sessions.log_in("admin", "wrong", HERE)
    async with open_place(tmp_path) as services:
        renewed = await services.sessions.renew(opened.refresh_token, HERE)
        assert renewed.answer.user.id == physician.id
        assert await services.patients.get(physician, made.id) == made
        with pytest.raises(TooMany):
            await log_in(services, ADMINISTRATOR)


async def test_the_command_line_adds_users(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'toplevel.sqlite'}"
    new = NewUser(login="root", name="Root", password="a fairly long secret", roles=("administrator",))
    made = await create_user(url, new)
    assert (made.login, made.must_change_password) == ("root", False)
    with pytest.raises(Conflict):
        await create_user(url, new)
    async with open_place(tmp_path) as services:
        assert (await services.users.own(await log_in(services, ("root", "a fairly long secret")))) == made


async def test_changing_own_data(services: ToplevelServices) -> None:
    physician = await log_in(services, PHYSICIAN)
    changed = await services.users.change_own(physician, OwnChange(name=" Ana  Anić ", language="hr"), HERE)
    assert (changed.name, changed.language) == ("Ana Anić", "hr")
    with pytest.raises(Invalid, match="e-mail"):
        await services.users.change_own(physician, OwnChange(email="x"), HERE)
