"""Where those stop who have no identity, and streams whose identity has ended."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import AuthError
from auth.gate.authentication import bearer_token
from auth.gate.dependencies import require_scopes
from auth.identity import identity_in
from auth.programs import CognitoVerifier
from auth.sessions import Sessions
from auth.web import Answers, header

Header = tuple[bytes, bytes]

CHECK_SECONDS = 2.0
"""How often a running stream's identity is looked at again."""


class Gate:
    """ASGI middleware: nothing behind it answers without an identity, and a stream ends when its identity does.

    Args:
        farewell: asked every `CHECK_SECONDS` while an answer is streamed: what to end it with, None to let it go on.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        answers: Answers,
        sessions: Sessions,
        verifier: CognitoVerifier | None,
        scopes: tuple[str, ...],
        farewell: Callable[[Scope], bytes | None] = lambda scope: None,
    ) -> None:
        self._app = app
        self._answers = answers
        self._farewell = farewell
        self._sessions = sessions
        self._verifier = verifier
        self._scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            require_scopes(identity_in(scope), self._scopes)
        except AuthError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.sentence})
            else:
                await self._answers.to(error, scope)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await _Watched(self, scope, receive, send).run(self._app)

    def last_words(self, scope: Scope) -> bytes | None:
        """What to end a stream with just now, None while it may go on."""
        return self._farewell(scope) if self._stands(scope) else b""

    def _stands(self, scope: Scope) -> bool:
        token = bearer_token(scope)
        if token is None:
            return self._sessions.stands(scope["session"])
        return self._verifier is not None and self._verifier.stands(token)


class _Watched:
    """One exchange behind the gate. An open-ended answer is looked after while it runs; once its identity has ended the
    app behind is told that the client is gone, and the client that the answer is complete."""

    _body_read = False
    _finished = False
    _cut = False
    _timer: asyncio.TimerHandle | None = None
    _ending: asyncio.Future[None] | None = None

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self._gate = gate
        self._scope = scope
        self._receive = receive
        self._send = send
        self._listening: list[asyncio.Timeout] = []

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        finally:
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
                self._look_again()
        elif message["type"] == "http.response.body":
            self._finished = not message.get("more_body", False)
        await self._send(message)

    def _look_again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._look)

    def _look(self) -> None:
        if self._finished:
            return
        last_words = self._gate.last_words(self._scope)
        if last_words is None:
            self._look_again()
        else:
            self._cut = True
            for until_cut in self._listening:
                until_cut.reschedule(0)
            end = {"type": "http.response.body", "body": last_words, "more_body": False}
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
