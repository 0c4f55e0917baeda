"""What a person lets a program do: a session of theirs, lent to it, and the code and tokens that stand for it.

Nothing of it is kept here. The codes and tokens hold it, sealed; what has to be remembered is what was used or ended.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from auth.errors import (
    AuthError,
    SessionExpired,
    SessionRevoked,
    TokenExpired,
    TokenMalformed,
    TokenRevoked,
    TooManyRequests,
)
from auth.grants.program import Program
from auth.identity import Identity
from auth.oauth import Seal
from auth.sessions import Held, Person, Revocations, Sessions

CODE_SECONDS = 60
TOKEN_SECONDS = 600
AGAIN_SECONDS = 60
"""How long a used refresh token still gets its successors: several processes of a program refresh at once."""
TURNS_AT_ONCE = 60
TURN_SECONDS = 10
"""A grant is renewed so many times without a pause, and then once in so many seconds."""
KNOWN_TOKENS = 512
TOKEN_PREFIX = "person-token-"  # noqa: S105 - what the tokens begin with
"""Tells these tokens from Cognito's, and tells scanners of secrets what they have found."""


class Grant(Struct, frozen=True, array_like=True):
    """What a person agreed to.

    Attributes:
        person: their session, under an id of the grant's own: to revoke that id ends the grant alone.
        program: a digest of the program's client id.
        client: what the person knows the program by.
        resources: the addresses of this app that it was asked for (RFC 8707); empty for all.
        agreed: epoch seconds.
    """

    person: Person
    program: bytes
    client: str
    resources: tuple[str, ...]
    agreed: float


class Code(Struct, frozen=True, array_like=True):
    """An authorization code, and what it is bound to. `until` is in epoch seconds."""

    grant: Grant
    redirect_uri: str
    code_challenge: str
    until: float


class RefreshToken(Struct, frozen=True, array_like=True):
    """The refresh token that comes after `turn` others of its grant."""

    grant: Grant
    turn: int


class AccessToken(Struct, frozen=True, array_like=True):
    grant: Grant
    until: float


class Tokens(Struct, frozen=True, kw_only=True):
    access_token: str
    expires_at: float
    refresh_token: str


class _Known(Struct, frozen=True):
    """An access token that was opened, and what follows from it."""

    token: AccessToken
    held: Held
    identity: Identity
    person_key: str


