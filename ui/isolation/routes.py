"""What becomes of a request to each route that Gradio has. One that is not on this list is closed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount, compile_path


class Verdict(Enum):
    OPEN = auto()
    """Gradio answers."""
    PAGE = auto()
    """Gradio answers, and may show the state that a deep link names."""
    UPLOAD = auto()
    """Gradio answers; the body is files of any length."""
    MCP = auto()
    """Gradio answers a program that speaks the protocol; a browser that does not gets nothing."""
    SPACE = auto()
    """Gradio answers in a Space. Elsewhere it would sign people in with the account that this machine has."""
    FILE = auto()
    """The host answers in its place."""
    LINK = auto()
    """The host answers in its place, where the Blocks have a `gr.DeepLinkButton`."""
    CLOSED = auto()


JUDGED: Mapping[Verdict, str] = {
    Verdict.PAGE: """
        GET /   HEAD /   GET /config   GET /config/
        """,
    Verdict.OPEN: """
        GET /assets/{path:path}   GET /static/{path:path}   GET /svelte/{path:path}
        GET /favicon.ico   GET /theme.css   GET /robots.txt   GET /manifest.json   GET /pwa_icon   GET /pwa_icon/{size}
        GET /gradio_api/theme.css   GET /gradio_api/custom_component/{id}/{environment}/{type}/{file_name}
        GET /gradio_api/info   GET /gradio_api/info/   GET /gradio_api/openapi.json
        GET /gradio_api/app_id   GET /gradio_api/app_id/   GET /gradio_api/startup-events
        GET /gradio_api/user   GET /gradio_api/user/   GET /gradio_api/login_check   GET /gradio_api/login_check/
        POST /gradio_api/queue/join   GET /gradio_api/queue/data   GET /gradio_api/queue/status
        POST /gradio_api/cancel   POST /gradio_api/reset   POST /gradio_api/reset/
        GET /gradio_api/heartbeat/{session_hash}
        POST /gradio_api/run/{api_name}   POST /gradio_api/run/{api_name}/
        POST /gradio_api/api/{api_name}   POST /gradio_api/api/{api_name}/
        POST /gradio_api/call/v2/{api_name}   POST /gradio_api/call/v2/{api_name}/
        POST /gradio_api/call/{api_name}   POST /gradio_api/call/{api_name}/
        GET /gradio_api/call/v2/{api_name}/{event_id}   GET /gradio_api/call/{api_name}/{event_id}
        POST /gradio_api/component_server   POST /gradio_api/component_server/
        POST /gradio_api/stream/{event_id}   POST /gradio_api/stream/{event_id}/close
        GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
        GET /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
        GET /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file
        GET /gradio_api/upload_progress
        """,
    Verdict.UPLOAD: """
        POST /gradio_api/upload
        """,
    Verdict.MCP: """
        ANY /gradio_api/mcp/   ANY /gradio_api/mcp/messages/   GET /gradio_api/mcp/sse
        GET /gradio_api/mcp/schema   HEAD /gradio_api/mcp/schema   HEAD /gradio_api/mcp/sse
        """,
    Verdict.SPACE: """
        GET /login/huggingface   GET /login/callback   GET /logout
        """,
    Verdict.FILE: """
        GET /gradio_api/file={path_or_url:path}   HEAD /gradio_api/file={path_or_url:path}
        GET /gradio_api/file/{path:path}
        """,
    Verdict.LINK: """
        GET /gradio_api/deep_link
        """,
    # What asks other hosts, what is for developers, what decodes whatever it is sent, and what signs people in.
    Verdict.CLOSED: """
        GET /gradio_api/proxy={url_path:path}   HEAD /gradio_api/proxy={url_path:path}
        GET /gradio_api/runs   GET /gradio_api/runs/   POST /gradio_api/run-history/connect
        GET /gradio_api/run-history/buckets   GET /gradio_api/run-history/records
        GET /gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}
        POST /gradio_api/process_recording
        GET /monitoring   GET /monitoring/summary   GET /monitoring/{key}   GET /gradio_api/dev/reload
        GET /gradio_api/profiling/traces   GET /gradio_api/profiling/summary   POST /gradio_api/profiling/clear
        POST /gradio_api/vibe-edit   POST /gradio_api/vibe-edit/
        POST /gradio_api/undo-vibe-edit   POST /gradio_api/undo-vibe-edit/
        GET /gradio_api/vibe-code   GET /gradio_api/vibe-code/
        POST /gradio_api/vibe-code   POST /gradio_api/vibe-code/
        POST /gradio_api/vibe-starter-queries   POST /gradio_api/vibe-starter-queries/
        POST /login   POST /login/   GET /gradio_api/token   GET /gradio_api/token/
        GET /openapi.json   HEAD /openapi.json
        """,
}
NARROWED = {
    "/pwa_icon/{size}": "/pwa_icon/(192|512)",  # those that the manifest names: Gradio makes an icon of any size
    "/gradio_api/mcp/": "/gradio_api/mcp(/|/http|/http/)?",
    "/gradio_api/mcp/messages/": "/gradio_api/mcp/messages/",
}
"""Less than what the route would match."""


class Judge:
    """Args:
    pages: the paths of the Blocks' pages, without a slash at either end.
    """

    def __init__(self, pages: Iterable[str], *, in_space: bool) -> None:
        self._plain: dict[tuple[str, str], Verdict] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Verdict]] = []
        for verdict, routes in JUDGED.items():
            is_open = verdict is not Verdict.CLOSED and (in_space or verdict is not Verdict.SPACE)
            for method, path in zip(*[iter(routes.split())] * 2, strict=True) if is_open else ():
                if "{" not in path and path not in NARROWED:
                    self._plain[method, path] = verdict
                else:
                    pattern = NARROWED.get(path) or compile_path(path)[0].pattern
                    self._patterns.append((method, re.compile(pattern), verdict))
        for page in pages:
            self._plain["GET", f"/{page}"] = self._plain["GET", f"/{page}/"] = Verdict.PAGE

    def verdict(self, method: str, path: str) -> tuple[Verdict, re.Match[str] | None]:
        """And what the path names."""
        if verdict := self._plain.get((method, path)):
            return verdict, None
        for its_method, pattern, verdict in self._patterns:
            if its_method in (method, "ANY") and (match := pattern.fullmatch(path)):
                return verdict, match
        return Verdict.CLOSED, None


def leaves(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Every route there is, as it stands in `JUDGED`; "ANY" where what is mounted has no routes of its own."""
    for route in iter_route_contexts(list(routes)):
        path = prefix + (route.path or "")
        mounted = route.original_route if isinstance(route.original_route, Mount) else None
        if mounted and mounted.routes:
            yield from leaves(mounted.routes, path)
        elif mounted:
            yield f"ANY {path}/"
        else:
            for method in route.methods or ("ANY",):
                yield f"{method} {path}"
