"""The session: what the cookie holds of it under `person`, and how long it lives."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, to_builtins
from msgspec.structs import replace

from auth.errors import AuthError, SessionExpired, SessionIdle, SessionRevoked, SessionUnchecked
from auth.identity import Identity, lower_ascii, one_line
from auth.providers import ProviderSettings
from auth.sessions.cookie import KNOWN_COOKIES, validated
from auth.sessions.revocations import Revocations

PERSON_BYTES = 670
"""JSON bytes of a session: with base64 and the signature under 1024."""


class Person(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session as the cookie holds it. Times are epoch seconds.

    Attributes:
        issuer: where it is another than is configured, as at a provider of many tenants.
        vouched: the address is 1: verified; 2: verified, and counts for its domain.
        groups: of those that rules name, in their order, the person's as the bits of a hexadecimal number.
    """

    id: Annotated[str, Meta(min_length=16)]
    provider: str
    config: str
    subject: Annotated[str, Meta(min_length=1)]
    issuer: str | None = None
    sid: str | None = None
    name: str | None = None
    email: str | None = None
    vouched: Literal[0, 1, 2] = 0
    groups: Annotated[str, Meta(pattern=r"^[0-9a-f]*\Z")] = ""
    picture: str | None = None
    begun: float
    seen: float


class Held(Struct, frozen=True, kw_only=True):
    """A session, and what follows from it: who this is, and by which keys it may have been revoked."""

    person: Person
    identity: Identity
    keys: tuple[str, ...]


