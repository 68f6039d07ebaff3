"""A local certificate authority, so that a first installation has TLS without anybody's help."""

from __future__ import annotations

import datetime
import ipaddress
import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sivr.errors import Invalid

CA_DAYS = 3650
# Browsers refuse server certificates that live longer than 398 days.
SERVER_DAYS = 397


def _write(path: Path, body: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(body)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(path: Path, body: bytes) -> None:
    """Put new content in the place of a file, whole or not at all; owner and mode stay as they are."""
    facts = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            os.fchmod(descriptor, stat.S_IMODE(facts.st_mode))
            if (facts.st_uid, facts.st_gid) != (os.getuid(), os.getgid()):
                with suppress(PermissionError):
                    os.fchown(descriptor, facts.st_uid, facts.st_gid)
            file.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1))
        .not_valid_after(end)
    )


def _in_days(days: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SIVR local authority")])
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    return (
        _builder(name, name, public, _in_days(CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


class LocalCa:
    """An authority of this installation; its key stays in the folder where ``sivr init`` ran."""

    def __init__(
        self, key: ec.EllipticCurvePrivateKey | None = None, certificate: x509.Certificate | None = None
    ) -> None:
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._certificate = certificate or _self_signed(self._key)

    @classmethod
    def load(cls, folder: Path) -> LocalCa:
        """The authority that ``save`` wrote; raises Invalid when its key or certificate is not there or
        cannot be used."""
        try:
            body = (folder / "ca.key").read_bytes()
        except FileNotFoundError as error:
            raise Invalid(
                f"There is no {folder / 'ca.key'}: certificates are renewed with the authority's key, in the "
                "folder that sivr init wrote. If the key is kept elsewhere, put it back meanwhile."
            ) from error
        except OSError as error:
            raise Invalid(f"{folder / 'ca.key'} cannot be read: {error.strerror}.") from error
        try:
            key = load_pem_private_key(body, None)
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        except (OSError, TypeError, ValueError) as error:
            raise Invalid(f"The authority in {folder} cannot be used: {error}.") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Invalid(f"{folder / 'ca.key'} is not the key of {folder / 'ca.pem'}.")
        if certificate.not_valid_after_utc <= _in_days(0):
            raise Invalid(f"The authority in {folder} ended on {certificate.not_valid_after_utc:%Y-%m-%d}.")
        return cls(key, certificate)

    def save(self, folder: Path) -> None:
        """Write ``ca.pem`` and ``ca.key``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.save_certificate(folder / "ca.pem")
        _write(folder / "ca.key", _key_pem(self._key), 0o600)

    def save_certificate(self, path: Path) -> None:
        """Write the authority's certificate, which browsers and other servers are given."""
        _write(path, self._certificate.public_bytes(Encoding.PEM), 0o644)

    def issue(self, folder: Path, hosts: Sequence[str], days: int = SERVER_DAYS) -> None:
        """Write ``server.pem`` and ``server.key`` for these host names and addresses."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
        names: list[x509.GeneralName] = []
        for host in dict.fromkeys(hosts):
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        certificate = self._sign(subject, x509.SubjectAlternativeName(names), key.public_key(), days)
        _write(folder / "server.pem", certificate.public_bytes(Encoding.PEM), 0o644)
        _write(folder / "server.key", _key_pem(key), 0o600)

    def renew(self, path: Path) -> datetime.datetime | None:
        """Replace a server certificate by one for the same hosts and the same key; the new one's end, or None
        where another authority issued it and it was left alone. Raises Invalid when it cannot be read.

        The key stays, so that one file is replaced, whole or not at all: a server that starts meanwhile never
        finds a key beside a certificate of another. The key need not even be here.
        """
        try:
            old = x509.load_pem_x509_certificates(path.read_bytes())[0]
            names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            raise Invalid(f"The certificate {path} cannot be renewed: {error}.") from error
        try:
            old.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, TypeError, ValueError):
            return None
        new = self._sign(old.subject, names, old.public_key(), SERVER_DAYS)
        _replace(path, new.public_bytes(Encoding.PEM))
        return new.not_valid_after_utc

    def _sign(
        self,
        subject: x509.Name,
        names: x509.SubjectAlternativeName,
        key: CertificatePublicKeyTypes,
        days: int,
    ) -> x509.Certificate:
        # Nobody accepts a certificate for longer than its authority's.
        end = min(_in_days(days), self._certificate.not_valid_after_utc)
        return (
            _builder(subject, self._certificate.subject, key, end)
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
