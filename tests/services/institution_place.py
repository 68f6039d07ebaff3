"""An open institution with a node and people, for the tests of its stores, services and routes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from sivr.crypto import SigningKey, access_claims
from sivr.model.archive import NoticeInstance, NoticeSeries, StudyNotice
from sivr.model.people import Actor, UserRole
from sivr.services.institution import InstitutionServices, open_institution_services
from sivr.services.nodes import NodeSeed

KEY = SigningKey.generate()
"""The institution's."""
TOPLEVEL_KEY = SigningKey.generate()
NODE_KEY = SigningKey.generate()
OTHER_NODE_KEY = SigningKey.generate()
NODE = NodeSeed("node-1", "First node", "https://node-1.example.org", NODE_KEY.public.text)
OTHER_NODE = NodeSeed("node-2", "Second node", "https://node-2.example.org", OTHER_NODE_KEY.public.text)


def person(name: str, *roles: UserRole, institutions: tuple[str, ...] = ("general",)) -> Actor:
    """Somebody the toplevel ``county`` vouches for."""
    return Actor(id=f"id-of-{name}", name=name, roles=roles, institutions=institutions, toplevel="county")


ANA = person("Dr. Ana", "physician")
MARKO = person("Dr. Marko", "physician")
VISITOR = person("Dr. Visitor", "physician", institutions=("elsewhere",))
ADA = person("Ada", "administrator")


def token(actor: Actor, ttl_s: int = 300) -> str:
    """An access token as the toplevel signs it."""
    return TOPLEVEL_KEY.sign(access_claims(actor), ttl_s)


def node_token(
    node_id: str = "node-1", key: SigningKey = NODE_KEY, *, ttl_s: int = 60, **claims: object
) -> str:
    """What a node shows with its notices."""
    return key.sign({"iss": node_id, "aud": "general", "sub": node_id, **claims}, ttl_s)


def series_of(uid: str, number: int | None = 1, **values: Any) -> NoticeSeries:
    """A CT series of 2 instances."""
    facts = {"modality": "CT", "instance_count": 2, "frame_count": 2, "renderable": True, **values}
    return NoticeSeries(series_uid=uid, number=number, **facts)


def instance_of(uid: str, series_uid: str, size_bytes: int = 1000) -> NoticeInstance:
    """An instance whose hashes follow from its UID."""
    body = uid.encode()
    return NoticeInstance(
        instance_uid=uid,
        series_uid=series_uid,
        md5=hashlib.md5(body).hexdigest(),
        sha256=hashlib.sha256(body).hexdigest(),
        size_bytes=size_bytes,
    )


def notice_of(
    objects: Iterable[int | NoticeInstance] = (1, 2), *, study_uid: str = "1.2.3", **values: Any
) -> StudyNotice:
    """A notice of a head CT with one series; ``objects`` are its instances, or the ends of their UIDs."""
    series_uid = f"{study_uid}.1"
    instances = tuple(
        instance_of(f"{series_uid}.{one}", series_uid) if isinstance(one, int) else one for one in objects
    )
    plain = StudyNotice(
        node_id="node-1",
        study_uid=study_uid,
        revision=1,
        patient_id="patient-1",
        patient_issuer="county",
        study_date=date(2024, 2, 29),
        study_time="10:20:30",
        description="CT of the head",
        accession_number="A1",
        modalities=("CT",),
        size_bytes=sum(one.size_bytes for one in instances),
        series=(series_of(series_uid, instance_count=len(instances), frame_count=len(instances)),),
        instances=instances,
    )
    return msgspec.structs.replace(plain, **values)


@asynccontextmanager
async def open_place(folder: Path, seeds: Iterable[NodeSeed] = (NODE,)) -> AsyncIterator[InstitutionServices]:
    """Open (again) the institution ``general`` in a folder."""
    async with open_institution_services(
        f"sqlite:///{folder / 'institution.sqlite'}",
        institution_id="general",
        name="General Hospital",
        key=KEY,
        seeds=seeds,
    ) as services:
        yield services
