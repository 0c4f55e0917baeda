"""Every check that OpenID Connect Core 3.1.3.7 asks of an ID token from the token endpoint."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey

from auth.errors import (
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    NonceMissing,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
    UnknownKey,
    WrongAlgorithm,
    WrongAudience,
    WrongHash,
    WrongIssuer,
    WrongNonce,
    WrongType,
)
from auth.keys import JwksCache
from auth.settings import CLOCK_SKEW

HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
ALGORITHMS = (*(f"{family}{size}" for family in ("RS", "PS", "ES") for size in HASHES), "EdDSA", "Ed25519")
"""Asymmetric only: `none` and HS* are never accepted, whatever a provider's metadata lists."""
ID_TOKEN_BYTES = 128 * 1024
"""Of a token from the provider itself. Some name each of hundreds of groups in it."""
TOKEN_BYTES = 16 * 1024
"""Of a token that anybody may send."""
CURVE_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
KINDS = {"EdDSA": "OKP", "Ed25519": "OKP"}
"""Two names for one algorithm (RFC 9864 section 2.2)."""
LAST_SECOND = 253402300800  # the year 10000


def signing_key(jwk: Mapping[str, Any]) -> tuple[str, Key] | None:
    """A JWK as name and key, None when it is not for checking signatures. One without `kid` goes by its thumbprint.

    The name is made of `alg`, or else of the kind of key, and of `kid`: keys that differ in one of them may stand in
    one set (RFC 7517 section 4.5). A member that is null is none.
    """
    jwk = {name: value for name, value in jwk.items() if value is not None}
    if jwk.get("use", "sig") != "sig" or jwk.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = JWKRegistry.import_key({name: value for name, value in jwk.items() if name != "d"})
        kid = jwk.get("kid") or key.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if not isinstance(kid, str) or (isinstance(key, RSAKey) and key.public_key.key_size < 2048):
        return None
    alg = jwk.get("alg") or CURVE_ALGORITHMS.get(str(jwk.get("crv"))) or jwk["kty"]
    return f"{KINDS.get(alg, alg)} {kid}", key


def key_names(alg: str, kid: str) -> tuple[str, str]:
    """The names under which `signing_key` may have put the key of a token with this header."""
    return f"{KINDS.get(alg, alg)} {kid}", f"{'RSA' if alg[:2] in ('RS', 'PS') else KINDS.get(alg, alg)} {kid}"


async def verify_id_token(
    token: object,
    *,
    keys: JwksCache[Key],
    issuer: Callable[[Mapping[str, Any]], str],
    client_id: str,
    nonce: str,
    access_token: str,
    algorithms: tuple[str, ...],
    now: Callable[[], float],
) -> dict[str, Any]:
    """The claims of a valid ID token.

    Args:
        token: what stood under `id_token` in the token response.
        issuer: the `iss` that a token with these claims must have; may raise `TokenInvalid`.
        algorithms: those that the provider's metadata lists; only those in `ALGORITHMS` count.

    Raises:
        TokenInvalid: the leaf names the check. KeysUnavailable: the provider's keys cannot be had.
    """
    header, claims = await signed_claims(token, keys=keys, algorithms=algorithms, at_most=ID_TOKEN_BYTES)
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != "jwt":  # RFC 8725 section 3.11
        raise WrongType("typ", actual=typ, expected="JWT")
    check_origin(claims, issuer=issuer(claims), client_id=client_id, now=now())
    if "nonce" not in claims:
        raise NonceMissing("nonce")
    if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):  # 3.1.3.7 (11)
        raise WrongNonce("nonce does not match the one sent")
    check_subject(claims.get("sub"))
    if "at_hash" in claims:  # 3.1.3.8
        expected = half_hash(access_token, header["alg"])
        if not hmac.compare_digest(str(claims["at_hash"]).encode(), expected.encode()):
            raise WrongHash("at_hash does not match the access token")
    return claims


