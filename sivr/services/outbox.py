"""The way from a node to its institution: whole states of studies, at least once, newest revision only."""

from __future__ import annotations

import asyncio
import datetime
import logging
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

from sivr.dicom.volume import stack
from sivr.errors import Conflict, Invalid, SivrError
from sivr.model.archive import NoticeInstance, NoticeSeries, StudyNotice
from sivr.model.ingest import Delivery
from sivr.store.index import Index, StoredInstance
from sivr.store.outbox import DELAY_S, Outbox

log = logging.getLogger("sivr.outbox")

LEASE_S = 120.0
TOGETHER = 8
"""Studies told of at once; each waits mostly for the institution's disk."""
IDLE_S = 1.0
PAUSE_S = 0.25
SHARE = 4.0
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
PRESENCE_S = 60.0


class Institution(Protocol):
    """Who is told."""

    async def post_notice(self, notice: StudyNotice) -> None:
        """Tell it; raises when it does not answer or refuses."""

    async def post_presence(self) -> None:
        """Say that the node is there; raises likewise."""


def study_date(text: str) -> datetime.date | None:
    """A DICOM DA value (PS3.5 6.2) as a date; None where it is none."""
    digits = text.strip().replace(".", "")
    try:
        return datetime.datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def study_time(text: str) -> str:
    """A DICOM TM value as HH:MM:SS; empty where it is none."""
    digits = text.strip().replace(":", "").split(".")[0]
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (2, 4, 6):
        return ""
    padded = digits.ljust(6, "0")
    return f"{padded[:2]}:{padded[2:4]}:{padded[4:]}"


def notice_of(
    node_id: str, delivery: Delivery, stored: Sequence[StoredInstance], complete: bool
) -> StudyNotice:
    """The state of a study as its institution is told it. Blocking: for threads."""
    by_series: dict[str, list[StoredInstance]] = defaultdict(list)
    for one in stored:
        by_series[one.header.series_uid].append(one)
    first = min((one.header for one in stored), key=lambda one: (one.study_date, one.study_time))
    series = [_series(uid, members) for uid, members in by_series.items()]
    series.sort(key=lambda one: (one.number is None, one.number or 0, one.series_uid))
    return StudyNotice(
        node_id=node_id,
        study_uid=delivery.study_uid,
        revision=delivery.revision,
        patient_id=delivery.patient_id,
        patient_issuer=delivery.patient_issuer,
        study_date=study_date(first.study_date),
        study_time=study_time(first.study_time),
        description=first.study_description,
        accession_number=first.accession_number,
        modalities=tuple(sorted({one.modality for one in series if one.modality})),
        size_bytes=sum(one.size_bytes for one in stored),
        complete=complete,
        series=tuple(series),
        instances=tuple(
            NoticeInstance(
                instance_uid=one.header.instance_uid,
                series_uid=one.header.series_uid,
                md5=one.md5,
                sha256=one.sha256,
                size_bytes=one.size_bytes,
            )
            for one in stored
        ),
    )


def _series(uid: str, members: Sequence[StoredInstance]) -> NoticeSeries:
    header = members[0].header
    order = stack([one.header for one in members])
    return NoticeSeries(
        series_uid=uid,
        modality=header.modality,
        number=header.series_number,
        description=header.series_description,
        body_part=header.body_part,
        instance_count=len(members),
        frame_count=sum(len(one.header.frames) for one in members),
        renderable=bool(order.frames),
        has_volume=order.volume is not None,
        why_no_volume=order.why_no_volume,
    )


async def stay_present(institution: Institution) -> None:
    """Say now and then that the node is there, until canceled: without uploads nothing else is told."""
    while True:
        try:
            await institution.post_presence()
        except SivrError as error:
            log.info("the institution did not hear of this node", extra={"reason": error.message})
        except Exception:
            log.exception("presence")
        await asyncio.sleep(PRESENCE_S)


