"""Instructions of a request in the app, under Valgrind, which nothing else on the machine can change.

The app is called as a server calls it, and no server is counted; "bare" is Gradio in a FastAPI app, and FastAPI routes
that answer the same to anybody.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.bench.gate import API, call
from tests.bench.measure import Section, Spread
from tests.bench.ours import Callers, environment, key_server
from tests.support.asgi import http_scope
from tests.support.servers import program

PORT = 8000
REQUESTS = 40
CALL = call(1, "Good morning")
RUN = f"/gradio{API}/run/echo_at_once"
ASKED = {
    "/healthz": ("nobody", "/healthz", b""),
    "/user/me, session": ("session", "/user/me", b""),
    "/user/me, token seen before": ("token", "/user/me", b""),
    "page, session": ("session", "/gradio/", b""),
    "config, session": ("session", "/gradio/config", b""),
    "unqueued event, session": ("session", RUN, CALL),
}


def apps(side: str) -> tuple[Any, Any]:
    """What answers, without Gradio and with it."""
    if side == "bare":
        from tests.bench.peers import bare, mounted

        return bare(), mounted()
    from app import create_app

    app = create_app()
    return app, app


async def ask(app: Any, headers: Mapping[str, str], path: str, body: bytes) -> None:
    """One request, which must be answered well."""
    said: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    own = {"Host": f"127.0.0.1:{PORT}", **headers, **({"Content-Type": "application/json"} if body else {})}
    await app(http_scope(path, method="POST" if body else "GET", headers=own), receive, send)
    assert said[0]["status"] == 200, (path, said)


def counting(*what: str) -> None:
    """Have Valgrind do it with this process."""
    subprocess.run(["callgrind_control", *what, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)


async def drive(side: str) -> None:
    """To be run under Valgrind: a dump of its counts for each of `ASKED`, after one for nothing at all."""
    callers = Callers(PORT)
    async with AsyncExitStack() as stack:
        keys, folder = stack.enter_context(key_server()), stack.enter_context(tempfile.TemporaryDirectory())
        os.environ.update(environment(PORT, keys, folder))
        routes, gradio = apps(side)
        for app in {routes, gradio}:
            await stack.enter_async_context(app.router.lifespan_context(app))
        for who, path, body in [("nobody", "", b""), *ASKED.values()]:
            app = gradio if path.startswith("/gradio") else routes
            headers = getattr(callers, who)()
            number = REQUESTS if path else 0
            for _ in range(min(number, 3)):
                await ask(app, headers, path, body)
            counting("--instr=on")
            for _ in range(number):
                await ask(app, headers, path, body)
            counting("--dump")
            counting("--instr=off")


def counted(side: str) -> list[float]:
    """Instructions of each of `ASKED`."""
    with tempfile.TemporaryDirectory() as folder:
        valgrind = [program("valgrind"), "--tool=callgrind", "--instr-atstart=no"]
        command = [
            *valgrind,
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            "-m",
            "tests.bench.instructions",
            side,
        ]
        subprocess.run(command, check=True, capture_output=True)
        dumps = (Path(folder, f"out.{number + 1}").read_text("utf-8") for number in range(len(ASKED) + 1))
        nothing, *asked = (int(re.findall(r"^totals: (\d+)", dump, re.M)[0]) for dump in dumps)
    return [(count - nothing) / REQUESTS for count in asked]


def measure() -> Section:
    with ThreadPoolExecutor() as pool:
        found = pool.map(counted, ("this app", "bare"))
    lines, bars = [], {}
    for what, ours, theirs in zip(ASKED, *found, strict=True):
        multiple = ours / theirs
        lines.append([what, f"{ours / 1e3:.0f}", f"{theirs / 1e3:.0f}", f"{multiple:.2f}"])
        bars[f"{what}, instructions"] = Spread(median=multiple, low=multiple, high=multiple)
    head = ["what", "thousands, this app", "thousands, bare", "multiple"]
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1]))
