"""Pages, with a policy that names their own scripts."""

import re
from collections.abc import Callable
from contextvars import ContextVar
from secrets import token_hex, token_urlsafe
from typing import Any

import gradio as gr
from gradio import routes, utils
from jinja2 import FunctionLoader
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.views import view_of

PAGE = "frontend/index.html"
PAGES_AT_MOST = 100
SCRIPT_TAG = re.compile(r"<script(?=[\s>])")


_nonce: ContextVar[str] = ContextVar("nonce", default="")


class PolicyPages(Jinja2Templates):
    """Gradio's templates, whose own scripts have a nonce that the page's policy names."""

    def __init__(self, templates: Jinja2Templates) -> None:
        loader: Any = templates.env.loader

        def with_nonces(name: str) -> str:
            source: str = loader.get_source(templates.env, name)[0]
            marked, scripts = SCRIPT_TAG.subn(r'\g<0> nonce="{{ nonce }}"', source)
            if not scripts:
                raise RuntimeError(f"Gradio {gr.__version__} makes its pages in another way than the versions tried.")
            return marked

        super().__init__(env=templates.env.overlay(loader=FunctionLoader(with_nonces)))
        self.get_template(PAGE)

    def TemplateResponse(self, request: Request, name: str, context: dict[str, Any]) -> Any:  # type: ignore[override]  # noqa: N802
        nonce = _nonce.get() or token_urlsafe(16)
        response = super().TemplateResponse(request, name, {**context, "nonce": nonce})
        if policy := getattr(request.app.state, "page_policy", None):  # else it is a Gradio app beside this one
            response.headers["Content-Security-Policy"] = policy(request.scope, nonce)
            response.headers["Cache-Control"] = "no-store"
        return response


def with_policy(app: routes.App, policy: Callable[[Scope, str], str]) -> None:
    """Have each page of mounted Blocks come with the policy that is made for its request and its scripts' nonce."""
    if not isinstance(routes.templates, PolicyPages):
        patch.replace(routes, "templates", PolicyPages(routes.templates))
    app.state.page_policy = policy


class SharedPages:
    """ASGI middleware, the innermost: a page, and the configuration of the Blocks, are made once for all who see the
    same. Gradio would copy and write out the whole of it for each request, and only their reader's name and the nonce
    of a page's scripts differ: random texts stand in their places.
    """

    def __init__(self, app: ASGIApp, *, mounted: routes.App) -> None:
        self._app = app
        self._mounted = mounted
        self._paths = {"/", "/config", *(f"/{page}" for page, *_ in mounted.get_blocks().pages)}
        self._made: Any = utils.LRUCache(PAGES_AT_MOST)
        self._name, self._nonce = token_hex(16), token_hex(16)
        self._user: Any = vars(mounted)["auth_dependency"]
        patch.replace(mounted, "auth_dependency", lambda request: self._name if _nonce.get() else self._user(request))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope["root_path"])
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"] or path not in self._paths:
            await self._app(scope, receive, send)
            return
        key = path, view_of(self._mounted)
        made = self._made.get(key) or await self._make(scope, receive)
        status, headers, content = made
        if status == 200:
            self._made[key] = made
        nonce, user = token_urlsafe(16), self._user(Request(scope))
        name = str(routes.toorjson(user))[1:-1]  # type: ignore[no-untyped-call]
        body = content.replace(self._nonce.encode(), nonce.encode()).replace(self._name.encode(), name.encode())
        response = Response(body, status, headers)
        if "content-security-policy" in headers:
            response.headers["Content-Security-Policy"] = self._mounted.state.page_policy(scope, nonce)
        await response(scope, receive, send)

    async def _make(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content."""
        messages: list[Message] = []

        async def sent(message: Message) -> None:
            messages.append(message)

        token = _nonce.set(self._nonce)
        try:
            await self._app(scope, receive, sent)
        finally:
            _nonce.reset(token)
        start, *parts = messages
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        del headers["content-length"]
        return start["status"], headers, b"".join(part.get("body", b"") for part in parts)


def share_pages(app: routes.App) -> None:
    """Have mounted Blocks make a page once for all who see the same, however many ask for it."""
    app.user_middleware.append(Middleware(SharedPages, mounted=app))
