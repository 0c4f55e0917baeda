"""The cookie: Starlette's signed session cookie, its name, and the keys that seal it."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, Literal, TypeVar

from itsdangerous import BadSignature, TimestampSigner
from msgspec import convert, msgpack
from msgspec.json import decode, encode
from starlette.middleware.sessions import Session, SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.urls import Site

KNOWN_COOKIES = 512
KNOWN_SECONDS = 60.0

Shape = TypeVar("Shape")


class _Signer(TimestampSigner):
    """Takes only what is a JSON object inside: Starlette itself would fail on an authentic cookie of another shape."""

    def unsign(self, *args: Any, **kwargs: Any) -> Any:
        value = super().unsign(*args, **kwargs)
        try:
            content = json.loads(base64.b64decode(value))
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise BadSignature("the cookie holds no JSON object")
        return value


def validated(stored: object, kind: type[Shape]) -> Shape | None:
    """What the cookie holds, None where it is of another shape: it may be authentic and of another version.

    By way of JSON: to Python a lone surrogate is text and NaN is a number, and to nothing else.
    """
    try:
        return decode(encode(convert(stored, kind)), type=kind)
    except (ValueError, RecursionError):
        return None


def cookie_name(site: Site) -> str:
    """`__Host-` on https (RFC 6265bis section 4.1.3.2). Each app of a host has a name of its own, for cookies are
    shared among its ports and paths."""
    place = site.prefix.strip("/").replace("/", "-") if site.is_https else str(site.port or 80)
    return ("__Host-session" if site.is_https else "session") + (f"-{place}" if place else "")


class SessionCookie(SessionMiddleware):
    """Starlette's session middleware with this app's cookie: several keys, of which the newest signs.

    A browser sends the same cookie many times: one that was opened within `KNOWN_SECONDS` is not opened again, and
    where there is none there is nothing to open.

    Args:
        keys: as `session_signer` takes them.
        lifetime: seconds.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        site: Site,
        keys: Sequence[str],
        lifetime: float,
        same_site: Literal["lax", "none"],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            self._opened,
            secret_key="",
            session_cookie=cookie_name(site),
            max_age=int(lifetime),
            same_site=same_site,
            https_only=site.is_https,
            partitioned=same_site == "none",
        )
        self.signer = session_signer(keys)
        self._behind = app
        self._now = now
        self._known: dict[tuple[bytes, ...], tuple[float, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cookies = _cookies(scope)
        until, content = self._known.get(cookies, (0.0, b""))
        if cookies and self._now() >= until:
            await super().__call__(scope, receive, send)
            return
        scope["session"] = session = Session(msgpack.decode(content) if cookies else {})

        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                if session.modified:
                    await self._sealed(scope, receive, send, message)
                    return
                if cookies or session.accessed:
                    message["headers"] = [*message["headers"], (b"vary", b"Cookie")]
            await send(message)

        await self._behind(scope, receive, send_changed)

    async def _opened(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["session"]:
            scope["session"].mark_accessed()  # whoever answers may look at it: Vary
            with suppress(ValueError, OverflowError):  # it holds what none of ours does
                content = msgpack.encode(scope["session"])
                while len(self._known) >= KNOWN_COOKIES:
                    del self._known[next(iter(self._known))]
                self._known[_cookies(scope)] = (self._now() + KNOWN_SECONDS, content)
        await self._behind(scope, receive, send)

    async def _sealed(self, scope: Scope, receive: Receive, send: Send, start: Message) -> None:
        """Starlette's own middleware seals what stands in the scope when an answer starts."""
        changed = scope["session"]

        async def starting(scope: Scope, receive: Receive, send: Send) -> None:
            scope["session"] = changed
            await send(start)

        starlette = copy(self)
        starlette.app = starting
        await super(SessionCookie, starlette).__call__(scope, receive, send)


class StepCookies:
    """Cookies that the browser sends to one step of signing in or out alone, and not with every request.

    They are not sealed: whoever reads one has to check what it holds.
    """

    def __init__(self, *, site: Site, same_site: Literal["lax", "none"]) -> None:
        self._prefix = "__Secure-" if site.is_https else ""
        self._path = site.prefix
        more = "; Secure" if site.is_https else ""
        self._attributes = f"; HttpOnly; SameSite={same_site}{more}" + "; Partitioned" * (same_site == "none")

    def set(self, response: Response, name: str, value: str, *, step: str, seconds: int) -> None:
        """Have the browser send it to `step`, a path below `PUBLIC_URL`, and what is below that."""
        cookie = f"{self._prefix}{name}={value}; Path={self._path}{step}; Max-Age={seconds}{self._attributes}"
        response.headers.append("Set-Cookie", cookie)

    def delete(self, response: Response, name: str, *, step: str) -> None:
        self.set(response, name, "", step=step, seconds=0)

    def read(self, request: Request, name: str) -> str:
        """Its value, empty where there is none."""
        return request.cookies.get(f"{self._prefix}{name}", "")


def _cookies(scope: Scope) -> tuple[bytes, ...]:
    return tuple([value for name, value in scope["headers"] if name == b"cookie"])


def session_signer(keys: Sequence[str]) -> TimestampSigner:
    """Signs with the last of `keys` and accepts all of them."""
    return _Signer(keys, salt="session-cookie", digest_method=hashlib.sha256)
