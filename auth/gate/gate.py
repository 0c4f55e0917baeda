"""Refuses requests without an identity, and ends streams whose identity is no longer valid."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import AuthError
from auth.gate.dependencies import require_scopes
from auth.identity import credential_in
from auth.web import Answers, header

Header = tuple[bytes, bytes]

CHECK_SECONDS = 2.0
"""How often a running stream's identity is looked at again."""
HEARTBEAT = "/gradio_api/heartbeat/"
"""In the path of a stream that goes on for as long as a tab is open, whether anybody works in it or not."""


class Gate:
    """ASGI middleware: nothing behind it answers without an identity, and a stream ends when its identity does.

    A stream that is read is use of the session, and so the idle limit does not end it; a tab's heartbeat is none.

    Args:
        scopes: what a Bearer token has to have, all of them.
        closing_message: asked every `CHECK_SECONDS` while an answer is streamed: what to end it with, None to let it
            go on.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        answers: Answers,
        scopes: tuple[str, ...],
        closing_message: Callable[[Scope], bytes | None] = lambda scope: None,
    ) -> None:
        self._app = app
        self._answers = answers
        self._scopes = scopes
        self._closing_message = closing_message
        self._streams: set[object] = set()

    @property
    def streams(self) -> int:
        """How many are open."""
        return len(self._streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        credential = credential_in(scope)
        try:
            require_scopes(credential.identity, self._scopes)
        except AuthError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.sentence})
            else:
                await self._answers.to(error, scope)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        def closing_message() -> bytes | None:
            return self._closing_message(scope) if credential.is_still_valid() else b""

        use = None if HEARTBEAT in scope["path"] else credential.use
        await _Watched(closing_message, use, self._streams, scope, receive, send).run(self._app)


class _Watched:
    """One exchange behind the gate. A streamed answer is checked while it runs; once there is a closing message, the
    app behind is told that the client is gone, and the client that the answer is complete.

    Args:
        closing_message: what to end the answer with now, None while it may go on.
    """

    _body_read = False
    _read = False
    _finished = False
    _cut = False
    _timer: asyncio.TimerHandle | None = None
    _ending: asyncio.Future[None] | None = None

    def __init__(
        self,
        closing_message: Callable[[], bytes | None],
        use: Callable[[], object] | None,
        streams: set[object],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._closing_message = closing_message
        self._use = use
        self._streams = streams
        self._scope = scope
        self._receive = receive
        self._send = send
        self._listening: list[asyncio.Timeout] = []

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        finally:
            self._streams.discard(self)
            if self._timer:
                self._timer.cancel()
            if self._ending:
                await self._ending

    async def receive(self) -> Message:
        if not self._body_read:
            message = await self._receive()
            self._body_read = not message.get("more_body", False)
            return message
        if self._cut:
            return {"type": "http.disconnect"}
        try:
            async with asyncio.timeout(None) as until_cut:
                self._listening.append(until_cut)
                try:
                    return await self._receive()
                finally:
                    self._listening.remove(until_cut)
        except TimeoutError:
            return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._cut:
            return
        if message["type"] == "http.response.start":
            message["headers"] = _private(list(message["headers"]))
            if not header(message, b"content-length"):
                self._streams.add(self)
                self._check_later()
        elif message["type"] == "http.response.body":
            self._finished = not message.get("more_body", False)
        await self._send(message)
        self._read = True  # the server lets nothing more be sent while the client does not read

    def _check_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        if self._finished:
            return
        if self._read and self._use:
            self._use()
        self._read = False
        closing_message = self._closing_message()
        if closing_message is None:
            self._check_later()
        else:
            self._cut = True
            for until_cut in self._listening:
                until_cut.reschedule(0)
            end = {"type": "http.response.body", "body": closing_message, "more_body": False}
            self._ending = asyncio.ensure_future(self._send(end))


def _private(headers: list[Header]) -> list[Header]:
    """An answer's headers, so that no shared cache keeps it (RFC 9111 section 5.2.2)."""
    said = [value for name, value in headers if name == b"cache-control"]
    if not said:
        return [*headers, (b"cache-control", b"no-store")]
    directives = [part.strip() for part in b",".join(said).split(b",")]
    kept = [part for part in directives if part.lower() != b"public"]
    if not {b"no-store", b"private"}.intersection(part.lower() for part in kept):
        kept.append(b"private")
    return [*(one for one in headers if one[0] != b"cache-control"), (b"cache-control", b", ".join(kept))]
