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
            raise TokenMalformed("size", actual=len(token), expected=f"at most {TOKEN_BYTES} ASCII characters")
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
        issuer_keys = self.key_sets.get(claims.iss)
        if issuer_keys is None:
            raise _refusal(WrongIssuer, "iss", claims.iss, self.key_sets)
        held = issuer_keys.get(kid)
        if held is None:
            raise _KeyNotHeld(issuer_keys, kid)
        try:
            held.verify(unbase64url(signature), digest, *_RS256)
        except ValueError:
            raise TokenMalformed("the signature is not canonical base64url") from None
        except InvalidSignature:
            raise BadSignature(f"it is not by the key {kid!r} of {claims.iss}") from None
        identity = self._identity(claims, now)
        until = min(identity.expires_at + self._leeway, now + REMEMBERED_SECONDS)
        self._remember(header, fingerprint, (now, until, issuer_keys, kid, held, identity))
        return identity

    def _identity(self, claims: _Claims, now: float) -> Identity:
        """Whom the claims of a token with a good signature name, if it is an access token for us and for now."""
        latest = now + self._leeway
        if claims.token_use != self._token_use:
            raise _refusal(WrongTokenUse, "token_use", claims.token_use, [self._token_use])
        if claims.exp is None:
            raise ClaimMissing("exp is missing")
        if now >= claims.exp + self._leeway:  # RFC 7519 section 4.1.4: on or after
            raise TokenExpired("exp", actual=claims.exp, expected=f"later than {now - self._leeway:.0f}")
        if claims.nbf > latest:
            raise TokenNotYetValid("nbf", actual=claims.nbf, expected=f"at most {latest:.0f}")
        if claims.iat > latest:
            raise TokenNotYetValid("iat", actual=claims.iat, expected=f"at most {latest:.0f}")
        if claims.client_id not in self._client_ids:
            raise _refusal(WrongClient, "client_id", claims.client_id, self._client_ids)
        if self._audiences and claims.aud is not None:
            audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
            if self._audiences.isdisjoint(audiences):
                raise WrongAudience("aud", actual=claims.aud, expected=sorted(self._audiences))
        if not claims.sub:
            raise ClaimMissing("sub is missing")
        return Identity(
            username=claims.username or claims.client_id,
            issuer=claims.iss,
            subject=claims.sub,
            kind="person" if claims.username else "program",
            expires_at=int(claims.exp),
            name=claims.name if isinstance(claims.name, str) else None,
            email=claims.email if isinstance(claims.email, str) else None,
            scopes=tuple(claims.scope.split()),
            groups=claims.groups,
        )

    def _remember(self, header: bytes, fingerprint: bytes, verified: _Remembered) -> None:
        if len(self._young) >= REMEMBERED_TOKENS:
            self._young, self._old = {}, self._young
        self._young[fingerprint] = verified
        if len(self._kids) < REMEMBERED_HEADERS:
            self._kids[header] = verified[3]


class _KeyNotHeld(UnknownKey):
    def __init__(self, keys: JwksCache[RSAPublicKey], kid: str) -> None:
        super().__init__(f"{keys.url} holds no such key", actual=kid, expected=sorted(keys.keys))
        self.keys = keys
        self.kid = kid


def _claims(payload: bytes) -> _Claims:
    try:
        return _decoded(str(unbase64url(payload), "utf-8"))
    except ValidationError as error:
        raise ClaimMalformed(str(error)) from None
    except (ValueError, RecursionError):
        raise TokenMalformed("the payload is not canonical base64url of a JSON object") from None


def _kid(header: bytes) -> str:
    """The `kid` of a header in which all is as it must be (RFC 7515 section 4)."""
    try:
        members = _HEADER.decode(str(unbase64url(header), "utf-8"))
    except (ValueError, RecursionError):
        raise TokenMalformed("the header is not canonical base64url of JSON without duplicate members") from None
    if not isinstance(members, dict):
        raise TokenMalformed("header", actual=type(members).__name__, expected="an object")
    if "crit" in members:
        raise TokenMalformed("crit asks for an extension that is not understood here")
    alg, typ, kid = (members.get(name, default) for name, default in (("alg", ""), ("typ", "JWT"), ("kid", "")))
    if alg != "RS256":
        raise WrongAlgorithm("alg", actual=_shown(alg), expected="RS256")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in TOKEN_TYPES:
        raise WrongType("typ", actual=_shown(typ), expected=TOKEN_TYPES)
    if not isinstance(kid, str) or not kid:
        raise TokenMalformed("kid", actual=_shown(kid), expected="a non-empty string")
    return kid


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def _refusal(leaf: type[TokenInvalid], name: str, actual: str, expected: Collection[str]) -> TokenInvalid:
    return leaf(name, actual=actual, expected=sorted(expected)) if actual else ClaimMissing(f"{name} is missing")


_decoded = Decoder(_Claims).decode
_HEADER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def pool_issuers(region: str, pool_id: str) -> tuple[str, str]:
    """The two issuers that a user pool is documented to have, of which it uses one (API_IssuerConfigurationType)."""
    return tuple(f"https://{name}.{region}.amazonaws.com/{pool_id}" for name in ("cognito-idp", "issuer-cognito-idp"))


def cognito_verifier(
    settings: Settings,
    *,
    fetch: Callable[[str], Awaitable[dict[str, Any]]],
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> CognitoVerifier | None:
    """The verifier that the settings describe, None where they name no app client. Nothing is fetched yet."""
    if not settings.has_cognito:
        return None
    issuers = (
        (settings.cognito_issuer,)
        if settings.cognito_issuer
        else pool_issuers(settings.cognito_region, settings.cognito_pool_id)
    )
    urls = [settings.cognito_jwks_url or f"{issuer}/.well-known/jwks.json" for issuer in issuers]
    sets = {url: JwksCache(url, fetch=fetch, parse=rsa_key, now=monotonic) for url in urls}
    return CognitoVerifier(
        key_sets={issuer: sets[url] for issuer, url in zip(issuers, urls, strict=True)},
        client_ids=settings.cognito_client_ids,
        audiences=settings.api_audience,
        token_use="access",  # noqa: S106 - the claim's value
        leeway=0,
        now=now,
    )
