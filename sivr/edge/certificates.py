"""When the TLS certificate of a listener ends, told while there is time to renew it."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509

from sivr.errors import Invalid

log = logging.getLogger("sivr.edge")

WARN_DAYS = 30
EVERY_S = 86400.0


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


@asynccontextmanager
async def watch_certificate(certificate: Path, every_s: float = EVERY_S) -> AsyncIterator[Callable[[], str]]:
    """Log a warning at once and daily while the certificate is about to end, or has; what is yielded tells
    the same sentence at any time.

    It is the certificate that was loaded at start, not what has been put in its place since.
    """
    try:
        end = certificate_end(certificate)
    except Invalid as error:
        # Good enough for OpenSSL: no reason not to start.
        log.warning("certificate", extra={"reason": error.message})
        yield str
        return

    async def tell() -> None:
        while True:
            if reason := ending(end):
                log.warning("certificate", extra={"file": str(certificate), "reason": reason})
            await asyncio.sleep(every_s)

    telling = asyncio.create_task(tell())
    try:
        yield lambda: ending(end)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
