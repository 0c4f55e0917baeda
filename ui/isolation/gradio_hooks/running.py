"""Whom the running code works for, wherever Gradio runs it, and what came with the call."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

from gradio import queueing

from ui.isolation.paths import PATH_CHARACTERS, real_path
from ui.isolation.rooms import room_here


@dataclass(frozen=True, slots=True)
class Call:
    """An event, or a call of a function that waits for no turn.

    Attributes:
        since: when it began, in epoch seconds.
        sent: the arguments that its caller wrote; not those that are chosen from what a component offers.
    """

    since: float
    sent: tuple[Any, ...] = ()

    def names(self, name: str, place: str | None) -> bool:
        """Its caller wrote this address, or the path of this place, by itself or in a text of JSON."""
        quoted = json.dumps(name)
        for text in nodes(self.sent):
            if isinstance(text, str):
                if text == name or quoted in text:
                    return True
                is_path = len(text) < PATH_CHARACTERS and "\0" not in text
                if place and is_path and os.path.basename(place) in text and real_path(text) == place:
                    return True
        return False


call_here: ContextVar[Call | None] = ContextVar("call", default=None)


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


def paths_in(document: object) -> set[str]:
    """The texts in a document that are paths of files that there are."""
    texts = {node for node in nodes(document) if isinstance(node, str) and len(node) < PATH_CHARACTERS}
    return {text for text in texts if text and "\0" not in text and os.path.exists(text)}


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


def made(folder: str) -> str:
    if not os.path.isdir(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder
