"""Every request behind the gate is answered in its caller's room.

Sessions, events and uploads that an address names are called here as in that room; those in a body are by Gradio's own
models of it (`gradio_hooks`). Somebody else's session is so simply another one.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import nullcontext
from urllib.parse import parse_qsl, quote, urlencode

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import AuthError, BodyTooLarge, NotFound, TooManyRequests
from auth.identity import identity_in
from auth.web import header, read_body
from ui.isolation.files import Files
from ui.isolation.limits import Accounts, Limits
from ui.isolation.rooms import Room, Rooms
from ui.isolation.routes import Judge, Verdict

NAMES = frozenset({"session_hash", "event_id", "upload_id"})
BODY_BYTES = 16 * 2**20
SEPARATORS = (b",", b"[", b"{", b":")
"""What stands between the values of a JSON document. A text may have some too, so that these count too many."""


class Isolation:
    """ASGI middleware, the innermost of a mounted Blocks.

    Args:
        refuse: the answer to what is refused.
        make_link: the name of a deep link to a session, called in a thread; None where the Blocks have no button.
        forget_upload: called with an upload's name when its progress was told.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        refuse: Callable[[AuthError, Scope], Response],
        rooms: Rooms,
        judge: Judge,
        files: Files,
        limits: Limits,
        make_link: Callable[[str], str] | None,
        forget_upload: Callable[[str], None],
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._rooms = rooms
        self._judge = judge
        self._files = files
        self._limits = limits
        self._accounts = Accounts(limits)
        self._make_link = make_link
        self._forget_upload = forget_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # Gradio has no WebSocket
            await send({"type": "websocket.close", "code": 1008})
            return
        room = self._rooms.of(identity_in(scope).identity)
        try:
            with self._accounts.request(room.name), room.entered():
                try:
                    await self._answer(room, scope, receive, send)
                except TooManyRequests:
                    await asyncio.sleep(self._accounts.patience(room.name))
                    raise
        except AuthError as error:
            await self._refuse(error, scope)(scope, receive, send)
        except ClientDisconnect:
            pass  # whoever sent half a body waits for no answer

    async def _answer(self, room: Room, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope["root_path"])
        verdict, match = self._judge.verdict(scope["method"], path)
        if verdict is Verdict.CLOSED or (verdict is Verdict.MCP and _is_browsers(scope)):
            raise NotFound(f"{verdict.name.lower()}: {path[:200]}")
        if verdict is Verdict.FILE:
            assert match is not None
            await self._files.response(match[1], room, scope)(scope, receive, send)
            return
        scope = {**scope}
        if match and not NAMES.isdisjoint(match.groupdict()):
            scope["path"] = scope["root_path"] + _renamed(path, match, room)
            scope["raw_path"] = quote(scope["path"]).encode()
        query = _renamed_query(scope, room)
        if verdict is Verdict.LINK:
            if self._make_link is None:
                raise NotFound("a deep link, and the Blocks have no button for one")
            link = await run_sync(self._make_link, query.get("session_hash", ""))
            await JSONResponse(link)(scope, receive, send)
            return
        if verdict is Verdict.UPLOAD:
            receive = self._counted(receive, room)
        elif scope["method"] == "POST":
            if seconds := self._accounts.turn(room.name):
                await asyncio.sleep(seconds)
            receive = await self._bounded(scope, receive)
        shows_link = verdict is Verdict.PAGE and self._make_link and "deep_link" in query
        try:
            with self._rooms.links.entered() if shows_link else nullcontext():
                await self._app(scope, receive, send)
        finally:
            if path == "/gradio_api/upload_progress" and "upload_id" in query:
                self._forget_upload(query["upload_id"])

    def _counted(self, receive: Receive, room: Room) -> Receive:
        async def counted() -> Message:
            message = await receive()
            self._accounts.upload(room.name, len(message.get("body", b"")))
            return message

        return counted

    async def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        body = await read_body(receive, at_most=BODY_BYTES)
        is_form = header(scope, b"content-type").startswith("multipart/form-data")
        if not is_form and sum(map(body.count, SEPARATORS)) > self._limits.values:
            raise BodyTooLarge(f"more than {self._limits.values} values in a body")
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return messages.pop() if messages else await receive()

        return replayed


def _is_browsers(scope: Scope) -> bool:
    """It would get a page of Gradio's, which is made from its address."""
    return (
        scope["method"] == "GET"
        and scope["path"].endswith(("/mcp", "/mcp/", "/http", "/http/"))
        and ("text/event-stream" not in header(scope, b"accept"))
    )


def _renamed(path: str, match: re.Match[str], room: Room) -> str:
    for name in sorted(NAMES.intersection(match.groupdict()), key=match.start, reverse=True):
        path = f"{path[: match.start(name)]}{room.named(match[name])}{path[match.end(name) :]}"
    return path


def _renamed_query(scope: Scope, room: Room) -> dict[str, str]:
    """As Starlette reads it, with the names of the room; `scope` gets the same.

    Raises:
        NotFound: it names another room's MCP session.
    """
    if not scope["query_string"]:
        return {}
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    renamed = [(name, room.named(value) or "" if name in NAMES else value) for name, value in pairs]
    if renamed != pairs:
        scope["query_string"] = urlencode(renamed).encode()
    query = dict(renamed)
    if "session_id" in query and not all(room.has_uuid(value) for name, value in pairs if name == "session_id"):
        raise NotFound("another's MCP session")
    return query
