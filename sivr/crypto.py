"""Tokens, grants, passwords and secrets: the only room that knows jwt and nacl.

Access tokens, grants and node tokens are EdDSA (Ed25519, RFC 8037) JSON Web Tokens. Every verifier holds
the issuers' public keys and needs nobody else to check a token. Passwords are argon2id (RFC 9106).

Stored objects are sealed with AES-256-GCM (NIST SP 800-38D) or XChaCha20-Poly1305, each under a key of its
own that is made from the key of its study; studies' keys are wrapped by a node's master key
(docs/decisions/0009-sealed-objects.md).
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import jwt
import nacl.bindings
import nacl.exceptions
import nacl.pwhash.argon2id
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sivr.errors import Invalid, Unauthenticated
from sivr.model.people import Actor, Grant, GrantAction, UserRole

ACCESS_AUDIENCE = "sivr"
CLOCK_SKEW_S = 30
PASSWORD_OPERATIONS = 3
PASSWORD_MEMORY_BYTES = 64 * 1024 * 1024
_PREFIX = "ed25519:"


class PublicKey:
    """An Ed25519 public key; ``text`` is ``ed25519:<base64>`` as in the YAML and the node list."""

    def __init__(self, raw: bytes) -> None:
        try:
            self._key = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError as error:
            raise Invalid("A public key must be 32 bytes of Ed25519.") from error
        self.raw = raw
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read ``ed25519:<base64>``; raises Invalid."""
        if not text.startswith(_PREFIX):
            raise Invalid("A public key starts with 'ed25519:'.")
        try:
            raw = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except ValueError as error:
            raise Invalid("A public key is 'ed25519:' and base64.") from error
        return cls(raw)

    @property
    def text(self) -> str:
        """The key as it is written in configuration."""
        return _PREFIX + base64.b64encode(self.raw).decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)


class SigningKey:
    """An Ed25519 private key of a server, kept in a file only its owner may read."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public = PublicKey(public)
        self.id = self.public.id

    @classmethod
    def generate(cls) -> SigningKey:
        """A new random key."""
        key = Ed25519PrivateKey.generate()
        return cls(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key file written by ``save``; raises Invalid in one sentence."""
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise Invalid(f"The signing key {path} cannot be read: {reason}.") from error
        try:
            raw = base64.b64decode(text, validate=True)
            return cls(raw)
        except ValueError as error:
            raise Invalid(f"The signing key {path} is not a base64 Ed25519 key.") from error

    def save(self, path: Path) -> None:
        """Write the key, readable by its owner alone; refuses to overwrite."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(self._raw).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def sign(self, claims: Mapping[str, object], ttl_s: int) -> str:
        """A JWT with these claims plus iat, exp and jti."""
        now = int(time.time())
        body = {"iat": now, "exp": now + ttl_s, "jti": secrets.token_urlsafe(12), **claims}
        return jwt.encode(body, self._key, algorithm="EdDSA", headers={"kid": self.id})


class Verifier:
    """Checks tokens of known issuers offline.

    ``keys`` maps an issuer's id to its public keys (several while a key is being replaced).
    """

    def __init__(self, keys: Mapping[str, Sequence[PublicKey]], audience: str) -> None:
        self._keys = {issuer: {key.id: key for key in known} for issuer, known in keys.items()}
        self._audience = audience

    def verify(self, token: str) -> dict[str, Any]:
        """The token's claims; raises Unauthenticated when it is not good for us now."""
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token cannot be read.") from error
        key = self._keys.get(issuer, {}).get(kid) if isinstance(issuer, str) else None
        if key is None:
            raise Unauthenticated("The token comes from an issuer that is not known here.")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                Ed25519PublicKey.from_public_bytes(key.raw),
                algorithms=["EdDSA"],
                audience=self._audience,
                issuer=issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired.") from error
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is not valid here.") from error
        return claims


def access_claims(actor: Actor) -> dict[str, object]:
    """Claims of an access token for this actor."""
    claims: dict[str, object] = {
        "iss": actor.toplevel,
        "aud": ACCESS_AUDIENCE,
        "sub": actor.id,
        "name": actor.name,
        "roles": list(actor.roles),
        "institutions": list(actor.institutions),
    }
    if actor.must_change_password:
        claims["must_change_password"] = True
    return claims


