"""The server: uvicorn, with a graceful stop and a time limit for the head of a request."""

import asyncio
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol

from ui.serving.stopping import Stopping

GRACE_SECONDS = 25
"""How long events may go on after SIGTERM. What stops the process should wait some seconds longer before it kills."""
HEADER_SECONDS = 20.0
"""How long the head of a request may take to arrive. Without a limit, one that never ends holds its connection."""


class HeaderTimeoutProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection when the head of its next request is not complete in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._close)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # between two requests
            self._deadline = self._deadline or self.loop.call_later(HEADER_SECONDS, self._close)
        else:
            self._cancel_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _close(self) -> None:
        if self.transport.get_protocol() is self:  # and not a WebSocket by now
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, which tells `stopping` that it has to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping, *, grace: float = GRACE_SECONDS) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._grace = grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.begin(self._grace)
        await super().shutdown(sockets)


def serve(app: ASGIApp, stopping: Stopping, **options: Any) -> None:
    """As `uvicorn.run`, with this protocol and this way to stop. Exits where the app cannot start."""
    config = uvicorn.Config(app, http=HeaderTimeoutProtocol, timeout_graceful_shutdown=GRACE_SECONDS + 5, **options)
    server = Server(config, stopping)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
