"""The few things that can go wrong, in the words of the domain.

Services raise these; the HTTP edge (``sivr.api.problems``) and the DIMSE edge translate them in one
table each. The message is one clear sentence meant for the person who reads it: it never carries
patient names, secrets or paths of the server.
"""

from __future__ import annotations

from collections.abc import Mapping


class SivrError(Exception):
    """Something the caller can be told about in one sentence.

    ``details`` are machine-readable extra members of the answer (names of fields, limits, reasons).
    """

    def __init__(self, message: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, object] = dict(details or {})


class Invalid(SivrError):
    """The request or the data is wrong and will stay wrong when repeated."""


class Unauthenticated(SivrError):
    """Nobody is known to be asking."""


class Forbidden(SivrError):
    """Somebody is asking who may not."""


class NotFound(SivrError):
    """There is no such thing, or the caller may not know that there is."""


class Conflict(SivrError):
    """The thing changed, exists already, or is in a state that forbids this."""


class Gone(SivrError):
    """The thing was here and was deleted for good."""


class NotAcceptable(SivrError):
    """None of the representations the caller accepts can be made."""


class Unsupported(SivrError):
    """The body's media type, transfer syntax or encoding is not understood."""


class TooLarge(SivrError):
    """The input or the asked-for output is over a limit that the configuration sets."""


class WrongWay(SivrError):
    """Right in itself, but to be sent by another way, such as another protocol."""


class TooSlow(SivrError):
    """The request takes too long to arrive."""


class TooMany(SivrError):
    """The caller asks too often; ``details['retry_after_s']`` says when to come back."""


class Exhausted(SivrError):
    """The server has no room (memory, disk, queue) for this at present; later it may have."""


class Unavailable(SivrError):
    """Another part of the system that is needed does not answer."""


class Canceled(SivrError):
    """The caller went away or asked for something newer before the answer was ready."""
