"""Sessions that were ended before their time.

A session answers to several keys: its own id, the person's (`issuer#subject`), and the provider's `sid` where it sent
one. Revoking a key ends every session of that key begun up to that moment. An entry is kept until the last such
session would have ended anyway.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

SWEEP_SECONDS = 60.0


class Revocations(Protocol):
    """What is asked of them. No call but `claim` does I/O: a shared store is read and written behind it."""

    def revoke(self, key: str, *, until: float, at: float | None = None) -> None:
        """End every session of `key` begun up to `at` (now); forget about it at `until`. Both in epoch seconds."""

    def is_revoked(self, keys: Iterable[str], *, begun: float) -> bool:
        """True when a session begun at `begun` (epoch seconds) was ended under any of its keys."""

    def moment(self, key: str) -> float | None:
        """Up to which moment the sessions of `key` are ended, None where nothing is known of it."""

    async def claim(self, key: str, *, at: float, until: float) -> float | None:
        """None for the first who asks, of all replicas, and for the others, who may ask at the same time, the moment
        that the first one gave. It is forgotten at `until`. Both in epoch seconds."""


class MemoryRevocations:
    """Revocations of one process; a restart forgets them.

    Memory: one entry of about 200 bytes for a sign-out, given back once the session would have ended.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._ended: dict[str, tuple[float, float]] = {}
        self._swept = now()

    def revoke(self, key: str, *, until: float, at: float | None = None) -> None:
        now = self._now()
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            self._ended = {known: entry for known, entry in self._ended.items() if entry[1] > now}
        at = now if at is None else at
        known_at, known_until = self._ended.get(key, (at, until))
        self._ended[key] = (max(at, known_at), max(until, known_until))

    def is_revoked(self, keys: Iterable[str], *, begun: float) -> bool:
        return any(begun <= self._ended[key][0] for key in keys if key in self._ended)

    def moment(self, key: str) -> float | None:
        at, until = self._ended.get(key, (0.0, 0.0))
        return at if until > self._now() else None

    async def claim(self, key: str, *, at: float, until: float) -> float | None:
        claimed = self.moment(key)
        if claimed is None:
            self.revoke(key, until=until, at=at)
        return claimed
