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
from ui.serving.server import HEAD_BYTES, BoundedHeadProtocol

SECONDS = 0.5


async def unhurried(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(3 * SECONDS if scope["path"] == "/long" else 0)
    await Response("done")(scope, receive, send)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr(ui.serving.server, "HEAD_SECONDS", SECONDS)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(unhurried, http=BoundedHeadProtocol, log_config=None, lifespan="off"))
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


@pytest.mark.parametrize("part", [b"GET /" + b"x" * 1000, b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 1000])
@pytest.mark.parametrize("before", [0, 1])
def test_a_head_that_grows_and_grows_is_refused(connection: socket.socket, part: bytes, before: int) -> None:
    for _ in range(before):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        assert is_answered(connection)
    sent = len(part)
    connection.sendall(part)
    with pytest.raises(OSError):
        while sent < 8 * HEAD_BYTES:
            connection.sendall(b"x" * 1000)
            sent += 1000
            time.sleep(0.0005)
    assert sent < 4 * HEAD_BYTES


def test_a_head_of_the_size_that_browsers_send_is_taken(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nCookie: " + b"x" * (HEAD_BYTES // 2) + b"\r\n\r\n")
    assert is_answered(connection)


def test_white_space_between_two_requests_does_not_keep_a_connection(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    assert is_answered(connection)
    connection.sendall(b"\r\n")
    assert closes(connection)


def test_requests_that_come_at_once_are_all_answered(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc" * 3)
    answer = b""
    while answer.count(b"\r\n\r\ndone") < 3:
        part = connection.recv(1000)
        assert part, answer
        answer += part
