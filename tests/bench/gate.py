"""A Gradio request, signed in, beside bare Gradio: CPU time of the server, over real HTTP.

"plain" is bare Gradio in a FastAPI app under `uvicorn.run`, on what `pip install gradio` brings (h11, asyncio's own
loop); "launched" is its `launch()` on the same; "same parts" is bare Gradio on uvloop and httptools, which this app
brings; "guide" is the sign-in of Gradio's guide, mended so that it starts, on plain; so is "gradiologin", and
"mod_auth_openidc" is Apache in front of plain, the CPU time of both.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import urlsplit

from tests.bench.measure import Section, Side, cpu_of, rounds, section, wrk
from tests.bench.ours import BROWSER, Callers, ours, peer, side
from tests.bench.peers import guide_cookie
from tests.bench.sign_in import STARTS, behind_apache, walk
from tests.support.provider import Provider

ROUNDS = 5
EVENTS = 25
CALLS = 20
"""Few enough that the app lets nobody else go first, which takes time and no CPU of its own."""
API = "/gradio_api"
GOALS = {"config": 1.00, "page": 1.00, "queued event": 1.02, "upload": 1.02, "file": 1.02}
IN_FRONT = ("page", "config", "unqueued event", "queued event")
"""What those in front of Gradio are asked for: the rest costs them the same again."""
FILE = b"x" * 10_000
UPLOAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f.txt"\r\n\r\n%b\r\n--b--\r\n' % FILE


class Visitor:
    """A browser's connections to one side. `at` is where the Blocks are."""

    def __init__(self, side: Side, at: str) -> None:
        self._headers = dict(side.headers)
        self._at = at
        self._pages, self._events = (
            http.client.HTTPConnection(urlsplit(side.url).netloc, timeout=30) for _ in range(2)
        )

    def ask(self, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """The whole answer, which must be a good one."""
        connection = self._events if "/queue/data" in path else self._pages
        headers = {**self._headers, "Content-Type": kind} if body else self._headers
        connection.request("POST" if body else "GET", f"{self._at}{path}", body or None, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (path, answer.status, content[:200])
        return content

    def reconnect(self) -> None:
        """Servers close what has been idle for some seconds."""
        for connection in (self._pages, self._events):
            connection.close()

    def upload(self) -> str:
        (path,) = json.loads(self.ask(f"{API}/upload", UPLOAD, "multipart/form-data; boundary=b"))
        return str(path)

    def queued(self) -> None:
        self.ask(f"{API}/queue/join", call(0, "Good morning"))
        assert b"process_completed" in self.ask(f"{API}/queue/data?session_hash=s3s5i0n")


def call(index: int, *data: object) -> bytes:
    return json.dumps({"data": data, "event_data": None, "fn_index": index, "session_hash": "s3s5i0n"}).encode()


def requests(side: Side, at: str) -> Mapping[str, Callable[[], float]]:
    """CPU seconds of each request, by name."""
    visitor = Visitor(side, at)
    file = visitor.upload()
    argument = {"path": file, "orig_name": "f.txt", "meta": {"_type": "gradio.FileData"}}
    asset = next(part for part in visitor.ask("/").decode().split('"') if part.startswith("./assets/"))[1:]

    def times(number: int, one: Callable[[], object]) -> Callable[[], float]:
        def work() -> int:
            visitor.reconnect()
            for _ in range(number):
                one()
            return number

        return lambda: cpu_of(side.pids, work)

    def loaded(path: str) -> Callable[[], float]:
        return lambda: cpu_of(side.pids, lambda: wrk(side, f"{at}{path}"))

    return {
        "page": loaded("/"),
        "config": loaded("/config"),
        "asset": loaded(asset),
        "unqueued event": times(CALLS, lambda: visitor.ask(f"{API}/run/echo_at_once", call(1, "Good morning"))),
        "file in and out": times(CALLS, lambda: visitor.ask(f"{API}/run/file_at_once", call(2, argument))),
        "queued event": times(EVENTS, visitor.queued),
        "upload": times(60, visitor.upload),
        "file": times(100, lambda: visitor.ask(f"{API}/file={file}")),
    }


def measure(number: int = ROUNDS) -> Section:
    with ExitStack() as stack:
        app, *others = (
            stack.enter_context(server)
            for server in (
                ours(),
                peer("mounted"),
                peer("mounted", "plain"),
                peer("launched", "plain"),
                peer("guide", "plain"),
                peer("gradiologin", "plain"),
            )
        )
        apache = stack.enter_context(behind_apache(stack.enter_context(Provider())))
        *_, apache_cookie = walk(apache, STARTS["mod_auth_openidc"])
        callers = Callers(app.port)
        sides = {
            "session": requests(side(app, callers.session()), "/gradio"),
            "token": requests(side(app, callers.token()), "/gradio"),
            **{
                name: requests(side(server, {**callers.nobody(), "Cookie": guide_cookie()}), at)
                for name, server, at in zip(
                    ("same parts", "plain", "launched", "guide", "gradiologin"),
                    others,
                    ("/gradio", "/gradio", "", "/gradio", "/gradio"),
                    strict=True,
                )
            },
            "mod_auth_openidc": requests(replace(apache, headers={**BROWSER, "Cookie": apache_cookie}), "/gradio"),
        }
        taken = {}
        for request in sides["session"]:
            asked = sides if request in IN_FRONT else sides.keys() - {"gradiologin", "mod_auth_openidc"}
            taken[request] = rounds({name: work[request] for name, work in sides.items() if name in asked}, number)
    return section(__doc__ or "", taken, limits=("plain", "launched", "same parts"), goals=GOALS)


if __name__ == "__main__":
    print(measure())
