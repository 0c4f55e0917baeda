"""Access tokens of AWS Cognito: a strict verifier over `cryptography`, and its cache of verified tokens.

docs.aws.amazon.com/cognito/latest/developerguide: "Understanding the access token", "Verifying JSON web tokens".
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal, NoReturn, NotRequired

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from auth.errors import (
    AuthError,
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
from auth.jwks import JwksCache, rsa_key, unbase64url
from auth.settings import Settings

TOKEN_BYTES = 16 * 1024
TOKEN_TYPES = ("jwt", "at+jwt")  # RFC 7519 section 5.1, RFC 9068 section 2.1
REMEMBERED_SECONDS = 300.0
REMEMBERED_TOKENS = 4096  # in each of two generations
REMEMBERED_HEADERS = 64

_Date = Annotated[float, Field(ge=0, le=253402300799)]  # RFC 7519 section 2 (NumericDate), up to the year 9999
_Name = Annotated[str, Field(min_length=1)]


@with_config(ConfigDict(strict=True))
class _Claims(TypedDict):
    exp: _Date
    nbf: NotRequired[_Date]
    iat: NotRequired[_Date]
    sub: _Name
    client_id: _Name
    username: NotRequired[_Name]
    scope: NotRequired[str]
    groups: NotRequired[Annotated[list[str], Field(alias="cognito:groups")]]
    aud: NotRequired[str | list[str]]


_typed_claims = TypeAdapter(_Claims).validator.validate_python
_RS256 = PKCS1v15(), Prehashed(SHA256())


class CognitoVerifier:
    """Token in, identity out.

    Args:
        key_sets: the issuers accepted, each with its keys.
        client_ids: the app clients whose tokens are accepted.
        audiences: accepted `aud` of resource-bound tokens; empty accepts any, since `client_id` is checked.
        leeway: seconds that the issuer's clock and ours may differ.
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
        """The caller that the token names; its issuer is asked for keys only when it names one that is not held.

        Raises:
            TokenInvalid: the leaf says why.
            KeysUnavailable: the keys are not held and cannot be had.
        """
        try:
            return self.verify_now(token)
        except _KeyNotHeld as absent:
            await absent.keys.find(absent.kid)
        return self.verify_now(token)

    def stands(self, token: str) -> bool:
        """True while the token, verified before, is still good: not expired, its key not withdrawn."""
        try:
            self.verify_now(token)
        except AuthError:
            return False
        return True

    def verify_now(self, token: str) -> Identity:
        """As `verify`, with the keys that are held, and without I/O.

        Raises:
            TokenInvalid: the leaf says why; `UnknownKey` where the key is not held.
        """
        if len(token) > TOKEN_BYTES:
            raise TokenMalformed("size", actual=len(token), expected=f"at most {TOKEN_BYTES} bytes")
        now = self._now()
        signed, _, signature = token.encode("ascii", "replace").rpartition(b".")
        # Hashed once, for both: what the signature signs, and with the signature what the token is remembered by.
        digest = sha256(signed).digest()
        fingerprint = digest + signature
        remembered = self._young.get(fingerprint) or self._old.get(fingerprint)
        if remembered is not None:
            since, until, keys, kid, key, identity = remembered
            if since <= now < until and keys.get(kid) is key:
                return identity

        header, _, payload = signed.partition(b".")
        kid = self._kids.get(header) or _kid(header)
        try:
            claims = orjson.loads(unbase64url(payload))
            signature_octets = unbase64url(signature)
        except ValueError:
            raise TokenMalformed("payload or signature is not base64url, or the payload is not JSON") from None
        if type(claims) is not dict:
            raise TokenMalformed("payload", actual=type(claims).__name__, expected="an object")
        keys = self.key_sets.get(_text(claims, "iss"))
        if keys is None:
            raise WrongIssuer("iss", actual=claims["iss"], expected=list(self.key_sets))
        key = keys.get(kid)
        if key is None:
            raise _KeyNotHeld(keys, kid)
        try:
            key.verify(signature_octets, digest, *_RS256)
        except InvalidSignature:
            raise BadSignature(f"kid {kid!r}") from None
        identity = self._identity(claims, now)
        if len(self._kids) < REMEMBERED_HEADERS:
            self._kids[header] = kid
        until = min(now + REMEMBERED_SECONDS, identity.expires_at + self._leeway)
        if len(self._young) >= REMEMBERED_TOKENS:
            self._young, self._old = {}, self._young
        self._young[fingerprint] = now, until, keys, kid, key, identity
        return identity

    def _identity(self, claims: dict[str, Any], now: float) -> Identity:
        """What the claims of a token with a good signature say, if they are those of an access token for us, now."""
        if (use := _text(claims, "token_use")) != self._token_use:
            raise WrongTokenUse("token_use", actual=use, expected=self._token_use)
        try:
            typed = _typed_claims(claims)
        except ValidationError as error:
            raise _fault(error) from None
        if now >= typed["exp"] + self._leeway:
            raise TokenExpired("exp", actual=typed["exp"], expected=f"later than {now:.0f}")
        for name in ("nbf", "iat"):
            if typed.get(name, 0.0) > now + self._leeway:
                raise TokenNotYetValid(name, actual=typed[name], expected=f"at most {now:.0f}")
        client_id = typed["client_id"]
        if client_id not in self._client_ids:
            raise WrongClient("client_id", actual=client_id, expected=sorted(self._client_ids))
        if self._audiences and "aud" in typed:
            audience = typed["aud"]
            if self._audiences.isdisjoint([audience] if isinstance(audience, str) else audience):
                raise WrongAudience("aud", actual=audience, expected=sorted(self._audiences))
        username = typed.get("username")
        return Identity(
            username=username or client_id,
            issuer=claims["iss"],
            subject=typed["sub"],
            kind="person" if username else "program",
            expires_at=int(typed["exp"]),
            name=claims.get("name"),
            email=claims.get("email"),
            scopes=tuple(typed.get("scope", "").split()),
            groups=tuple(typed.get("groups", ())),
        )


_Remembered = tuple[float, float, JwksCache[RSAPublicKey], str, RSAPublicKey, Identity]


class _KeyNotHeld(UnknownKey):
    def __init__(self, keys: JwksCache[RSAPublicKey], kid: str) -> None:
        super().__init__(f"{keys.url} has no such key", actual=kid, expected=sorted(keys.keys))
        self.keys = keys
        self.kid = kid

def _text(claims,name):
    value=claims.get(name)
    if type(value) is str and value: return value
    raise ClaimMalformed
def _kid(header):
    return json.loads(unbase64url(header))["kid"]

def cognito_verifier(*a,**k): ...
def pool_issuers(*a): ...
