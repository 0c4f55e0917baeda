"""What session, gate and ownership add to a request of Gradio's: its time with them, as a multiple of the same without.

    python -m tests.bench.gate

No network, one core, CPU time, both apps in every round, the median over the rounds. Both serve the same Blocks, each
in a process of its own, for Gradio's queue is never quite idle; one is mounted by Gradio alone, the other as this app
does it, and asked with a session cookie. Both check the files in arguments, as Gradio does once it was launched.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Scope

from auth import Auth
from tests.support.settings import signed_cookie, sound_settings
from ui.arguments import Main
from ui.mount import mount_main
from ui.serving import Stopping

ROUNDS = 31
GOAL = 1.10
API = "/gradio/gradio_api"
SETTINGS = sound_settings(providers=())

Headers = list[tuple[bytes, bytes]]


def blocks() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as made:
        text, file, answer, copy = gr.Textbox(), gr.File(), gr.Textbox(), gr.File()
        on = gr.Button().click
        on(lambda text: text, text, answer, api_name="echo")
        on(lambda text: text, text, answer, api_name="echo_at_once", queue=False)
        on(lambda path: path, file, copy, api_name="file_at_once", queue=False)
    return made


def bare() -> tuple[FastAPI, Headers]:
    app, made = FastAPI(), blocks()
    made.has_launched = True
    gr.mount_gradio_app(app, made, "/gradio", run_history=False, ssr_mode=False)
    return app, []


def gated() -> tuple[FastAPI, Headers]:
    """The app, and what a browser sends with each request since its sign-in."""
    app = FastAPI()
    auth = Auth(SETTINGS)
    auth.identify_callers(app)
    mount_main(app, auth, Stopping(), Main(blocks=blocks(), launched={}))
    session: dict[str, Any] = {}
    auth.sessions.begin(session, next(iter(auth.providers)), {"sub": "ada", "name": "Ada", "email": "ada@example.com"})
    return app, [(b"cookie", signed_cookie(auth.settings, session).encode())]


async def ask(app: ASGIApp, path: str, headers: Headers, body: bytes = b"", query: str = "", kind: str = "") -> bytes:
    """The whole answer to a request; a GET where there is no body."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    parts: list[bytes] = []

    async def receive() -> Message:
        return first.pop() if first else await asyncio.Event().wait() and {}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200, (path, message)
        parts.append(message.get("body", b""))

    sent = [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"sec-fetch-site", b"same-origin"),
        *headers,
    ]
    if body:
        sent += [(b"content-type", (kind or "application/json").encode()), (b"content-length", str(len(body)).encode())]
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": sent,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    await app(scope, receive, send)
    return b"".join(parts)


async def upload(app: ASGIApp, headers: Headers) -> str:
    form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f.txt"\r\n\r\n%b\r\n--b--\r\n' % (
        b"x" * 10_000
    )
    (path,) = json.loads(await ask(app, f"{API}/upload", headers, form, kind="multipart/form-data; boundary=b"))
    return str(path)


def requests(app: ASGIApp, headers: Headers, file: str) -> dict[str, tuple[int, Callable[[], Awaitable[bytes]]]]:
    """How often in a round, and what, by name."""
    argument = {"path": file, "orig_name": "f.txt", "meta": {"_type": "gradio.FileData"}}

    def body(index: int, *data: object) -> bytes:
        return json.dumps({"data": data, "event_data": None, "fn_index": index, "session_hash": "s3s5i0n"}).encode()

    async def event() -> bytes:
        await ask(app, f"{API}/queue/join", headers, body(0, "Good morning, how are you?"))
        return await ask(app, f"{API}/queue/data", headers, query="session_hash=s3s5i0n")

    return {
        "an event: queue/join and queue/data": (10, event),
        "run, a text": (
            40,
            lambda: ask(app, f"{API}/run/echo_at_once", headers, body(1, "Good morning, how are you?")),
        ),
        "run, a file in and out": (40, lambda: ask(app, f"{API}/run/file_at_once", headers, body(2, argument))),
        "a file of 10 kB": (40, lambda: ask(app, f"{API}/file={file}", headers)),
    }


async def serve(make: Callable[[], tuple[FastAPI, Headers]], orders: Connection) -> None:
    """Answer each order, the name of a request, with the CPU seconds that it took."""
    app, headers = make()
    async with app.router.lifespan_context(app):
        all_of_them = requests(app, headers, await upload(app, headers))
        orders.send(list(all_of_them))
        while name := orders.recv():
            times, one = all_of_them[name]
            start = time.process_time()
            for _ in range(times):
                await one()
            orders.send((time.process_time() - start) / times)


def start(make: Callable[[], tuple[FastAPI, Headers]], orders: Connection) -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder).resolve())
        asyncio.run(serve(make, orders))


def measure() -> dict[str, tuple[float, float]]:
    """Microseconds of a request with all, and time as a multiple of that without."""
    spawn = multiprocessing.get_context("spawn")
    sides = []
    for make in (bare, gated):
        ours, theirs = spawn.Pipe()
        spawn.Process(target=start, args=(make, theirs), daemon=True).start()
        sides.append(ours)
    names, _ = (side.recv() for side in sides)
    seconds: dict[str, list[list[float]]] = {name: [[], []] for name in names}
    for number in range(ROUNDS + 1):
        for name in names:
            for side in (0, 1) if number % 2 else (1, 0):
                sides[side].send(name)
                seconds[name][side].append(sides[side].recv())
    for side in sides:
        side.send("")
    total = [[sum(one) for one in zip(*(seconds[name][side] for name in names), strict=True)] for side in (0, 1)]
    return {
        name: (
            statistics.median(gated[1:]) * 1e6,
            statistics.median(other / one for one, other in zip(bare[1:], gated[1:], strict=True)),
        )
        for name, (bare, gated) in {**seconds, "one of each": total}.items()
    }


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = measure()
    print(f"{ROUNDS} rounds\n\n{'':40} {'us':>8} {'ratio':>8}  to reach")
    for name, (microseconds, ratio) in found.items():
        print(f"{name:40} {microseconds:8.0f} {ratio:8.3f}  {GOAL}")


if __name__ == "__main__":
    main()
