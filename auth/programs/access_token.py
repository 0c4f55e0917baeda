"""Every check of a Cognito access token but that of its signature: no I/O, no state, no default.

RFC 7515 (compact serialization, RS256), RFC 7519 (times) and docs.aws.amazon.com/cognito, "Verifying JSON web tokens".
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NoReturn

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, field
from msgspec.json import Decoder

from auth import errors
from auth.identity import Identity
from auth.keys import decode_base64, is_base64url, unbase64url
from auth.settings import CLOCK_SKEW

TOKEN_BYTES = 16 * 1024
TYPES = ("jwt", "at+jwt")  # RFC 7519 section 5.1, RFC 9068 section 2.1

Text = Annotated[str, Meta(min_length=1)]
Date = Annotated[float, Meta(ge=0, le=253402300799)]  # RFC 7519 section 2 (NumericDate), up to the year 9999


class Claims(Struct, frozen=True, kw_only=True, gc=False):
    """The claims that are looked at. A default stands for one that is absent; of two of one name the last counts."""

    iss: Text = ""
    token_use: Text = ""
    exp: Date | UnsetType = UNSET
    nbf: Date = 0.0
    iat: Date = 0.0
    sub: Text = ""
    client_id: Text = ""
    username: Text = ""
    scope: str = ""
    groups: tuple[str, ...] = field(default=(), name="cognito:groups")
    aud: str | list[str] | UnsetType = UNSET
    name: Any = None
    email: Any = None


decode_claims = Decoder(Claims).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a token must say. Empty `audiences` accept any, since `client_id` is checked."""

    client_ids: frozenset[str]
    audiences: frozenset[str]
    token_use: Literal["access"]

    def identity(self, claims: Claims, now: float) -> Identity:
        """Whom the claims of a token with a good signature name, if they are those of a token for us and for now."""
        if claims.token_use != self.token_use:
            raise refusal(errors.WrongTokenUse, "token_use", claims.token_use, [self.token_use])
        if claims.exp is UNSET:
            raise errors.ClaimMissing("exp is missing")
        if claims.exp <= now:
            raise errors.TokenExpired("exp", actual=claims.exp, expected=f"later than {now:.0f}")
        latest = now + CLOCK_SKEW
        if claims.nbf > latest:
            raise errors.TokenNotYetValid("nbf", actual=claims.nbf, expected=f"at most {latest:.0f}")
        if claims.iat > latest:
            raise errors.TokenNotYetValid("iat", actual=claims.iat, expected=f"at most {latest:.0f}")
        if claims.client_id not in self.client_ids:
            raise refusal(errors.WrongClient, "client_id", claims.client_id, self.client_ids)
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self.audiences and audiences is not UNSET and self.audiences.isdisjoint(audiences):
            raise errors.WrongAudience("aud", actual=audiences, expected=sorted(self.audiences))
        if not claims.sub:
            raise errors.ClaimMissing("sub is missing")
        return Identity(
            username=claims.username or claims.client_id,
            issuer=claims.iss,
            subject=claims.sub,
            kind="person" if claims.username else "program",
            expires_at=int(claims.exp),
            name=claims.name if isinstance(claims.name, str) else None,
            email=claims.email if isinstance(claims.email, str) else None,
            scopes=tuple(claims.scope.split(" ")) if claims.scope else (),  # RFC 6749 section 3.3
            groups=claims.groups,
        )


def segments(token: bytes) -> list[str]:
    """Header, payload and signature of a compact serialization (RFC 7515 section 7.1), not yet decoded."""
    if len(token) > TOKEN_BYTES:
        raise errors.TokenMalformed("size", actual=len(token), expected=f"at most {TOKEN_BYTES} bytes")
    try:
        text = str(token, "ascii")
    except UnicodeDecodeError:
        raise errors.TokenMalformed("the token is not ASCII") from None
    found = text.split(".")
    if len(found) != 3 or not is_base64url(text):
        raise errors.TokenMalformed("the token is not three segments of base64url")
    return found


def read_claims_and_signature(payload: str, signature: str) -> tuple[Claims, bytes]:
    """The last two segments, of which `is_base64url` is known, decoded; the claims are not to be believed yet."""
    try:
        text = decode_base64(payload)
        if not text.isascii():
            text.decode()
        return decode_claims(text), decode_base64(signature)
    except ValidationError as error:
        raise errors.ClaimMalformed(str(error)) from None
    except (ValueError, RecursionError):
        raise errors.TokenMalformed("the payload is no JSON object, or a segment not canonical base64url") from None


def read_kid(header: str) -> str:
    """The `kid` of the first segment, if all is as it must be in it. `jwk`, `jku`, `x5u`, `x5c` are not looked at."""
    try:
        members = _header.decode(str(unbase64url(header), "utf-8"))
    except (ValueError, RecursionError):
        raise errors.TokenMalformed("the header is not canonical base64url of JSON with unique members") from None
    if not isinstance(members, dict) or "crit" in members:  # we understand no extension: RFC 7515 section 4.1.11
        raise errors.TokenMalformed("the header is no object, or has crit in it")
    alg, typ, kid = members.get("alg"), members.get("typ", "JWT"), members.get("kid")
    if alg != "RS256":
        raise errors.WrongAlgorithm("alg", actual=_shown(alg), expected="RS256")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in TYPES:
        raise errors.WrongType("typ", actual=_shown(typ), expected=TYPES)
    if not isinstance(kid, str) or not kid:
        raise errors.TokenMalformed("kid", actual=_shown(kid), expected="a non-empty string")
    return kid


def refusal(leaf: type[errors.TokenInvalid], claim: str, actual: str, expected: Collection[str]) -> errors.TokenInvalid:
    """The error for a claim that is not among those expected, or is not there at all."""
    if not actual:
        return errors.ClaimMissing(f"{claim} is missing")
    return leaf(claim, actual=actual, expected=sorted(expected))


def _shown(value: object) -> str:
    return value if isinstance(value, str) else type(value).__name__


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(members := dict(pairs)) < len(pairs):
        raise ValueError
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_header = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
