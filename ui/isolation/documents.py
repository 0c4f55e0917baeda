"""A request's body, read as Gradio reads it, before Gradio sees it."""

import json
from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from auth.web import header


def replayed(body: bytes, receive: Receive | None = None) -> Receive:
    """A `receive` that gives the whole body, then what comes next."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages or receive is None else await receive()

    return replay


def is_form(scope: Scope) -> bool:
    return header(scope, b"content-type").partition(";")[0].rstrip() == "multipart/form-data"


async def read_document(scope: Scope, body: bytes) -> Any:
    """A body as everybody behind here reads it: a form's fields that are no files, or JSON.

    Raises:
        HTTPException: it is neither, or might be read in another way.
    """
    try:
        if not is_form(scope):
            return json.loads(body.decode()) if body else {}
        if "charset" in header(scope, b"content-type").lower():
            raise ValueError("a form in another charset")
        async with Request(scope, replayed(body)).form() as form:
            return {name: value for name, value in form.multi_items() if isinstance(value, str)}
    except (ValueError, RecursionError, HTTPException, MultiPartException):
        raise HTTPException(400, "The body is neither JSON nor a form.") from None


def nodes(document: object) -> Iterator[str | dict[str, Any]]:
    """Every text and every object in a JSON document: itself, the names and values of members, items."""
    rest = [document]
    while rest:
        node = rest.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            yield node
            rest += node
            rest += node.values()
        elif isinstance(node, (list, tuple)):
            rest += node