async def signed_claims(
    token: object, *, keys: JwksCache[Key], algorithms: tuple[str, ...], at_most: int = TOKEN_BYTES
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Header and claims of a token that the provider signed; nothing but the signature is checked.

    Raises:
        TokenInvalid, KeysUnavailable.
    """
    if not isinstance(token, str) or len(token) > at_most:
        raise TokenMalformed(f"the token is missing, no text, or larger than {at_most} bytes")
    header = token_header(token)
    accepted = tuple(name for name in algorithms if name in ALGORITHMS)
    if header.get("alg") not in accepted:  # 3.1.3.7 (7)
        raise WrongAlgorithm("alg", actual=header.get("alg"), expected=accepted)
    return header, await _verified_claims(token, header, keys, accepted)


def check_origin(claims: Mapping[str, Any], *, issuer: str, client_id: str, now: float) -> None:
    """By whom, for whom and when the token was issued.

    Raises:
        TokenInvalid: the leaf names the check.
    """
    if claims.get("iss") != issuer:  # 3.1.3.7 (2)
        raise WrongIssuer("iss", actual=claims.get("iss"), expected=issuer)
    check_audience(claims, client_id)
    _check_times(claims, now)


def check_subject(subject: object) -> None:
    """OpenID Connect Core 2.

    Raises:
        ClaimMalformed.
    """
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not (subject.isascii() and subject.isprintable()):
        raise ClaimMalformed("sub", actual=subject, expected="a non-empty ASCII string of at most 255 characters")


def token_header(token: str) -> Mapping[str, Any]:
    """The JOSE header, which nothing vouches for yet.

    Raises:
        TokenMalformed.
    """
    try:
        return jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenMalformed(type(error).__name__) from None


async def _verified_claims(
    token: str, header: Mapping[str, Any], keys: JwksCache[Key], accepted: tuple[str, ...]
) -> dict[str, Any]:
    """Signature (3.1.3.7 (6)) by the key of the header's `kid`, or by the only key there is where it names none."""
    alg, kid = header["alg"], header.get("kid")
    if kid is None:
        return await _with_only_key(token, alg, keys, accepted)
    if not isinstance(kid, str):
        raise TokenMalformed("kid is no string")
    return _decode(token, await keys.find(*key_names(alg, kid)), accepted)


async def _with_only_key(token: str, alg: str, keys: JwksCache[Key], accepted: tuple[str, ...]) -> dict[str, Any]:
    """A provider that names no key may have put another in its place: it is asked once more before this refuses."""
    try:
        return _decode(token, _only(await keys.load(), alg), accepted)
    except BadSignature:
        if not await keys.ask():
            raise
        return _decode(token, _only(keys.keys, alg), accepted)


def _only(keys: Mapping[str, Key], alg: str) -> Key:
    """The one key there is, which may be listed several times, once for each of its algorithms."""
    count = len({key.thumbprint() for key in keys.values()})
    if count != 1:  # OpenID Connect Core 10.1: with several keys a kid is required
        raise UnknownKey("the token names no kid and the provider has not just one key", actual=count, expected=1)
    fitting = key_names(alg, "")
    return next((key for name, key in keys.items() if name.startswith(fitting)), next(iter(keys.values())))


def _decode(token: str, key: Key, accepted: tuple[str, ...]) -> dict[str, Any]:
    try:
        return jwt.decode(token, key, algorithms=accepted).claims
    except BadSignatureError:
        raise BadSignature("the signature does not verify") from None
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise TokenMalformed(type(error).__name__) from None


def check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:  # 3.1.3.7 (3)
        raise WrongAudience("aud", actual=audience, expected=client_id)
    authorized = claims.get("azp")
    if any(other != client_id for other in audiences) and authorized is None:  # 3.1.3.7 (4)
        raise WrongAudience("aud names others too, so azp is needed", actual=audience, expected=client_id)
    if authorized is not None and authorized != client_id:  # 3.1.3.7 (5)
        raise WrongAudience("azp", actual=authorized, expected=client_id)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "iat", "nbf"):
        if name not in claims and name != "nbf":
            raise ClaimMissing(name)
        if type(value := claims.get(name, 0)) not in (int, float) or not -LAST_SECOND < value < LAST_SECOND:
            raise ClaimMalformed(name, actual=value, expected="a number of seconds")
    if now >= claims["exp"]:  # 3.1.3.7 (9)
        raise TokenExpired("exp", actual=claims["exp"], expected=f"later than {now:.0f}")
    for name in ("iat", "nbf"):  # 3.1.3.7 (10), RFC 7519 section 4.1.5
        if claims.get(name, 0) > now + CLOCK_SKEW:
            raise TokenNotYetValid(name, actual=claims[name], expected=f"at most {now + CLOCK_SKEW:.0f}")


def half_hash(value: str, algorithm: str) -> str:
    """The left half of the hash of `value` with the hash of `algorithm` (OpenID Connect Core 3.1.3.6)."""
    digest = HASHES.get(algorithm[2:], hashlib.sha512)(value.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
