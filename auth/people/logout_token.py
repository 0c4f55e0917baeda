"""Every check that OpenID Connect Back-Channel Logout 1.0 section 2.6 asks of a logout token, but for its `jti`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import Key

from auth.errors import ClaimForbidden, ClaimMalformed, ClaimMissing, WrongType
from auth.keys import JwksCache
from auth.people.id_token import check_origin, check_subject, signed_claims

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = frozenset({"logout+jwt", "application/logout+jwt", "jwt"})
"""Values of `typ`, in lower case. Section 2.4 recommends the first; providers older than it send "JWT" or none."""
LONGEST_SECONDS = 24 * 3600
"""How far ahead `exp` may be, two minutes being usual: until then the token's `jti` has to be remembered."""
CLAIM_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """What a provider says is over: the session `sid`, or every session of `subject`; never neither.

    Attributes:
        jti: names the token among all of its issuer.
        expires_at: epoch seconds; after this the token is refused anyway.
    """

    subject: str | None
    sid: str | None
    jti: str
    expires_at: float


async def verify_logout_token(
    token: str,
    *,
    keys: JwksCache[Key],
    issuer: str,
    client_id: str,
    algorithms: tuple[str, ...],
    now: Callable[[], float],
) -> Logout:
    """What a valid logout token says. Whether it was used before is for the caller to know (2.6 (8)).

    Args:
        algorithms: those that the provider may sign with; only those in `auth.people.id_token.ALGORITHMS` count.

    Raises:
        TokenInvalid: the leaf names the check. KeysUnavailable: the provider's keys cannot be had.
    """
    header, claims = await signed_claims(token, keys=keys, algorithms=algorithms)  # 2.6 (2), (3)
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:  # 4.1
        raise WrongType("typ", actual=kind, expected="logout+jwt")
    check_origin(claims, issuer=issuer, client_id=client_id, now=now())  # 2.6 (4)
    if claims["exp"] > now() + LONGEST_SECONDS:
        raise ClaimMalformed("exp", actual=claims["exp"], expected="at most a day ahead")
    if "sub" not in claims and "sid" not in claims:  # 2.6 (5)
        raise ClaimMissing("neither sub nor sid")
    if "sub" in claims:
        check_subject(claims["sub"])
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):  # 2.6 (6), 2.4
        raise ClaimMalformed("events", actual=events, expected=f"an object with the member {EVENT}")
    if "nonce" in claims:  # 2.6 (7)
        raise ClaimForbidden("nonce: this may be an ID token")
    return Logout(
        subject=claims.get("sub"),
        sid=_text(claims, "sid") if "sid" in claims else None,
        jti=_text(claims, "jti"),
        expires_at=claims["exp"],
    )


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        raise ClaimMissing(name)
    if not isinstance(value, str) or not 0 < len(value) <= CLAIM_LENGTH:
        raise ClaimMalformed(name, actual=value, expected=f"a non-empty string of at most {CLAIM_LENGTH} characters")
    return value
