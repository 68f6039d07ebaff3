"""A picture as far as it is drawn: given up when nobody waits for it, put aside when something else is more
important, and gone on with later from its finished rows."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from sivr.errors import Canceled

CANCELED, PAUSED = 0, 1
"""Words of a worker's flags: the number of the job that must be given up, and of the one to put aside."""

Rows = npt.NDArray[Any]


class Interrupted(Exception):
    """Something more important waits; what is drawn is kept by the attempt."""


class Attempt:
    """One job, called between the tiles of its picture.

    ``flags`` are two words that another process writes, ``number`` is the job's; asking them costs nothing
    that would be seen in a small picture. A picture is the same whether it was interrupted or not: tiles do
    not depend on each other, and rows of an older state of the volume are not taken over.
    """

    def __init__(self, flags: Any, number: int) -> None:
        self._flags = flags
        self._number = number
        self._state: object = None
        self._kept: Rows | None = None
        self._shape: tuple[int, ...] = ()
        self.rows = 0
        """Finished rows from the top of the picture."""
        self.total = 0
        """Rows of the picture as it is drawn; 0 as long as none was begun."""

    def __call__(self) -> None:
        """Raises Canceled, or Interrupted."""
        if self._flags[CANCELED] == self._number:
            raise Canceled("Nobody waits for this picture any more.")
        if self._flags[PAUSED] == self._number:
            raise Interrupted

    def begin(self, state: object) -> None:
        """Draw from this state of the volume; raises as a call does."""
        if state != self._state:
            self._kept = None
        self._state = state
        self.rows = self.total = 0
        self()

    def resume(self, shape: tuple[int, ...]) -> Rows | None:
        """A picture of this shape (rows first) is begun: the rows at its top that need not be drawn again."""
        self.total = shape[0]
        if self._kept is None or self._shape != shape:
            self._kept, self._shape = None, shape
            return None
        self.rows = len(self._kept)
        return self._kept

    def keep(self, rows: Rows) -> None:
        """Finished rows from the top of the picture begun last, for the next time."""
        self._kept, self.rows = rows, len(rows)

    @property
    def size_bytes(self) -> int:
        """Memory that it keeps from being given back."""
        if self._kept is None:
            return 0
        return self._kept.nbytes if self._kept.base is None else self._kept.base.nbytes
