"""All that is private to Gradio: what it writes, reads, names and runs, it does in the room of whom it does it for.

`hooks` sets what the process needs, before Blocks are built; `isolate_events` adds what one mounted app needs.
"""

import asyncio
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.util import get_temp_dir
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated, Any, NoReturn, get_type_hints
from urllib.parse import quote
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import gradio as gr
import mcp.server.sse
import orjson
from anyio.to_thread import run_sync
from fastapi.routing import _IncludedRouter
from gradio import caching, image_utils, processing_utils, queueing, route_utils, routes, utils
from gradio.blocks import Block, BlocksConfig
from gradio.components.chatbot import ComponentMessage
from gradio.context import LocalContext, get_blocks_context
from gradio.data_classes import DataWithFiles, _StaticFiles
from gradio.exceptions import InvalidPathError
from gradio.route_utils import create_url_safe_hash
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from gradio_client.snippet import generate_code_snippets  # type: ignore[import-untyped]
from gradio_client.utils import is_file_obj, is_http_url_like, traverse  # type: ignore[import-untyped]
from jinja2 import FunctionLoader
from pydantic import AfterValidator, BaseModel, create_model
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import AuthError, BodyTooLarge, NotFound
from auth.events import about_request
from auth.identity import Identity, identity_in
from ui.isolation.limits import Limits, SessionTable
from ui.isolation.rooms import Rooms, is_in, room_here

PAGE = "frontend/index.html"
SCRIPT_TAG = re.compile(r"<script(?=[\s>])")
BODIES = (
    "PredictBody",
    "SimplePredictBody",
    "CancelBody",
    "ResetBody",
    "ComponentServerJSONBody",
    "ComponentServerBlobBody",
)
"""Gradio's models of a body that names a session, an event or a file."""
FILES_AT_MOST = 2_000
"""In one call's arguments."""
DRAWINGS_AT_MOST = 20
"""Of one person, which an ImageEditor was sent and no event has used."""
LAYERS_AT_MOST = 100
PATH_CHARACTERS = 4096
READERS = ((gr.Dataframe, "postprocess"), (gr.Label, "postprocess"), (image_utils, "extract_svg_content"))
NOT_READ = "Addresses are not fetched here, nor files read that are not yours. Please upload the file."
SCRIPTS = {"js_on_load": "", "html_template": "${value}", "css_template": "", "head": ""}
"""Properties of a component that a browser runs, and as they are where there is nothing to run."""
SCRIPTS_AT_MOST = 10_000
SESSIONS_IN_ALL = 20_000
TURN_SECONDS = 60.0
RESTART_SECONDS = 1.0
SWEEP_SECONDS = 3600.0

log = logging.getLogger("auth")


# -- whom the running code works for -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """An event, or a call of a function that waits for no turn.

    Attributes:
        since: when it began, in epoch seconds.
        sent: the arguments that its caller wrote; not those that are chosen from what a component offers.
    """

    since: float
    sent: tuple[Any, ...] = ()


_call: ContextVar[Call | None] = ContextVar("call", default=None)


class RoomFolder(os.PathLike[str]):
    """Stands where Gradio has its folder in a constant."""

    def __init__(self, folder: Callable[[], str]) -> None:
        self._folder = folder

    def __fspath__(self) -> str:
        return self._folder()

    __str__ = __fspath__


class SameRoomExecutor(ThreadPoolExecutor):
    """Its threads work in the room that they are sent from."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(copy_context().run, fn, *args, **kwargs)


