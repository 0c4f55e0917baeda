"""The one bounded read of a request's body."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive

BODY_BYTES = 16 * 2**20
"""The longest that is read; a longer one is answered 413."""


async def read_body(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        HTTPException: it is too long.
        ClientDisconnect: it did not come.
    """
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES:
            raise HTTPException(413, f"What was sent is longer than {BODY_BYTES} bytes.")
    return bytes(body)
