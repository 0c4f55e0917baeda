"""Keys, key sets and tokens, sound as they are made, for tests to spoil: of any OpenID provider, and AWS Cognito's."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from auth.keys.jwk import RS256Key, rs256_key
from auth.keys.key_set import JwksCache
from auth.programs.verifier import CognitoVerifier
from auth.providers import pool_issuers
from tests.support.clock import NOW, Clock

# -- any provider's ----------------------------------------------------------------------------------------------------


@functools.cache
def signing_key(kind: str, kid: str | None) -> Any:
    """A private key, the same one for the same name: "RSA", "RSA-1024", a curve's name, or "Ed25519"."""
    parameters: Any = {"kid": kid} if kid else {}
    if kind.startswith("RSA"):
        return RSAKey.generate_key(int(kind[4:] or 2048), parameters)
    return (OKPKey if kind.startswith("Ed") else ECKey).generate_key(kind, parameters)  # type: ignore[arg-type]


KEY_OF = {
    **{f"{family}{size}": signing_key("RSA", "rsa") for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": signing_key("P-256", "p256"),
    "ES384": signing_key("P-384", "p384"),
    "ES512": signing_key("P-521", "p521"),
    "EdDSA": signing_key("Ed25519", "ed25519"),
    "Ed25519": signing_key("Ed25519", "ed25519"),
}
"""The key that signs with each algorithm."""
KEYS: tuple[Key, ...] = tuple({key.kid: key for key in KEY_OF.values()}.values())


def compact(header: Mapping[str, Any], payload: bytes, key: Any) -> str:
    """A JWS in compact serialization, of any header and payload, however wrong.

    Args:
        key: a joserfc key; bytes for HS*; ignored for an `alg` that is no algorithm, whose signature is empty.
    """
    signed = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
    algorithm = header.get("alg")
    if isinstance(key, bytes):
        signature = hmac.digest(key, signed.encode(), f"sha{str(algorithm)[2:]}")
    elif isinstance(algorithm, str) and algorithm in KEY_OF:
        signature = JWSRegistry.algorithms[algorithm].sign(signed.encode(), key)
    else:
        signature = b""
    return f"{signed}.{base64url(signature)}"


def base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def half_hash(value: str, algorithm: str = "RS256") -> str:
    """OpenID Connect Core 3.1.3.6; Ed25519 hashes with SHA-512."""
    hashes = {"256": "sha256", "384": "sha384"}
    digest = hashlib.new(hashes.get(algorithm[2:], "sha512"), value.encode()).digest()
    return base64url(digest[: len(digest) // 2])


# -- AWS Cognito's -----------------------------------------------------------------------------------------------------

POOL = "eu-west-1_AbCdEf123"
ISSUER, UPDATED_ISSUER = pool_issuers("eu-west-1", POOL)
NEIGHBOUR = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_ZyXwVu987"
CLIENT_ID = "1example23456789abcdefghij"
COGNITO = {"cognito_region": "eu-west-1", "cognito_pool_id": POOL, "cognito_client_ids": (CLIENT_ID,)}
"""The settings of an app that accepts this pool's tokens."""
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


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def jwk(kid: str, private: RSAPrivateKey) -> dict[str, Any]:
    public = private.public_key().public_numbers()
    return {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number(public.n), "e": number(public.e)}


POOL_KEYS = {KID: "the pool's access tokens", ID_TOKEN_KID: "the pool's ID tokens"}


def pool_jwks() -> dict[str, Any]:
    return {"keys": [jwk(kid, key(owner)) for kid, owner in POOL_KEYS.items()]}


def encode(part: Mapping[str, Any] | bytes) -> str:
    return base64url(part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode())


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
    return f"{signed}.{base64url(rs256(private or key(POOL_KEYS[KID]), signed))}"


def access_token(*, kid: str = KID, signed_with: str = POOL_KEYS[KID], **changes: Any) -> str:
    """A program's, good for an hour from `NOW`, but for the claims that are changed."""
    return token({**PROGRAM, **changes}, {**HEADER, "kid": kid}, private=key(signed_with))


async def fetch_keys(url: str) -> dict[str, Any]:
    """What the address of a pool's key set answers."""
    return pool_jwks()


def loaded(url: str, document: dict[str, Any]) -> JwksCache[RS256Key]:
    """A key set that is fetched already."""

    async def fetch(_: str) -> dict[str, Any]:
        return document

    keys = JwksCache(url, fetch=fetch, parse=rs256_key, now=Clock(0))
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
        "now": Clock(),
    }
    return CognitoVerifier(key_sets=pool_keys() if key_sets is None else key_sets, **rules | changes)
