"""Who owns which session, event and file, in bounded memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from msgspec import Struct

SESSIONS_AT_MOST = 1_000
EVENTS_AT_MOST = 10_000
FILES_AT_MOST = 10_000
IN_ALL = 300_000
"""Entries of one kind of everybody together, about: nobody may hold more than an even share of it."""
BUSY_SECONDS = 300.0
"""A session used within this time makes room for no other. Gradio itself keeps 10,000, and the oldest goes first."""
KEPT_SECONDS = 24 * 3600.0
"""After so long without a sign of its owner, or of use, a thing is forgotten: longer than a sign-in lasts."""
SWEEP_SECONDS = 600.0


class TooManySessions(Exception):
    """All that this identity may have are in use."""


class Asked(Struct, frozen=True, kw_only=True):
    """What an event was asked for.

    Attributes:
        at: epoch seconds.
        plain: of a function none of whose outputs is JSON, which Gradio lets through as it is.
    """

    at: float
    plain: bool


@dataclass(slots=True)
class _Things:
    """What one identity has, the one unused for longest first; sessions and files with the time of their last use."""

    sessions: OrderedDict[str, float] = field(default_factory=OrderedDict)
    events: OrderedDict[str, Asked] = field(default_factory=OrderedDict)
    files: OrderedDict[str, float] = field(default_factory=OrderedDict)
    seen: float = 0.0


class Owners:
    """Nobody's entries make room for somebody else's. What was forgotten of events and files is closed to everybody;
    a forgotten session is anybody's again, so one that a request still holds is not forgotten.

    Args:
        now: seconds, monotonic.
    """

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._swept = now()
        self._things: dict[str, _Things] = {}
        self._session_owner: dict[str, str] = {}
        self._event_owner: dict[str, str] = {}
        self._held: dict[str, int] = {}

    def claim(self, who: str, session: str) -> bool:
        """Name a session for the length of a request. A session of nobody's becomes theirs.

        Returns:
            False when it is somebody else's, and nothing is to be released.

        Raises:
            TooManySessions: and nothing is to be released.
        """
        if self.owner_of(session) not in (None, who):
            return False
        things = self._of(who)
        if session not in things.sessions:
            self._make_room(things)
        self._session_owner[session] = who
        self._use(things.sessions, session)
        self._held[session] = self._held.get(session, 0) + 1
        return True

    def release(self, who: str, sessions: Iterable[str]) -> None:
        """The request that named them is over."""
        for session in sessions:
            self._held[session] -= 1
            if not self._held[session]:
                del self._held[session]
            things = self._things.get(who)
            if things and session in things.sessions:
                self._use(things.sessions, session)

    def owner_of(self, session: str) -> str | None:
        """A session may also go by the event that it was made for, where its caller named none."""
        return self._session_owner.get(session) or self._event_owner.get(session)

    def issue(self, who: str, event: str, asked: Asked) -> None:
        """An event is theirs who was told its id first."""
        if self._event_owner.setdefault(event, who) != who:
            return
        events = self._of(who).events
        events[event] = asked
        events.move_to_end(event)
        while len(events) > self._share(EVENTS_AT_MOST):
            del self._event_owner[events.popitem(last=False)[0]]

    def asked(self, event: str) -> Asked | None:
        owner = self._event_owner.get(event)
        return self._things[owner].events[event] if owner else None

    def may_use_event(self, who: str, event: str) -> bool:
        """True also for one that nobody was told of, for Gradio knows it no better."""
        return self._event_owner.get(event) in (None, who)

    def grant(self, who: str, file: str) -> None:
        """A file is theirs too from now on."""
        files = self._of(who).files
        self._use(files, file)
        while len(files) > self._share(FILES_AT_MOST) or self._now() - next(iter(files.values())) > KEPT_SECONDS:
            files.popitem(last=False)

    def has_file(self, who: str, file: str) -> bool:
        files = self._of(who).files
        if file not in files:
            return False
        self._use(files, file)
        return True

    def _use(self, things: OrderedDict[str, float], thing: str) -> None:
        things[thing] = self._now()
        things.move_to_end(thing)

    def _make_room(self, things: _Things) -> None:
        while len(things.sessions) >= self._share(SESSIONS_AT_MOST):
            unheld = next((session for session in things.sessions if session not in self._held), None)
            if unheld is None or self._now() - things.sessions[unheld] < BUSY_SECONDS:
                raise TooManySessions
            del things.sessions[unheld], self._session_owner[unheld]

    def _share(self, at_most: int) -> int:
        return max(10, min(at_most, IN_ALL // len(self._things)))

    def _of(self, who: str) -> _Things:
        now = self._now()
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            for absent, things in list(self._things.items()):
                if now - things.seen > KEPT_SECONDS and self._held.keys().isdisjoint(things.sessions):
                    self._forget(absent)
        things = self._things.get(who) or self._things.setdefault(who, _Things())
        things.seen = now
        return things

    def _forget(self, who: str) -> None:
        things = self._things.pop(who)
        for session in things.sessions:
            del self._session_owner[session]
        for event in things.events:
            del self._event_owner[event]
