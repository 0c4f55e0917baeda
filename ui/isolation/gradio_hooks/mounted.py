"""What the host asks of a mounted app, and sets in it."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi.routing import APIRoute, _IncludedRouter
from gradio import route_utils, routes, utils
from gradio.data_classes import _StaticFiles
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from auth.errors import NotSignedIn
from ui.isolation.gradio_hooks import patch


def shorten_search(app: routes.App) -> None:
    """Have a request's route found sooner: Gradio has eighty, which FastAPI tries one by one, and includes a router of
    its own, which it looks through twice.

    Routes of one path alone can come first: one before them that matched the same path would always hide them.

    Nearly all routes depend on Gradio's `login_check`, which FastAPI would call in a thread.
    """
    flat: list[BaseRoute] = []
    for route in app.router.routes:
        flat += route.original_router.routes if isinstance(route, _IncludedRouter) else [route]
    exact = [route for route in flat if isinstance(route, Route) and "{" not in route.path]
    app.router.routes[:] = [ExactRoutes(exact), *(route for route in flat if route not in exact)]
    for dependency in (one for route in flat if isinstance(route, APIRoute) for one in route.dependant.dependencies):
        if getattr(dependency.call, "__name__", "") == "login_check":
            dependency.call = login_check


class ExactRoutes(BaseRoute):
    """Routes of one path alone, found by that path."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._at: defaultdict[str, list[Route]] = defaultdict(list)
        for route in routes:
            self._at[route.path].append(route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = [(*route.matches(scope), route) for route in self._at.get(get_route_path(scope), ())]
        match, matched, route = max(found, key=lambda one: one[0].value, default=(Match.NONE, {}, None))
        return match, {**matched, "exact_route": route}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["exact_route"].handle(scope, receive, send)


async def login_check(user: str | None) -> None:
    """As Gradio's own.

    Raises:
        NotSignedIn
    """
    if user is None:
        raise NotSignedIn("behind the gate, without an identity")


_get_root_url = route_utils.get_root_url


def root_url(request: Request, route_path: str, root_path: str | None) -> str:
    """As Gradio finds the address of mounted Blocks, which takes the request's address apart three times for it. Here
    the request has the app's own scheme and host by now.
    """
    if not root_path:  # a Gradio app beside this one
        return _get_root_url(request, route_path, root_path)
    return f"{request.scope['scheme']}://{request.headers['host']}{root_path}"


def served_folders(app: routes.App) -> tuple[list[Path], list[Path]]:
    """What the app's author opens to everybody who is in, and what nobody may read all the same."""
    blocks = app.get_blocks()
    opened = [*blocks.allowed_paths, *_StaticFiles.all_paths, utils.get_cache_folder()]
    return [Path(path) for path in opened], [Path(path) for path in blocks.blocked_paths]


def forget_upload(upload_id: str) -> None:
    """Gradio would keep a name for each upload whose progress was ever asked for."""
    routes.file_upload_statuses._signals.pop(upload_id, None)


def is_in_space() -> bool:
    return utils.get_space() is not None


def moved_argument(blocks: gr.Blocks, name: str) -> Any:
    """What was given to `Blocks()` of the arguments that moved to `launch()`; None where nothing was."""
    return getattr(blocks, f"_deprecated_{name}")


def limit_threads(blocks: gr.Blocks, threads: int) -> None:
    """As `launch(max_threads=)` does, which `gr.mount_gradio_app` has no argument for."""
    blocks.max_threads = threads
    patch.replace(blocks._queue, "max_thread_count", threads)
