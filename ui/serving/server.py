"""The server: uvicorn, with a graceful stop and a time limit for the head of a request."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from auth.events import log_event
from ui.serving.stopping import Stopping

GRACE_SECONDS = 25
"""How long events may go on after SIGTERM. What stops the process should wait some seconds longer before it kills."""
HEAD_SECONDS = 20.0
"""How long the head of a request may take to arrive. Without a limit, one that never ends holds its connection."""
HEAD_BYTES = 64 * 1024
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeadProtocol(HttpToolsProtocol):
    """uvicorn's faster protocol, which closes a connection whose next request head is late or too large."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._deadline:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline and self._head_bytes > HEAD_BYTES:
            self.transport.write(TOO_LARGE)
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:  # between two requests, white space may come too
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._cancel_deadline()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._head_bytes = 0
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._close)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _close(self) -> None:
        if self.transport.get_protocol() is self:  # and not a WebSocket by now
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, which tells `stopping` that it has to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        stopping: Stopping,
        *,
        grace: float = GRACE_SECONDS,
        when_started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._grace = grace
        self._when_started = when_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log_event("stopping", f"stopping; running events may go on for {self._grace:g} s")
        self._stopping.begin(self._grace)
        await super().shutdown(sockets)


def serve(app: ASGIApp, stopping: Stopping, *, when_started: Callable[[], None], **options: Any) -> None:
    """As `uvicorn.run`, with this protocol and this way to stop. Exits where the app cannot start.

    Args:
        when_started: called once the app listens.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what uvicorn leaves behind it in the end
    config = uvicorn.Config(app, http=BoundedHeadProtocol, timeout_graceful_shutdown=GRACE_SECONDS + 5, **options)
    server = Server(config, stopping, when_started=when_started)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
