"""An answer that comes before its request's end arrives, though the connection ends with it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.web.lingering_close import LingeringClose
from tests.support.asgi import ask, http_scope


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("no", 401, {"Connection": "close"})(scope, receive, send)


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await Response("read")(scope, receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server of which every answer is a refusal."""
    listening = socket.create_server(("127.0.0.1", 0))
    app: ASGIApp = LingeringClose(refusing, seconds=1.0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


def begin(port: int, length: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(f"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode())
    return connection


def test_who_sends_on_reads_the_answer_nevertheless(port: int) -> None:
    for _ in range(20):
        with begin(port, 4_000_000) as connection:
            for _ in range(40):
                connection.sendall(b"x" * 100_000)
            assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_the_answer_does_not_wait_for_the_body(port: int) -> None:
    with begin(port, 4_000_000) as connection:
        begun = time.monotonic()
        answer = b""
        while not answer.endswith(b"\r\n\r\nno"):
            answer += connection.recv(1000)
        assert time.monotonic() - begun < 0.5


def test_who_never_ends_is_left_after_a_moment(port: int) -> None:
    with begin(port, 4_000_000) as connection:
        begun = time.monotonic()
        while connection.recv(1000):
            pass
        assert 0.5 < time.monotonic() - begun < 5


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}, {"content-length": "4"}, {"transfer-encoding": "x"}])
async def test_an_answer_to_what_was_read_is_passed_on_as_it_is(headers: dict[str, str]) -> None:
    answer = await ask(LingeringClose(reading), http_scope("/", method="POST", headers=headers), b"body")
    assert (answer.status, answer.body) == (200, b"read")


@pytest.mark.anyio
async def test_who_has_gone_is_not_waited_for() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(1):
        await LingeringClose(refusing)(http_scope("/", method="POST", headers={"content-length": "9"}), gone, send)
    assert sent[-1] == {"type": "http.response.body", "body": b""}
