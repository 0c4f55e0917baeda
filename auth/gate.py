"""Who is calling is established here, once per request, before anything else sees it; and here is where others stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.answers import Answers
from auth.browser import is_page_load, is_same_origin
from auth.cognito import CognitoVerifier
from auth.errors import (
    AuthError,
    BearerError,
    BearerMalformed,
    BearerRefused,
    NotSignedIn,
    ScopeTooNarrow,
    TokenUnwanted,
)
from auth.identity import Identity, identity_in, identity_of
from auth.session import SessionCookie, Sessions
from auth.settings import Settings

Headers = list[tuple[bytes, bytes]]

CHECK_SECONDS = 2.0
"""How often a running stream's identity is looked at again."""


class Authentication:
    """ASGI middleware: puts the caller's `Identity`, or the `AuthError` that stands in its way, into `state.identity`.

    A Bearer token decides alone: one that is refused never falls back to the cookie, and a request that brings one has
    an empty session, of which nothing is kept.
    """

    def __init__(
        self, app: ASGIApp, *, settings: Settings, sessions: Sessions, verifier: CognitoVerifier | None
    ) -> None:
        self._app = app
        self._verifier = verifier
        self._people = SessionCookie(_People(app, sessions=sessions, base_url=settings.base_url), settings=settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        outcome: Identity | AuthError | None
        try:
            token = bearer_token(scope)
            outcome = None if token is None else await self._verify(token)
        except AuthError as error:
            outcome = error
        if outcome is None:
            await self._people(scope, receive, send)
            return
        scope["session"] = {}
        scope.setdefault("state", {})["identity"] = outcome
        await self._app(scope, receive, send)

    async def _verify(self, token: bytes) -> Identity:
        try:
            if self._verifier is None:
                raise BearerRefused("a Bearer token came and no Cognito issuer is configured")
            return await self._verifier.verify(token)
        except BearerError:
            if not token or not set(token).isdisjoint(b" ,\t"):  # looked for only here: no token that is good has them
                raise BearerMalformed("no single token after Bearer") from None
            raise


class _People:
    """Behind the session cookie: whose session it is."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, base_url: str) -> None:
        self._app = app
        self._sessions = sessions
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        outcome: Identity | AuthError
        try:
            outcome = self._person(scope)
        except AuthError as error:
            outcome = error
        scope.setdefault("state", {})["identity"] = outcome
        await self._app(scope, receive, send)

    def _person(self, scope: Scope) -> Identity:
        session = scope["session"]
        if not session:
            raise NotSignedIn("the request carries no credentials")
        session.mark_accessed()
        if not _is_own(scope, self._base_url):
            raise NotSignedIn("the cookie came with another site's request")
        identity = self._sessions.read(session)
        if identity is None:
            raise NotSignedIn("the cookie holds no session")
        return identity


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
            identity = require_scopes(identity_in(scope), self._scopes)
        except AuthError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": error.sentence})
            else:
                await self._answers.to(error, scope)(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        watched = _Watched(receive, send, lambda: self._stands(scope, identity), lambda: self._farewell(scope))
        await watched.run(self._app, scope)

    def _stands(self, scope: Scope, identity: Identity) -> Callable[[], bool]:
        if identity.session_id is not None:
            return self._sessions.watch(scope["session"])
        assert self._verifier is not None
        token = bearer_token(scope)
        verifier = self._verifier
        return lambda: token is not None and verifier.stands(token)


class _Watched:
    """One exchange behind the gate. An open-ended answer is looked after while it runs; once its identity has ended the
    app behind is told that the client is gone, and the client that the answer is complete."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        stands: Callable[[], Callable[[], bool]],
        farewell: Callable[[], bytes | None],
    ) -> None:
        self._receive = receive
        self._send = send
        self._stands = stands
        self._farewell = farewell
        self._body_read = False
        self._started = False
        self._finished = False
        self._cut = False
        self._over = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        finally:
            if self._timer:
                self._timer.cancel()
            if self._listening:
                self._listening.cancel()
            if self._ending:
                await self._ending

    async def receive(self) -> Message:
        if not self._body_read:
            message = await self._receive()
            self._body_read = not message.get("more_body", False)
            return message
        # Nothing but the end of the connection can come now, so one task waits for it, however often this is asked.
        self._listening = self._listening or asyncio.create_task(self._listen())
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _listen(self) -> None:
        await self._receive()
        self._over.set()

    async def send(self, message: Message) -> None:
        if self._cut:
            return
        if message["type"] == "http.response.start":
            self._started = True
            headers = message["headers"] = _private(list(message["headers"]))
            if not any(name == b"content-length" for name, _ in headers):
                self._look_again(self._stands())
        elif message["type"] == "http.response.body":
            self._finished = not message.get("more_body", False)
        await self._send(message)

    def _look_again(self, stands: Callable[[], bool]) -> None:
        def look() -> None:
            if self._finished:
                return
            last_words = self._farewell() if stands() else b""
            if last_words is None:
                self._look_again(stands)
            else:
                self._cut = True
                self._over.set()
                self._ending = asyncio.create_task(self._end(last_words))

        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, look)

    async def _end(self, last_words: bytes) -> None:
        if self._started and not self._finished:
            self._finished = True
            await self._send({"type": "http.response.body", "body": last_words, "more_body": False})


