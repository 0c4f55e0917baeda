"""Access tokens of AWS Cognito: a strict verifier over `cryptography`, and its cache of verified tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Meta, Struct, ValidationError, field
from msgspec.json import Decoder

from auth.errors import (
    AuthError,
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    TokenExpired,
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
from auth.jwk import rsa_key, unbase64url
from auth.jwks import JwksCache
from auth.settings import Settings

TOKEN_BYTES = 16 * 1024
TOKEN_TYPES = ("jwt", "at+jwt")  # RFC 7519 section 5.1, RFC 9068 section 2.1
REMEMBERED_SECONDS = 300.0
REMEMBERED_TOKENS = 4096
REMEMBERED_HEADERS = 64

_RS256 = PKCS1v15(), Prehashed(SHA256())
_Remembered = tuple[float, float, JwksCache[RSAPublicKey], str, RSAPublicKey, Identity]
_Text = Annotated[str, Meta(min_length=1)]
_Date = Annotated[float, Meta(ge=0, le=253402300799)]  # RFC 7519 section 2 (NumericDate), up to the year 9999


class _Claims(Struct, frozen=True, kw_only=True, gc=False):
    """The claims looked at, each of its type (docs.aws.amazon.com/cognito, "Understanding the access token").

    A default stands for a claim that is absent; all others are ignored. The last of two of one name counts (RFC 7519
    section 4).
    """

    iss: _Text = ""
    token_use: _Text = ""
    exp: _Date | None = None
    nbf: _Date = 0.0
    iat: _Date = 0.0
    sub: _Text = ""
    client_id: _Text = ""
    username: _Text = ""
    scope: str = ""
    groups: tuple[str, ...] = field(default=(), name="cognito:groups")
    aud: str | list[str] | None = None
    name: object = None
    email: object = None


class CognitoVerifier:
    """Token in, identity out. Every check is made, and none has a default.

    Args:
        key_sets: the issuers accepted, each with its keys.
        client_ids: the app clients whose tokens are accepted.
        audiences: the `aud` accepted in resource-bound tokens; empty accepts any, since `client_id` is checked.
        leeway: seconds by which the issuer's clock and ours may differ.
        now: epoch seconds.
    """

    def __init__(
        self,
        *,
        key_sets: Mapping[str, JwksCache[RSAPublicKey]],
        client_ids: Collection[str],
        audiences: Collection[str],
        token_use: Literal["access"],
        leeway: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.key_sets = dict(key_sets)
        self._client_ids = frozenset(client_ids)
        self._audiences = frozenset(audiences)
        self._token_use = token_use
        self._leeway = leeway
        self._now = now
        self._kids: dict[bytes, str] = {}
        self._young: dict[bytes, _Remembered] = {}
        self._old: dict[bytes, _Remembered] = {}

    async def verify(self, token: str) -> Identity:
        """Whom the token names. Its issuer is asked only for a key that is not held.

        Raises:
            TokenInvalid: the leaf names the check.
            KeysUnavailable: the key is not held and cannot be had.
        """
        try:
            return self.verify_now(token)
        except _KeyNotHeld as absent:
            await absent.keys.find(absent.kid)
        return self.verify_now(token)

    def stands(self, token: str) -> bool:
        """True while a token that was accepted would be again: it has not expired and its key was not withdrawn."""
        try:
            self.verify_now(token)
        except AuthError:
            return False
        return True

    def verify_now(self, token: str) -> Identity:
        """As `verify`, with the keys that are held and without I/O.

        Raises:
            TokenInvalid: the leaf names the check; `UnknownKey` where the key is not held.
        """
        if len(token) > TOKEN_BYTES or not token.isascii():
            raise TokenMalformed("the token is too long or not ASCII", actual=len(token), expected=TOKEN_BYTES)
        now = self._now()
        signed, _, signature = token.encode().rpartition(b".")
        # Hashed once: it is what the signature signs and, with the signature, what the token is remembered by.
        digest = sha256(signed).digest()
        fingerprint = digest + signature
        remembered = self._young.get(fingerprint) or self._old.get(fingerprint)
        if remembered is not None:
            since, until, keys, kid, key, identity = remembered
            if since <= now < until and keys.get(kid) is key:
                return identity
        header, _, payload = signed.partition(b".")
        kid = self._kids.get(header) or _kid(header)
        claims = _claims(payload)
        known = self.key_sets.get(claims.iss)
        if known is None:
            raise _wrong(WrongIssuer, "iss", claims.iss, self.key_sets)
        held = known.get(kid)
        if held is None:
            raise _KeyNotHeld(known, kid)
        try:
            held.verify(unbase64url(signature), digest, *_RS256)
        except ValueError:
            raise TokenMalformed("the signature is not canonical base64url") from None
        except InvalidSignature:
            raise BadSignature(f"by the key {kid!r}") from None
        identity = self._identity(claims, now)
        self._remember(fingerprint, header, (now, min(identity.expires_at + self._leeway, now + ))
        return identity
