"""Where the two Blocks are mounted, and the addresses around them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import APIRouter, FastAPI, Request
from gradio.routes import App
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auth import Auth, AuthError, Identity, Settings, identity_of
from auth.errors import CallMalformed, NotFound
from auth.identity import credential_in
from auth.urls import Site
from auth.web import READ, REASONS, Answers
from ui.access import keep_parts
from ui.arguments import Main
from ui.blocks import BlocksError, load_blocks
from ui.isolation import (
    Limits,
    OAuthSession,
    hide_faults,
    isolate,
    lead_to_sign_out,
    prove,
    queue_lengths,
    rooms_of,
    share_pages,
    with_policy,
)
from ui.login import SESSION_ENDED, SignInCard, SignInPage, login_blocks
from ui.look import ICON, main_look, sign_in_look
from ui.mcp import bind_mcp
from ui.policy import BlocksPolicy
from ui.serving import Stopping

NO_STORE = {"Cache-Control": "no-store"}
PUBLIC = {"Cache-Control": "public, max-age=86400"}
SIGN_IN_FILES = ("", "theme.css", "gradio_api/startup-events")
SIGN_IN_FOLDERS = ("assets/", "static/")


class ReadOnly:
    """ASGI middleware: of Blocks that anybody may see, the page and what it is made of, and nothing else.

    Both Blocks keep their files in one folder, so an open `gradio_api` here would hand out what belongs to the other.
    """

    def __init__(self, app: ASGIApp, *, answers: Answers) -> None:
        self._app = app
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope["root_path"]).removeprefix("/")
            is_open = path in SIGN_IN_FILES or path.startswith(SIGN_IN_FOLDERS)
            if scope["method"] not in READ or not is_open:
                await self._answers.to(NotFound(), scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def mount_sign_in(app: FastAPI, auth: Auth) -> None:
    """The sign-in Blocks at `/login-demo/`, for anybody to read."""
    card = SignInCard(
        title=auth.settings.app_title,
        logo=bool(auth.settings.app_logo),
        providers=[(provider.name, provider.label) for provider in auth.providers.values()],
        prefix=auth.site.prefix,
        reasons={**SESSION_ENDED, **REASONS},
    )
    read_only = partial(ReadOnly, answers=auth.answers)
    mounted = _mount(app, auth, login_blocks(card), "/login-demo", read_only, **sign_in_look())
    mounted.user_middleware.append(Middleware(SignInPage, card=card, site=auth.site))


def load_main(settings: Settings) -> Main:
    """The app in the file that the settings name, made in the room that is everybody's.

    Raises:
        BlocksError: there is none.
    """
    prove()
    with rooms_of(settings.secret_key.get_secret_value()).shared.entered():
        return load_blocks(settings.blocks)


def mount_main(
    app: FastAPI,
    auth: Auth,
    stopping: Stopping,
    main: Main,
    *,
    limits: Limits = Limits(),  # noqa: B008
) -> Callable[[], tuple[int, int]]:
    """The main Blocks at `/gradio/`, for callers with an identity, each in a room of their own.

    Returns:
        What says how many events wait, and how many run.

    Raises:
        BlocksError: Gradio takes no such argument of `launch()`.
    """
    settings = auth.settings
    blocks = main.blocks
    rooms = rooms_of(settings.secret_key.get_secret_value())

    def current_user(request: Request) -> str | None:
        try:
            return identity_of(request).identity
        except AuthError:
            return None

    lead_to_sign_out(blocks, f"{auth.site.prefix}/logout")
    if main.title is None:
        blocks.title = settings.app_title
    look = main_look(
        title=settings.app_title,
        prefix=auth.site.prefix,
        programs=auth.programs is not None,
        pwa=bool(main.of("pwa")),
    )
    try:
        with rooms.shared.entered():
            mounted = _mount(
                app,
                auth,
                blocks,
                "/gradio",
                partial(auth.gate, closing_message=stopping.closing_message),
                auth_dependency=current_user,
                mcp_server=settings.mcp_server,
                **main.options(**look),
            )
    except (OSError, TypeError, ValueError) as error:
        raise BlocksError(f"An argument of launch() cannot be used. {type(error).__name__}: {error}.") from error
    for page, *_ in blocks.pages[1:]:
        mounted.routes.insert(0, Route(f"/{page}/", _redirect_to_page))
    auth.checks.append(isolate(mounted, rooms, refuse=auth.answers.to, limits=limits))
    keep_parts(mounted, auth.answers)
    mounted.user_middleware.append(Middleware(OAuthSession))
    share_pages(mounted)
    if not main.of("show_error"):
        hide_faults(blocks)
    if settings.mcp_server:
        bind_mcp(mounted)
    return partial(queue_lengths, mounted)


def _mount(
    app: FastAPI, auth: Auth, blocks: gr.Blocks, path: str, around: Callable[[ASGIApp], ASGIApp], **options: Any
) -> App:
    """Mount Blocks with `around` as the outermost layer, in front of Gradio's own."""
    gr.mount_gradio_app(
        app,
        blocks,
        path,
        root_path=f"{auth.site.prefix}{path}",  # Gradio takes it from requests otherwise, and from some wrongly
        **{"footer_links": [], "show_error": False, "pwa": False, **options},
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
    )
    (mounted,) = (route.app for route in app.routes if isinstance(route, Mount) and route.path == path)
    assert isinstance(mounted, App)
    policy = BlocksPolicy(auth.security, blocks, at=f"{auth.site.base_url}{path}")
    with_policy(mounted, policy.value)
    blocks.has_launched = True  # only then may a file in an argument be none of this machine's but an uploaded one
    mounted.router.redirect_slashes = False  # made from the Host header
    mounted.add_middleware(around)

    mounted.add_exception_handler(HTTPException, auth.answers.to_exception)

    async def unfit(request: Request, error: Exception) -> Response:
        refusal = (CallMalformed if request.method == "POST" else NotFound)(type(error).__name__)
        refusal.__cause__ = error
        return auth.answers.to(refusal, request.scope)

    for fault in (KeyError, TypeError, ValueError):  # what Gradio's routes raise at a call that fits no function
        mounted.add_exception_handler(fault, unfit)
    return mounted


