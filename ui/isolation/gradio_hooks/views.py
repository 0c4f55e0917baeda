"""What mounted Blocks show, apart for those who may see something else."""

from collections.abc import Callable, Hashable
from copy import copy
from typing import Any
from weakref import WeakValueDictionary

from gradio import caching, route_utils, routes
from gradio.blocks import BlocksConfig
from gradio.context import get_blocks_context

from ui.isolation.gradio_hooks import patch


def blocks_here() -> BlocksConfig | None:
    """The Blocks that are put together here, or that are rendered for a session."""
    return get_blocks_context()


def id_of(made: Any) -> Any:
    return made._id


def miss_if_probing() -> None:
    """Raises: CacheMissError: Gradio only asks whether `gr.cache` has the answer already."""
    if caching._probe_mode_active.get():
        raise caching.CacheMissError


class ByView:
    """An attribute in which Gradio keeps what it worked out for everybody: apart for those who may see something else.

    Its first value, set before the Blocks are served, is nobody's.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, app: "ViewedApp", owner: type) -> Any:
        return app.views.setdefault((self._name, app.view()), copy(vars(app)[self._name]))

    def __set__(self, app: "ViewedApp", value: object) -> None:
        app.views[self._name, app.view()] = value


class ViewedApp(routes.App):
    """Gradio's app of Blocks that look different to some."""

    view: Callable[[], Hashable]
    views: dict[Any, Any]
    prune: Callable[[dict[str, Any]], None]
    api_info = ByView()
    all_app_info = ByView()
    page_api_info = ByView()


def view_of(app: routes.App) -> Hashable:
    """All who have the same see the same of mounted Blocks."""
    return app.view() if isinstance(app, ViewedApp) else None


class Tools(dict[str, str]):
    """The names of MCP tools and their endpoints, of which those are listed that are not hidden."""

    hidden: Callable[[], set[str]]

    def items(self) -> Any:
        hidden = self.hidden()
        return {tool: endpoint for tool, endpoint in super().items() if endpoint not in hidden}.items()

    def values(self) -> Any:
        return dict(self.items()).values()


_viewed: WeakValueDictionary[int, ViewedApp] = WeakValueDictionary()


_update_root_in_config = route_utils.update_root_in_config


def _shown_config(config: Any, root: str) -> Any:
    """In place of what Gradio does last to a page's configuration before it is sent."""
    if app := _viewed.get(config.get("app_id")):
        app.prune(config)
    return _update_root_in_config(config, root)


def show_by_view(
    app: routes.App,
    *,
    view: Callable[[], Hashable],
    prune: Callable[[dict[str, Any]], None],
    hidden: Callable[[], set[str]],
    hidden_from: Callable[[Any], set[str]],
) -> None:
    """Have mounted Blocks show to each caller what is for them.

    Args:
        view: of whoever calls just now; all who have the same see the same.
        prune: takes out of the configuration of the Blocks, or of one page, what they are not to see.
        hidden: the endpoints that they are not to see, such as "/greet".
        hidden_from: the same for who sent a request.
    """
    blocks = app.get_blocks()
    for name in ("api_info", "all_app_info", "page_api_info"):
        _ = vars(app)[name]
    app.__class__ = ViewedApp
    assert isinstance(app, ViewedApp)
    app.view, app.views, app.prune = view, {}, prune
    _viewed[blocks.app_id] = app
    patch.replace(route_utils, "update_root_in_config", _shown_config)
    get_api_info = blocks.get_api_info

    def shown_api_info(all_endpoints: bool = False, page: str | None = None) -> Any:
        info = get_api_info(all_endpoints=all_endpoints, page=page)
        named = {name: one for name, one in info["named_endpoints"].items() if name not in hidden()}
        return {**info, "named_endpoints": named}

    patch.replace(blocks, "get_api_info", shown_api_info)
    if server := blocks.mcp_server_obj:

        def hidden_tools() -> set[str]:
            try:
                return hidden_from(server.mcp_server.request_context.request)
            except LookupError:  # outside of the protocol, such as the page with all schemas
                return hidden()

        server.tool_to_endpoint = tools = Tools(server.tool_to_endpoint)
        tools.hidden = hidden_tools
