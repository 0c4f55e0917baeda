"""Each argument of `Blocks()` and of `launch()`: used here, or what this host has in its place."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import gradio as gr

from auth import Settings
from ui.isolation import limit_threads, moved_argument

USED = "used"
NOTHING = "has no meaning here"
MOVED = ("theme", "css", "css_paths", "js", "head", "head_paths")
"""Arguments of `launch()` that `Blocks()` still takes, as up to Gradio 5."""
MOUNTED = (
    *MOVED,
    *("footer_links", "i18n", "pwa", "allowed_paths", "blocked_paths", "max_file_size", "show_error", "app_kwargs"),
)
"""Those that `gr.mount_gradio_app` takes."""
LAUNCH: Mapping[str, str] = {
    **dict.fromkeys(
        (*MOUNTED, "favicon_path", "max_threads", "state_session_capacity", "mcp_server", "prevent_thread_lock"), USED
    ),
    **dict.fromkeys(("server_name", "node_server_name"), "set HOST"),
    **dict.fromkeys(("server_port", "node_port"), "set PORT"),
    **dict.fromkeys(("share", "root_path"), "set PUBLIC_URL, and a proxy in front that passes on what is sent there"),
    **dict.fromkeys(
        ("ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_verify"),
        "set PUBLIC_URL to an https address, and a proxy in front that has the certificate",
    ),
    **dict.fromkeys(("auth", "auth_dependency"), "people sign in with GOOGLE_CLIENT_ID or PROVIDERS"),
    "auth_message": "set APP_TITLE, which the sign-in page shows",
    "enable_monitoring": "everybody who is in could read Gradio's page; the log has what was refused",
    "run_history": "a browser would keep it for whoever signs in next",
    "ssr_mode": "it would listen on a port of its own",
    "num_workers": "they would listen on ports of their own; start several replicas, with REDIS_URL",
    "strict_cors": "set PUBLIC_URL: other sites' pages are refused",
    **dict.fromkeys(("share_server_address", "share_server_protocol", "share_server_tls_certificate"), NOTHING),
    **dict.fromkeys(("inbrowser", "inline", "height", "width", "debug", "quiet", "_app", "_frontend"), NOTHING),
}
"""By argument: `USED`, or what to do in its place."""
BLOCKS: Mapping[str, str] = {
    **dict.fromkeys(("fill_height", "fill_width", "delete_cache", *MOVED), USED),
    "title": f"{USED}; APP_TITLE where there is none",
    "analytics_enabled": f"{USED}; off where nothing is said",
    "mode": NOTHING,
}
FOOTER = ["api", "settings"]
"""Gradio's own links, but for the one that leads elsewhere."""
OF_THE_MOUNT = {"root_path", "debug"}
"""Members of `app_kwargs` that Gradio or the mount sets itself."""
TITLE_AT_MOST = 80
"""Characters, as of APP_TITLE."""
SIGNATURE = signature(gr.Blocks.launch)


@dataclass(frozen=True, kw_only=True)
class Main:
    """The app, and how it is to be served.

    Attributes:
        launched: the arguments given to `launch()`, by name.
    """

    blocks: gr.Blocks
    launched: Mapping[str, Any]

    def of(self, name: str) -> Any:
        """The value of an argument of `launch()` that is used; its default where none is given."""
        value = self.launched.get(name)
        if value is None and name in MOVED:
            value = moved_argument(self.blocks, name)
        if value is None and name in ("allowed_paths", "blocked_paths"):
            value = [path.strip() for path in os.environ.get(f"GRADIO_{name.upper()}", "").split(",") if path.strip()]
        return SIGNATURE.parameters[name].default if value is None else value

    @cached_property
    def title(self) -> Any:
        """The app's own: text, or text in several languages; None where it has none."""
        return self.blocks.title if self.blocks.title != gr.Blocks().title else None

    def configured(self, settings: Settings) -> Settings:
        """`settings`, with what the app asks for itself."""
        asked: dict[str, Any] = {"mcp_server": settings.mcp_server or bool(self.of("mcp_server"))}
        if isinstance(self.title, str) and "app_title" not in settings.model_fields_set:
            asked["app_title"] = self.title[:TITLE_AT_MOST]
        return settings.model_copy(update=asked)

    def options(self, *, theme: gr.Theme, head: str) -> dict[str, Any]:
        """Options of `gr.mount_gradio_app`.

        Args:
            theme: for an app that has none.
            head: what every page has in front of the app's own.

        Raises:
            OSError: there is no such icon.
        """
        if icon := self.of("favicon_path"):
            Path(icon).open("rb").close()
        limit_threads(self.blocks, self.of("max_threads"))
        self.blocks.state_session_capacity = self.of("state_session_capacity")
        given = {name: self.of(name) for name in MOUNTED}
        app_kwargs = {name: value for name, value in (given["app_kwargs"] or {}).items() if name not in OF_THE_MOUNT}
        own = {
            "footer_links": FOOTER if given["footer_links"] is None else given["footer_links"],
            "pwa": bool(given["pwa"]),
            "app_kwargs": app_kwargs,
        }
        return {**given, **own, "theme": given["theme"] or theme, "head": head + (given["head"] or "")}

    def manifest(self, *, prefix: str) -> dict[str, Any]:
        """Of a web app that browsers offer to install (w3.org/TR/appmanifest).

        Args:
            prefix: the path of `PUBLIC_URL`, without a slash at its end.
        """
        picture = "favicon.ico" if self.of("favicon_path") else "login-demo/static/img/logo_nosize.svg"
        return {
            "name": self.blocks.title,
            "icons": [{"src": f"{prefix}/{picture}", "sizes": "any", "purpose": "any"}],
            "start_url": f"{prefix}/gradio/",
            "scope": f"{prefix}/",
            "display": "standalone",
        }

    def unused(self) -> Iterator[tuple[str, str]]:
        """Each argument that asks for what this host does not do, and what to do in its place."""
        for name, value in self.launched.items():
            if LAUNCH[name] != USED and value != SIGNATURE.parameters[name].default:
                yield name, LAUNCH[name]
        for name in OF_THE_MOUNT & (self.of("app_kwargs") or {}).keys():
            yield f"app_kwargs[{name!r}]", NOTHING