class Sessions:
    """Begins, reads and ends sessions.

    Args:
        entrance: names who may enter, in any form: a session that began under another value has ended.
        named_groups: those that rules name. Asked once, when the app starts to serve and so is put together. A session
            from before a rule named another group ends, for it does not say who is in that one.
        lifetime, idle: seconds that a session lasts at most, and without a request.
        pictures: whether people's pictures are kept.
        now: wall-clock time in epoch seconds, for sessions outlive a restart.
    """

    def __init__(
        self,
        providers: Mapping[str, ProviderSettings],
        revocations: Revocations,
        *,
        entrance: Iterable[object],
        named_groups: Callable[[], Iterable[str]] = tuple,
        lifetime: float,
        idle: float,
        pictures: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._entrance = tuple(entrance)
        self._ask_named_groups = named_groups
        self._providers = providers
        self._revocations = revocations
        self._now = now
        self._pictures = pictures
        self.lifetime = lifetime
        self._idle = idle
        self._refresh = min(60.0, idle / 10)
        self._seen: dict[str, float] = {}
        self._known = lru_cache(maxsize=KNOWN_COOKIES)(self._meaning)  # a browser sends the same cookie many times
        self._swept = now()

    @cached_property
    def named_groups(self) -> tuple[str, ...]:
        """Those that rules named when this was asked first, in their order."""
        return tuple(sorted(self._ask_named_groups()))

    @cached_property
    def _configs(self) -> dict[str, str]:
        return {name: self._fingerprint(provider) for name, provider in self._providers.items()}

    def begin(
        self, session: dict[str, Any], provider: str, claims: Mapping[str, Any], admitted: Identity | None = None
    ) -> Identity:
        """Put a new session into the cookie in place of any other; begun sign-ins stay.

        Args:
            claims: verified; `sub` is a non-empty string. What does not fit into the cookie is left out: the picture,
                then the end of the name, then the e-mail address, never any of the subject.
            admitted: who that is to the rules of who may do what; without it nobody to them.
        """
        self.end(session)
        now = round(self._now(), 3)
        text: dict[str, Any] = {key: one_line(claims.get(key)) for key in ("email", "picture")}
        text["name"] = _name(claims)
        if not self._pictures or not (text["picture"] or "").startswith("https://"):
            text["picture"] = None
        sid, issuer = claims.get("sid"), claims.get("iss")
        person = Person(
            id=secrets.token_urlsafe(16),
            provider=provider,
            config=self._configs[provider],
            subject=claims["sub"],
            issuer=issuer if issuer != self._providers[provider].issuer else None,
            sid=_short_hash(sid) if isinstance(sid, str) else None,
            begun=now,
            seen=now,
            **text,
        )
        if admitted:
            bits = sum(1 << number for number, group in enumerate(self.named_groups) if group in admitted.groups)
            vouched = 1 + (admitted.domain is not None) if admitted.email_verified else 0
            person = replace(person, vouched=vouched, groups=f"{bits:x}" if bits else "")
        shortened: list[dict[str, Any]] = [{"name": (person.name or "")[:length] or None} for length in (60, 30, 12)]
        leave_out: list[dict[str, Any]] = [{"picture": None}, *shortened, {"email": None, "vouched": 0}]
        for lacking in leave_out:
            if len(json.dumps(to_builtins(person))) <= PERSON_BYTES:
                break
            person = replace(person, **lacking)
        session["person"] = to_builtins(person)
        self._seen[person.id] = now
        return self._identity(person)

    def read(self, session: dict[str, Any]) -> Identity | None:
        """The identity of this cookie's session, or None where it holds none. Counts as a sign of life.

        Raises:
            SessionRevoked, SessionExpired, SessionIdle: there was a session and it has ended.
        """
        held = self._held(session)
        if held is None:
            return None
        now, person = self._now(), held.person
        try:
            self._check(held, now)
        except AuthError as error:
            self._seen.pop(person.id, None)
            error.who = held.identity.identity
            raise
        self._seen[person.id] = now
        if now - person.seen > self._refresh:
            session["person"] = to_builtins(replace(person, seen=round(now, 3)))
        if now - self._swept > self._idle:
            self._swept = now
            self._seen = {key: at for key, at in self._seen.items() if now - at <= self._idle}
        return held.identity

    def is_still_valid(self, session: dict[str, Any]) -> bool:
        """Whether `read` would return an identity. Does not count as a sign of life."""
        try:
            held = self._held(session)
            if held is not None:
                self._check(held, self._now())
        except AuthError:
            return False
        return held is not None

    def use(self, session: dict[str, Any]) -> None:
        """A sign of life of a session, unless it has ended."""
        with suppress(AuthError):
            self.read(session)

    @property
    def live(self) -> int:
        """How many sessions have shown a sign of life here within the idle limit, as far as is known here."""
        now = self._now()
        return sum(now - at <= self._idle for at in self._seen.values())

    def held_in(self, session: dict[str, Any]) -> Person | None:
        """The session that was read from this cookie, to be handed on to a program under an id of its own."""
        held = self._held(session)
        return held.person if held else None

    def held(self, person: Person) -> Held:
        """As from a cookie.

        Raises:
            SessionExpired: its provider is configured no more.
        """
        if person.provider not in self._providers:
            raise SessionExpired("the provider is configured no more")
        identity = self._identity(person)
        third = _sid_key(identity.issuer, person.sid) if person.sid else _no_sid_key(identity.identity)
        return Held(person=person, identity=identity, keys=(person.id, identity.identity, third))

    def check_lasting(self, held: Held, now: float) -> None:
        """That a session has not ended, whenever it was last used.

        Raises:
            SessionRevoked, SessionExpired: it has.
            SessionUnchecked: that is not to be known just now.
        """
        person = held.person
        if person.config != self._configs[person.provider]:
            raise SessionExpired("the provider or who may enter was configured anew")
        if self._revocations.is_revoked(held.keys, begun=person.begun):
            raise SessionRevoked("signed out")
        if not person.begun <= now + 60 or now >= held.identity.expires_at:
            raise SessionExpired(f"begun {now - person.begun:.0f} s ago")

    def _check(self, held: Held, now: float) -> None:
        self.check_lasting(held, now)
        person = held.person
        seen = max(person.seen, self._seen.get(person.id, 0.0))
        if now - seen > self._idle:
            raise SessionIdle(f"idle for {now - seen:.0f} s")

    def end(self, session: dict[str, Any], *, everywhere: bool = False) -> Person | None:
        """End this cookie's session for good, or all of this person's, and take it out of the cookie.

        Returns:
            The session that was ended, None where there was none.
        """
        held = None
        with suppress(SessionExpired):
            held = self._held(session)
        session.pop("person", None)
        if held is None:
            return None
        begun = held.person.begun
        self._seen.pop(held.person.id, None)
        with suppress(SessionUnchecked):
            if self._revocations.is_revoked(held.keys, begun=begun):
                return None  # whoever copied this cookie before it was signed out ends nothing with it
        # The clock may have been set back since this session began.
        now = max(self._now(), begun)
        key = held.identity.identity if everywhere else held.person.id
        self._revocations.revoke(key, at=now, until=now + self.lifetime)
        return held.person

    def end_at_provider(self, issuer: str, *, subject: str | None, sid: str | None) -> None:
        """End what the provider says is over: the session `sid`, or without one every session of `subject`.

        With both, the sessions of `subject` that came without a `sid` end too, for one of them may be meant.
        """
        person = f"{issuer}#{subject}"
        keys = {person} if sid is None else {_sid_key(issuer, _short_hash(sid)), _no_sid_key(person)}
        for key in keys:
            self._revocations.revoke(key, until=self._now() + self.lifetime)

    def _held(self, session: dict[str, Any]) -> Held | None:
        """The session in a cookie, None where there is none.

        Raises:
            SessionExpired: its provider is configured no more.
        """
        stored = session.get("person")
        try:
            return self._known(*stored.items()) if isinstance(stored, dict) else None
        except TypeError:  # a member that cannot be hashed is none of a session's
            return None

    def _meaning(self, *members: tuple[str, Any]) -> Held | None:
        person = validated(dict(members), Person)
        return self.held(person) if person else None

    def _identity(self, person: Person) -> Identity:
        email, bits = person.email or "", int(person.groups or "0", 16)
        return Identity(
            username=person.subject,
            name=person.name,
            email=person.email,
            email_verified=person.vouched > 0,
            domain=lower_ascii(email.partition("@")[2]) if person.vouched > 1 else None,
            groups=tuple(group for number, group in enumerate(self.named_groups) if bits >> number & 1),
            picture=person.picture,
            issuer=person.issuer or self._providers[person.provider].issuer,
            subject=person.subject,
            kind="person",
            expires_at=int(person.begun + self.lifetime),
            session_id=person.id,
        )

    def _fingerprint(self, provider: ProviderSettings) -> str:
        """Changes when a session under this provider must be proved anew: another issuer or client, other rules."""
        parts = (provider.issuer, provider.client_id, provider.groups_claim, *self._entrance, self.named_groups)
        return _short_hash(json.dumps(parts))


def _name(claims: Mapping[str, Any]) -> str | None:
    """What to call the person (OpenID Connect Core 5.1): their full name, or what comes nearest to it."""
    names = {key: one_line(claims.get(key)) for key in ("name", "given_name", "family_name")}
    parts = " ".join(filter(None, (names["given_name"], names["family_name"])))
    return names["name"] or parts or one_line(claims.get("preferred_username")) or one_line(claims.get("nickname"))


def _sid_key(issuer: str, short_hash: str) -> str:
    return f"sid {issuer} {short_hash}"


def _no_sid_key(person: str) -> str:
    return f"no sid {person}"


def _short_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:9]).decode()
