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


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Nobody waits for this job any more."""

    id: int


class Forget(msgspec.Struct, frozen=True, tag=True):
    """The voxels of this volume go away."""

    key: str


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the process."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker can draw."""

    way: str
    renderer: str
    version: str
    refused: tuple[str, ...]
    slice_path: str
    """cpu or gl: which shows a stored frame faster here."""


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """A worker cannot draw at all."""

    reason: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A job came to nothing."""

    id: int
    kind: str
    """Name of a class in ``sivr.errors``."""
    message: str

    def error(self) -> errors.SivrError:
        """The error to raise in the waiting process."""
        found = getattr(errors, self.kind, None)
        if isinstance(found, type) and issubclass(found, errors.SivrError):
            return found(self.message)
        return errors.Unavailable(self.message)


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


ToWorker = Job | Cancel | Forget | Stop
FromWorker = Hello | Refusal | Failed | Drawn

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
