"""An answer that comes before its request's end is not lost to the end of the connection (RFC 9112 section 9.6)."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.web.headers import has_body

LINGER_SECONDS = 2.0


class LingeringClose:
    """ASGI middleware: what is left of a request that was answered is read and thrown away, for a moment.

    To close a connection on bytes that are still coming resets it, and takes the answer along. A proxy then reports
    a fault of the app, and after one or two takes it for dead: a stranger's refused upload would do.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = LINGER_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not has_body(scope):
            await self._app(scope, receive, send)
            return
        unread = True

        async def receive_some() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        async def send_and_linger(message: Message) -> None:
            if unread and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds):
                        while unread:
                            await receive_some()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, receive_some, send_and_linger)
