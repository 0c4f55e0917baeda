"""The one bounded read of a request's body."""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from auth.errors import BodyTooLarge


async def read_body(receive: Receive, *, at_most: int, within: float | None = None) -> bytes:
    """The whole body.

    Args:
        at_most: bytes.
        within: seconds for all of it; None leaves that to whatever is in front.

    Raises:
        BodyTooLarge, ClientDisconnect, TimeoutError.
    """
    body, more = bytearray(), True
    async with asyncio.timeout(within):
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > at_most:
                raise BodyTooLarge.than(at_most)
    return bytes(body)