def _private(headers: Headers) -> Headers:
    """An answer's headers, so that no shared cache keeps it (RFC 9111 section 5.2.2)."""
    said = [value for name, value in headers if name == b"cache-control"]
    directives = [part.strip() for part in b",".join(said or [b"no-store"]).split(b",")]
    kept = [part for part in directives if part.lower() != b"public"]
    if not {b"no-store", b"private"}.intersection(part.lower() for part in kept):
        kept.append(b"private")
    others = [header for header in headers if header[0] != b"cache-control"]
    return [*others, (b"cache-control", b", ".join(kept))]


def bearer_token(scope: Scope) -> bytes | None:
    """What follows `Authorization: Bearer` (RFC 6750 section 2.1), None where there is nothing of that scheme.

    Raises:
        BearerMalformed: several Authorization headers.
    """
    credentials: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if credentials is not None:
                raise BearerMalformed("several Authorization headers")
            credentials = value
    if credentials is None or credentials[:6].lower() != b"bearer" or credentials[6:7].strip():
        return None
    return credentials[6:].strip(b" ")


def require_scopes(identity: Identity, scopes: tuple[str, ...]) -> Identity:
    """The same identity, if it is a person's session or a token that has all of `scopes`.

    Raises:
        ScopeTooNarrow.
    """
    if identity.session_id is None and scopes and not set(scopes).issubset(identity.scopes):
        raise ScopeTooNarrow("scope", actual=identity.scopes, expected=scopes)
    return identity


async def require_identity(request: HTTPConnection) -> Identity:
    """FastAPI dependency: the caller, person or program.

    Raises:
        AuthError: answered by the app's handler.
    """
    return identity_of(request)


async def for_people(request: HTTPConnection) -> None:
    """FastAPI dependency of routes that need the session.

    Raises:
        TokenUnwanted: a Bearer token decides alone, so that the request has none.
    """
    if bearer_token(request.scope) is not None:
        raise TokenUnwanted


def _is_own(scope: Scope, base_url: str) -> bool:
    """A cookie counts for this app's own pages and for links followed to it; not for what another site's page fetches
    or posts here, sibling domains included, which SameSite=Lax lets through."""
    request: HTTPConnection[Any] = HTTPConnection(scope)
    if is_same_origin(request, base_url):
        return True
    tells = {"sec-fetch-site", "origin"}.intersection(request.headers)
    return is_page_load(scope) and ("sec-fetch-mode" in request.headers or not tells)
