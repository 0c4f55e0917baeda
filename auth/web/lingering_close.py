"""Keeps an answer that is sent before its request has ended from being lost (RFC 9112 section 9.6)."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.web.headers import has_body

LINGER_SECONDS = 2.0


class LingeringClose:
    """ASGI middleware: after an early answer it reads and drops the rest of the request, for `seconds` at most.

    A connection that is closed while bytes still arrive is reset, and the answer is lost. A proxy takes that for a
    fault of the app and, after one or two, stops sending to it: a stranger's refused upload would be enough.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = LINGER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        unread = True

        async def receive_part() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def send_and_drain(message: Message) -> None:
            if unread and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds):
                        while unread:
                            await receive_part()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, receive_part, send_and_drain)
