"""Files: where Gradio keeps them, and which of them a call may name."""

import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import gradio as gr
from gradio import processing_utils, utils
from gradio.blocks import Block
from gradio.context import LocalContext
from gradio.data_classes import DataWithFiles
from gradio.exceptions import InvalidPathError
from gradio_client.utils import is_http_url_like  # type: ignore[import-untyped]
from pydantic import AfterValidator, BaseModel, create_model

from auth.errors import BodyTooLarge, NotFound
from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.properties import is_update
from ui.isolation.gradio_hooks.running import call_here, made, named, nodes
from ui.isolation.paths import PATH_CHARACTERS, is_in, is_listed, real_path
from ui.isolation.rooms import room_here

FILES_AT_MOST = 2_000
"""In one call's arguments."""
LAYERS_AT_MOST = 100
NOT_READ = "Addresses are not fetched here, nor files read that are not yours. Please upload the file."


class RoomFiles:
    """What stands in the place of Gradio's own reading and moving of files, in the whole process.

    Attributes:
        root: the folder that all rooms lie in, and whatever else Gradio has ever kept.
        assets: files in `root` that stand on a page that everybody sees.
    """

    def __init__(self) -> None:
        self.root = os.path.realpath(utils.get_upload_folder())
        self.assets: set[str] = set()
        self._gettempdir = tempfile.gettempdir
        self._check_allowed = processing_utils._check_allowed
        self._fetch = processing_utils.async_ssrf_protected_get
        self._move = processing_utils.move_files_to_cache
        self._move_async = processing_utils.async_move_files_to_cache

    def folder(self) -> str:
        """Where Gradio keeps files for whom the code runs for. Without an identity, nobody reads what lies there."""
        room = room_here()
        return made(room.folder if room else os.path.join(self.root, "nobody"))

    def temporary_folder(self) -> str:
        """Python's, so that what a function leaves there is not to be had by others who know its name."""
        room = room_here()
        return made(os.path.join(room.folder, "tmp")) if room and room.is_of_identity else self._gettempdir()

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
            if is_update(node):
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
        call = call_here.get()
        was_there = call and os.path.exists(place) and os.stat(place).st_ctime < call.since  # a stream is no file
        is_callers = call and was_there and call.names(str(path), place)
        is_systems = not in_temp and os.path.realpath(os.getcwd()) == os.sep
        if is_callers or is_systems or is_listed(place, blocks.blocked_paths):
            raise InvalidPathError(f"Cannot move {path}: not the app, but its caller, chose it. See allowed_paths.")

    # What a component that is none of files shows may be what came in, so files in it count as if they came in.

    def move_files_to_cache(
        self, data: Any, block: Block, postprocess: bool = False, check_in_upload_folder: bool = False, **more: Any
    ) -> Any:
        return self._move(data, block, postprocess, check_in_upload_folder or not shows_files(block), **more)

    async def async_move_files_to_cache(
        self, data: Any, block: Block, postprocess: bool = False, check_in_upload_folder: bool = False, **more: Any
    ) -> Any:
        strict = check_in_upload_folder or not shows_files(block)
        return await self._move_async(data, block, postprocess, strict, **more)

    def checking_names(self, read: Callable[..., Any]) -> Callable[..., Any]:
        """For what reads, of a function's result, the file or the address that a text names: not one of its caller's
        choosing, but a file of theirs.
        """

        def checked(*args: Any) -> Any:
            name, call = args[-1], call_here.get()
            if isinstance(name, str) and len(name) < PATH_CHARACTERS and "\0" not in name:
                place = real_path(name)
                is_in_root = is_in(place, self.root)
                is_something = "://" in name or os.path.exists(place)
                is_callers = is_something and not is_in_root and call and call.names(name, place)
                if is_callers or (is_in_root and not self._is_kept(place)):
                    raise gr.Error(NOT_READ, print_exception=False)
            return read(*args)

        return checked

    async def fetch(self, url: str) -> Any:
        """In place of Gradio's one function that asks other hosts on behalf of components."""
        room, call = room_here(), call_here.get()
        if room and room.is_of_identity and (call is None or call.names(url, None)):
            raise gr.Error(NOT_READ, print_exception=False)
        return await self._fetch(url)

    def of_the_room(self, model: type[BaseModel]) -> type[BaseModel]:
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


def shows_files(block: Block) -> bool:
    model = getattr(block, "data_model", None)
    return model is not None and _has_file_data(model)


@cache
def _has_file_data(model: type[BaseModel]) -> bool:
    return "gradio.FileData" in json.dumps(model.model_json_schema(), default=str)


def leave_addresses() -> None:
    """What lies elsewhere is not fetched for a component that shows it without its content."""
    move, move_async = Block.move_resource_to_block_cache, Block.async_move_resource_to_block_cache

    def moved(block: Block, path: Any) -> Any:
        return move(block, path) if _fetches(block, path) else path

    async def moved_async(block: Block, path: Any) -> Any:
        return await move_async(block, path) if _fetches(block, path) else path

    patch.replace(Block, "move_resource_to_block_cache", moved)
    patch.replace(Block, "async_move_resource_to_block_cache", moved_async)


def _fetches(block: Block, path: Any) -> bool:
    return not is_http_url_like(path) or (shows_files(block) and not isinstance(block, gr.Chatbot))