class Event(queueing.Event):
    """An event whose name says whose it is."""

    def __init__(self, session_hash: str | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(session_hash, *args, **kwargs)
        self.room = room_here()
        self._id = str(named(self._id))
        self.session_hash = session_hash or self._id


def named(name: str | None) -> str | None:
    """What a session, an event or an upload that a request names is called in the room that it is made in."""
    room = room_here()
    return room.named(name) if room else name


# -- files -----------------------------------------------------------------------------------------------------------


class Hooks:
    """What stands in the place of Gradio's own in this process.

    Attributes:
        root: the folder that all rooms lie in, and whatever else Gradio has ever kept.
        assets: files in `root` that are in nobody's room and stand on a page that everybody sees.
    """

    def __init__(self) -> None:
        self.root = os.path.realpath(utils.get_upload_folder())
        self.assets: set[str] = set()
        self._gettempdir = tempfile.gettempdir
        self._check_allowed = processing_utils._check_allowed
        self._fetch = processing_utils.async_ssrf_protected_get
        self._move = processing_utils.move_files_to_cache
        self._move_async = processing_utils.async_move_files_to_cache

    def set(self) -> None:
        get_temp_dir()  # of multiprocessing: one for the process, and sockets in it must not have long paths
        replaced = {
            "get_upload_folder": self.folder,
            "DEFAULT_TEMP_DIR": RoomFolder(self.folder),
            "ThreadPoolExecutor": SameRoomExecutor,
        }
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] == "gradio":
                for attribute in replaced.keys() & vars(module).keys():
                    _replace(module, attribute, replaced[attribute])
        _replace(tempfile, "gettempdir", self.temporary_folder)
        _always(Block, "GRADIO_CACHE", lambda block: self.folder())
        _always(routes.App, "uploaded_file_dir", lambda app: self.folder())
        _always(gr.ImageEditor, "blob_storage", _drawings)
        _leave_addresses()
        _replace(processing_utils, "_check_allowed", self.check_allowed)
        _replace(processing_utils, "check_all_files_in_cache", self.check_arguments)
        _replace(processing_utils, "async_ssrf_protected_get", self.fetch)
        for owner, reader in READERS:
            _replace(owner, reader, self._checking_names(getattr(owner, reader)))
        _keep_to_own_scripts()
        _replace(processing_utils, "move_files_to_cache", self.move_files_to_cache)
        _replace(processing_utils, "async_move_files_to_cache", self.async_move_files_to_cache)
        for body in BODIES:
            _replace(routes, body, self._of_the_room(getattr(routes, body)))
        _replace(routes, "generate_code_snippets", _snippets_with_token)
        _replace(queueing, "Event", Event)
        _replace(caching._CacheStore, "_session_key", _cache_key)
        _replace(caching._CacheStore, "_session_prefix", _cache_prefix)
        _replace(caching._CacheStore, "keys", _cache_keys)
        _replace(mcp.server.sse, "uuid4", _new_uuid)
        _replace(routes, "attach_oauth", lambda app: None)

    def folder(self) -> str:
        """Where Gradio keeps files for whom the code runs for. Without an identity, nobody reads what lies there."""
        room = room_here()
        return _made(room.folder if room else os.path.join(self.root, "nobody"))

    def temporary_folder(self) -> str:
        """Python's, so that what a function leaves there is not to be had by others who know its name."""
        room = room_here()
        return _made(os.path.join(room.folder, "tmp")) if room and room.is_of_identity else self._gettempdir()

    def is_open(self, path: str) -> bool:
        """An argument may name this path in the room that the code is in: a file there, an asset, or nothing at all."""
        try:
            places = [real_path(path)]
            if ".." in path:  # the system follows a link before it, Gradio after it
                places.append(os.path.realpath(path))
        except ValueError:
            return False
        return utils.is_static_file(path) or all(
            self._is_kept(place) if is_in(place, self.root) else not os.path.exists(place) for place in places
        )

    def _is_kept(self, place: str) -> bool:
        """Of what lies in `root`: for the room that the code is in, or for everybody."""
        room = room_here()
        return (room is not None and room.may_read(place)) or place in self.assets

    def check_arguments(self, data: Any) -> Any:
        """`data` as it is. Every object in it that has a `path`, with Gradio's mark or without, names an open file.

        Raises:
            NotFound, BodyTooLarge
        """
        paths: set[str] = set()
        if isinstance(data, DataWithFiles):
            fields = data.data if isinstance(data.data, dict) else {}
            if str(fields.get("index", "")).isdigit() and int(fields["index"]) >= LAYERS_AT_MOST:
                raise BodyTooLarge(f"more than {LAYERS_AT_MOST} layers in a drawing")  # Gradio makes room for each
        for node in nodes(data.data if isinstance(data, DataWithFiles) else data):
            if isinstance(node, dict) and "update" in str(node.get("__type__")):
                raise NotFound("properties of a component, which functions alone change")
            if isinstance(node, dict) and isinstance(path := node.get("path"), str) and not is_http_url_like(path):
                paths.add(path)
                if len(paths) > FILES_AT_MOST:
                    raise BodyTooLarge(f"more than {FILES_AT_MOST} files in one call")
        for path in paths:
            if path and not self.is_open(path):
                raise NotFound("another's file")
        return data

    def check_allowed(self, path: str | Path, check_in_upload_folder: bool) -> None:
        """In place of Gradio's.

        Args:
            check_in_upload_folder: an argument names the file, and not what a function returned.

        Raises:
            InvalidPathError
        """
        place = real_path(str(path))
        blocks = LocalContext.blocks.get(None)
        room = room_here()
        is_building = (blocks is None or not blocks.has_launched) and not (room and room.is_of_identity)
        if is_in(place, self.root):
            if not is_building and not self._is_kept(place):
                raise InvalidPathError(f"Cannot move {path} to the gradio cache dir.")
            return
        in_temp = is_in(place, os.path.realpath(self._gettempdir()))  # Gradio asks for the room's own
        if check_in_upload_folder or not in_temp:
            self._check_allowed(path, check_in_upload_folder)
        if is_building or blocks is None or is_listed(place, blocks.allowed_paths):
            return
        call = _call.get()
        was_there = call and os.path.exists(place) and os.stat(place).st_ctime < call.since  # a stream is no file
        is_callers = call and was_there and _is_sent(str(path), place, call.sent)
        is_systems = not in_temp and os.path.realpath(os.getcwd()) == os.sep
        if is_callers or is_systems or is_listed(place, blocks.blocked_paths):
            raise InvalidPathError(f"Cannot move {path}: not the app, but its caller, chose it. See allowed_paths.")

    # What a component that is none of files shows may be what came in, so files in it count as if they came in.

    def move_files_to_cache(
        self, data: Any, block: Block, postprocess: bool = False, check_in_upload_folder: bool = False, **more: Any
    ) -> Any:
        return self._move(data, block, postprocess, check_in_upload_folder or not _shows_files(block), **more)

    async def async_move_files_to_cache(
        self, data: Any, block: Block, postprocess: bool = False, check_in_upload_folder: bool = False, **more: Any
    ) -> Any:
        strict = check_in_upload_folder or not _shows_files(block)
        return await self._move_async(data, block, postprocess, strict, **more)

    def _checking_names(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """For what reads, of a function's result, the file or the address that a text names: not one of its caller's
        choosing, but a file of theirs.
        """

        def checked(*args: Any) -> Any:
            name, call = args[-1], _call.get()
            if isinstance(name, str) and len(name) < PATH_CHARACTERS and "\0" not in name:
                place = real_path(name)
                is_in_root = is_in(place, self.root)
                is_something = "://" in name or os.path.exists(place)
                is_callers = is_something and not is_in_root and call and _is_sent(name, place, call.sent)
                if is_callers or (is_in_root and not self._is_kept(place)):
                    raise gr.Error(NOT_READ, print_exception=False)
            return read(*args)

        return checked

    async def fetch(self, url: str) -> Any:
        """In place of Gradio's one function that asks other hosts on behalf of components."""
        room, call = room_here(), _call.get()
        if room and room.is_of_identity and (call is None or _is_sent(url, None, call.sent)):
            raise gr.Error(NOT_READ, print_exception=False)
        return await self._fetch(url)

    def _of_the_room(self, model: type[BaseModel]) -> type[BaseModel]:
        """The same model, whose sessions and events are called as in the caller's room, and whose files are open."""
        checks: dict[str, Callable[[Any], Any]] = {
            "session_hash": named,
            "event_id": named,
            "data": self.check_arguments,
            "event_data": self.check_arguments,
        }
        fields: dict[str, Any] = {
            name: (Annotated[kind, AfterValidator(checks[name])], model.model_fields[name])
            for name, kind in get_type_hints(model).items()
            if name in checks
        }
        return create_model(model.__name__, __base__=model, __module__=model.__module__, **fields)


@cache
def hooks() -> Hooks:
    """Those of this process, set when they are asked for first."""
    made = Hooks()
    made.set()
    return made


def real_path(path: str) -> str:
    """As Gradio reads it: `..` is taken out before links are followed.

    Raises:
        ValueError: no file system has such a path.
    """
    place = os.path.abspath(path)
    if len(place) > PATH_CHARACTERS:
        raise ValueError("too long for a path")
    return os.path.realpath(place)


def is_listed(place: str, folders: Any) -> bool:
    """A real path is one of these files, or in one of these folders."""
    return any(is_in(place, real_path(str(folder))) for folder in folders)


def nodes(document: object) -> Iterator[str | dict[str, Any]]:
    """Every text and every object in a JSON document: itself, values of members, items."""
    rest = [document]
    while rest:
        node = rest.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield node
            rest += node.values()
        elif isinstance(node, (list, tuple)):
            rest += node


def _is_sent(name: str, place: str | None, sent: tuple[Any, ...]) -> bool:
    """A caller wrote this path or address, by itself or in a text of JSON."""
    quoted = json.dumps(name)
    for text in nodes(sent):
        if isinstance(text, str):
            if text == name or quoted in text:
                return True
            is_path = len(text) < PATH_CHARACTERS and "\0" not in text
            if place and is_path and os.path.basename(place) in text and real_path(text) == place:
                return True
    return False


def _snippets_with_token(*args: Any, **kwargs: Any) -> dict[str, str]:
    """How a program calls a function: with a token, for without one nothing here answers it."""
    made = generate_code_snippets(*args, **kwargs)
    python = r'\1, headers={"Authorization": "Bearer TOKEN"})'
    javascript = r'\1, { headers: { Authorization: "Bearer TOKEN" } })'
    return {
        **made,
        "python": re.sub(r'(Client\("[^"]*")\)', python, made["python"]),
        "javascript": re.sub(r'(Client\.connect\("[^"]*")\)', javascript, made["javascript"]),
        "bash": made["bash"].replace("curl ", 'curl -H "Authorization: Bearer TOKEN" '),
    }


def _shows_files(block: Block) -> bool:
    model = getattr(block, "data_model", None)
    return model is not None and _has_file_data(model)


@cache
def _has_file_data(model: type[BaseModel]) -> bool:
    return "gradio.FileData" in json.dumps(model.model_json_schema(), default=str)


def _leave_addresses() -> None:
    """What lies elsewhere is not fetched for a component that shows it without its content."""
    move, move_async = Block.move_resource_to_block_cache, Block.async_move_resource_to_block_cache

    def moved(block: Block, path: Any) -> Any:
        return move(block, path) if _fetches(block, path) else path

    async def moved_async(block: Block, path: Any) -> Any:
        return await move_async(block, path) if _fetches(block, path) else path

    _replace(Block, "move_resource_to_block_cache", moved)
    _replace(Block, "async_move_resource_to_block_cache", moved_async)


def _keep_to_own_scripts() -> None:
    """A component in a chat comes back with the chat's history, and whoever sends that may have written it. It is built
    without arguments of theirs, and what of it runs in a browser stays if the app has shown it before.
    """
    preprocess, postprocess = gr.Chatbot._preprocess_content, gr.Chatbot._postprocess_content
    shown: Any = utils.LRUCache(SCRIPTS_AT_MOST)

    def known(props: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: text if isinstance(text := props.get(name), str) and text in shown else SCRIPTS[name]
            for name in SCRIPTS.keys() & props.keys()
        }
        return {**props, **kept}

    def preprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        if isinstance(message, ComponentMessage):
            message = message.model_copy(update={"constructor_args": {}, "props": known(message.props)})
        return preprocess(chatbot, message)

    def postprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        made = postprocess(chatbot, message)
        if isinstance(made, ComponentMessage) and isinstance(message, Block):
            shown.update({text: None for name in SCRIPTS if isinstance(text := made.props.get(name), str)})
        elif isinstance(made, ComponentMessage):
            made.props = known(made.props)
        return made

    _replace(gr.Chatbot, "_preprocess_content", preprocessed)
    _replace(gr.Chatbot, "_postprocess_content", postprocessed)


def _fetches(block: Block, path: Any) -> bool:
    return not is_http_url_like(path) or (_shows_files(block) and not isinstance(block, gr.Chatbot))


def _replace(owner: Any, name: str, value: object) -> None:
    """Raises: AttributeError: Gradio has nothing of that name."""
    getattr(owner, name)
    setattr(owner, name, value)


def _always(kind: type, name: str, value: Callable[[Any], Any]) -> None:
    """An attribute that no instance can have another value of."""
    setattr(kind, name, property(value, lambda instance, ignored: None))


def _made(folder: str) -> str:
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def _new_uuid() -> UUID:
    room = room_here()
    return room.new_uuid() if room and room.is_of_identity else uuid4()


def _drawings(editor: gr.ImageEditor) -> Any:
    """Those of the room that the code is in, for one component."""
    room = room_here()
    rooms = editor.__dict__.setdefault("_drawings", defaultdict(partial(utils.LRUCache, DRAWINGS_AT_MOST)))
    return rooms[room.name if room else ""]


# -- what gr.cache and gr.Cache keep ---------------------------------------------------------------------------------


def _cache_prefix(store: caching._CacheStore, session_hash: str | None = None) -> str:
    """Code of nobody's finds nothing again, not even what it kept itself."""
    room = room_here()
    session = f"{session_hash or caching._get_session_hash()}:" if store._per_session else ""
    return f"{room.name if room else uuid4()}:{session}"


def _cache_key(store: caching._CacheStore, key_hash: str) -> str:
    return f"{_cache_prefix(store)}{key_hash}"


def _cache_keys(store: caching._CacheStore) -> list[Any]:
    prefix = _cache_prefix(store)
    with store._lock:
        return [entry.get("_key") for key, entry in store._exact.items() if key.startswith(prefix)]


# -- one mounted app -------------------------------------------------------------------------------------------------


class RoomQueue(queueing.Queue):
    """Gradio's queue, in which nobody takes another's turn, and which goes on after a fault."""

    limits: Limits
    is_still_valid: Callable[[Any], bool]
    sweeping: asyncio.Task[None]

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        room = room_here()
        self.limits.check_events(sum(event.room == room for event in self._events()))
        joined, event_id, state = await super().push(body, request, username)
        if (event := self.event_ids_to_events.get(str(event_id))) and event not in self._events():
            del self.event_ids_to_events[event._id]  # gr.cache had its outputs, and Gradio would keep it for ever
        return joined, event_id, state

    def is_idle(self, session: str) -> bool:
        return all(event.session_hash != session for event in self._events())

    def _events(self) -> Iterator[Any]:
        """Those that wait, and those that run."""
        for queue in self.event_queue_per_concurrency_id.values():
            yield from queue.queue
        for job in self.active_jobs:
            yield from job or ()

    def get_events(self) -> tuple[list[Any], bool, str] | None:
        """What runs next. Of those who wait, who has the fewest events comes first, but nobody waits longer than
        `TURN_SECONDS` for that. A batch is of one room, and of one session where the function has a state.
        """
        waiting: list[Any] = [
            event
            for queue in self.event_queue_per_concurrency_id.values()
            if queue.concurrency_limit is None or queue.current_concurrency < queue.concurrency_limit
            for event in queue.queue
        ]
        jobs: list[Any] = [job for job in self.active_jobs if job]
        running = Counter(job[0].room for job in jobs)
        counts = running + Counter(event.room for event in waiting)
        overdue = time.monotonic() - TURN_SECONDS
        first = min(
            (event for event in waiting if running[event.room] < self.limits.running),
            key=lambda event: (event.enqueue_time > overdue and counts[event.room], event.enqueue_time),
            default=None,
        )
        if first is None:
            return None
        queue: list[Any] = self.event_queue_per_concurrency_id[first.concurrency_id].queue
        fn = first.fn
        has_state = any(block.stateful for block in (*fn.inputs, *fn.outputs))
        together = [
            event
            for event in queue
            if event.fn == fn
            and event.room == first.room
            and (not has_state or event.session_hash == first.session_hash)
        ]
        together.remove(first)
        events = [first, *together[: fn.max_batch_size - 1 if fn.batch else 0]]
        for event in events:
            queue.remove(event)
        return events, fn.batch, first.concurrency_id

    async def process_events(self, events: list[Any], *args: Any) -> None:
        """In their room, and only what is still somebody's to run: its turn may come after a sign-out."""
        for event in events:
            if not self.is_still_valid(event.request):
                output = {"error": "Your session ended before this event's turn came. Please sign in again."}
                self.send_message(event, ProcessCompletedMessage(output=output, success=False))
                event.alive = False
        _call.set(Call(time.time()))
        with events[0].room.entered():
            await super().process_events(events, *args)

    def send_message(self, event: Any, event_message: EventMessage) -> None:
        """A session that is gone is no fault: left alone, it would end the whole queue."""
        if event.session_hash in self.pending_messages_per_session:
            super().send_message(event, event_message)

    async def start_processing(self) -> None:
        try:
            await super().start_processing()
        except Exception:
            log.exception("the queue stopped")
        await asyncio.sleep(RESTART_SECONDS)
        log.error("the queue is started again")
        self.stopped = False
        self.start()  # type: ignore[no-untyped-call]

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Nothing: monitoring is off, and this takes longer with every event."""
        return {}


def isolate_events(app: routes.App, rooms: Rooms, *, limits: Limits, is_still_valid: Callable[[Any], bool]) -> None:
    """Have mounted Blocks run each event in its caller's room.

    Args:
        is_still_valid: of the request that an event came with: its caller's identity has not ended since.
    """
    blocks = app.get_blocks()
    queue: Any = blocks._queue
    queue.__class__ = RoomQueue
    queue.limits = limits
    queue.is_still_valid = is_still_valid
    queue.ANALYTICS_MAX_EVENTS = 1
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
        and not is_in(place, rooms.folder)
    }
    run, start = blocks.process_api, blocks.run_extra_startup_events

    async def process_api(block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        fn = blocks.fns[block_fn] if isinstance(block_fn, int) else block_fn
        free = [
            value for block, value in zip(fn.inputs, inputs, strict=False) if fn.batch or not _offers_choices(block)
        ]
        data = getattr(kwargs.get("event_data"), "_data", None)
        outer = _call.get()
        token = _call.set(Call(outer.since if outer else time.time(), (*free, data)))
        try:
            return await run(block_fn, inputs, *args, **kwargs)
        finally:
            _call.reset(token)

    async def run_extra_startup_events() -> None:
        with rooms.shared.entered():
            await start()  # type: ignore[no-untyped-call]
        queue.sweeping = asyncio.create_task(_sweep_hourly(rooms))

    _replace(blocks, "process_api", process_api)
    _replace(blocks, "run_extra_startup_events", run_extra_startup_events)


def queue_lengths(app: routes.App) -> tuple[int, int]:
    """How many events wait, and how many run."""
    queue: Any = queue_of(app)
    waiting = sum(len(one.queue) for one in queue.event_queue_per_concurrency_id.values())
    return waiting, sum(len(job or ()) for job in queue.active_jobs)


def shorten_search(app: routes.App) -> None:
    """Have a request's route found sooner: Gradio includes a router of its own, which FastAPI looks through twice, and
    the routes of events come late in it.

    A route of one path alone can come first: one before it that matched the same path would always hide it.
    """
    flat: list[BaseRoute] = []
    for route in app.router.routes:
        flat += route.original_router.routes if isinstance(route, _IncludedRouter) else [route]
    app.router.routes[:] = sorted(flat, key=lambda route: not isinstance(route, Route) or "{" in route.path)


def queue_problem(app: routes.App) -> str | None:
    return "queue: it has stopped, and is started again" if app.get_blocks()._queue.stopped else None


async def _sweep_hourly(rooms: Rooms) -> None:
    while True:
        await run_sync(rooms.sweep, time.time())
        await asyncio.sleep(SWEEP_SECONDS)


def _offers_choices(block: Block) -> bool:
    if getattr(block, "choices", None) is not None:
        return not getattr(block, "allow_custom_value", False)
    return isinstance(block, gr.FileExplorer)


def is_in_space() -> bool:
    return utils.get_space() is not None


def has_deep_links(app: routes.App) -> bool:
    return any(isinstance(block, gr.DeepLinkButton) for block in app.get_blocks().blocks.values())


def make_deep_link(app: routes.App, rooms: Rooms, session: str) -> str:
    """The name of a link that shows a session's components; "" where there is no such session.

    The maker's files in it are copied to where everybody who is in may read them.
    """
    states, room, copies = app.state_holder, room_here(), os.path.join(rooms.shared.folder, "links", uuid4().hex)
    if session not in states or room is None:
        return ""

    def published(file: dict[str, Any]) -> dict[str, Any]:
        place = real_path(file["path"])
        if not is_in(place, room.folder) or not os.path.isfile(place):
            return file
        copy = os.path.join(copies, os.path.relpath(place, room.folder))
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        if not os.path.exists(copy):
            os.link(place, copy)
        url = str(file.get("url") or "").replace(quote(file["path"]), quote(copy))
        return {**file, "path": copy, "url": url}

    components = [traverse(utils.safe_deepcopy(one), published, is_file_obj) for one in states[session].components]
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME
    state = orjson.dumps(components, option=options, default=str)
    link = str(create_url_safe_hash(state))
    Path(_made(os.path.join(rooms.links.folder, "deep_links", link)), "state.json").write_bytes(state)
    return link


def served_folders(app: routes.App) -> tuple[list[Path], list[Path]]:
    """What the app's author opens to everybody who is in, and what nobody may read all the same."""
    blocks = app.get_blocks()
    opened = [*blocks.allowed_paths, *_StaticFiles.all_paths, utils.get_cache_folder()]
    return [Path(path) for path in opened], [Path(path) for path in blocks.blocked_paths]


def forget_upload(upload_id: str) -> None:
    """Gradio would keep a name for each upload whose progress was ever asked for."""
    routes.file_upload_statuses._signals.pop(upload_id, None)


# -- pages -----------------------------------------------------------------------------------------------------------


class PolicyPages(Jinja2Templates):
    """Gradio's templates, whose own scripts have a nonce that the page's policy names."""

    def __init__(self, templates: Jinja2Templates) -> None:
        loader: Any = templates.env.loader

        def with_nonces(name: str) -> str:
            source: str = loader.get_source(templates.env, name)[0]
            marked, scripts = SCRIPT_TAG.subn(r'\g<0> nonce="{{ nonce }}"', source)
            if not scripts:
                raise RuntimeError(f"Gradio {gr.__version__} makes its pages in another way than the versions tried.")
            return marked

        super().__init__(env=templates.env.overlay(loader=FunctionLoader(with_nonces)))
        self.get_template(PAGE)

    def TemplateResponse(self, request: Request, name: str, context: dict[str, Any]) -> Any:  # type: ignore[override]  # noqa: N802
        nonce = token_urlsafe(16)
        response = super().TemplateResponse(request, name, {**context, "nonce": nonce})
        if policy := getattr(request.app.state, "page_policy", None):  # else it is a Gradio app beside this one
            response.headers["Content-Security-Policy"] = policy(request.scope, nonce)
            response.headers["Cache-Control"] = "no-store"
        return response


def with_policy(app: routes.App, policy: Callable[[Scope, str], str]) -> None:
    """Have each page of mounted Blocks come with the policy that is made for its request and its scripts' nonce."""
    if not isinstance(routes.templates, PolicyPages):
        _replace(routes, "templates", PolicyPages(routes.templates))
    app.state.page_policy = policy


# -- what else the host has in the place of Gradio's own ---------------------------------------------------------------


def moved_argument(blocks: gr.Blocks, name: str) -> Any:
    """What was given to `Blocks()` of the arguments that moved to `launch()`; None where nothing was."""
    return getattr(blocks, f"_deprecated_{name}")


def limit_threads(blocks: gr.Blocks, threads: int) -> None:
    """As `launch(max_threads=)` does, which `gr.mount_gradio_app` has no argument for."""
    blocks.max_threads = threads
    _replace(blocks._queue, "max_thread_count", threads)


class OAuthInfo(dict[str, Any]):
    """What Gradio would keep of a sign-in with Hugging Face, made from who is signed in here."""

    def __init__(self, identity: Identity) -> None:
        userinfo = {
            "name": identity.display_name,
            "preferred_username": identity.username,
            "profile": "",
            "picture": identity.picture or "",
        }
        super().__init__(userinfo=userinfo, expires_at=identity.expires_at)

    def __missing__(self, name: str) -> NoReturn:
        """Of a `gr.OAuthToken`, which events in a `gr.render` may ask for, unseen at the start."""
        raise gr.Error("This app asks for your Hugging Face token, which there is none of here.")


class OAuthSession:
    """ASGI middleware behind the gate: `gr.OAuthProfile` and `gr.LoginButton` find who is signed in here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "session": {"oauth_info": OAuthInfo(identity_in(scope))}}
        await self._app(scope, receive, send)


def lead_to_sign_out(blocks: gr.Blocks, path: str) -> None:
    """A `gr.LoginButton`, which reads "Logout" for all who are in, leads to this path."""
    for function in blocks.fns.values():
        if isinstance(function.js, str):
            function.js = function.js.replace("'/logout?_target_url=", f"'{path}?_target_url=")


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

    _replace(blocks, "process_api", process_api)


# -- MCP -------------------------------------------------------------------------------------------------------------


def queue_of(app: routes.App) -> queueing.Queue:
    return app.get_blocks()._queue


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
    _replace(server, "blocks", UnquotedErrors(server.blocks))
    _replace(server, "_get_or_create_client", lambda: client_for(server.mcp_server.request_context.request))
    _replace(server, "_execute_tool_without_progress", outputs)


# -- what is kept for some -------------------------------------------------------------------------------------------


def blocks_here() -> BlocksConfig | None:
    """The Blocks that are put together here, or that are rendered for a session."""
    return get_blocks_context()


def id_of(made: Any) -> Any:
    return made._id


def miss_if_probing() -> None:
    """Raises: CacheMissError: Gradio only asks whether `gr.cache` has the answer already."""
    if caching._probe_mode_active.get():
        raise caching.CacheMissError


def run_events_by(app: routes.App, process_api: Callable[..., Any]) -> None:
    _replace(app.get_blocks(), "process_api", process_api)


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
    _replace(route_utils, "update_root_in_config", _shown_config)
    get_api_info = blocks.get_api_info

    def shown_api_info(all_endpoints: bool = False, page: str | None = None) -> Any:
        info = get_api_info(all_endpoints=all_endpoints, page=page)
        named = {name: one for name, one in info["named_endpoints"].items() if name not in hidden()}
        return {**info, "named_endpoints": named}

    _replace(blocks, "get_api_info", shown_api_info)
    if server := blocks.mcp_server_obj:

        def hidden_tools() -> set[str]:
            try:
                return hidden_from(server.mcp_server.request_context.request)
            except LookupError:  # outside of the protocol, such as the page with all schemas
                return hidden()

        server.tool_to_endpoint = tools = Tools(server.tool_to_endpoint)
        tools.hidden = hidden_tools
