"""Strangers that press on the app, while somebody who is in goes on working: no 500, and bounded memory."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from auth.people.pending import BEGUN_AT_MOST
from auth.sessions.cookie import cookie_name
from tests.replicas.conftest import settings_for
from tests.replicas.servers import Replica
from tests.replicas.visitor import API, OWN, Visitor
from tests.support.provider import Provider

MEGABYTE = 2**20
HEAD_SECONDS = 6.0


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def app(provider: Provider) -> Iterator[Replica]:
    acme = provider.settings("acme")
    with Replica(settings_for(acme), provider=acme, head_seconds=HEAD_SECONDS) as replica:
        yield replica


@pytest.fixture
def somebody(app: Replica) -> Iterator[Visitor]:
    """Signed in, and still able to work when the test is over, in an app that has made no mistake."""
    with Visitor(app, app) as visitor:
        visitor.sign_in()
        works(visitor)
        yield visitor
        works(visitor)
    assert '"level": "ERROR"' not in app.log.read_text(), app.log.read_text()[-3000:]


def works(visitor: Visitor) -> None:
    begun = time.monotonic()
    assert [kind for kind, _ in visitor.run("count", 2, 0.01)] == ["generating"] * 2 + ["complete"]
    assert time.monotonic() - begun < 10


def memory(app: Replica) -> int:
    (line,) = [line for line in Path(f"/proc/{app.pid}/status").read_text().splitlines() if "VmRSS" in line]
    return int(line.split()[1]) * 1024


@contextmanager
def no_more_than(megabytes: int, app: Replica) -> Iterator[None]:
    before = memory(app)
    yield
    assert memory(app) - before < megabytes * MEGABYTE, f"{(memory(app) - before) / MEGABYTE:.0f} MB more"


def connection(app: Replica) -> socket.socket:
    return socket.create_connection(("127.0.0.1", app.port), timeout=10)


def says(app: Replica, request: bytes) -> bytes:
    """The whole answer to raw octets, to the end of the connection: what uvicorn does not take in it may reset."""
    answer = b""
    with closing(connection(app)) as stranger, suppress(ConnectionError):
        stranger.sendall(request)
        while part := stranger.recv(65536):
            answer += part
    return answer


def request(target: str, *lines: str, method: str = "GET") -> bytes:
    head = (f"{method} {target} HTTP/1.1", "Host: app.example.com", "Connection: close", *lines)
    return "\r\n".join((*head, "", "")).encode("latin-1")


def test_whoever_does_not_finish_a_request_is_not_waited_for(app: Replica, somebody: Visitor) -> None:
    beginnings = (b"", b"G", b"GET /gradio/ HTTP/1.1\r\nHost: app.example.com\r\nX-Slow: ")
    with ExitStack() as stack, no_more_than(40, app):
        slow = [stack.enter_context(closing(connection(app))) for _ in range(600)]
        for number, stranger in enumerate(slow):
            stranger.sendall(beginnings[number % 3])
        again = stack.enter_context(closing(connection(app)))
        again.sendall(request("/healthz").replace(b"Connection: close", b"Connection: keep-alive"))
        answer = b""
        while not answer.endswith(b"}"):
            answer += again.recv(65536)
        again.sendall(b"GET /healthz HTTP/1.1\r\n")
        works(somebody)
        deadline = time.monotonic() + HEAD_SECONDS + 10
        for stranger in (*slow, again):
            stranger.settimeout(max(deadline - time.monotonic(), 0.1))
            assert stranger.recv(1) == b""


def test_streams_that_nobody_reads_end_with_their_session(app: Replica, provider: Provider, somebody: Visitor) -> None:
    with Visitor(app, app) as idler, ExitStack() as stack, no_more_than(60, app):
        with provider.signing_in(sub="idler-1"):
            idler.sign_in()
        cookie = f"Cookie: {cookie_name(app.settings.site)}={idler.cookie}"
        streams = [stack.enter_context(closing(connection(app))) for _ in range(200)]
        for number, stream in enumerate(streams):
            stream.sendall(request(f"{API}/heartbeat/idler-{number}", cookie, "Sec-Fetch-Site: same-origin"))
        for stream in streams:
            assert b" 200 " in stream.recv(65536)
        works(somebody)
        idler.sign_out()
        deadline = time.monotonic() + 5
        for stream in streams:
            stream.settimeout(max(deadline - time.monotonic(), 0.1))
            while stream.recv(65536):
                pass


@pytest.mark.parametrize("target", [f"{API}/upload", f"{API}/run/count", "/logout", "/login", "/auth/acme", "/user/me"])
@pytest.mark.usefixtures("somebody")
def test_a_large_body_of_a_stranger_is_not_taken_in(app: Replica, target: str) -> None:
    size = 60 * MEGABYTE
    with no_more_than(20, app), closing(connection(app)) as stranger:
        stranger.sendall(request(target, f"Content-Length: {size}", "Content-Type: text/plain", method="POST"))
        sent, answer = 0, b""
        with suppress(ConnectionError):  # it may be cut off
            while sent < size:
                sent += stranger.send(b"x" * 65536)
            answer = stranger.recv(65536)
    assert not answer or int(answer.split()[1]) < 500


FLOODS = {
    "many": [f"X-{number}: {number}" for number in range(3000)],
    "long": [f"X-Long: {'x' * 100_000}"],
    "long-name": [f"{'X' * 100_000}: x"],
    "many-cookies": [f"Cookie: {'; '.join(f'c{number}=x' for number in range(1500))}"],
    "many-cookie-headers": ["Cookie: session=x"] * 500,
    "garbage-cookie": [f"Cookie: __Host-session={'x' * 12_000}"],
    "cookie-of-dots": [f"Cookie: __Host-session={'.' * 12_000}"],
    "cookie-of-brackets": [f"Cookie: __Host-session={'W1tb' * 3_000}.x.y"],
    "many-bearers": ["Authorization: Bearer x"] * 300,
    "long-bearer": [f"Authorization: Bearer {'x' * 15_000}"],
    "many-forwarded": ["X-Forwarded-For: 1.2.3.4"] * 400,
    "long-forwarded": [f"X-Forwarded-For: {'1.2.3.4, ' * 1500}"],
    "ranges": [f"Range: bytes={','.join(f'{n}-{n}' for n in range(2000))}"],
    "languages": [f"Accept-Language: {'en;q=0.1,' * 1500}"],
    "encodings": [f"Accept-Encoding: {'br;q=0.1,' * 1500}"],
    "accept": [f"Accept: {'text/html;q=0.1,' * 800}"],
    "next": [],
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.usefixtures("somebody")
def test_a_flood_of_headers_is_answered_and_leaves_nothing_behind(app: Replica, name: str) -> None:
    targets = ["/", "/login-demo/", "/gradio/", "/user/me", "/logout", "/favicon.ico", "/docs/assets/swagger-ui.css"]
    if name == "next":
        targets = [f"/login?next=/{'x' * 14_000}", f"/gradio/?{'a=b&' * 3_500}", f"/{'x/' * 7_000}"]
    with no_more_than(20, app):
        for target in targets * 10:
            sent = request(target, *FLOODS[name])
            answer = says(app, sent)
            assert answer.startswith(b"HTTP/1.1 "), (target, len(sent), answer[:200])
            assert not answer or int(answer.split()[1]) < 500, (target, answer[:200])


@pytest.mark.usefixtures("somebody")
def test_sign_ins_that_are_begun_and_never_finished_are_kept_by_those_who_begin_them(app: Replica) -> None:
    with Visitor(app, app) as stranger:
        stranger.begin()
        with no_more_than(10, app):
            for _ in range(2000):
                stranger.cookies.clear()
                stranger.begin()
        for _ in range(100):
            stranger.begin(next="/gradio/?x=1")
        assert len(stranger.session["begun"]) == BEGUN_AT_MOST
        assert len(f"{cookie_name(app.settings.site)}={stranger.cookie}") < 4096


@pytest.mark.usefixtures("somebody")
def test_who_never_comes_back_from_the_provider_holds_up_nobody(app: Replica) -> None:
    """Callbacks that belong to nothing: each is refused from the cookie alone, before the provider is asked."""
    with no_more_than(10, app):
        for number in range(300):
            answer = says(app, request(f"/auth/acme?code=c{number}&state=s{number}", "Accept: application/json"))
            assert answer.startswith(b"HTTP/1.1 400 "), answer[:200]
            assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["error"] == "sign_in_unknown"


def test_a_body_that_trickles_in_from_somebody_who_is_in_holds_up_nobody_else(app: Replica, somebody: Visitor) -> None:
    cookie = f"Cookie: {cookie_name(app.settings.site)}={somebody.cookie}"
    lines = (cookie, "Sec-Fetch-Site: same-origin", "Content-Type: application/json", "Content-Length: 1000")
    with ExitStack() as stack, no_more_than(30, app):
        for _ in range(100):
            trickling = stack.enter_context(closing(connection(app)))
            trickling.sendall(request(f"{API}/queue/join", *lines, method="POST") + b'{"data": [')
        works(somebody)
        assert somebody.get(f"{API}/startup-events", headers=OWN).status_code == 200
