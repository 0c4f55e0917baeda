"""Tries, when the app starts, whether this Gradio keeps two identities apart: its next version may do otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any
from urllib.parse import quote

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Message, Scope

from auth.identity import Credential, Identity
from auth.settings import SettingsError
from ui.isolation.assembly import isolate, rooms_of
from ui.isolation.gradio_hooks import id_of, queue_of
from ui.isolation.limits import Limits

TRIED = ("6.31.0",)
FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f.txt"\r\n\r\nprobe\r\n--b--\r\n'


@cache
def prove() -> None:
    """Once for the process.

    Raises:
        SettingsError: with a sentence for whoever starts the app.
    """
    try:
        with ThreadPoolExecutor(1) as elsewhere:  # there may be a running loop here
            failed = elsewhere.submit(asyncio.run, _failed()).result()
    except Exception as error:  # whatever a Gradio that is built otherwise may raise
        failed = f"{type(error).__name__}: {error}"
    if failed:
        raise SettingsError(
            [
                f"Gradio {gr.__version__} does not keep people apart in the way that this app relies on ({failed}). "
                f"It was tried with Gradio {', '.join(TRIED)}: pip install gradio=={TRIED[-1]}"
            ]
        )


async def _failed() -> str:
    """What went wrong first, "" where nothing did."""
    async for what, is_right in _tries():
        if not is_right:
            return what
    return ""


async def _tries() -> AsyncIterator[tuple[str, bool]]:
    rooms = rooms_of("probe")
    with rooms.shared.entered():
        app = _mounted()
    isolate(app, rooms, refuse=lambda error, scope: Response(status_code=error.status), limits=Limits())
    one, other = _Caller(app, "one"), _Caller(app, "other")
    (path,), (others,) = await one.uploaded(), await other.uploaded()
    yield (
        "an upload",
        path.startswith(rooms.of(one.identity).folder) and others.startswith(rooms.of(other.identity).folder),
    )
    for caller, status in ((one, 200), (other, 404)):
        yield "a file", (await caller.ask("GET", f"/gradio_api/file={path}"))[0] == status
        marked = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for function, argument in (("show", marked), ("echo", marked), ("echo", {"path": path})):
            yield "an argument", (await caller.run(function, argument))[0] == status
    said = [(await caller.run("remember", text, None))[1] for caller, text in ((one, "a"), (other, "b"), (one, "c"))]
    yield "a session", [answer["data"][1] for answer in said] == ["", "", "a"]
    events = [(await caller.join(app, "batch"))[1]["event_id"] for caller in (one, other, one)]
    yield (
        "an event",
        [event.partition(".")[0] for event in events]
        == [rooms.of(caller.identity).name for caller in (one, other, one)],
    )
    batch = queue_of(app).get_events()
    yield "a batch", batch is not None and len({id_of(event).partition(".")[0] for event in batch[0]}) == 1


class _Caller:
    """Somebody who asks the mounted app, behind the gate."""

    def __init__(self, app: App, name: str) -> None:
        self._app = app
        caller = Identity(username=name, issuer="probe", subject=name, kind="person", expires_at=0)
        self.identity = caller.identity
        self._credential = Credential(outcome=caller)

    async def uploaded(self) -> list[str]:
        _, paths = await self.ask("POST", "/gradio_api/upload", FORM, "multipart/form-data; boundary=b")
        return [str(path) for path in paths]

    async def run(self, function: str, *data: object) -> tuple[int, Any]:
        body = json.dumps({"data": data, "session_hash": "s"}).encode()
        return await self.ask("POST", f"/gradio_api/run/{function}", body)

    async def join(self, app: App, function: str) -> tuple[int, Any]:
        (index,) = (index for index, fn in app.get_blocks().fns.items() if fn.api_name == function)
        body = json.dumps({"data": ["x"], "session_hash": "s", "fn_index": index}).encode()
        return await self.ask("POST", "/gradio_api/queue/join", body)

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, Any]:
        """Status, and the body where it is JSON."""
        requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Message] = []

        async def receive() -> Message:
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"probe"), (b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
            "state": {"credential": self._credential},
        }
        await self._app(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], json.loads(answer) if answer[:1] in (b"[", b"{") else None


def _mounted() -> App:
    with gr.Blocks(analytics_enabled=False) as blocks:
        text, file, document, state = gr.Textbox(), gr.File(), gr.JSON(), gr.State("")
        on = gr.Button().click
        on(lambda value: value, document, document, api_name="echo", queue=False)
        on(lambda value: value, file, file, api_name="show", queue=False)
        on(lambda now, before: (now, before), [text, state], [state, text], api_name="remember", queue=False)
        on(lambda values: [values], text, text, api_name="batch", batch=True, max_batch_size=3)
    host = FastAPI()
    gr.mount_gradio_app(host, blocks, "/probe", run_history=False, ssr_mode=False)
    blocks.has_launched = True
    (mounted,) = (route.app for route in host.routes if isinstance(route, Mount))
    assert isinstance(mounted, App)
    return mounted
