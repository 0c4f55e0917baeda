"""Which files and events an answer of Gradio's makes somebody's.

A file object counts where Gradio itself made it, of what a function returned for a component that shows files. What a
function can let through as it came in, JSON or a link in a text, may look the same: there a file counts only if it was
made just then. A deep link gives what is its maker's. The content of a file that is served gives nothing.
"""

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from starlette.types import Message, Send

from auth.web import header
from ui.isolation.files import Folder, changed
from ui.isolation.owners import Asked, Owners

TELLS = re.compile(
    r"/gradio_api/(?:upload|deep_link|queue/.+|(?:call/(?:v2/)?|run/|api/)([^/]+).*|component_server/?|mcp.*)"
)
"""The addresses whose answers may tell of an event or a file, and the function that is called there."""
READABLE = ("application/json", "text/event-stream", "text/html")
MESSAGE = re.compile(rb'data: \{"msg":"\w+","event_id":"([^"]+)"')
FLAT = rb'(?:[^{}"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+'
FILE_OBJECT = re.compile(rb'\{%b\{\s*"_type"\s*:\s*"gradio\.FileData"\s*\}%b\}' % (FLAT, FLAT))
LINK = re.compile(rb"""/gradio_api/file=([^"'\\\s()<>]+)""")
CLOCK_SECONDS = 0.01
"""What the dates of files may lag behind the clock."""

Hear = Callable[[bytes], None]
"""Takes in a part of an answer's body."""


class Gifts:
    """Writes down what is given.

    Args:
        plain: index and API name of each function none of whose outputs is JSON, which Gradio lets through as it is.
        now: epoch seconds, by the clock that files are dated by.
    """

    def __init__(
        self,
        *,
        owners: Owners,
        folder: Folder,
        plain: Collection[int | str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._owners = owners
        self._folder = folder
        self._plain = frozenset(plain)
        self._now = now

    def told(self, method: str, path: str, document: Any, who: str) -> Hear | None:
        """Hears an answer of the API: a list of uploads, the id of an event, or files. None where it tells of none."""
        if not (named := TELLS.fullmatch(path)):
            return None
        index = document.get("fn_index") if isinstance(document, dict) else None
        plain = [named[1] in self._plain] if named[1] else []
        if index is not None:
            plain.append(isinstance(index, int) and index in self._plain)
        this = Asked(at=self._now() - CLOCK_SECONDS, plain=bool(plain) and all(plain))

        def told(body: bytes) -> None:
            if path == "/gradio_api/upload":
                self._grant(who, json.loads(body))
            elif path == "/gradio_api/deep_link":
                self._owners.issue(who, f"link {json.loads(body)}", this)
            elif method == "POST" and path.startswith(("/gradio_api/queue/", "/gradio_api/call/")):
                if event := json.loads(body).get("event_id"):
                    self._owners.issue(who, event, this)
            elif b"gradio" in body:  # as in every file object, and in every link to a file
                asked = this
                if method == "GET":
                    event = found[1].decode() if (found := MESSAGE.match(body)) else path.rpartition("/")[2]
                    asked = self._owners.asked(event) or this
                self._grant(who, (file for file in _file_objects(body) if asked.plain or changed(file) > asked.at))
                self._grant(who, (file for file in _links(body) if changed(file) > asked.at))

        return told

    def opened(self, link: str, who: str) -> Hear:
        """Hears a page that was opened by a deep link."""
        maker = self._owners.owner_of(f"link {link}") or ""

        def opened(body: bytes) -> None:
            places = (self._folder.place(file) for file in _file_objects(body))
            for place in places if maker else ():
                if place and self._owners.has_file(maker, place):
                    self._owners.grant(who, place)

        return opened

    def _grant(self, who: str, files: Iterable[str]) -> None:
        for file in files:
            if not self._owners.has_file(who, file) and (place := self._folder.place(file)):
                self._owners.grant(who, place)


def heard(hear: Hear, send: Send) -> Send:
    """`send`, once `hear` has heard each part of an answer that can be read."""
    readable = False

    async def sent(message: Message) -> None:
        nonlocal readable
        if message["type"] == "http.response.start":
            readable = header(message, b"content-type").startswith(READABLE)
        elif readable and message.get("body"):
            hear(message["body"])
        await send(message)

    return sent


def _file_objects(body: bytes) -> Iterator[str]:
    for found in FILE_OBJECT.finditer(body) if b"gradio.FileData" in body else ():
        with suppress(ValueError):
            file = json.loads(found[0])
            if file.get("meta") == {"_type": "gradio.FileData"} and isinstance(file.get("path"), str):
                yield file["path"]


def _links(body: bytes) -> Iterator[str]:
    """As MCP's tools and Markdown show files."""
    return (unquote(found[1].decode(errors="replace")) for found in LINK.finditer(body))
