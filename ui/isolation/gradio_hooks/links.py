"""Deep links."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import gradio as gr
import orjson
from gradio import routes, utils
from gradio.route_utils import create_url_safe_hash
from gradio_client.utils import is_file_obj, traverse  # type: ignore[import-untyped]

from ui.isolation.gradio_hooks.running import made
from ui.isolation.gradio_hooks.scripts import as_text, own_scripts
from ui.isolation.paths import is_in, real_path
from ui.isolation.rooms import Rooms, room_here


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

    components = [
        as_text(traverse(own_scripts.keep_alone(utils.safe_deepcopy(one)), published, is_file_obj))
        for one in states[session].components
    ]
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATETIME
    state = orjson.dumps(components, option=options, default=str)
    link = str(create_url_safe_hash(state))
    Path(made(os.path.join(rooms.links.folder, "deep_links", link)), "state.json").write_bytes(state)
    return link
