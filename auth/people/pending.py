"""Sign-ins begun and not finished: what the cookie holds of them under `begun`."""

import base64
import hashlib
import json
import secrets
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

from auth.errors import SignInTimedOut, SignInUnknown
from auth.sessions import validated

SIGN_IN_SECONDS = 15 * 60
BEGUN_AT_MOST = 20
BEGUN_BYTES = 2270
"""JSON bytes of all begun sign-ins. With a session of `PERSON_BYTES` the whole cookie stays under 4096 bytes."""
NEXT_AT_MOST = 2560
"""Characters of the path and query that somebody was going to: of a query, 2 KB."""
KEPT_CHARACTERS = 1024
"""Of it in this cookie; `links` keeps a longer one apart."""


class BegunSignIn(Struct, frozen=True, array_like=True):
    """A sign-in on its way: one secret, from which everything that binds it to this browser is derived."""

    provider: str
    at: float
    secret: Annotated[str, Meta(min_length=43)]
    next: str

    @property
    def code_verifier(self) -> str:
        """RFC 7636 section 4.1."""
        return self.secret

    @property
    def nonce(self) -> str:
        """A hash of the secret that this browser alone holds (OpenID Connect Core 15.5.2)."""
        return base64.urlsafe_b64encode(hashlib.sha256(b"nonce:" + self.secret.encode()).digest()[:16]).decode()[:22]


def begin_sign_in(session: dict[str, Any], provider: str, next_path: str, *, now: float) -> tuple[str, BegunSignIn]:
    """Remember in the cookie that this browser begins to sign in; the oldest make room.

    Args:
        now: epoch seconds.

    Returns:
        The `state` (RFC 6749 section 10.12) and what belongs to it.
    """
    begun = BegunSignIn(
        provider, round(now), secrets.token_urlsafe(32), next_path if len(next_path) <= KEPT_CHARACTERS else ""
    )
    state = secrets.token_urlsafe(16)
    kept = {**_kept(session), state: to_builtins(begun)}
    while len(kept) > BEGUN_AT_MOST or len(json.dumps(kept)) > BEGUN_BYTES:
        del kept[next(iter(kept))]
    session["begun"] = kept
    return state, begun


def take_sign_in(session: dict[str, Any], state: str, provider: str, *, now: float) -> BegunSignIn:
    """The sign-in of this `state`, which is thereby used up.

    Raises:
        SignInUnknown: this browser has begun none of that state with that provider, or finished it already.
        SignInTimedOut: it is older than `SIGN_IN_SECONDS`.
    """
    kept = _kept(session)
    begun = validated(kept.pop(state, None), BegunSignIn)
    if begun is None:
        raise SignInUnknown("no sign-in of that state has been begun in this browser")
    if begun.provider != provider:
        raise SignInUnknown("begun with another provider", actual=provider, expected=begun.provider)
    session["begun"] = kept
    if now - begun.at > SIGN_IN_SECONDS:
        raise SignInTimedOut(f"begun {now - begun.at:.0f} s ago")
    return begun


def _kept(session: dict[str, Any]) -> dict[str, Any]:
    kept = session.get("begun")
    return dict(kept) if isinstance(kept, dict) else {}
