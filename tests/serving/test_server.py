"""How long a connection may take with the head of a request, and that nothing else is cut off by that."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

import ui.serving.server
from ui.serving.server import HeaderTimeoutProtocol

SECONDS = 0.5


async def unhurried(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(3 * SECONDS if scope["path"] == "/long" else 0)
    await Response("done")(scope, receive, send)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(ui.serving.server, "HEADER_SECONDS", SECONDS)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(unhurried, http=HeaderTimeoutProtocol, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    with socket.create_connection(listening.getsockname(), timeout=10) as connection:
        yield connection
    server.should_exit = True
    thread.join()


def closes(connection: socket.socket) -> bool:
    """By itself, and about in time."""
    begun = time.monotonic()
    connection.settimeout(3 * SECONDS)
    try:
        return connection.recv(1000) == b"" and time.monotonic() - begun < 2 * SECONDS
    except TimeoutError:
        return False


def is_answered(connection: socket.socket) -> bool:
    answer = b""
    while not answer.endswith(b"\r\n\r\ndone") and (part := connection.recv(1000)):
        answer += part
    return answer.endswith(b"done")


@pytest.mark.parametrize("beginning", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: here\r\n"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(connection, beginning: bytes, before: int) -> None:
    for _ in range(before if beginning else 0):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert is_answered(connection)
    connection.sendall(beginning)
    assert closes(connection)


def test_one_that_trickles_in_is_not_waited_for_any_longer(connection: socket.socket) -> None:
    begun = time.monotonic()
    with pytest.raises(OSError):
        for octet in b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 100:
            connection.sendall(bytes([octet]))
            time.sleep(0.1)
    assert time.monotonic() - begun < 4 * SECONDS


@pytest.mark.parametrize("path", ["/", "/long"])
def test_one_that_comes_in_time_is_answered_however_long_it_takes(connection: socket.socket, path: str) -> None:
    for part in (f"POST {path} HTTP/1.1\r\n", "Host: here\r\nContent-Length: 3\r\n", "\r\n"):
        connection.sendall(part.encode())
        time.sleep(SECONDS / 5)
    for octet in b"abc":  # the body may take its time
        time.sleep(SECONDS)
        connection.sendall(bytes([octet]))
    assert is_answered(connection)
