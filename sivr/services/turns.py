"""A queue in the order of importance, in which users take turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from sivr.model.importance import Importance

T = TypeVar("T")


class Turns(Generic[T]):
    """What waits. The most important class goes first; inside of one everybody's first before anybody's
    second, however many somebody puts in. Not thread-safe."""

    def __init__(self) -> None:
        self._classes: tuple[OrderedDict[str, deque[T]], ...] = tuple(OrderedDict() for _ in Importance)
        self._counts = [0] * len(Importance)

    def __len__(self) -> int:
        return sum(self._counts)

    def put(self, item: T, importance: Importance, user: str = "") -> None:
        """At the end of what this user waits for in this class."""
        users = self._classes[importance]
        mine = users.get(user)
        if mine is None:
            mine = users[user] = deque()
        mine.append(item)
        self._counts[importance] += 1

    def take(self) -> T:
        """The next one; raises IndexError when nothing waits."""
        for importance, users in enumerate(self._classes):
            for user, mine in users.items():
                item = mine.popleft()
                self._counts[importance] -= 1
                if mine:
                    users.move_to_end(user)
                else:
                    del users[user]
                return item
        raise IndexError("nothing waits")

    def remove(self, item: T, importance: Importance, user: str = "") -> bool:
        """Take one out of the queue; False when it is not there (any more)."""
        mine = self._classes[importance].get(user)
        if mine is None or item not in mine:
            return False
        mine.remove(item)
        self._counts[importance] -= 1
        if not mine:
            del self._classes[importance][user]
        return True

    def waiting(self, importance: Importance) -> int:
        """How many wait in a class."""
        return self._counts[importance]

    def before(self, importance: Importance) -> int:
        """How many wait that are at least so important."""
        return sum(self._counts[: importance + 1])

    def clear(self) -> list[T]:
        """All that waited, out of the queue."""
        left: list[T] = []
        while len(self):
            left.append(self.take())
        return left