def _redirect_to_page(request: Request) -> Response:
    """To the address of a page without the slash at its end: Gradio's own redirect leaves the mount."""
    return RedirectResponse(str(request.url.replace(path=request.url.path.rstrip("/"))), 307)


def front_routes(site: Site, main: Main, *, logo: Path | None) -> APIRouter:
    """`/`, the addresses that people type without the slash at the end, the icon, the logo, the web app's manifest."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=READ)
    async def front(request: Request) -> Response:
        signed_in = isinstance(credential_in(request.scope).outcome, Identity)
        return RedirectResponse(f"{site.base_url}/{'gradio' if signed_in else 'login-demo'}/", 303, NO_STORE)

    @router.api_route("/gradio", methods=READ)
    @router.api_route("/login-demo", methods=READ)
    async def with_slash(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{site.base_url}{request.url.path.removeprefix(site.prefix)}/{query}", 307)

    @router.api_route("/gradio_api/file={path:path}", methods=READ)
    async def file(request: Request) -> Response:
        """Where HTML and Markdown that were written for an app at `/` have its files."""
        return RedirectResponse(f"{site.base_url}/gradio{request.url.path.removeprefix(site.prefix)}", 307)

    @router.api_route("/favicon.ico", methods=READ)
    async def favicon() -> Response:
        return FileResponse(main.of("favicon_path") or ICON, headers=PUBLIC)

    if main.of("pwa"):

        @router.api_route("/manifest.json", methods=READ)
        async def manifest() -> Response:
            """Browsers ask for it without a cookie."""
            return JSONResponse(main.manifest(prefix=site.prefix), media_type="application/manifest+json")

    if logo:

        @router.api_route("/logo", methods=READ)
        async def picture() -> Response:
            return FileResponse(logo, headers={**PUBLIC, "Content-Security-Policy": "sandbox; default-src 'none'"})

    return router
