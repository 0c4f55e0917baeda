"""The outermost layer: every request is addressed to `PUBLIC_URL`, whatever its headers say, and answers are sealed."""

from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import Misdirected
from auth.urls import Site, is_loopback
from auth.web.answers import Answers
from auth.web.headers import header, is_page_load
from auth.web.proxied import note_proxy
from auth.web.security_headers import SecurityHeaders

MISLEADING = frozenset({b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix", b"x-gradio-server"})
"""Headers from which a library would take the app's own address."""


class PublicAddress:
    """Gives each request the scheme, host and path prefix of `PUBLIC_URL`, with or without the prefix stripped by a
    proxy, so that nothing behind it can be led elsewhere by a caller's headers.

    On loopback a foreign Host is refused: it is another site's page that had its name point here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, site: Site, answers: Answers, security: SecurityHeaders) -> None:
        self._app = app
        self._site = site
        self._answers = answers
        self._host = site.netloc.encode()
        self._security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._security.add(message)
            await send(message)

        if self._site.is_loopback and (elsewhere := self._elsewhere(scope)):
            await elsewhere(scope, receive, send_sealed)
            return
        if self._site.is_loopback or scope["path"].endswith("/metrics"):
            note_proxy(scope)
        scheme = self._site.scheme
        scope["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")
        scope["headers"] = [(b"host", self._host)] + [h for h in scope["headers"] if h[0] not in MISLEADING]
        if self._site.prefix:
            self._add_prefix(scope)
        await self._app(scope, receive, send_sealed)

    def _add_prefix(self, scope: Scope) -> None:
        scope["root_path"] = prefix = self._site.prefix
        path = scope["path"]
        if path != prefix and not path.startswith(f"{prefix}/"):
            scope["path"] = prefix + path
            scope["raw_path"] = prefix.encode() + scope.get("raw_path", path.encode())

    def _elsewhere(self, scope: Scope) -> Response | None:
        """What a request to another name of this machine gets: the sign-in's cookies live under one name only."""
        asked = header(scope, b"host")
        if asked == self._site.netloc:
            return None
        try:
            host = urlsplit(f"//{asked}")
            name, port = host.hostname or "", host.port
        except ValueError:
            name, port = "", None
        if not is_loopback(name):
            return self._answers.to(Misdirected.to(asked, self._site.base_url), scope)
        if name == self._site.hostname or port != self._site.port or not is_page_load(scope):
            return None
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        return RedirectResponse(f"{self._site.origin}/{path.lstrip('/')}{query}", 307)
