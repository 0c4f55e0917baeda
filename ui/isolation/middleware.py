"""Between people who are both signed in: what one of them uses, uploads or is sent answers to nobody else.

A session belongs to the first identity that names its `session_hash`, an event to the one that was told its `event_id`,
a file in Gradio's folder to every identity that uploaded it or was sent it.

Whatever names somebody else's session, event or file is answered 404, whether there is such a thing or not.
"""

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.errors import AuthError
from auth.events import log_event
from auth.identity import identity_in
from auth.web import Answers, read_body
from ui.isolation.documents import is_form, nodes, read_document, replayed
from ui.isolation.files import Folder, addressed, files_named_in
from ui.isolation.grants import Gifts, heard
from ui.isolation.owners import Owners, TooManySessions

STREAMED = ("/gradio_api/upload", "/gradio_api/process_recording")
"""What comes here is a file of any length, and nothing else: it goes through unread."""
BODY_BYTES = 16 * 2**20
DRAWING = frozenset({"id", "background", "layers", "composite"})
"""The members of an ImageEditor's value; `id` stands for the drawing that its component holds already."""
DRAWING_CHARACTERS = 8
TELLS = re.compile(rb'[/%\\]|"id"')
"""What stands in a JSON document that names a file or a drawing anywhere, however it is escaped."""


class NotTheirs(HTTPException):
    """`what` is for the operator; the caller reads the same whether there is such a thing or not."""

    def __init__(self, what: str) -> None:
        super().__init__(404, "There is nothing at this address.")
        self.what = what


class Ownership:
    """ASGI middleware, the innermost of a mounted Blocks: inside of Gradio's own, one of which compresses answers.

    Args:
        folder: where Gradio keeps what is uploaded and produced; what lies elsewhere is not looked after here.
        gifts: told of every answer that may make something theirs.
        routes: of the mounted app; they say at which addresses a session or an event is named.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        answers: Answers,
        owners: Owners,
        folder: Folder,
        gifts: Gifts,
        routes: Iterable[BaseRoute],
    ) -> None:
        self._app = app
        self._answers = answers
        self._owners = owners
        self._folder = folder
        self._gifts = gifts
        paths = [route.path or "" for route in iter_route_contexts(list(routes))]
        naming = [path for path in paths if "{session_hash}" in path or "{event_id}" in path]
        self._naming = [compile_path(path)[0] for path in naming]
        self._naming_starts = tuple(path.partition("{")[0] for path in naming)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # Gradio has no WebSocket: of what would be said on one nothing is known here
            await send({"type": "websocket.close", "code": 1008})
            return
        who = identity_in(scope).identity
        method, path = scope["method"], scope["path"].removeprefix(scope["root_path"])
        query = _pairs(scope["query_string"])
        theirs = _Theirs(who, self._owners, self._folder)
        document: Any = {}
        try:
            self._check_address(path, query, theirs)
            if method not in ("GET", "HEAD") and path not in STREAMED:
                body = await read_body(receive, at_most=BODY_BYTES)
                document = await read_document(scope, body)
                receive = replayed(body, receive)
                self._check_document(document, theirs, tells=is_form(scope) or TELLS.search(body) is not None)
            link = dict(query).get("deep_link")
            hear = self._gifts.told(method, path, document, who) if link is None else self._gifts.opened(link, who)
            await self._app(scope, receive, heard(hear, send) if hear else send)
        except AuthError as error:
            await self._answers.to(error, scope)(scope, receive, send)
        except HTTPException as refusal:
            await self._refuse(refusal, scope, receive, send)
        except ClientDisconnect:
            pass  # whoever sent half a body waits for no answer
        finally:
            self._owners.release(who, theirs.sessions)

    async def _refuse(self, refusal: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
        reason = str(getattr(refusal, "what", refusal.detail))
        status = refusal.status_code
        log_event("call_refused", f"refused: {reason}", scope, level=logging.WARNING, reason=reason, status=status)
        response = self._answers.for_http(refusal, scope)
        if scope["method"] not in ("GET", "HEAD"):
            response.headers["Connection"] = "close"  # the body may be there still (RFC 9112 section 9.3)
        await response(scope, receive, send)

    def _check_address(self, path: str, query: list[tuple[str, str]], theirs: "_Theirs") -> None:
        for name, value in query:
            theirs.name(name, value)
            theirs.text(value)
        for address in self._naming if path.startswith(self._naming_starts) else ():
            if match := address.match(path):
                for name, value in match.groupdict().items():
                    theirs.name(name, value)
        for file in addressed(path):
            theirs.file(file)

    def _check_document(self, document: Any, theirs: "_Theirs", *, tells: bool) -> None:
        if isinstance(document, dict):
            for name in ("session_hash", "event_id"):
                theirs.name(name, document.get(name))
            if document.get("fn_name") == "accept_blobs":
                theirs.drawing(document.get("id"), sent=True)
        for node in nodes(document) if tells else ():
            if isinstance(node, str):
                theirs.text(node)
            elif "id" in node and node.keys() <= DRAWING:
                theirs.drawing(node["id"], sent=False)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """As Starlette reads them."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


class _Theirs:
    """Whose one request's things are. Each method raises NotTheirs where somebody else's is named.

    `sessions` are those to be released when the request is over.
    """

    def __init__(self, who: str, owners: Owners, folder: Folder) -> None:
        self.sessions: list[str] = []
        self._who = who
        self._owners = owners
        self._folder = folder

    def name(self, name: str, value: object) -> None:
        """An identifier as it stands in a request: a name that is none says nothing, nor does a value that is no text.

        Raises:
            HTTPException: they have more sessions than anybody may have.
        """
        if not isinstance(value, str):
            return
        if name == "event_id" and not self._owners.may_use_event(self._who, value):
            raise NotTheirs("another's event")
        if name == "session_id":  # of MCP, which finds its session by any spelling of a UUID
            with suppress(ValueError):
                value = UUID(value).hex
        if name in ("session_hash", "upload_id", "session_id"):
            self.session(value)

    def session(self, session: str) -> None:
        try:
            if not self._owners.claim(self._who, session):
                raise NotTheirs("another's session")
        except TooManySessions:
            sentence = "You have opened too many sessions. Please wait a few minutes."
            raise HTTPException(429, sentence, {"Retry-After": "60"}) from None
        self.sessions.append(session)

    def drawing(self, drawing: object, *, sent: bool) -> None:
        """What an ImageEditor was sent goes by a name that its browser made up, as a session does."""
        if not isinstance(drawing, str) or len(drawing) < DRAWING_CHARACTERS:
            return
        if sent:
            self.session(f"drawing {drawing}")
        elif self._owners.owner_of(f"drawing {drawing}") not in (None, self._who):
            raise NotTheirs("another's drawing")

    def text(self, text: str) -> None:
        """Any text in a request: it may be the path or the address of a file."""
        for file in files_named_in(text):
            self.file(file)

    def file(self, file: str) -> None:
        if self._owners.has_file(self._who, file):
            return
        place = self._folder.place(file)
        if place and not self._owners.has_file(self._who, place) and not self._folder.is_open(place):
            raise NotTheirs("another's file")
