"""Each request has an id: a trusted proxy's, or one of its own; it stands in the answer and in the request's state."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from auth.web import RequestId

PROXY, STRANGER = "10.0.0.7", "203.0.113.9"


async def answered(sent: str | None, *, client: str = PROXY, forwarded: str = "") -> tuple[str, Scope]:
    """The id in the answer, and the scope that the app behind saw."""
    seen: list[Scope] = []
    messages: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    headers = [(b"x-request-id", sent.encode("latin-1"))] if sent is not None else []
    headers += [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "headers": headers, "client": (client, 5000)}
    await RequestId(app, trusted_proxies=f"{PROXY}, 192.0.2.0/24")(scope, receive, send)
    ((name, value),) = messages[0]["headers"]
    assert name == b"x-request-id"
    assert seen[0]["state"]["request_id"] == value.decode()
    return value.decode(), seen[0]


@pytest.mark.anyio
@pytest.mark.parametrize("sent", ["a", "Ab-9._", "x" * 64])
async def test_a_trusted_proxy_s_id_is_taken(sent: str) -> None:
    assert (await answered(sent))[0] == sent
    assert (await answered(sent, client="192.0.2.200"))[0] == sent


@pytest.mark.anyio
@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\r\nb", "a\n", "\xe9", "a/b", "<b>", None])
async def test_one_that_is_none_is_not(sent: str | None) -> None:
    made = (await answered(sent))[0]
    assert made != sent
    assert len(made) == 32


@pytest.mark.anyio
async def test_a_stranger_s_id_is_not_taken_whatever_it_says_of_its_address() -> None:
    assert (await answered("mine", client=STRANGER))[0] != "mine"
    found, scope = await answered("mine", client=STRANGER, forwarded=PROXY)
    assert found != "mine"
    assert scope["client"][0] == STRANGER


@pytest.mark.anyio
async def test_the_caller_s_address_is_the_one_that_the_proxy_names() -> None:
    found, scope = await answered("from-the-proxy", forwarded=STRANGER)
    assert found == "from-the-proxy"
    assert scope["client"][0] == STRANGER


@pytest.mark.anyio
async def test_two_requests_have_two_ids() -> None:
    assert (await answered(None))[0] != (await answered(None))[0]
