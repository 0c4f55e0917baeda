"""The one clock of these tests."""

from __future__ import annotations

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
