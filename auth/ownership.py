"""Between people who are both signed in: what one of them uses, uploads or is sent answers to nobody else.

A session belongs to the first identity that names its `session_hash`, an event to the one that was told its `event_id`,
a file in Gradio's folder to every identity that uploaded it or was sent it.

No echo makes a file theirs. A request that names somebody else's file stops here, in any spelling. Of an answer, a file
object counts that Gradio itself made, of what a function returned for a component that shows files. What a function can
let through as it came in (JSON, a link in a text) looks the same: there a file counts only if it was made just then. And
the content of a file that is served is not looked at.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.answers import Answers
from auth.folder import Folder, addressed
from auth.identity import identity_of
from auth.owners import Owners, TooManySessions

BODY_BYTES = 16 * 2**20
"""The longest body that is read before Gradio sees it; a longer one is answered 413."""
STREAMED = ("/gradio_api/upload", "/gradio_api/process_recording")
"""What comes here is a file of any length, and nothing else: it goes through unread."""
SESSION_NAMES = ("session_hash", "upload_id", "session_id")
DRAWING = frozenset({"id", "background", "layers", "composite"})
"""The members of an ImageEditor's value; `id` stands for the drawing that its component holds already."""

TELLS = re.compile(r"/gradio_api/(?:upload|deep_link|queue/.+|(?:call/(?:v2/)?|run/|api/)([^/]+).*|component_server/?|mcp.*)")
"""The addresses whose answers may hold an event's id or a file, and the function that is called there."""
READABLE = ("application/json", "text/event-stream", "text/html")
EVENT = re.compile(rb'"event_id":"([^"]+)"')
FLAT = rb'(?:[^{}"]++|"(?:[^"\\]|\\.)*+")*+'
FILE_OBJECT = re.compile(rb'\{%b\{\s*"_type"\s*:\s*"gradio\.FileData"\s*\}%b\}' % (FLAT, FLAT))
LINK = re.compile(rb"""/gradio_api/file=([^"'\\\s()<>]+)""")
FRESH_SECONDS = 10.0

log = logging.getLogger("auth")


class Refusal(Exception):
    """The caller reads the same words whether there is such a thing or not; `str` is for the operator."""

    def __init__(self, reason: str, status: int = 404, sentence: str = "There is nothing at this address.") -> None:
        super().__init__(reason)
        self.answer = HTTPException(status, sentence, {"Retry-After": "60"} if status == 429 else None)
