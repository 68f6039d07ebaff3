"""Tokens, grants and passwords, and what must not be believed."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import jwt
import msgspec
import pytest

from sivr import crypto
from sivr.errors import Invalid, Unauthenticated
from sivr.model.people import Actor, Grant

ACTOR = Actor(id="u1", name="Dr. Example", roles=("physician",), institutions=("general",), toplevel="county")


@pytest.fixture(scope="module")
def key() -> crypto.SigningKey:
    return crypto.SigningKey.generate()


@pytest.fixture
def verifier(key: crypto.SigningKey) -> crypto.Verifier:
    return crypto.Verifier({"county": [key.public]}, crypto.ACCESS_AUDIENCE)


def test_access_token_round_trip(key: crypto.SigningKey, verifier: crypto.Verifier) -> None:
    token = key.sign(crypto.access_claims(ACTOR), 300)
    assert crypto.actor_from_claims(verifier.verify(token)) == ACTOR
    fresh = msgspec.structs.replace(ACTOR, must_change_password=True)
    token = key.sign(crypto.access_claims(fresh), 300)
    assert crypto.actor_from_claims(verifier.verify(token)) == fresh


def test_grant_round_trip(key: crypto.SigningKey) -> None:
    grant = Grant(
        "general", "node-1", "u1", "store", int(time.time()) + 60, patient="p1", patient_issuer="county"
    )
    token = key.sign(crypto.grant_claims(grant), 60)
    verifier = crypto.Verifier({"general": [key.public]}, "node-1")
    assert crypto.grant_from_claims(verifier.verify(token)) == grant


def test_expired_token_is_refused(key: crypto.SigningKey, verifier: crypto.Verifier) -> None:
    token = key.sign(crypto.access_claims(ACTOR), -crypto.CLOCK_SKEW_S - 1)
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


@pytest.mark.parametrize(
    "change",
    [{"aud": "node-1"}, {"iss": "elsewhere"}, {"iss": 7}, {"aud": None}],
    ids=["audience", "issuer", "issuer kind", "no audience"],
)
def test_token_for_somebody_else_is_refused(
    key: crypto.SigningKey, verifier: crypto.Verifier, change: dict[str, object]
) -> None:
    claims = {**crypto.access_claims(ACTOR), **change}
    if isinstance(claims["iss"], str):
        token = key.sign(claims, 60)
    else:
        # A library that refuses to write such a token must not be what protects us from reading one.
        raw = jwt.api_jws.PyJWS()
        import json

        body = json.dumps({**claims, "exp": int(time.time()) + 60}).encode()
        token = raw.encode(body, key._key, algorithm="EdDSA", headers={"kid": key.id})
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_other_key_and_other_algorithm_are_refused(key: crypto.SigningKey, verifier: crypto.Verifier) -> None:
    other = crypto.SigningKey.generate()
    with pytest.raises(Unauthenticated):
        verifier.verify(other.sign(crypto.access_claims(ACTOR), 60))
    claims = {**crypto.access_claims(ACTOR), "exp": int(time.time()) + 60}
    # The classic confusion: the public key used as an HMAC secret.
    secret = key.public.raw
    for algorithm, signed_with in (("HS256", secret), ("none", "")):
        forged = jwt.encode(claims, signed_with, algorithm=algorithm, headers={"kid": key.id})  # type: ignore[arg-type]
        with pytest.raises(Unauthenticated):
            verifier.verify(forged)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 10])
def test_garbage_is_unauthenticated(verifier: crypto.Verifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(token)


def test_key_file_is_private_and_never_overwritten(key: crypto.SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert crypto.SigningKey.load(path).public == key.public
    with pytest.raises(FileExistsError):
        crypto.SigningKey.generate().save(path)
    path.write_text("short")
    with pytest.raises(Invalid):
        crypto.SigningKey.load(path)


def test_public_key_text(key: crypto.SigningKey) -> None:
    assert crypto.PublicKey.parse(key.public.text) == key.public
    for bad in ("", "rsa:abc", "ed25519:abc", "ed25519:****"):
        with pytest.raises(Invalid):
            crypto.PublicKey.parse(bad)


def test_password_hash() -> None:
    hashed = crypto.hash_password("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert crypto.verify_password(hashed, "correct horse")
    assert not crypto.verify_password(hashed, "correct hors")
    assert hashed != crypto.hash_password("correct horse")
