"""What is kept by room: `gr.cache` and `gr.Cache`, outputs of examples, drawings, names of MCP sessions."""

from collections import defaultdict
from collections.abc import Callable
from copy import copy
from functools import partial, wraps
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import gradio as gr
from gradio import caching, utils

from ui.isolation.rooms import room_here

DRAWINGS_AT_MOST = 20
"""Of one person, which an ImageEditor was sent and no event has used."""


def cache_prefix(store: caching._CacheStore, session_hash: str | None = None) -> str:
    """Code of nobody's finds nothing again, not even what it kept itself."""
    room = room_here()
    session = f"{session_hash or caching._get_session_hash()}:" if store._per_session else ""
    return f"{room.name if room else uuid4()}:{session}"


def cache_key(store: caching._CacheStore, key_hash: str) -> str:
    return f"{cache_prefix(store)}{key_hash}"


def cache_keys(store: caching._CacheStore) -> list[Any]:
    prefix = cache_prefix(store)
    with store._lock:
        return [entry.get("_key") for key, entry in store._exact.items() if key.startswith(prefix)]


def examples_by_room(load: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """For what reads an example's outputs: made at its first use, they are of whoever used it first."""

    @wraps(load)
    def load_from_cache(examples: Any, *args: Any) -> list[Any]:
        room = room_here()
        if room and examples.cache_examples == "lazy":
            run = vars(examples).setdefault("_run", uuid4().hex)  # another start may come with another function
            examples = copy(examples)
            examples.cache_logger = copy(examples.cache_logger)
            examples.cached_folder = Path(room.folder, "examples", run)
            examples.cached_file = examples.cached_folder / "log.csv"
            examples.cached_indices_file = examples.cached_folder / "indices.csv"
        return load(examples, *args)

    return load_from_cache


def drawings_here(editor: gr.ImageEditor) -> Any:
    """Those of the room that the code is in, for one component."""
    room = room_here()
    rooms = editor.__dict__.setdefault("_drawings", defaultdict(partial(utils.LRUCache, DRAWINGS_AT_MOST)))
    return rooms[room.name if room else ""]


def new_uuid() -> UUID:
    room = room_here()
    return room.new_uuid() if room and room.is_of_identity else uuid4()