def actor_from_claims(claims: Mapping[str, Any]) -> Actor:
    """The actor an access token speaks of; raises Unauthenticated when a claim is missing."""
    try:
        return Actor(
            id=str(claims["sub"]),
            name=str(claims["name"]),
            roles=tuple(cast(UserRole, role) for role in claims["roles"]),
            institutions=tuple(str(one) for one in claims["institutions"]),
            toplevel=str(claims["iss"]),
            must_change_password=bool(claims.get("must_change_password", False)),
        )
    except (KeyError, TypeError) as error:
        raise Unauthenticated("The token lacks a claim.") from error


def grant_claims(grant: Grant) -> dict[str, object]:
    """Claims of a grant; ``exp`` is the grant's own expiry."""
    claims: dict[str, object] = {
        "iss": grant.institution,
        "aud": grant.node,
        "sub": grant.actor,
        "act": grant.action,
        "exp": grant.expires,
    }
    if grant.study_uid:
        claims["study"] = grant.study_uid
    if grant.patient:
        claims["patient"] = grant.patient
        claims["patient_issuer"] = grant.patient_issuer
    return claims


def grant_from_claims(claims: Mapping[str, Any]) -> Grant:
    """The grant a verified token carries; raises Unauthenticated when a claim is missing."""
    try:
        action = claims["act"]
        if action not in ("view", "store", "report"):
            raise Unauthenticated("The grant's action is not known.")
        return Grant(
            institution=str(claims["iss"]),
            node=str(claims["aud"]),
            actor=str(claims["sub"]),
            action=cast(GrantAction, action),
            expires=int(claims["exp"]),
            study_uid=str(claims.get("study", "")),
            patient=str(claims.get("patient", "")),
            patient_issuer=str(claims.get("patient_issuer", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unauthenticated("The grant lacks a claim.") from error


def hash_password(password: str) -> str:
    """argon2id hash in PHC string form. Takes tens of milliseconds and 64 MiB: call it in a thread."""
    hashed = nacl.pwhash.argon2id.str(
        password.encode(), opslimit=PASSWORD_OPERATIONS, memlimit=PASSWORD_MEMORY_BYTES
    )
    return hashed.decode()


def verify_password(hashed: str, password: str) -> bool:
    """Whether the password belongs to the hash. As slow as ``hash_password``."""
    try:
        return nacl.pwhash.argon2id.verify(hashed.encode(), password.encode())
    except nacl.exceptions.InvalidkeyError:
        return False


def new_secret() -> str:
    """256 random bits, safe in a cookie or URL."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What is stored instead of an opaque secret: SHA-256 in hex (the secret has full entropy)."""
    return hashlib.sha256(secret.encode()).hexdigest()


CipherName = Literal["aes-256-gcm", "xchacha20-poly1305"]
SEALING_KEY_BYTES = 32
SEAL_TAG_BYTES = 16


class Cipher(Protocol):
    """Seals numbered pieces under one key. A number must be used once only: it is the nonce."""

    def seal(self, number: int, plain: bytes | memoryview, bound: bytes) -> bytes:
        """The piece encrypted, and a tag of 16 bytes; ``bound`` is authenticated with it."""

    def open_into(self, number: int, sealed: memoryview, bound: bytes, out: memoryview) -> None:
        """Decrypt into ``out``, which is 16 bytes shorter and may be the beginning of ``sealed`` itself.

        Raises Invalid where anything is not as it was sealed; ``out`` is then of no use.
        """


class _AesGcm:
    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    def seal(self, number: int, plain: bytes | memoryview, bound: bytes) -> bytes:
        return self._key.encrypt(number.to_bytes(12, "little"), plain, bound)

    def open_into(self, number: int, sealed: memoryview, bound: bytes, out: memoryview) -> None:
        try:
            self._key.decrypt_into(number.to_bytes(12, "little"), sealed, bound, out)
        except InvalidTag as error:
            raise Invalid(_NOT_AS_SEALED) from error


class _XChaCha20Poly1305:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, number: int, plain: bytes | memoryview, bound: bytes) -> bytes:
        nonce = number.to_bytes(24, "little")
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(bytes(plain), bound, nonce, self._key)

    def open_into(self, number: int, sealed: memoryview, bound: bytes, out: memoryview) -> None:
        out[:] = _xchacha_opened(bytes(sealed), bound, number.to_bytes(24, "little"), self._key)


_CIPHERS: dict[CipherName, type[_AesGcm] | type[_XChaCha20Poly1305]] = {
    "aes-256-gcm": _AesGcm,
    "xchacha20-poly1305": _XChaCha20Poly1305,
}
_NOT_AS_SEALED = "This is not what was sealed, or not with this key."


def object_cipher(name: CipherName, study_key: bytes, salt: bytes) -> Cipher:
    """The cipher of one sealed object: ``salt`` is 32 random bytes drawn for it, so that no key seals two."""
    key = hashlib.blake2b(salt, digest_size=SEALING_KEY_BYTES, key=study_key, person=b"SIVR object").digest()
    return _CIPHERS[name](key)


def new_study_key() -> bytes:
    """A random key for the objects of one study."""
    return secrets.token_bytes(SEALING_KEY_BYTES)


def _xchacha_opened(sealed: bytes, bound: bytes, nonce: bytes, key: bytes) -> bytes:
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, bound, nonce, key)
    except nacl.exceptions.CryptoError as error:
        raise Invalid(_NOT_AS_SEALED) from error


class MasterKeys:
    """The keys a node wraps its studies' keys with, newest first; in a file only its owner may read.

    There is one, and two while it is being replaced. A line of the file is a key of 32 bytes in base64.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_master_id(key): key for key in keys}

    @classmethod
    def generate(cls) -> MasterKeys:
        """One new random key."""
        return cls([secrets.token_bytes(SEALING_KEY_BYTES)])

    @classmethod
    def load(cls, path: Path) -> MasterKeys:
        """Read a file written by ``save``; raises Invalid in one sentence."""
        try:
            mode = path.stat().st_mode
            lines = path.read_text().split()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise Invalid(f"The master key {path} cannot be read: {reason}.") from error
        if mode & 0o077:
            raise Invalid(f"The master key {path} may be read by others; chmod 600 it.")
        try:
            keys = [base64.b64decode(line, validate=True) for line in lines]
        except ValueError:
            keys = []
        if not keys or any(len(key) != SEALING_KEY_BYTES for key in keys):
            raise Invalid(f"The master key {path} is not 32 bytes in base64.")
        return cls(keys)

    @property
    def ids(self) -> tuple[str, ...]:
        """What the keys are called where something is wrapped with them, newest first."""
        return tuple(self._keys)

    def save(self, path: Path) -> None:
        """Write a new file, readable by its owner alone; refuses to overwrite."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(base64.b64encode(key) + b"\n" for key in self._keys.values()))
            file.flush()
            os.fsync(file.fileno())

    def replace(self, path: Path) -> None:
        """Write the file anew; whoever is killed meanwhile leaves the old one or the new one."""
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            self.save(fresh)
            fresh.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Invalid(f"The master key {path} cannot be written: {error.strerror}.") from error
        finally:
            fresh.unlink(missing_ok=True)

    def with_new(self) -> MasterKeys:
        """These, and a new one before them."""
        return MasterKeys([secrets.token_bytes(SEALING_KEY_BYTES), *self._keys.values()])

    def only(self, master_id: str) -> MasterKeys:
        """The one of that id alone; raises Invalid."""
        return MasterKeys([self._of(master_id)])

    def wrap(self, master_id: str, study_key: bytes, bound: bytes) -> bytes:
        """A study's key as it is stored; ``bound`` says whose it is. Raises Invalid without that master."""
        nonce = secrets.token_bytes(24)
        key = self._of(master_id)
        return nonce + nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(study_key, bound, nonce, key)

    def unwrap(self, master_id: str, wrapped: bytes, bound: bytes) -> bytes:
        """The study's key; raises Invalid where the master key is another one or something was changed."""
        if len(wrapped) != 24 + SEALING_KEY_BYTES + SEAL_TAG_BYTES:
            raise Invalid(_NOT_AS_SEALED)
        return _xchacha_opened(wrapped[24:], bound, wrapped[:24], self._of(master_id))

    def _of(self, master_id: str) -> bytes:
        try:
            return self._keys[master_id]
        except KeyError as error:
            raise Invalid(
                f"The master key {master_id} is needed; the file holds {', '.join(self.ids)}."
            ) from error


def _master_id(key: bytes) -> str:
    return hashlib.blake2b(key, digest_size=6, person=b"SIVR master").hexdigest()
