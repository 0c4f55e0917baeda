"""One way to ask an ASGI app."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.settings import Settings
from auth.web import Answers, Pages, ProtectedResources, SecurityHeaders


def made_security(settings: Settings) -> SecurityHeaders:
    """As `auth.assembly` makes them."""
    return SecurityHeaders(
        is_https=settings.is_https, framed=settings.cookie_samesite == "none", configured=settings.page_policy
    )


def made_pages(settings: Settings) -> Pages:
    return Pages(app_title=settings.app_title, prefix=settings.site.prefix, security=made_security(settings))


def made_answers(settings: Settings, *, resources: ProtectedResources | None = None) -> Answers:
    """What turns errors into HTTP in an app of these settings."""
    return Answers(settings.site, made_pages(settings), resources=resources)


def http_scope(
    path: str = "/",
    *,
    method: str = "GET",
    query: str = "",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    **changes: Any,
) -> Scope:
    """A request as uvicorn hands it over; header names in any case, a name may come twice."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        **changes,
    }


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Headers
    body: bytes
    body_was_read: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(app: ASGIApp, scope: Scope, body: bytes = b"") -> Answer:
    """One whole exchange with an app."""
    sent: list[Message] = []
    reads = 0

    async def receive() -> Message:
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": body, "more_body": False} if reads == 1 else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *pieces = sent
    assert start["type"] == "http.response.start", sent
    assert not pieces[-1].get("more_body"), "the answer was not finished"
    return Answer(
        status=start["status"],
        headers=Headers(raw=start["headers"]),
        body=b"".join(piece["body"] for piece in pieces),
        body_was_read=reads > 0,
    )


class Recorder:
    """An app that answers "inside" and keeps the scope of each exchange."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.scopes: list[Scope] = []
        self._headers = {"content-length": "6"} if headers is None else headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            raw = [(name.encode(), value.encode()) for name, value in self._headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            await send({"type": "http.response.body", "body": b"inside"})

    @property
    def scope(self) -> Scope:
        """That of the only exchange there was."""
        (scope,) = self.scopes
        return scope
