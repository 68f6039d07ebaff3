"""Who is sent first on one connection: the Priority header and its scheme (RFC 9218)."""

from __future__ import annotations

import re
from typing import NamedTuple

_MEMBER = re.compile(rb"^(u)=([0-7])$|^(i)(?:=\?([01]))?$")


class Priority(NamedTuple):
    """How urgent an answer is (0 most, 7 least) and whether its pieces are of use before the last one."""

    urgency: int = 3
    incremental: bool = False


DEFAULT = Priority()


def parse_priority(value: bytes) -> Priority:
    """The value of a Priority header; what cannot be understood is as if it were not there (section 4)."""
    urgency, incremental = DEFAULT
    for member in value.split(b","):
        # Parameters of a member (RFC 8941 section 3.1.2) mean nothing here.
        if found := _MEMBER.match(member.partition(b";")[0].strip()):
            if found[1]:
                urgency = int(found[2])
            else:
                incremental = found[4] != b"0"
    return Priority(urgency, incremental)


def turn(priority: Priority, stream_id: int, served: int) -> tuple[int, bool, int]:
    """What answers of one connection are sorted by, the least first.

    More urgent ones first; among equals those of use only when whole go one after the other as they were
    asked for, and incremental ones take turns: ``served`` counts up each time one was served.
    """
    return (priority.urgency, priority.incremental, served if priority.incremental else stream_id)
