"""Notices: a node tells the whole state of a study it holds; the node's own token says who it is."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from sivr.crypto import PublicKey, Verifier
from sivr.errors import Forbidden, Invalid, Unauthenticated
from sivr.model.archive import NoticeSeries, StudyNotice
from sivr.store.audit import By
from sivr.store.nodes import Nodes
from sivr.store.studies import StudyStore

log = logging.getLogger("sivr.notices")

_LONG_BYTES = 256 * 1024
_LONGEST_TEXT = 1024
_LONGEST_CODE = 64


class NoticeService:
    """Takes notices of the institution's nodes."""

    def __init__(self, studies: StudyStore, nodes: Nodes, institution_id: str) -> None:
        self._studies = studies
        self._nodes = nodes
        self._institution = institution_id

    async def verified_node(self, token: str | None) -> str:
        """Which node signed this token for us; raises Unauthenticated, Forbidden."""
        if token is None:
            raise Unauthenticated("A notice needs a node's token.")
        nodes = {node.id: node for node in await self._nodes.all()}
        keys = {node.id: [PublicKey.parse(node.public_key)] for node in nodes.values()}
        claims = Verifier(keys, self._institution).verify(token)
        node_id = str(claims["iss"])
        if claims["sub"] != node_id:
            raise Unauthenticated("A node's token is about the node itself.")
        if not nodes[node_id].active:
            raise Forbidden(f"The node {node_id} is not active at this institution.")
        return node_id

    async def hear(self, node_id: str) -> None:
        """Note that a node is there, though it may have no news."""
        await self._nodes.seen(node_id)

    async def take(self, node_id: str, body: bytes, address: str) -> bool:
        """Take over the state of a study; False when it was known already or a newer one is.

        Raises Invalid, Forbidden when a node speaks for another, Conflict when the study is of another
        patient.
        """
        if len(body) > _LONG_BYTES:
            notice = await asyncio.to_thread(read_notice, body)
        else:
            notice = read_notice(body)
        if notice.node_id != node_id:
            raise Forbidden("A node speaks only for itself.")
        changed = await self._studies.note(notice, By(node_id, address))
        log.info(
            "notice",
            extra={"node": node_id, "study": notice.study_uid, "revision": notice.revision, "new": changed},
        )
        return changed


def read_notice(body: bytes) -> StudyNotice:
    """A notice as it may be stored; raises Invalid.

    Its texts come from files of any origin, so they are cleaned and not refused.
    """
    try:
        notice = msgspec.json.decode(body, type=StudyNotice)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"This is not a notice: {error}.") from error
    known = {one.series_uid for one in notice.series}
    if len(known) != len(notice.series):
        raise Invalid("The notice lists a series twice.")
    if len({one.instance_uid for one in notice.instances}) != len(notice.instances):
        raise Invalid("The notice lists an instance twice.")
    if any(one.series_uid not in known for one in notice.instances):
        raise Invalid("The notice lists an instance of a series that it does not list.")
    return msgspec.structs.replace(
        notice,
        study_time=_clean(notice.study_time, _LONGEST_CODE),
        description=_clean(notice.description),
        accession_number=_clean(notice.accession_number, _LONGEST_CODE),
        modalities=tuple(_clean(one, _LONGEST_CODE) for one in notice.modalities),
        series=tuple(_clean_series(one) for one in notice.series),
    )


def _clean_series(series: NoticeSeries) -> NoticeSeries:
    return msgspec.structs.replace(
        series,
        modality=_clean(series.modality, _LONGEST_CODE),
        description=_clean(series.description),
        body_part=_clean(series.body_part, _LONGEST_CODE),
        why_no_volume=_clean(series.why_no_volume),
    )


def _clean(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Without control characters (U+0000 cannot be stored), on one line, not longer than it may be."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:longest]
