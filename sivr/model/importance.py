"""What a node does first when it cannot do all at once."""

from __future__ import annotations

from enum import IntEnum


class Importance(IntEnum):
    """Classes of work, the most important first; inside a class users take turns."""

    INTERACTION = 0
    """Somebody moves a view and waits: drafts, slices while scrolling."""
    REFINEMENT = 1
    """Full pictures of views at rest, further passes of them, and whatever else was asked for."""
    PREFETCH = 2
    """What nobody has asked for yet: frames and slices fetched ahead."""
    INDEXING = 3
    """New objects are taken in."""

    @property
    def label(self) -> str:
        """As metrics and documents spell it."""
        return self.name.lower()
