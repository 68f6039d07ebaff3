"""The TLS certificate of a listener: taken up anew when its files change, and its end told in time."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509

from sivr.errors import Invalid

log = logging.getLogger("sivr.edge")

WARN_DAYS = 30
WARN_S = 86400.0
RELOAD_S = 10.0
"""So often the files are looked at."""


def certificate_end(certificate: Path) -> datetime.datetime:
    """The moment after which browsers refuse the server's certificate (the first of the chain); raises
    Invalid where it cannot be read."""
    try:
        # What follows it is not looked at: an ended root that some chains still carry harms nobody.
        return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        raise Invalid(f"The end of the TLS certificate {certificate} cannot be read: {error}.") from error


def ending(end: datetime.datetime) -> str:
    """One sentence when a certificate ends within ``WARN_DAYS`` or has ended, else an empty string."""
    left = end - datetime.datetime.now(datetime.UTC)
    if left.days >= WARN_DAYS:
        return ""
    if left < datetime.timedelta(0):
        return f"The TLS certificate ended on {end:%Y-%m-%d}; browsers refuse it."
    return f"The TLS certificate ends on {end:%Y-%m-%d}, {left.days} days from now."


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context that speaks TLS 1.2 and 1.3 only; raises Invalid when the files do not fit."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(f"The TLS certificate {certificate} and key {key} cannot be used: {error}.") from error
    return context


class ServerCertificate:
    """A certificate chain and its key, in force for every new connection since they were last read."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises Invalid when the files do not fit."""
        self.certificate = certificate
        self.key = key
        self.context = tls_context(certificate, key)
        self._changed: list[Callable[[], None]] = []
        self._seen = self._state()

    def on_change(self, take: Callable[[], None]) -> None:
        """Call this now, and whenever the files have changed and fit."""
        take()
        self._changed.append(take)

    def reload(self) -> bool:
        """Read the files anew if they have changed; connections that are open keep what they have.

        True when they were. Files that do not fit, as while one of both is written, are left alone, with a
        warning, until they change again.
        """
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        try:
            # Tried apart, because half of a pair would spoil the context in use.
            tls_context(self.certificate, self.key)
            self.context.load_cert_chain(self.certificate, self.key)
            for take in self._changed:
                take()
        except (Invalid, OSError, ValueError) as error:
            log.warning("certificate", extra={"file": str(self.certificate), "reason": str(error)})
            return False
        log.info("certificate taken up", extra={"file": str(self.certificate)})
        return True

    def _state(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when a file is written or replaced."""
        try:
            found = [one.stat() for one in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)


@asynccontextmanager
async def watch_certificate(
    certificate: ServerCertificate, *, reload_s: float = RELOAD_S, warn_s: float = WARN_S
) -> AsyncIterator[Callable[[], str]]:
    """Take the files up anew when they change, and log a warning at once and daily while the certificate is
    about to end, or has; what is yielded tells the same sentence at any time."""
    end = _end_of(certificate.certificate)

    def renewed() -> None:
        nonlocal end
        end = _end_of(certificate.certificate)

    async def look() -> None:
        while True:
            await asyncio.sleep(reload_s)
            if certificate.reload():
                renewed()

    async def tell() -> None:
        while True:
            if reason := note():
                log.warning("certificate", extra={"file": str(certificate.certificate), "reason": reason})
            await asyncio.sleep(warn_s)

    def note() -> str:
        return ending(end) if end is not None else ""

    tasks = [asyncio.create_task(look()), asyncio.create_task(tell())]
    try:
        yield note
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_of(certificate: Path) -> datetime.datetime | None:
    try:
        return certificate_end(certificate)
    except Invalid as error:
        # Good enough for OpenSSL: no reason not to start.
        log.warning("certificate", extra={"reason": error.message})
        return None
