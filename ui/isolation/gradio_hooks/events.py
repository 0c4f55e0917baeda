"""Events of one mounted app."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import gradio as gr
from anyio.to_thread import run_sync
from gradio import caching, routes
from gradio.blocks import Block

from auth.errors import AuthError, BodyTooLarge
from auth.events import about_request
from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.files import FILES_AT_MOST
from ui.isolation.gradio_hooks.process import hooks
from ui.isolation.gradio_hooks.properties import own_properties
from ui.isolation.gradio_hooks.queue import RoomQueue, has_state
from ui.isolation.gradio_hooks.running import Call, call_here, nodes, paths_in
from ui.isolation.limits import Limits, SessionTable
from ui.isolation.paths import is_in, real_path
from ui.isolation.rooms import Rooms

SESSIONS_IN_ALL = 20_000
SWEEP_SECONDS = 3600.0


def isolate_events(app: routes.App, rooms: Rooms, *, limits: Limits, is_still_valid: Callable[[Any], bool]) -> None:
    """Have mounted Blocks run each event in its caller's room.

    Args:
        is_still_valid: of the request that an event came with: its caller's identity has not ended since.
    """
    blocks = app.get_blocks()
    blocks.app = app  # the queue asks it for what an event's session holds, before the event's turn
    queue: Any = blocks._queue
    queue.__class__ = RoomQueue
    queue.limits = limits
    queue.is_still_valid = is_still_valid
    queue.ANALYTICS_MAX_EVENTS = 1
    queue.live_updates = False  # at every turn, everybody who waits would be told how many do; now each second
    queue.pending_messages_per_session = SessionTable(
        most=limits.sessions,
        in_all=SESSIONS_IN_ALL,
        is_idle=queue.is_idle,
        forget=lambda session: queue.pending_event_ids_session.pop(session, None),
    )
    states = app.state_holder
    states.session_data = SessionTable(
        most=limits.sessions,
        in_all=SESSIONS_IN_ALL,
        is_idle=queue.is_idle,
        forget=lambda session: states.time_last_used.pop(session, None),
    )
    app.startup_events_triggered = True  # or the first caller would start the queue a second time
    hooks().assets |= {
        place
        for node in nodes(blocks.config)
        if isinstance(node, dict)
        and isinstance(path := node.get("path"), str)
        and is_in(place := real_path(path), hooks().root)
    }
    run, start = blocks.process_api, blocks.run_extra_startup_events

    async def process_api(block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        fn = blocks.fns[block_fn] if isinstance(block_fn, int) else block_fn
        state: Any = kwargs.get("state") or {}
        shown = [block if block.stateful else state.get(block._id, block) for block in fn.inputs]
        inputs = [
            own_properties(block, value) if number in fn.component_prop_inputs and isinstance(value, dict) else value
            for number, (block, value) in enumerate(zip(shown, inputs, strict=False))
        ]
        is_checked = fn.preprocess and not fn.batch
        free = [
            value for block, value in zip(shown, inputs, strict=False) if not (is_checked and _offers_choices(block))
        ]
        data = getattr(kwargs.get("event_data"), "_data", None)
        outer = call_here.get()
        written: set[str] = vars(state).setdefault("written", set()) if state else set()
        token = call_here.set(Call(outer.since if outer else time.time(), (*free, data, tuple(written))))
        try:
            output = await run(block_fn, inputs, *args, **kwargs)
        finally:
            call_here.reset(token)
        if has_state(fn):
            written |= await run_sync(paths_in, free)
        if len(written) > FILES_AT_MOST:
            raise BodyTooLarge(f"more than {FILES_AT_MOST} paths in a session")
        return output

    async def run_extra_startup_events() -> None:
        with rooms.shared.entered():
            await start()  # type: ignore[no-untyped-call]
        queue.sweeping = asyncio.create_task(_sweep_hourly(rooms, keep_seconds=(blocks.delete_cache or (0, None))[1]))

    patch.replace(blocks, "process_api", process_api)
    patch.replace(blocks, "run_extra_startup_events", run_extra_startup_events)


async def _sweep_hourly(rooms: Rooms, *, keep_seconds: float | None) -> None:
    while True:
        await run_sync(partial(rooms.sweep, time.time(), keep_seconds=keep_seconds))
        await asyncio.sleep(SWEEP_SECONDS)


def _offers_choices(block: Block) -> bool:
    if getattr(block, "choices", None) is not None:
        return not getattr(block, "allow_custom_value", False)
    return isinstance(block, gr.FileExplorer)


def run_events_by(app: routes.App, process_api: Callable[..., Any]) -> None:
    patch.replace(app.get_blocks(), "process_api", process_api)


def hide_faults(blocks: gr.Blocks) -> None:
    """Whoever called a function that fails reads a sentence and an id, by which the log has the traceback."""
    run = blocks.process_api

    async def process_api(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return await run(*args, **kwargs)
        except (gr.Error, AuthError, caching.CacheMissError):
            raise
        except Exception as error:
            request: Any = kwargs.get("request")
            request = request[0] if isinstance(request, list) and request else request
            scope = getattr(getattr(request, "request", request), "scope", None)
            about = about_request(scope) if scope else {"request_id": uuid4().hex}
            logging.getLogger("app").exception("a function of the app failed", extra={"about": about})
            sentence = f"The app made a mistake. It has been logged as {about.get('request_id')}."
            raise gr.Error(sentence, print_exception=False) from error

    patch.replace(blocks, "process_api", process_api)
