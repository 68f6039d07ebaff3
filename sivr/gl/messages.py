"""What the asyncio process and a render worker say to each other: msgpack on a pipe."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from sivr import errors
from sivr.gl.source import VolumeSource
from sivr.model.rendering import PlaneView, VolumeView


class Job(msgspec.Struct, frozen=True, tag=True):
    """Draw this."""

    id: int
    source: VolumeSource
    volume: VolumeView | None = None
    plane: PlaneView | None = None
    pick: tuple[float, float] | None = None
    """Of ``volume``, only the point that is shown at this column and row: ``pick.PARTS`` floats for a
    picture."""


class Discard(msgspec.Struct, frozen=True, tag=True):
    """This job was put aside and will not be asked for again."""

    id: int


class Forget(msgspec.Struct, frozen=True, tag=True):
    """The voxels of this volume go away."""

    key: str


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the process."""


class Trial(msgspec.Struct, frozen=True):
    """Wall time of a finished picture (mean of a composite and a maximum projection), in milliseconds."""

    device_ms: float
    processor_ms: float

    @property
    def device_wins(self) -> bool:
        """Whether the graphics device draws volumes at least as quickly."""
        return self.device_ms <= self.processor_ms


class Readback(msgspec.Struct, frozen=True):
    """Wall time of a picture in bands that comes back at once, or band by band while the next is drawn."""

    plain_ms: float
    streamed_ms: float

    @property
    def streams(self) -> bool:
        """Whether bands come back while the next are drawn."""
        return self.streamed_ms < self.plain_ms


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker can draw."""

    way: str
    renderer: str
    version: str
    refused: tuple[str, ...]
    slice_path: str
    """cpu or gl: which shows a stored frame faster here."""
    device: str = ""
    """Number and name of the graphics device; empty where there is none to choose."""
    memory_bytes: int = 0
    """What the device has; 0 where its driver does not tell."""
    budget_bytes: int = 0
    """What textures may take of it."""
    trial: Trial | None = None
    """Volumes by the device and by the processor, where both could draw."""
    readback: Readback | None = None


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """A worker cannot draw at all."""

    reason: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A job came to nothing."""

    id: int
    kind: str
    """Name of a class in ``sivr.errors``."""
    message: str
    rows: int = 0
    """Rows that were drawn all the same, of ``rows_total``."""
    rows_total: int = 0

    def error(self) -> errors.SivrError:
        """The error to raise in the waiting process."""
        found = getattr(errors, self.kind, None)
        if isinstance(found, type) and issubclass(found, errors.SivrError):
            return found(self.message)
        return errors.Unavailable(self.message)


class Paused(msgspec.Struct, frozen=True, tag=True):
    """A job was put aside as it was told; given again, it is gone on with."""

    id: int
    rows: int
    """Rows that need not be drawn again, of ``rows_total``."""
    rows_total: int


class Drawn(msgspec.Struct, frozen=True, tag=True):
    """A picture; its bytes are the next message."""

    id: int
    shape: tuple[int, ...]
    slices_ready: int
    slices_total: int
    reduced: tuple[int, int, int]
    draft: bool
    timing_ms: dict[str, float]


class Rendered(msgspec.Struct, frozen=True):
    """A picture of a volume."""

    pixels: npt.NDArray[np.uint8]
    """(h, w) gray or (h, w, 3) RGB."""
    complete: bool
    """Every slice was in the texture, and it is no draft."""
    timing_ms: dict[str, float]
    """queue, update (upload of new slices), draw."""
    reduced: tuple[int, int, int] = (1, 1, 1)
    """Voxels averaged into one along k, j, i, because the device or the budget is too small for all."""
    slices_ready: int = 0
    slices_total: int = 0
    draft: bool = False

    @property
    def reduced_by(self) -> str:
        """Voxels averaged into one along columns, rows and slices, e.g. 2 x 1 x 1; empty when none are."""
        k, j, i = self.reduced
        return "" if (k, j, i) == (1, 1, 1) else f"{i} x {j} x {k}"


ToWorker = Job | Discard | Forget | Stop
FromWorker = Hello | Refusal | Failed | Paused | Drawn

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
