"""The server: uvicorn, which stops kindly and waits for nobody for ever."""

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
"""How long the head of a request may take to come: who never ends it would hold a connection for ever."""


class HeadInTime(H11Protocol):
    """uvicorn's protocol, which closes a connection whose next request does not come to the end of its head."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:  # between two requests
            self._deadline = self._deadline or self.loop.call_later(HEADER_SECONDS, self._give_up)
        else:
            self._head_has_come()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_has_come()
        super().connection_lost(exc)

    def _head_has_come(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _give_up(self) -> None:
        if self.transport.get_protocol() is self:  # and not a WebSocket by now
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's, which tells `stopping` when it is to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping, *, grace: float = GRACE_SECONDS) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._grace = grace

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.begin(self._grace)
        await super().shutdown(sockets)


def serve(app: ASGIApp, stopping: Stopping, **options: Any) -> None:
    """`uvicorn.run`, with this protocol and this stop."""
    config = uvicorn.Config(app, http=HeadInTime, timeout_graceful_shutdown=GRACE_SECONDS + 5, **options)
    server = Server(config, stopping)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
