"""The one clock of these tests, and how long something takes on the clock of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable

NOW = 1_800_000_000


class Clock:
    """Epoch seconds that pass when a test says so.

    Args:
        now: what it shows at first.
        on_top_of: another clock, such as `time.time`, whose seconds are added to `now`.
    """

    def __init__(self, now: float = NOW, *, on_top_of: Callable[[], float] = lambda: 0.0) -> None:
        self.now = now
        self._on_top_of = on_top_of

    def __call__(self) -> float:
        return self._on_top_of() + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def seconds_until(happened: Callable[[], bool], within: float = 10.0) -> float:
    """Wait for it, and say how long it took."""
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < within, "it did not happen"
        time.sleep(0.005)
    return time.monotonic() - begun
