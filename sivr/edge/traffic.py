"""What a listener has done, in figures."""

from __future__ import annotations

from collections import Counter


class Traffic:
    """Counted on the event loop alone, so it needs no lock."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        """Accepted since the start, by the protocol's version."""
        self.open: Counter[str] = Counter()
        """Of HTTP/2 and HTTP/3, at present."""
        self.ended: Counter[str] = Counter()
        """Connections and requests that were ended by a limit, by its name."""
        self.canceled: Counter[str] = Counter()
        """Requests that clients gave up, by the protocol's version."""
