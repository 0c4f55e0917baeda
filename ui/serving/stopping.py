"""Lets running events finish for a while when the process stops; those cut short get a closing message."""

import json
import math
import time
from collections.abc import Callable
from functools import cache

from starlette.types import Scope

from auth.gate import CHECK_SECONDS

SENTENCE = "The app is being restarted. Please try again in a moment."
STOPPED = "Server stopped unexpectedly."
"""What gradio_client knows a stop by (`gradio_client.utils.ServerMessage.server_stopped`)."""


@cache
def closing_events() -> bytes:
    """What ends a tab's stream of events: for people, for the page, and for programs."""
    from gradio.server_messages import LogMessage, UnexpectedErrorMessage  # here: Gradio takes seconds to import

    messages = (
        LogMessage(log=SENTENCE, level="warning", title="Restart").model_dump(mode="json"),
        UnexpectedErrorMessage(message=SENTENCE).model_dump(mode="json"),
        {"msg": STOPPED, "message": STOPPED},  # a program would wait for ever
    )
    return "".join(f"data: {json.dumps(message)}\n\n" for message in messages).encode()


class Stopping:
    """Says until when streams may go on. `now` is in seconds on a monotonic clock."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = math.inf
        self._last_event = 0.0

    def begin(self, seconds: float) -> None:
        self._last_event = self._now()
        self._until = self._last_event + seconds

    def closing_message(self, scope: Scope) -> bytes | None:
        """What to end a stream with, None while it may go on. Each stream asks every `CHECK_SECONDS`.

        Other streams than those of events (a tab's heartbeat, an MCP client's connection) go on as long as there are
        events: Gradio takes the end of a heartbeat for the end of the tab, and stops the tab's events.
        """
        if self._until == math.inf:
            return None
        path, now = scope["path"], self._now()
        is_tab = path.endswith("/queue/data")
        if (is_tab or "/gradio_api/call/" in path) and now < self._until:
            self._last_event = now
            return None
        if is_tab:
            return closing_events()
        if "/gradio_api/call/" in path:
            return f"event: error\ndata: {json.dumps(SENTENCE)}\n\n".encode()
        return None if now < min(self._until, self._last_event + 2 * CHECK_SECONDS) else b""
