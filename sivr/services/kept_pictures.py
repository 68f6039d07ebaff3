"""Encoded pictures kept for the next who asks; the least recently used go first."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from sivr.model.rendering import Picture


class KeptPictures:
    """Pictures by their tags, of at most ``limit_bytes`` together. Not thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self.size_bytes = 0

    def get(self, tag: str) -> Picture | None:
        """A picture that was kept."""
        found = self._pictures.get(tag)
        if found is not None:
            self._pictures.move_to_end(tag)
        return found

    def put(self, tag: str, picture: Picture) -> None:
        """Keep a picture, without the times it took: who gets it the next time waits for none of them."""
        if tag in self._pictures:
            return
        self._pictures[tag] = msgspec.structs.replace(picture, timing_ms={})
        self.size_bytes += len(picture.body)
        while self.size_bytes > self._limit_bytes:
            _, oldest = self._pictures.popitem(last=False)
            self.size_bytes -= len(oldest.body)
