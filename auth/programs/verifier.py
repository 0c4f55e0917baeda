"""AWS Cognito: the verifier of a user pool's access tokens, and the tokens verified lately."""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from typing import Any, Literal

from auth.errors import AuthError, BadSignature, UnknownKey, WrongIssuer
from auth.identity import Identity
from auth.keys import JwksCache, RS256Key, rs256_key
from auth.programs.access_token import Rules, read_claims_and_signature, read_kid, refusal, segments
from auth.settings import UserPool

REMEMBERED_SECONDS = 300.0
REMEMBERED_TOKENS = 4096
REMEMBERED_HEADERS = 64

SHA256 = sha256()
"""To be copied: that spares a third of the time, most of which goes into finding the algorithm."""

_Remembered = tuple[bytes, float, float, JwksCache[RS256Key], int, Identity]


class CognitoVerifier:
    """Token in, identity out. What is checked has no default.

    Args:
        key_sets: the issuers accepted, each with its keys.
        client_ids: the app clients whose tokens are accepted.
        audiences: the `aud` accepted in resource-bound tokens; empty accepts any, since `client_id` is checked.
        now: epoch seconds.

    Attributes:
        observe: told of each token that was not remembered and is good, by the seconds that its verification took; None
            for nobody.
    """

    observe: Callable[[float], None] | None = None

    def __init__(
        self,
        *,
        key_sets: Mapping[str, JwksCache[RS256Key]],
        client_ids: Collection[str],
        audiences: Collection[str],
        token_use: Literal["access"],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.key_sets = dict(key_sets)
        self._rules = Rules(client_ids=frozenset(client_ids), audiences=frozenset(audiences), token_use=token_use)
        self._now = now
        self._kids: dict[str, str] = {}
        self._young: dict[bytes, _Remembered] = {}
        self._old: dict[bytes, _Remembered] = {}

    async def verify(
        self, token: str | bytes, *, first: Callable[[Identity], None] = lambda identity: None
    ) -> Identity:
        """Whom the token names. Its issuer is asked only for a key that is not held.

        Args:
            first: called where the token was not seen before, as far as is remembered.

        Raises:
            TokenInvalid: the leaf names the check.
            KeysUnavailable: the key is not held and cannot be had.
        """
        try:
            return self.verify_now(token, first)
        except _KeyNotHeld as absent:
            await absent.keys.find(absent.kid)
        return self.verify_now(token, first)

    def is_still_valid(self, token: str | bytes) -> bool:
        """Whether a token that was accepted would be again: it has not expired and its key was not withdrawn."""
        try:
            self.verify_now(token)
        except AuthError:
            return False
        return True

    def verify_now(self, token: str | bytes, first: Callable[[Identity], None] = lambda identity: None) -> Identity:
        """As `verify`, with the keys that are held and without I/O.

        Raises:
            TokenInvalid: the leaf names the check; `UnknownKey` where the key is not held.
        """
        now = self._now()
        octets = token if isinstance(token, bytes) else token.encode("utf-8", "replace")
        signed, _, signature = octets.rpartition(b".")
        # Hashed once: it is what the signature signs, and what the token is remembered by.
        hashed = SHA256.copy()
        hashed.update(signed)
        digest = hashed.digest()
        remembered = self._young.get(digest) or self._old.get(digest)
        if remembered is not None:
            verified, since, until, keys, revision, identity = remembered
            if signature == verified and since <= now < until and keys.revision == revision:
                return identity
        begun = time.perf_counter() if self.observe else 0.0
        header, payload, encoded_signature = segments(octets)
        known = self._kids.get(header)
        kid = known or read_kid(header)
        claims, proof = read_claims_and_signature(payload, encoded_signature)
        issuer_keys = self.key_sets.get(claims.iss)
        if issuer_keys is None:
            raise refusal(WrongIssuer, "iss", claims.iss, self.key_sets)
        key = issuer_keys.get(kid)
        if key is None:
            raise _KeyNotHeld(issuer_keys, kid)
        if not key.has_signed(digest, proof):
            raise BadSignature("it is not by the key that the token names")
        identity = self._rules.identity(claims, now)
        if known is None and len(self._kids) < REMEMBERED_HEADERS:
            self._kids[header] = kid
        if len(self._young) >= REMEMBERED_TOKENS:  # two generations: the full one takes the place of the old
            self._young, self._old = {}, self._young
        until = now + REMEMBERED_SECONDS
        if identity.expires_at < until:
            until = identity.expires_at
        self._young[digest] = signature, now, until, issuer_keys, issuer_keys.revision, identity
        if self.observe:
            self.observe(time.perf_counter() - begun)
        if remembered is None:
            first(identity)
        return identity


class _KeyNotHeld(UnknownKey):
    def __init__(self, keys: JwksCache[RS256Key], kid: str) -> None:
        super().__init__(f"{keys.url} holds no such key", actual=kid, expected=sorted(keys.keys))
        self.keys = keys
        self.kid = kid


def cognito_verifier(
    pool: UserPool,
    *,
    fetch: Callable[[str], Awaitable[dict[str, Any]]],
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> CognitoVerifier:
    """The verifier of a pool's access tokens. Fetches nothing yet."""
    sets = {url: JwksCache(url, fetch=fetch, parse=rs256_key, now=monotonic) for url in pool.key_urls.values()}
    return CognitoVerifier(
        key_sets={issuer: sets[url] for issuer, url in pool.key_urls.items()},
        client_ids=pool.client_ids,
        audiences=pool.audiences,
        token_use="access",  # noqa: S106 - the claim's value
        now=now,
    )
