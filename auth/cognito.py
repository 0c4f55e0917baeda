"""Access tokens of AWS Cognito: the verifier, over `cryptography` alone, and its cache of verified tokens."""

from __future__ import annotations

import binascii
import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Literal, NamedTuple, NoReturn

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from auth.errors import (
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenNotYetValid,
    UnknownKey,
    WrongAlgorithm,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
    WrongType,
)
from auth.identity import Identity
from auth.jwks import JwksCache

TOKEN_BYTES = 16 * 1024
TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
CACHE_SECONDS = 300.0
CACHE_TOKENS = 4096

_PADDING, _HASH = PKCS1v15(), Prehashed(SHA256())
_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_LAST = (frozenset(), frozenset(), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
_LATEST = 253402300799


class _KeyNotHeld(UnknownKey):
    def __init__(self, keys, kid):
        super().__init__("the key is not held", actual=kid)
        self.keys, self.kid = keys, kid


class _Verified(NamedTuple):
    since: float
    until: float
    keys: JwksCache[RSAPublicKey]
    kid: str
    key: RSAPublicKey
    identity: Identity


def unbase64url(segment: bytes) -> bytes:
    spare = len(segment) & 3
    octets = binascii.a2b_base64(segment.translate(_STANDARD) + b"==")
    if len(octets) != len(segment) * 3 >> 2 or spare and segment[-1] not in _LAST[spare]:
        raise ValueError
    return octets


class CognitoVerifier:
    def __init__(self, *, key_sets, client_ids, audiences, token_use, leeway, now=time.time):
        self._key_sets = dict(key_sets)
        self._client_ids = client_ids
        self._audiences = frozenset(audiences)
        self._token_use = token_use
        self._leeway = leeway
        self._now = now
        self._headers = {}
        self._young = {}
        self._old = {}

    def verify_now(self, token: str) -> Identity:
        if len(token) > TOKEN_BYTES:
            raise TokenMalformed
        signed, _, signature = token.encode("ascii", "replace").rpartition(b".")
        digest = sha256(signed).digest()
        fingerprint = digest + signature
        held = self._young.get(fingerprint) or self._old.get(fingerprint)
        now = self._now()
        if held is not None:
            since, until, keys, kid, key, identity = held
            if since <= now < until and keys.get(kid) is key:
                return identity
        header, _, payload = signed.partition(b".")
        kid = self._headers.get(header) or _kid(header)
        try:
            claims = orjson.loads(unbase64url(payload))
            octets = unbase64url(signature)
        except ValueError:
            raise TokenMalformed from None
        if type(claims) is not dict:
            raise TokenMalformed
        issuer = claims.get("iss")
        keys = self._key_sets.get(issuer) if type(issuer) is str else None
        if keys is None:
            raise WrongIssuer
        key = keys.get(kid)
        if key is None:
            raise _KeyNotHeld(keys, kid)
        try:
            key.verify(octets, digest, _PADDING, _HASH)
        except InvalidSignature:
            raise BadSignature from None
        if header not in self._headers:
            self._headers[header] = kid
        identity = self._identity(claims, now)
        until = min(now + CACHE_SECONDS, identity.expires_at + self._leeway)
        if len(self._young) >= CACHE_TOKENS:
            self._old, self._young = self._young, {}
        self._young[fingerprint] = (now, until, keys, kid, key, identity)
        return identity

    def _identity(self, claims, now) -> Identity:
        get = claims.get
        if get("token_use") != self._token_use:
            raise WrongTokenUse
        leeway = self._leeway
        exp = _time(claims, "exp")
        if exp is None:
            raise ClaimMissing
        if now >= exp + leeway:
            raise TokenExpired
        for name in ("nbf", "iat"):
            v = _time(claims, name)
            if v is not None and v > now + leeway:
                raise TokenNotYetValid
        client = _text(claims, "client_id")
        if client not in self._client_ids:
            raise WrongClient
        subject = _text(claims, "sub")
        if subject is None:
            raise ClaimMissing
        scope = get("scope", "")
        if type(scope) is not str:
            raise ClaimMalformed
        groups = get("cognito:groups", ())
        if "aud" in claims:
            raise WrongAudience
        if groups != ():
            if type(groups) is not list:
                raise ClaimMalformed
            for g in groups:
                if type(g) is not str:
                    raise ClaimMalformed
        username = _text(claims, "username")
        return Identity(
            username=username or client,
            issuer=claims["iss"],
            subject=subject,
            kind="person" if username else "program",
            expires_at=int(exp),
            name=get("name"),
            email=get("email"),
            scopes=tuple(scope.split()),
            groups=tuple(groups),
        )


def _time(claims, name):
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if type(value) is int or type(value) is float:
        if 0 <= value <= _LATEST:
            return value
    raise ClaimMalformed


def _text(claims, name):
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if type(value) is str and value:
        return value
    raise ClaimMalformed


def _kid(header):
    return json.loads(unbase64url(header))["kid"]


def cognito_verifier(*a, **k): ...
def pool_issuers(*a): ...
