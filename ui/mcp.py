"""The Blocks' functions as MCP tools: Gradio's own server, whose calls join the queue in this process, as their caller.

Left alone, that server makes one `gradio_client` for all callers: it has no credentials, goes to the address that the
first caller's Host header names, carries this machine's Hugging Face token, and uploads any file of this machine that
an argument names. Here no request is made, so there is no address to move and nothing to send.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from anyio import CancelScope
from gradio.data_classes import PredictBodyInternal
from gradio.route_utils import API_PREFIX
from gradio.routes import App
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from gradio_client.utils import OutputUpdate, ServerMessage, Status, StatusUpdate  # type: ignore[import-untyped]
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from auth import identity_of
from ui.isolation import call_tools_by, queue_of

STATUS = {
    ServerMessage.estimation: Status.IN_QUEUE,
    ServerMessage.process_starts: Status.PROCESSING,
    ServerMessage.progress: Status.PROGRESS,
    ServerMessage.process_generating: Status.ITERATING,
}


class QueuedCall:
    """A queued event of one caller, with what Gradio's MCP server asks of a job of `gradio_client`."""

    def __init__(self, app: App, body: PredictBodyInternal) -> None:
        self._queue = queue_of(app)
        self._states = app.state_holder
        self._body = body

    async def __aiter__(self) -> AsyncIterator[StatusUpdate | OutputUpdate]:
        """How the event gets on, and at last its outputs; the event ends when nobody looks at it any more.

        Raises:
            RuntimeError: it failed; the reason is said where the function raised `gr.Error`.
        """
        request = self._body.request
        assert request is not None
        joined, told, _ = await self._queue.push(self._body, request, identity_of(request).identity)
        event = str(told)
        if not joined:
            raise RuntimeError(event)
        messages = self._queue.pending_messages_per_session[event]
        try:
            while not isinstance(message := await messages.get(), ProcessCompletedMessage):
                if message.msg in STATUS:
                    yield _status(message)
        finally:
            with CancelScope(shield=True):
                await self._queue.clean_events(session_hash=event)
            self._states.delete_state(event)
            for kept in (
                self._queue.pending_messages_per_session,
                self._queue.pending_event_ids_session,
                self._states.session_data,
                self._states.time_last_used,
            ):
                kept.pop(event, None)
        if not message.success:
            raise RuntimeError(message.output.get("error") or "The function failed.")
        yield OutputUpdate(outputs=message.output, success=True, final=True)

    def exception(self) -> None:
        """None: a fault is raised where the updates are read."""


class Caller:
    """Stands where Gradio's MCP server would have its client."""

    def __init__(self, app: App, request: Request) -> None:
        base = request.url.path.partition(f"{API_PREFIX}/mcp")[0]
        self._app = app
        self._request = Request({**request.scope, "path": f"{base}{API_PREFIX}/queue/join"})

    def submit(self, *inputs: Any, api_name: str, headers: object = None) -> QueuedCall:
        (index,) = (index for index, fn in self._app.get_blocks().fns.items() if f"/{fn.api_name}" == api_name)
        # Without a session of its own the event is given one that is told to nobody.
        return QueuedCall(self._app, PredictBodyInternal(data=list(inputs), fn_index=index, request=self._request))


class WithSlash:
    """ASGI app: the same address with a slash at its end, for clients that leave it out; a redirect loses their body's
    method, and its credentials."""

    def __init__(self, router: ASGIApp) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router({**scope, "path": f"{scope['path']}/"}, receive, send)


def bind_mcp(app: App) -> None:
    """Have the MCP server of mounted Blocks call the queue as its callers, and tell them no more than they need."""
    blocks = app.get_blocks()
    if blocks.mcp_error:
        raise RuntimeError(blocks.mcp_error)
    call_tools_by(app, partial(Caller, app), _outputs)
    app.router.routes.append(Route(f"{API_PREFIX}/mcp", WithSlash(app.router)))


async def _outputs(call: QueuedCall) -> list[Any]:
    """In place of Gradio's own, which waits in one of the threads that the functions need: 40 that wait stop them."""
    updates = [update async for update in call]
    outputs: list[Any] = updates[-1].outputs["data"]
    return outputs


def _status(message: EventMessage) -> StatusUpdate:
    return StatusUpdate(
        code=STATUS[message.msg],
        rank=getattr(message, "rank", None),
        queue_size=getattr(message, "queue_size", None),
        eta=getattr(message, "rank_eta", None),
        success=None,
        time=None,
        progress_data=getattr(message, "progress_data", None),
    )
