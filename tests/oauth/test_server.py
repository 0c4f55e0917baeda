"""What comes to an authorization server before it is one of its requests."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc6749 import InvalidRequestError
from starlette.requests import Request
from starlette.types import Message

from auth.oauth import body_of


@pytest.mark.anyio
async def test_a_body_that_breaks_off_is_an_error_of_the_client() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(InvalidRequestError):
        await body_of(Request({"type": "http", "method": "POST", "headers": []}, receive))
