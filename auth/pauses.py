"""Work that is repeated for as long as the process lives, with a growing pause after each failure."""

import asyncio
from collections.abc import Awaitable, Callable

Sleep = Callable[[float], Awaitable[object]]


class Pauses:
    """Pauses between attempts that fail: each twice the one before, up to the longest. In seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begin anew, after an attempt that went well."""
        self._next = self._first


async def repeat(step: Callable[[], Awaitable[float]], *, pauses: Pauses, sleep: Sleep = asyncio.sleep) -> None:
    """Call `step` until this task is cancelled.

    Args:
        step: returns the seconds until it is due again. It may raise anything, a `CancelledError` that nobody asked
            for included (Python 3.11 lets timeouts end that way now and then): the next of `pauses` follows.
    """
    while True:
        try:
            pause = await step()
            pauses.reset()
        except (Exception, asyncio.CancelledError):
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            pause = pauses.next()
        await sleep(pause)
