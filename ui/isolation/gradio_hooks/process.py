"""What the whole process needs, set before Blocks are built."""

import os
import re
import sys
import tempfile
from concurrent import futures
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from multiprocessing.util import get_temp_dir
from typing import Any

import gradio as gr
import gradio.mcp
import mcp.server.sse
from gradio import (
    blocks,
    caching,
    helpers,
    image_utils,
    processing_utils,
    queueing,
    route_utils,
    routes,
    screen_recording_utils,
    utils,
)
from gradio.blocks import Block
from gradio_client.snippet import generate_code_snippets  # type: ignore[import-untyped]

from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.caches import (
    cache_key,
    cache_keys,
    cache_prefix,
    drawings_here,
    examples_by_room,
    new_uuid,
)
from ui.isolation.gradio_hooks.files import RoomFiles, leave_addresses
from ui.isolation.gradio_hooks.mounted import root_url
from ui.isolation.gradio_hooks.properties import keep_properties
from ui.isolation.gradio_hooks.queue import EventQueue
from ui.isolation.gradio_hooks.running import Event, RoomFolder, SameRoomExecutor
from ui.isolation.gradio_hooks.scripts import keep_to_own_scripts

BODIES = (
    "PredictBody",
    "SimplePredictBody",
    "CancelBody",
    "ResetBody",
    "ComponentServerJSONBody",
    "ComponentServerBlobBody",
)
"""Gradio's models of a body that names a session, an event or a file."""
READERS = ((gr.Dataframe, "postprocess"), (gr.Label, "postprocess"), (image_utils, "extract_svg_content"))


class AppLater(routes.App):
    """Blocks make an app when they are put together and one more when they get a queue, in a tenth of a second each,
    and are served by another. So they make none until somebody asks for it.
    """

    @staticmethod
    def create_app(*args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        pass


def _app(made: gr.Blocks) -> routes.App:
    app: routes.App | None = vars(made).get("app")
    if app is None:
        app = made.app = routes.App.create_app(made, mcp_server=False)
    return app


def _agg(manager: type[AbstractContextManager[None]]) -> AbstractContextManager[None]:
    """Around an event, in which Matplotlib draws without a window. Gradio loads it for that, used or not."""
    return manager() if "matplotlib" in sys.modules else nullcontext()


@cache
def hooks() -> RoomFiles:
    """Those of this process, set when they are asked for first."""
    get_temp_dir()  # of multiprocessing: one for the process, and sockets in it must not have long paths
    files = RoomFiles()
    patch.everywhere(utils, "get_upload_folder", files.folder)
    for module in (gradio.mcp, screen_recording_utils):
        patch.everywhere(module, "DEFAULT_TEMP_DIR", RoomFolder(files.folder))
    patch.everywhere(futures, "ThreadPoolExecutor", SameRoomExecutor)
    patch.replace(blocks, "App", AppLater)
    gr.Blocks.app = property(_app, lambda made, app: vars(made).update(app=app))  # type: ignore[assignment]
    if os.environ.setdefault("MPLBACKEND", "agg") == "agg":
        patch.replace(utils, "MatplotlibBackendMananger", partial(_agg, utils.MatplotlibBackendMananger))
    patch.replace(tempfile, "gettempdir", files.temporary_folder)
    patch.always(Block, "GRADIO_CACHE", lambda block: files.folder())
    patch.always(routes.App, "uploaded_file_dir", lambda app: files.folder())
    patch.always(gr.ImageEditor, "blob_storage", drawings_here)
    leave_addresses()
    patch.replace(processing_utils, "_check_allowed", files.check_allowed)
    patch.replace(processing_utils, "check_all_files_in_cache", files.check_arguments)
    patch.replace(processing_utils, "async_ssrf_protected_get", files.fetch)
    for owner, reader in READERS:
        patch.replace(owner, reader, files.checking_names(getattr(owner, reader)))
    keep_to_own_scripts()
    keep_properties()
    patch.replace(processing_utils, "move_files_to_cache", files.move_files_to_cache)
    patch.replace(processing_utils, "async_move_files_to_cache", files.async_move_files_to_cache)
    for body in BODIES:
        patch.replace(routes, body, files.of_the_room(getattr(routes, body)))
    patch.replace(routes, "generate_code_snippets", snippets_with_token)
    patch.replace(queueing, "Event", Event)
    patch.replace(queueing, "EventQueue", EventQueue)
    patch.replace(caching._CacheStore, "_session_key", cache_key)
    patch.replace(caching._CacheStore, "_session_prefix", cache_prefix)
    patch.replace(caching._CacheStore, "keys", cache_keys)
    patch.replace(helpers.Examples, "load_from_cache", examples_by_room(helpers.Examples.load_from_cache))
    patch.replace(mcp.server.sse, "uuid4", new_uuid)
    patch.replace(routes, "attach_oauth", lambda app: None)
    patch.replace(route_utils, "get_root_url", root_url)
    return files


def snippets_with_token(*args: Any, **kwargs: Any) -> dict[str, str]:
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
