"""How much of the app one identity may take. Nobody else is refused for it, nor made to wait for long."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from auth.errors import TooManyRequests
from ui.isolation.rooms import room_of

HOUR_SECONDS = 3600.0
OTHERS_SECONDS = 1.0
"""Who has asked within this time is there."""
TURN_SECONDS = 1.0
"""The longest that a call is put off for the others' sake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one identity may have at once.

    Attributes:
        events: that wait or run.
        running: of those, that run; the rest waits its turn.
        requests: that are being answered, open streams among them.
        sessions: that are kept. A new one takes the place of the oldest of theirs in which nothing waits or runs.
        upload_bytes: sent as files within an hour.
        values: texts, numbers and the like in one body of JSON.
        calls, calls_per_second: made in a row, and then steadily, before those of others come first.
    """

    events: int = 200
    running: int = 20
    requests: int = 200
    sessions: int = 1_000
    upload_bytes: int = 8 * 2**30
    values: int = 250_000
    calls: int = 60
    calls_per_second: int = 30
    refusals_per_second: int = 100

    def check_events(self, count: int) -> None:
        """Raises: TooManyRequests."""
        if count >= self.events:
            sentence = f"{count} of your events wait or run already. Please wait until some are done."
            raise too_many("events", sentence)


class Accounts:
    """What each identity takes just now.

    Args:
        now: seconds, monotonic.
    """

    def __init__(self, limits: Limits, *, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._requests: Counter[str] = Counter()
        self._uploads: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Since when, and how many bytes."""
        self._calls: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """When the last was, and how many are not yet made up for; who called last comes last."""

    @contextmanager
    def request(self, who: str) -> Iterator[None]:
        """For as long as a request is answered.

        Raises:
            TooManyRequests: before it is.
        """
        if self._requests[who] >= self._limits.requests:
            sentence = f"{self._limits.requests} of your requests are being answered already. Please close some tabs."
            raise too_many("requests at once", sentence)
        self._requests[who] += 1
        try:
            yield
        finally:
            self._requests[who] -= 1
            if not self._requests[who]:
                del self._requests[who]

    def patience(self, who: str) -> float:
        """Seconds that a refusal of too much is put off, so that who is refused cannot keep the app busy with it."""
        return self._requests[who] / self._limits.refusals_per_second

    def turn(self, who: str) -> float:
        """Seconds that a call is to be put off: none after few calls in a row, nor while nobody is there who asks for
        less at once.
        """
        now = self._now()
        while self._calls and now - next(iter(self._calls.values()))[0] > HOUR_SECONDS:
            self._calls.popitem(last=False)
        at, count = self._calls.pop(who, (now, 0.0))
        count = max(0.0, count - (now - at) * self._limits.calls_per_second) + 1
        others = takewhile(lambda other: now - self._calls[other][0] < OTHERS_SECONDS, reversed(self._calls))
        gives_way = count > self._limits.calls and any(self._requests[one] < self._requests[who] for one in others)
        self._calls[who] = now, count
        return min(TURN_SECONDS, (count - self._limits.calls) / self._limits.calls_per_second) if gives_way else 0.0

    def upload(self, who: str, size: int) -> None:
        """Bytes that were sent as part of a file.

        Raises:
            TooManyRequests: they are not to be kept.
        """
        now = self._now()
        while self._uploads and now - next(iter(self._uploads.values()))[0] > HOUR_SECONDS:
            self._uploads.popitem(last=False)
        since, sent = self._uploads.get(who, (now, 0))
        if sent + size > self._limits.upload_bytes:
            sentence = f"You have uploaded {self._limits.upload_bytes} bytes within an hour. Please try again later."
            raise too_many("bytes uploaded", sentence)
        self._uploads[who] = since, sent + size


class SessionTable(OrderedDict[str, Any]):
    """What Gradio keeps by session. One room's new sessions take the place of its own older ones.

    Args:
        most: sessions of one room.
        in_all: about as many of all rooms; beyond that, whoever has most makes room.
        is_idle: nothing waits or runs in a session.
        forget: told of each session that made room.
    """

    def __init__(
        self, *, most: int, in_all: int, is_idle: Callable[[str], bool], forget: Callable[[str], object]
    ) -> None:
        super().__init__()
        self._most = most
        self._in_all = in_all
        self._is_idle = is_idle
        self._forget = forget
        self._counts: Counter[str] = Counter()

    def __setitem__(self, session: str, value: Any) -> None:
        if session not in self:
            room = room_of(session)
            if self._counts[room] >= self._most:
                self._make_room(room)
            elif len(self) >= self._in_all:
                self._make_room(self._counts.most_common(1)[0][0])
            self._counts[room] += 1
        super().__setitem__(session, value)

    def __delitem__(self, session: str) -> None:
        super().__delitem__(session)
        room = room_of(session)
        self._counts[room] -= 1
        if not self._counts[room]:
            del self._counts[room]

    def pop(self, session: str, *default: Any) -> Any:
        if session not in self and default:
            return default[0]
        value = self[session]
        del self[session]
        return value

    def popitem(self, last: bool = True) -> tuple[str, Any]:
        """In place of the oldest of all, which Gradio asks for: the oldest of whoever has most."""
        room = self._counts.most_common(1)[0][0]
        session = next(session for session in self if room_of(session) == room)
        return session, self.pop(session)

    def _make_room(self, room: str) -> None:
        session = next((one for one in self if room_of(one) == room and self._is_idle(one)), None)
        if session is None:
            sentence = f"Events run in {self._most} of your sessions. Please wait until some are done."
            raise too_many("sessions", sentence)
        del self[session]
        self._forget(session)


def too_many(what: str, sentence: str) -> TooManyRequests:
    error = TooManyRequests(f"too many {what}")
    error.sentence = sentence
    return error
