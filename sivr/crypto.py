"""Tokens, grants, passwords and secrets: the only room that knows jwt and nacl.

Access tokens, grants and node tokens are EdDSA (Ed25519, RFC 8037) JSON Web Tokens. Every verifier holds
the issuers' public keys and needs nobody else to check a token. Passwords are argon2id (RFC 9106).
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import jwt
import nacl.exceptions
import nacl.pwhash.argon2id
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
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
