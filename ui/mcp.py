"""The Blocks' functions as MCP tools. Gradio's own server, with a bridge to the queue that acts as its caller."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import gradio as gr
from gradio_client import Client

from auth import Settings, identity_of

if TYPE_CHECKING:
    from gradio.mcp import GradioMCPServer

CLIENTS_AT_MOST = 64


class CallerClients:
    """Gives Gradio's MCP server, for each call, a client of the caller's own.

    Left alone, the server makes one client for all: it has no credentials, it goes to the address that the first
    caller's Host header names, and it carries this machine's Hugging Face token. This one goes to this process, with
    what the caller came with and nothing else.

    Args:
        server: its `_get_or_create_client` is private to Gradio; there is no public place for a client.
        address: of this process, as it is reached from itself.
    """

    def __init__(self, server: GradioMCPServer, address: str) -> None:
        self._server = server
        self._address = address
        self._lock = threading.Lock()
        self._clients: OrderedDict[tuple[str, ...], Client] = OrderedDict()

    def __call__(self) -> Client:
        request = self._server.mcp_server.request_context.request
        assert request is not None
        credentials = {name: request.headers[name] for name in ("authorization", "cookie") if name in request.headers}
        caller = (identity_of(request).identity, *credentials.values())
        with self._lock:
            if client := self._clients.get(caller):
                self._clients.move_to_end(caller)
                return client
        client = Client(
            self._address,
            token=False,  # type: ignore[arg-type]  # none, not the one that is saved on this machine
            headers={"x-gradio-user": "mcp", **credentials},
            download_files=False,
            verbose=False,
            analytics_enabled=False,
            _skip_components=False,
        )
        with self._lock:
            self._clients[caller] = client
            oldest = self._clients.popitem(last=False)[1] if len(self._clients) > CLIENTS_AT_MOST else None
        if oldest:
            oldest.close()
        return client


def bind_mcp(blocks: gr.Blocks, settings: Settings) -> None:
    """Have the Blocks' MCP server call the queue as its callers."""
    if blocks.mcp_error:
        raise RuntimeError(blocks.mcp_error)
    assert blocks.mcp_server_obj is not None
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    clients = CallerClients(blocks.mcp_server_obj, f"http://{host}:{settings.port}/gradio/")
    blocks.mcp_server_obj._get_or_create_client = clients  # type: ignore[method-assign]