class OutboxSender:
    """Sends what is due; several processes of one node may run one each."""

    def __init__(self, outbox: Outbox, index: Index, institution: Institution, node_id: str) -> None:
        self._outbox = outbox
        self._index = index
        self._institution = institution
        self._node_id = node_id
        self._down = False

    async def once(self) -> bool:
        """Send one study if one is due; whether one was."""
        delivery = await self._outbox.claim(LEASE_S)
        if delivery is None:
            return False
        await self._tell(delivery)
        return True

    async def _tell(self, delivery: Delivery) -> None:
        started = time.monotonic()
        try:
            # Asked before what is stored is read: what waits no more by now is among it.
            complete = not await self._index.indexing(delivery.study_uid)
            stored = await self._index.study(delivery.study_uid)
            notice = await asyncio.to_thread(notice_of, self._node_id, delivery, stored, complete)
            await self._institution.post_notice(notice)
        except SivrError as error:
            # What is wrong with one study says nothing of the others.
            self._down = not isinstance(error, Conflict | Invalid)
            await self._failed(delivery, error.message)
        except Exception as error:
            # One study that cannot be told must not silence the others.
            log.exception("outbox", extra={"study": delivery.study_uid})
            await self._failed(delivery, f"Unexpected: {type(error).__name__}.")
        else:
            self._down = False
            # Telling of a large study takes time; while it grows, most of the time is left to its growing.
            took_s = time.monotonic() - started
            await self._outbox.done(delivery, pause_s=max(PAUSE_S, SHARE * took_s))
            log.info("told", extra={"study": delivery.study_uid, "revision": delivery.revision})

    async def _failed(self, delivery: Delivery, reason: str) -> None:
        wait_s = min(FIRST_RETRY_S * 2 ** min(delivery.attempts - 1, 10), LAST_RETRY_S)
        wait_s *= random.uniform(0.8, 1.2)  # noqa: S311
        await self._outbox.failed(delivery, reason, wait_s)
        log.warning(
            "the institution was not told",
            extra={"study": delivery.study_uid, "reason": reason, "retry_s": round(wait_s, 1)},
        )

    async def run(self, wake: asyncio.Event) -> None:
        """Send until canceled: several studies at once, each one revision after the other.

        While the institution does not answer, one at a time with a pause finds out whether it does again.
        """
        telling: set[asyncio.Task[None]] = set()
        try:
            while True:
                while len(telling) >= (1 if self._down else TOGETHER):
                    await asyncio.wait(telling, return_when=asyncio.FIRST_COMPLETED)
                if self._down:
                    await asyncio.sleep(PAUSE_S)
                # Before looking: what comes after that is not overlooked.
                wake.clear()
                delivery = await self._next()
                if delivery is None:
                    await self._idle(wake)
                    continue
                task = asyncio.create_task(self._guarded(delivery))
                telling.add(task)
                task.add_done_callback(telling.discard)
        finally:
            for task in telling:
                task.cancel()
            await asyncio.gather(*telling, return_exceptions=True)

    async def _next(self) -> Delivery | None:
        try:
            return await self._outbox.claim(LEASE_S)
        except SivrError as error:
            log.warning("outbox waits", extra={"reason": error.message})
        except Exception:
            # A sender that ends would tell nobody anything.
            log.exception("outbox")
        return None

    async def _guarded(self, delivery: Delivery) -> None:
        try:
            await self._tell(delivery)
        except SivrError as error:
            # The lease brings the study back.
            log.warning("outbox waits", extra={"reason": error.message})
        except Exception:
            log.exception("outbox", extra={"study": delivery.study_uid})

    async def _idle(self, wake: asyncio.Event) -> None:
        try:
            # Not wait_for, which forgets that it was canceled when both happen at once.
            async with asyncio.timeout(IDLE_S):
                await wake.wait()
        except TimeoutError:
            return
        # What was just announced is due after so long.
        await asyncio.sleep(DELAY_S)
