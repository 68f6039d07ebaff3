"""A series that somebody looks at: its order, its volume, and how far it is in memory."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sivr.dicom.presentation import stored_dtype
from sivr.dicom.volume import range_needed, stack, volume_values
from sivr.errors import Exhausted, NotFound
from sivr.model.pixels import Window
from sivr.model.studies import FrameAddress, Stack, VoxelScale
from sivr.services.segments import Segment
from sivr.store.index import StoredInstance

Array = npt.NDArray[Any]
State = Literal["idle", "loading", "complete"]

COARSE_STEP = 8
"""Every so many slices come first, so that a coarse volume can be shown while the rest is loading."""
BEHIND = 3
"""A slice that the reader comes from is as likely to be wanted next as one so many times further ahead."""
SHARES = 4
"""What is left to load is handed out in so many portions at least."""
FEW_OBJECTS = 16
MANY_SLICES = 512
"""Of so many, every other one of the coarse ones shows as much as all do of fewer."""


class Progress(msgspec.Struct, frozen=True):
    """How far a series is in memory."""

    slices_loaded: int
    slices_total: int
    state: State
    broken: dict[str, str] = {}
    """Frame number in reading order (from 1) to the sentence why it cannot be shown."""


def digest_of(stored: Sequence[StoredInstance]) -> str:
    """What stands for exactly these objects."""
    return hashlib.sha256("".join(sorted(one.sha256 for one in stored)).encode()).hexdigest()[:24]


class OpenSeries:
    """A series somebody looks at; owned by the SeriesLoader."""

    def __init__(self, study_uid: str, series_uid: str, stored: Sequence[StoredInstance]) -> None:
        self.study_uid = study_uid
        self.series_uid = series_uid
        self.digest = digest_of(stored)
        self.key = f"{series_uid}/{self.digest}"
        self.stored = tuple(stored)
        self.headers = tuple(one.header for one in self.stored)
        self.stack: Stack = stack(self.headers)
        self.by_uid = {one.header.instance_uid: one for one in self.stored}
        self.position = {address: index for index, address in enumerate(self.stack.frames)}
        self.scale: VoxelScale | None = None
        self.why_no_volume = self.stack.why_no_volume
        grid = self.stack.volume
        self.needs_range = grid is not None and range_needed(self.headers, self.stack)
        if grid is not None and not self.needs_range:
            self.scale = volume_values(self.headers, self.stack)
        self.direct = bool(
            grid and self.scale and self.scale.stored and not grid.weights and not self._pads_by_range()
        )
        """Whether voxels are the stored values of frames, so that one copy serves slices and volumes."""
        self._slice_of_frame = (
            {frame: k for k, frame in enumerate(grid.frame_of_slice)} if grid and self.direct else {}
        )
        self._frame_of_slice = np.asarray(grid.frame_of_slice if grid else (), dtype=np.int64)
        self.segment: Segment | None = None
        """The voxels in memory, or means of them where all do not fit."""
        self.overview: Segment | None = None
        """Few voxels of the whole volume, made at an earlier time, for the first picture."""
        self.overview_task: asyncio.Task[None] | None = None
        self.overview_tried = False
        self.overview_kept = False
        """Whether there is one on disk, or soon will be."""
        self.segment_task: asyncio.Task[None] | None = None
        self.no_segment = ""
        """Why there is no segment although there is a volume."""
        self.no_segment_at = 0.0
        self.center = 0
        """Where somebody looks, as a place in reading order."""
        self.travel = 0
        """Which way the reader went last: 1 towards the end, -1 towards the beginning, 0 unknown."""
        self.asked = 0.0
        self.held_until = 0.0
        """No slices are loaded before this moment: the processor is needed for a picture."""
        self.read_at = 0.0
        """When somebody last read it frame by frame."""
        self.uses = 0
        self.checked = 0.0
        self.revision = 0
        self.retired = False
        """True when the stored series has changed: a newer record took this one's place."""
        self.fetched = ((0, 0, 0), 0)
        """Where fetching ahead stands: the center, the way and the reach, and how many frames are done."""
        self.around: list[int] = []
        """Frames in the order in which they are fetched ahead, of ``fetched``."""
        self.in_flight: dict[int, asyncio.Future[Array]] = {}
        self.urgent: dict[int, asyncio.Future[Any]] = {}
        self.decode_s: dict[int, float] = {}
        """How long frames took that somebody waits for."""
        self.waiters: dict[int, int] = {}
        self.slices_in_flight: set[int] = set()
        self.errors: dict[int, str] = {}
        self.unread = ""
        """Why the latest reading came to nothing although nothing is known to be wrong with the object."""
        self.unread_at = 0.0
        self.default_window: Window | None = None
        self.progress = asyncio.Event()
        self._order: list[int] = []
        """Slices as they are loaded, for the segment and the center of ``_order_for``; before ``_order_at``
        all are ready."""
        self._order_for = ("", 0, 0)
        self._order_at = 0

    def _pads_by_range(self) -> bool:
        """Whether several stored values mean padding: a volume knows one, so that its voxels are others."""
        return any(
            frame.display.padding is not None and frame.display.padding[0] != frame.display.padding[1]
            for header in self.headers
            for frame in header.frames
        )

    @property
    def slice_of_frame(self) -> dict[int, int]:
        """Which slice of the segment a frame in reading order is; empty where slices are made of frames."""
        if self.segment is not None and self.segment.reduced:
            return {}
        return self._slice_of_frame

    @property
    def total(self) -> int:
        """Number of frames in reading order."""
        return len(self.stack.frames)

    @property
    def coarse_step(self) -> int:
        """Every so many slices of the segment come first."""
        many = self.segment is not None and self.segment.shape[0] >= MANY_SLICES
        return 2 * COARSE_STEP if many else COARSE_STEP

    def header_of(self, position: int) -> tuple[StoredInstance, int]:
        """The stored instance and the 0-based frame number of a frame in reading order."""
        address = self.stack.frames[position]
        return self.by_uid[address.instance_uid], address.frame - 1

    def together(self, position: int) -> tuple[int, ...]:
        """The frames that are decoded with this one: itself, or all of an object read as a whole."""
        stored, number = self.header_of(position)
        if stored.header.frames[number].parts or len(stored.header.frames) == 1:
            return (position,)
        uid = stored.header.instance_uid
        addresses = (FrameAddress(uid, frame) for frame in range(1, len(stored.header.frames) + 1))
        return tuple(self.position[address] for address in addresses if address in self.position)

    @property
    def one_by_one(self) -> bool:
        """Whether frames can be read alone: means of slices are made from few frames at a time."""
        return all(
            frame.parts or len(header.frames) == 1 for header in self.headers for frame in header.frames
        )

    def position_of(self, instance_uid: str, frame: int) -> int:
        """The place in reading order of a frame (1-based number within its instance); raises NotFound."""
        if instance_uid not in self.by_uid:
            raise NotFound("There is no such instance in this series.")
        found = self.position.get(FrameAddress(instance_uid, frame))
        if found is None:
            raise NotFound(f"The instance has no frame {frame}.")
        return found

    def frame_bytes(self, position: int) -> int:
        """Size of a decoded frame."""
        stored, _ = self.header_of(position)
        form = stored.header.pixel_format
        if form is None:
            return 0
        size = form.rows * form.columns
        if form.color:
            return size * 3 * (2 if form.bits_allocated > 8 else 1)
        return size * stored_dtype(form).itemsize

    def volume_key(self, segment: Segment) -> str:
        """Under which render workers know the volume in this segment."""
        return f"{self.key}/{segment.name}"

    def put(self, k: int, image: Array | int) -> bool:
        """Slice k of the segment is this image, or this value everywhere, unless it is ready already; False
        where there is no memory for it at present."""
        if self.segment is None or self.segment.ready[k]:
            return True
        try:
            self.segment.put(k, image)
        except Exhausted as error:
            self.unread, self.unread_at = error.message, time.monotonic()
            return False
        return True

    def note_progress(self) -> None:
        """Wake those who wait for slices."""
        self.progress.set()
        self.progress = asyncio.Event()

    def next_slices(self, most: int) -> list[int]:
        """The slices of the volume to load next, at most so many: coarse first, then outward from where
        somebody looks."""
        segment, grid = self.segment, self.stack.volume
        if segment is None or grid is None or time.monotonic() < self.held_until:
            return []
        if self._order_for != (segment.name, self.center, self.travel):
            self._order_for = (segment.name, self.center, self.travel)
            self._order, self._order_at = self._in_order(segment), 0
        order, ready, whole = self._order, segment.ready.data, bool(self.slice_of_frame)
        while self._order_at < len(order) and ready[order[self._order_at]]:
            self._order_at += 1
        # Towards the end each thread takes little, so that they end together.
        most = min(most, max(1, (len(order) - self._order_at) // SHARES))
        found: list[int] = []
        for k in itertools.islice(order, self._order_at, None):
            if ready[k] or k in self.slices_in_flight:
                continue
            # Somebody may wait for this frame already; it is put in place when it is there.
            if whole and grid.frame_of_slice[k] in self.in_flight:
                continue
            found.append(k)
            if len(found) == most:
                break
        return found

    def frames_in_order(self) -> list[int]:
        """Frames (places in reading order) of missing slices, in the order of ``next_slices``; of series of
        many objects the coarse ones only: the others are read from their beginning to their end anyway."""
        if self.segment is None or self.stack.volume is None:
            return []
        deep = self.segment.factors[0]
        frames = self.stack.volume.frame_of_slice
        step = 1 if len(self.stored) <= FEW_OBJECTS else self.coarse_step
        missing = [k for k in self._in_order(self.segment) if not self.segment.ready[k] and k % step == 0]
        return [frame for k in missing for frame in frames[k * deep : (k + 1) * deep]]

    def _in_order(self, segment: Segment) -> list[int]:
        slices = np.arange(segment.shape[0])
        distance = self._distance(self._frame_of_slice[:: segment.factors[0]])
        order: list[int] = np.lexsort((distance, slices % self.coarse_step != 0)).tolist()
        return order

    def look_at(self, position: int) -> None:
        """Somebody reads this frame: what lies on the way is likely to be wanted next."""
        if position != self.center and self.read_at:
            self.travel = 1 if position > self.center else -1
        self.center = position
        self.asked = self.read_at = time.monotonic()

    def frames_around(self, reach: int) -> list[int]:
        """Places in reading order fewer than ``reach`` frames away from where somebody looks, in the order
        in which they are likely to be wanted."""
        found = np.arange(max(0, self.center - reach + 1), min(self.total, self.center + reach))
        # Of two that are equally far the later one first, as most stacks are read.
        order: list[int] = found[np.lexsort((-found, self._distance(found)))].tolist()
        return order

    def _distance(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How far frames are from where somebody looks; what lies behind counts as further away."""
        ahead = frames - self.center
        return np.abs(ahead) * np.where(ahead * self.travel < 0, BEHIND, 1)
