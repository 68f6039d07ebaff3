"""What a render node has to tell its monitoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sivr.api.metrics import Figure, Source, Values
from sivr.model.importance import Importance
from sivr.services.imaging import Imaging
from sivr.services.ingest import Ingest


def figures_of_imaging(imaging: Imaging) -> Source:
    """Queues, workers and memory of pictures."""

    async def figures() -> Sequence[Figure]:
        farm, loader, threads = imaging.farm, imaging.loader, imaging.pictures.threads
        tally, health = farm.tally, farm.health()
        waiting = {
            **_by_class("render", farm.waiting()),
            **_by_class("picture", threads.waiting()),
            **_by_class("decode", loader.pool.waiting()),
        }
        ended: Values = {
            ("drawn",): tally.drawn,
            ("canceled_waiting",): tally.canceled_waiting,
            ("canceled_running",): tally.canceled_running,
            ("refused",): tally.refused,
        }
        decoded: Values = {
            (importance.label,): float(loader.pool.done[importance]) for importance in Importance
        }
        return [
            Figure("sivr_queue_length", "Work that waits, by queue and class", waiting, ("queue", "class")),
            Figure(
                "sivr_render_running", "Pictures render workers draw, by class",
                {key[1:]: value for key, value in _by_class("", farm.running()).items()}, ("class",),
            ),
            Figure("sivr_render_jobs", "Orders of render workers, by end", ended, ("end",), "counter"),
            _counter("sivr_render_preemptions", "Times a picture was put aside", tally.interrupted),
            _counter("sivr_render_rows_spared", "Rows of canceled pictures not drawn", tally.rows_spared),
            _counter("sivr_render_worker_restarts", "Workers started again", _number(health["restarts"])),
            _gauge("sivr_render_workers_alive", "Workers that can draw", _number(health["workers_alive"])),
            _counter("sivr_pictures_refused", "Pictures refused by full picture threads", threads.refused),
            Figure("sivr_decoded", "Frames and slices decoded, by class", decoded, ("class",), "counter"),
            _gauge("sivr_cache_bytes", "Decoded pixels held", loader.used_bytes),
            _gauge("sivr_cache_budget_bytes", "Decoded pixels that may be held", loader.budget_bytes),
        ]  # fmt: skip

    return figures


def figures_of_ingest(ingest: Ingest) -> Source:
    """What came in, and what waits to be indexed or told."""

    async def figures() -> Sequence[Figure]:
        queue, outbox = await ingest.queue.state(), await ingest.outbox.state()
        uploads = ingest.uploads
        indexing: Values = {
            ("waiting",): queue.waiting, ("leased",): queue.leased, ("dead_shown",): len(queue.dead)
        }  # fmt: skip
        files: Values = {(status,): float(count) for status, count in uploads.files.items()}
        return [
            Figure("sivr_indexing_queue", "Objects to be indexed, by state", indexing, ("state",)),
            _gauge("sivr_outbox_waiting", "Studies their institution has not been told of", outbox.waiting),
            Figure("sivr_upload_files", "Files uploaded, by result", files, ("result",), "counter"),
            _counter("sivr_upload_bytes", "Bytes of files uploaded", uploads.received_bytes),
        ]

    return figures


def _by_class(queue: str, counts: Mapping[Importance, int]) -> Values:
    return {(queue, importance.label): float(count) for importance, count in counts.items()}


def _gauge(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, {(): value})


def _counter(name: str, text: str, value: float) -> Figure:
    return Figure(name, text, {(): value}, kind="counter")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
