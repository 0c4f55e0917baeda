"""The outermost layer: every request is addressed to `PUBLIC_URL`, whatever its headers say, and answers are sealed."""

from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.settings import Settings
from auth.urls import is_loopback
from auth.web.headers import header, is_page_load

MISLEADING = frozenset({b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-gradio-server"})
"""Headers from which a library would take the app's own address."""


class PublicAddress:
    """Gives each request the scheme, host and path prefix of `PUBLIC_URL`, with or without the prefix stripped by a
    proxy, so that nothing behind it can be led elsewhere by a caller's headers.

    On loopback a foreign Host is refused: it is another site's page that had its name point here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        url = urlsplit(settings.base_url)
        self._app = app
        self._base = settings.base_url
        self._scheme = url.scheme
        self._netloc = url.netloc
        self._host = url.netloc.encode()
        self._hostname = url.hostname
        self._port = url.port
        self._prefix = url.path
        self._is_loopback = is_loopback(url.hostname or "")
        self._sealed = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin")]
        if settings.cookie_samesite != "none":
            self._sealed.append((b"x-frame-options", b"SAMEORIGIN"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message["headers"])
                said = [name for name, _ in headers]
                headers += [seal for seal in self._sealed if seal[0] not in said]
            await send(message)

        if self._is_loopback and (elsewhere := self._elsewhere(scope)):
            await elsewhere(scope, receive, send_sealed)
            return
        scope["scheme"] = self._scheme if scope["type"] == "http" else self._scheme.replace("http", "ws")
        scope["headers"] = [(b"host", self._host)] + [h for h in scope["headers"] if h[0] not in MISLEADING]
        if self._prefix:
            self._add_prefix(scope)
        await self._app(scope, receive, send_sealed)

    def _add_prefix(self, scope: Scope) -> None:
        scope["root_path"] = self._prefix
        path = scope["path"]
        if path != self._prefix and not path.startswith(f"{self._prefix}/"):
            scope["path"] = self._prefix + path
            scope["raw_path"] = self._prefix.encode() + scope.get("raw_path", path.encode())

    def _elsewhere(self, scope: Scope) -> Response | None:
        """What a request to another name of this machine gets: the sign-in's cookies live under one name only."""
        asked = header(scope, b"host")
        if asked == self._netloc:
            return None
        try:
            host = urlsplit(f"//{asked}")
            name, port = host.hostname or "", host.port
        except ValueError:
            name, port = "", None
        if not is_loopback(name):
            return PlainTextResponse(f"This app answers at {self._base} only.\n", 421)
        if name == self._hostname or port != self._port or not is_page_load(scope):
            return None
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        origin = self._base.removesuffix(self._prefix)
        return RedirectResponse(f"{origin}/{path.lstrip('/')}{query}", 307)
