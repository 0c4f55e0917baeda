"""The MCP server of mounted Blocks."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio import routes
from starlette.requests import Request

from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.queue import queue_of


class UnquotedErrors:
    """Stands where the MCP server has its Blocks: of a `gr.Error` that server would tell the quotes too."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self._blocks = blocks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blocks, name)

    async def process_api(self, **call: Any) -> dict[str, Any]:
        try:
            return await self._blocks.process_api(**call)
        except gr.Error as error:
            raise RuntimeError(error.message) from None


def call_tools_by(app: routes.App, client_for: Callable[[Request], Any], outputs: Callable[..., Any]) -> None:
    """Have the MCP server of mounted Blocks call their functions in this process.

    Args:
        client_for: what a request has in place of the server's `gradio_client`.
        outputs: waits for a call that nobody watches.
    """
    server: Any = app.get_blocks().mcp_server_obj
    queue_of(app).set_server_app(app)
    patch.replace(server, "blocks", UnquotedErrors(server.blocks))
    patch.replace(server, "_get_or_create_client", lambda: client_for(server.mcp_server.request_context.request))
    patch.replace(server, "_execute_tool_without_progress", outputs)
