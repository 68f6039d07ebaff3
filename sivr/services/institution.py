"""Everything an institution needs, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from sivr.crypto import SigningKey
from sivr.services.annotations import AnnotationService
from sivr.services.browser_sessions import BrowserSessions
from sivr.services.findings import FindingService
from sivr.services.grants import GrantService
from sivr.services.institution_sessions import InstitutionSessions
from sivr.services.nodes import NodeSeed, NodeService
from sivr.services.notices import NoticeService
from sivr.services.studies import StudyService
from sivr.store.annotations import AnnotationStore
from sivr.store.audit import Audit
from sivr.store.browser_sessions import BrowserSessionRows
from sivr.store.database import Database
from sivr.store.findings import FindingStore
from sivr.store.nodes import Nodes as NodeStore
from sivr.store.schema.institution import cookie_session
from sivr.store.studies import StudyStore


class InstitutionServices(msgspec.Struct, frozen=True):
    """The services of one institution."""

    id: str
    name: str
    database: Database
    studies: StudyService
    findings: FindingService
    annotations: AnnotationService
    nodes: NodeService
    grants: GrantService
    notices: NoticeService
    sessions: InstitutionSessions
    audit: Audit


@asynccontextmanager
async def open_institution_services(
    database_url: str,
    *,
    institution_id: str,
    name: str,
    key: SigningKey,
    seeds: Iterable[NodeSeed] = (),
) -> AsyncIterator[InstitutionServices]:
    """Open the institution's database (upgrading its tables) and the services on it.

    ``seeds`` are the nodes of the configuration file: added where they are not known, updated where the file
    changed. Raises Invalid, Unavailable.
    """
    async with Database(database_url, "institution") as database:
        studies, nodes, audit = StudyStore(database), NodeStore(database), Audit(database)
        cookies = BrowserSessions(BrowserSessionRows(database, cookie_session), institution_id, {})
        node_service = NodeService(nodes)
        await node_service.seed(seeds)
        yield InstitutionServices(
            id=institution_id,
            name=name,
            database=database,
            studies=StudyService(studies),
            findings=FindingService(FindingStore(database), studies),
            annotations=AnnotationService(AnnotationStore(database), studies),
            nodes=node_service,
            grants=GrantService(studies, nodes, audit, institution_id, name, key),
            notices=NoticeService(studies, nodes, institution_id),
            sessions=InstitutionSessions(cookies, audit),
            audit=audit,
        )
