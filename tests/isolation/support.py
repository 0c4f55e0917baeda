"""Who the tests of the isolation sign in, and how they ask."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2

from tests.support.app_server import AppServer, Browser

API = "/gradio/gradio_api"
FILE_DATA = {"_type": "gradio.FileData"}
AS_A_SCRIPT = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}


@contextmanager
def host_elsewhere(answer: bytes, asked: list[str]) -> Iterator[str]:
    """The address of a host that somebody else runs: it answers this as HTML, and notes each path that it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(answer)

        do_HEAD = do_GET  # noqa: N815 - named by the protocol

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def signed_in(server: AppServer, **claims: object) -> Iterator[Browser]:
    """A browser of somebody who is in; Alice where no claim says otherwise."""
    with server.browser() as browser:
        with server.providers["acme"].signing_in(**claims):
            browser.sign_in()
        yield browser


class Caller:
    """Somebody's way into the API, as a script or a program has it."""

    def __init__(self, browser: Browser, **headers: str) -> None:
        self._http = browser
        self._headers = {**AS_A_SCRIPT, **headers}
        self.session = uuid4().hex

    @cached_property
    def functions(self) -> Mapping[str, int]:
        """Index of each, by its API name."""
        return {one["api_name"]: one["id"] for one in self.ask("GET", "/gradio/config").json()["dependencies"]}

    @contextmanager
    def stream(self, method: str, path: str, headers: Mapping[str, str] = {}, **request: Any) -> Iterator[Any]:
        with self._http.stream(method, path, headers={**self._headers, **headers}, **request) as response:
            yield response

    def ask(self, method: str, path: str, **request: Any) -> httpx2.Response:
        with self.stream(method, path, **request) as response:
            response.read()
        return response

    def get(self, path: str, **request: Any) -> httpx2.Response:
        return self.ask("GET", f"{API}/{path}", **request)

    def upload(self, name: str, content: bytes, **query: str) -> str:
        response = self.ask("POST", f"{API}/upload", files={"files": (name, content)}, params=query)
        assert response.status_code == 200, response.text
        (path,) = response.json()
        return str(path)

    def joining(self, session: str, function: str, *data: object) -> dict[str, Any]:
        return {"session_hash": session, "fn_index": self.functions[function], "data": data}

    def join(self, function: str, *data: object, session: str = "") -> httpx2.Response:
        return self.ask("POST", f"{API}/queue/join", json=self.joining(session or self.session, function, *data))

    def result(self, event: str, session: str = "") -> dict[str, Any]:
        """The message that ends an event."""
        with self.stream("GET", f"{API}/queue/data", params={"session_hash": session or self.session}) as stream:
            for message in messages(stream):
                if message["msg"] == "process_completed" and message["event_id"] == event:
                    return message
        raise AssertionError("the stream ended before the event")

    def run(self, function: str, *data: object, session: str = "") -> Any:
        """What an event gives in the end."""
        joined = self.join(function, *data, session=session)
        assert joined.status_code == 200, joined.text
        message = self.result(joined.json()["event_id"], session)
        assert message["success"], message
        return message["output"]["data"]


def messages(stream: httpx2.Response) -> Iterator[dict[str, Any]]:
    return (json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: "))


def file_object(path: str, **more: object) -> dict[str, Any]:
    return {"path": path, "orig_name": "a.txt", **more, "meta": FILE_DATA}


def address(path: str) -> str:
    """A file's address in the API; the dots are encoded, or the client takes them out."""
    return f"file={quote(path)}".replace("..", "%2e%2e").replace("/./", "/%2e/")


def person(house: AppServer, **claims: object) -> Iterator[Caller]:
    """Somebody in a browser of their own, for one turn of a loop."""
    with signed_in(house, **claims) as browser:
        yield Caller(browser)


def program(house: AppServer) -> Iterator[Caller]:
    with house.browser() as http:
        credentials = ("local-program", "local-secret")
        grant = http.post("/local/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials)
        yield Caller(http, Authorization=f"Bearer {grant.json()['access_token']}")
