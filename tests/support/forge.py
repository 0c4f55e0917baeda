"""Keys, key sets and tokens in the shape of AWS Cognito's, sound as they are made, for tests to spoil."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from auth.keys.jwk import RS256Key, rs256_key
from auth.keys.key_set import JwksCache
from auth.programs.verifier import CognitoVerifier, pool_issuers

NOW = 1_800_000_000
POOL = "eu-west-1_AbCdEf123"
ISSUER, UPDATED_ISSUER = pool_issuers("eu-west-1", POOL)
NEIGHBOUR = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ZyXwVu987"
CLIENT_ID = "1example23456789abcdefghij"
KID = "wVCq5p4+qoqnQPJ1TCyVvFhQlB7h3q9aW0sN8pTzD2k="
ID_TOKEN_KID = "0aO3dvBcRk6BAqRVAFkTtXyE9mU4uLw8nJ2hQ7sGfZM="

HEADER: Mapping[str, Any] = {"kid": KID, "alg": "RS256"}
PERSON: Mapping[str, Any] = {
    "sub": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
    "cognito:groups": ["admin", "readers"],
    "iss": ISSUER,
    "version": 2,
    "client_id": CLIENT_ID,
    "origin_jti": "a1b2c3d4-5678-90ab-cdef-EXAMPLE22222",
    "event_id": "a1b2c3d4-5678-90ab-cdef-EXAMPLE33333",
    "token_use": "access",
    "scope": "aws.cognito.signin.user.admin openid profile",
    "auth_time": NOW - 60,
    "exp": NOW + 3600,
    "iat": NOW - 60,
    "jti": "a1b2c3d4-5678-90ab-cdef-EXAMPLE44444",
    "username": "ada",
}
PROGRAM: Mapping[str, Any] = {
    "sub": CLIENT_ID,
    "iss": ISSUER,
    "version": 2,
    "client_id": CLIENT_ID,
    "token_use": "access",
    "scope": "local/read local/write",
    "auth_time": NOW - 60,
    "exp": NOW + 3600,
    "iat": NOW - 60,
    "jti": "a1b2c3d4-5678-90ab-cdef-EXAMPLE55555",
}
ID_TOKEN: Mapping[str, Any] = {
    "sub": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
    "aud": CLIENT_ID,
    "iss": ISSUER,
    "token_use": "id",
    "auth_time": NOW - 60,
    "exp": NOW + 3600,
    "iat": NOW - 60,
    "cognito:username": "ada",
    "email": "ada@example.com",
    "email_verified": "true",
}


@functools.cache
def key(owner: str, *, bits: int = 2048, exponent: int = 65537) -> RSAPrivateKey:
    """The same key for the same words, within one run."""
    return generate_private_key(exponent, bits)


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def jwk(kid: str, private: RSAPrivateKey) -> dict[str, Any]:
    public = private.public_key().public_numbers()
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number(public.n), "e": number(public.e)}


POOL_KEYS = {KID: "the pool's access tokens", ID_TOKEN_KID: "the pool's ID tokens"}


def pool_jwks() -> dict[str, Any]:
    return {"keys": [jwk(kid, key(owner)) for kid, owner in POOL_KEYS.items()]}


def encode(part: Mapping[str, Any] | bytes) -> str:
    return b64(part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode())


def rs256(private: RSAPrivateKey, signed: str) -> bytes:
    return private.sign(signed.encode(), PKCS1v15(), SHA256())


def token(
    claims: Mapping[str, Any] | bytes = PERSON,
    header: Mapping[str, Any] | bytes = HEADER,
    *,
    private: RSAPrivateKey | None = None,
) -> str:
    """The compact serialization, signed by RS256 whatever the header says; bytes are taken as they are."""
    signed = f"{encode(header)}.{encode(claims)}"
    return f"{signed}.{b64(rs256(private or key(POOL_KEYS[KID]), signed))}"


def loaded(url: str, document: dict[str, Any]) -> JwksCache[RS256Key]:
    """A key set that is fetched already."""

    async def fetch(_: str) -> dict[str, Any]:
        return document

    keys = JwksCache(url, fetch=fetch, parse=rs256_key, now=lambda: 0.0)
    asyncio.run(keys.refresh_when_due())
    return keys


def pool_keys() -> dict[str, JwksCache[RS256Key]]:
    return {
        ISSUER: loaded(ISSUER, pool_jwks()),
        UPDATED_ISSUER: loaded(UPDATED_ISSUER, {"keys": [jwk("updated", key("the pool's updated issuer"))]}),
    }


def verifier(key_sets: Mapping[str, JwksCache[RS256Key]] | None = None, **changes: Any) -> CognitoVerifier:
    """A verifier of the pool's tokens, at `NOW`."""
    rules: dict[str, Any] = {
        "client_ids": [CLIENT_ID],
        "audiences": [],
        "token_use": "access",
        "leeway": 0,
        "now": lambda: float(NOW),
    }
    return CognitoVerifier(key_sets=pool_keys() if key_sets is None else key_sets, **rules | changes)
