"""Where the two Blocks are mounted, and the addresses around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from auth import Auth, AuthError, Identity, identity_of
from ui.main import main_blocks

SIGN_IN_PATHS = ("", "assets/", "static/", "theme.css", "favicon.ico", "manifest.json", "gradio_api/startup-events")


class ReadOnly:
    """ASGI middleware: of a Blocks that anybody may see, its page and what the page is made of, and nothing else.

    Both Blocks keep their files in one folder, so an open `gradio_api` here would hand out the other's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope["root_path"]).removeprefix("/")
            open_to_all = path in SIGN_IN_PATHS or path.startswith(("assets/", "static/"))
            if scope["method"] not in ("GET", "HEAD") or not open_to_all or ".." in path:
                await Response("Not found", 404)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _mount(app: FastAPI, blocks: gr.Blocks, path: str, around: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
    """Mount Blocks with `around` as the outermost layer, in front of Gradio's own."""
    gr.mount_gradio_app(
        app,
        blocks,
        path=path,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        show_error=True,
        **options,
    )
    (mounted,) = [route.app for route in app.routes if isinstance(route, Mount) and route.path == path]
    assert isinstance(mounted, FastAPI)
    mounted.router.redirect_slashes = False
    mounted.add_middleware(around)


def mount_main(app: FastAPI, auth: Auth) -> None:
    async def current_user(request: Request) -> str | None:
        try:
            return identity_of(request).identity
        except AuthError:
            return None

    _mount(app, main_blocks(), "/gradio", auth.gate, auth_dependency=current_user, mcp_server=auth.settings.mcp_server)


def mount_sign_in(app: FastAPI, auth: Auth) -> None:
    with gr.Blocks() as b:
        gr.HTML("<a href='/login'>in</a>")
    _mount(app, b, "/login-demo", ReadOnly)


def front_routes(auth: Auth) -> APIRouter:
    """`/`, and the addresses that people type without the slash at the end."""
    router = APIRouter(include_in_schema=False)
    base = auth.settings.base_url

    @router.get("/")
    async def front(request: Request) -> Response:
        signed_in = isinstance(request.state.identity, Identity)
        return RedirectResponse(f"{base}/gradio/" if signed_in else f"{base}/login-demo/", 303)

    @router.get("/gradio")
    @router.get("/login-demo")
    async def with_slash(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{base}{request.url.path.removeprefix(request.scope['root_path'])}/{query}", 307)

    return router