class Grants:
    """Begins, reads, renews and ends grants.

    Args:
        keys: what is sealed is sealed with the first; the others still open.
        place: this app, which tells its tokens from those of others with the same keys.
        scopes: what every token covers.
        lifetime: seconds that a session lasts at most, and so a grant.
        now: epoch seconds.
    """

    def __init__(
        self,
        *,
        keys: Sequence[str],
        place: str,
        scopes: tuple[str, ...],
        sessions: Sessions,
        revocations: Revocations,
        lifetime: float,
        now: Callable[[], float],
    ) -> None:
        self._codes = Seal(Code, keys=keys, purpose=f"code {place}", prefix="code-")
        self._refresh_tokens = Seal(RefreshToken, keys=keys, purpose=f"refresh token {place}", prefix="refresh-")
        self._access_tokens = Seal(AccessToken, keys=keys, purpose=f"access token {place}", prefix=TOKEN_PREFIX)
        self._scopes = scopes
        self._sessions = sessions
        self._revocations = revocations
        self._lifetime = lifetime
        self._now = now
        self._known: dict[bytes, _Known] = {}

    # -- what the gate asks -------------------------------------------------------------------------------------------

    def identity(self, token: bytes, *, first: Callable[[Identity], None] = lambda identity: None) -> Identity:
        """Whom an access token names. Does no I/O.

        Args:
            first: told of the identity where the token was not seen here before, or not lately.

        Raises:
            TokenInvalid: the leaf names the check.
            SessionUnchecked: whether it was revoked cannot be known just now.
        """
        known = self._known.get(token)
        is_first = known is None
        known = known or self._meaning(token)
        now = self._now()
        if now >= known.token.until:
            raise TokenExpired("exp", actual=now, expected=known.token.until)
        self._check(known.token.grant, known.held, known.person_key, now)
        if is_first:
            while len(self._known) >= KNOWN_TOKENS:
                del self._known[next(iter(self._known))]
            self._known[token] = known
            first(known.identity)
        return known.identity

    def is_still_valid(self, token: bytes) -> bool:
        """Whether an access token that was accepted would be again."""
        try:
            self.identity(token)
        except AuthError:
            return False
        return True

    # -- what the authorization server asks ---------------------------------------------------------------------------

    def begin(self, person: Person, program: Program, redirect_uri: str, resources: Sequence[str]) -> Grant:
        """What the person of this session has just agreed to."""
        return Grant(
            person=replace(person, id=secrets.token_urlsafe(16)),
            program=digest(program.client_id),
            client=program.called_at(redirect_uri),
            resources=tuple(resources),
            agreed=round(self._now(), 3),
        )

    def code(self, grant: Grant, *, redirect_uri: str, code_challenge: str) -> str:
        return self._codes.seal(Code(grant, redirect_uri, code_challenge, self._now() + CODE_SECONDS))

    def open_code(self, text: str | None) -> Code | None:
        """A code that is none, or is too old, is None."""
        code = self._codes.open(text)
        return code if code and self._now() < code.until else None

    async def use_up(self, code: Code) -> bool:
        """True the first time, on any replica; else the grant has ended, for one of two who came is a thief (RFC 6749
        section 4.1.2).

        Raises:
            TokenRevoked: the grant had ended before.
            SessionUnchecked: whether it had cannot be known just now; the code is as it was.
        """
        self._checked(code.grant)
        key = f"code {code.grant.person.id}"
        if await self._revocations.claim(key, at=self._now(), until=code.until) is None:
            return True
        self.end(code.grant)
        return False

    def tokens(self, grant: Grant, *, turn: int = 0, at: float | None = None) -> Tokens:
        """The tokens of a grant that was renewed so often, the last time at `at` (now). Where it ends meanwhile, they
        are good for nothing.

        Raises:
            TokenRevoked: the provider is configured no more.
        """
        held = self._held(grant)
        until = min((self._now() if at is None else at) + TOKEN_SECONDS, held.identity.expires_at)
        return Tokens(
            access_token=self._access_tokens.seal(AccessToken(grant, until)),
            expires_at=until,
            refresh_token=self._refresh_tokens.seal(RefreshToken(grant, turn)),
        )

    def open_refresh_token(self, text: str | None) -> RefreshToken | None:
        return self._refresh_tokens.open(text)

    async def renewed(self, token: RefreshToken) -> Tokens:
        """The successors of a refresh token: the same ones for `AGAIN_SECONDS`, on every replica and however often it
        comes. Whoever comes later ends the grant, for one of two who had it is a thief (RFC 9700 section 4.14.2).

        Two facts are remembered: when this token was used, for as long as it may come again; and how far its grant has
        got, for as long as the grant lives.

        Raises:
            TokenRevoked: the grant has ended, or has been ended now.
            TooManyRequests: it is renewed far more often than its tokens run out.
            SessionUnchecked: whether the token was used cannot be known just now.
        """
        grant, turn = token.grant, token.turn
        ends = self._checked(grant).identity.expires_at
        now, family = self._now(), grant.person.id
        if turn > TURNS_AT_ONCE + (now - grant.agreed) / TURN_SECONDS:
            raise TooManyRequests("the grant is renewed all the time")
        latest, this = f"turn {family}", f"turned {family} {turn}"
        used = self._revocations.moment(this)
        if used is None and not self._revocations.is_revoked((latest,), begun=turn):
            used = await self._revocations.claim(this, at=now, until=now + AGAIN_SECONDS)
            used = now if used is None else used
            self._revocations.revoke(latest, at=turn, until=ends)
        if used is None:
            self.end(grant)
            raise TokenRevoked("a refresh token was used again")
        return self.tokens(grant, turn=turn + 1, at=used)

    def open_any(self, text: str) -> Grant | None:
        """The grant of an access or a refresh token."""
        token = self._access_tokens.open(text) or self._refresh_tokens.open(text)
        return token.grant if token else None

    # -- ending -------------------------------------------------------------------------------------------------------

    def end(self, grant: Grant) -> None:
        """End one grant, and all that came of it."""
        self._revocations.revoke(grant.person.id, until=grant.person.begun + self._lifetime + 1)

    def end_all(self, identity: Identity) -> None:
        """End every grant of a person."""
        self._revocations.revoke(_person_key(identity), until=self._now() + self._lifetime)

    # -- behind it ----------------------------------------------------------------------------------------------------

    def _meaning(self, text: bytes) -> _Known:
        token = self._access_tokens.open(text.decode("latin-1"))
        if token is None:
            raise TokenMalformed("not sealed here")
        held = self._held(token.grant)
        identity = replace(
            held.identity,
            client=token.grant.client,
            scopes=self._scopes,
            expires_at=int(token.until),
            session_id=None,
        )
        return _Known(token, held, identity, _person_key(identity))

    def _held(self, grant: Grant) -> Held:
        try:
            return self._sessions.held(grant.person)
        except SessionExpired as error:
            raise TokenRevoked(str(error)) from None

    def _checked(self, grant: Grant) -> Held:
        held = self._held(grant)
        self._check(grant, held, _person_key(held.identity), self._now())
        return held

    def _check(self, grant: Grant, held: Held, person_key: str, now: float) -> None:
        try:
            self._sessions.check_lasting(held, now)
        except (SessionExpired, SessionRevoked) as error:
            raise TokenRevoked(str(error)) from None
        if self._revocations.is_revoked((person_key,), begun=grant.agreed):
            raise TokenRevoked("the person has ended what they let programs do")


def _person_key(identity: Identity) -> str:
    return f"programs {identity.identity}"


def digest(client_id: str) -> bytes:
    """What a grant keeps of a client id."""
    return hashlib.sha256(client_id.encode()).digest()[:16]


def is_of(grant: Grant, program: Program) -> bool:
    """Whether the grant is this program's."""
    return grant.program == digest(program.client_id)
