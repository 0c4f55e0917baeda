"""Tries, when the app starts, whether this Gradio keeps two identities apart: its next version may do otherwise."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from functools import cache
from io import StringIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import gradio as gr
from fastapi import FastAPI
from gradio.routes import App
from PIL import Image
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Message, Scope

from auth.identity import Credential, Identity
from auth.settings import SettingsError
from ui.isolation.assembly import isolate, rooms_of
from ui.isolation.gradio_hooks import NOT_READ, id_of, queue_of
from ui.isolation.limits import Limits

TRIED = ("6.31.0",)
FORM = b'--b\r\nContent-Disposition: form-data; name="files"; filename="f.%s"\r\n\r\n%s\r\n--b--\r\n'
PICTURE = Image.new("RGB", (1, 1))
CONTENTS = {"json": b'{"label": "probe"}', "svg": b"<svg>probe</svg>"}


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
    for kind in ("csv", "json", "svg"):
        (name,) = await one.uploaded(kind)
        for caller, is_read in ((one, True), (other, False)):
            yield f"what a {kind} says", ("probe" in str((await caller.run(kind, name))[1])) is is_read
    script = {"head": "probe"}
    part = {"type": "component", "component": "html", "value": "", "constructor_args": script, "props": script}
    chat = [{"role": "user", "content": [part]}]
    yield "a component in a chat", "probe" not in str(await one.run("built", chat))
    _, shown = await one.run("shown", json.dumps(chat))
    yield "a script in a chat", "probe" not in str(shown["data"][0][0]["content"][0]["props"])
    made_by_json = await one.run("shown", json.dumps({"__type__": "update"}))
    yield "properties", (await one.run("changed"))[0] == 200 != made_by_json[0]
    yield "what is offered", (await one.run("chosen", [["none.key"]]))[0] != 200
    (server,) = (number for number, block in app.get_blocks().blocks.items() if isinstance(block, gr.HTML))
    body = {"session_hash": "s", "component_id": server, "fn_name": "echo", "data": {"path": path}}
    for caller, is_open in ((one, True), (other, False)):
        yield "a component's server", ((await caller.post("component_server", **body))[0] == 200) is is_open
    yield "a call", (await other.post("call/show", data=[{"path": path}]))[0] == 404
    _, made = await one.run("made")
    folder = rooms.of(one.identity).folder
    yield "Python's temporary files", made["data"][0].startswith(folder)
    yield "what components make in threads", all(part["image"]["path"].startswith(folder) for part in made["data"][1])
    with redirect_stderr(StringIO()):  # Gradio prints the traceback of what it refuses here
        is_kept = (await other.run("given", path))[0] != 200
    yield "what a function names", is_kept and (await one.run("given", path))[0] == 200
    yield "an address", NOT_READ in str((await one.run("given", "http://127.0.0.1:9/probe"))[1])
    kept = [(await caller.run("kept"))[1]["data"] for caller in (one, other, one)]
    yield "what gr.cache keeps", kept[0] == kept[2] != kept[1]
    events = [(await caller.join(app, "batch"))[1]["event_id"] for caller in (one, other, one)]
    yield (
        "an event",
        [event.partition(".")[0] for event in events]
        == [rooms.of(caller.identity).name for caller in (one, other, one)],
    )
    await other.post("cancel", session_hash="s", fn_index=0, event_id=events[0])
    batches = [batch[0] for _ in range(2) if (batch := queue_of(app).get_events())]
    yield "a batch", [[id_of(event) for event in batch] for batch in batches] == [events[1:2], events[::2]]


class _Caller:
    """Somebody who asks the mounted app, behind the gate."""

    def __init__(self, app: App, name: str) -> None:
        self._app = app
        caller = Identity(username=name, issuer="probe", subject=name, kind="person", expires_at=0)
        self.identity = caller.identity
        self._credential = Credential(outcome=caller)

    async def uploaded(self, kind: str = "txt") -> list[str]:
        form = FORM % (kind.encode(), CONTENTS.get(kind, b"probe"))
        _, paths = await self.ask("POST", "/gradio_api/upload", form, "multipart/form-data; boundary=b")
        return [str(path) for path in paths]

    async def run(self, function: str, *data: object) -> tuple[int, Any]:
        return await self.post(f"run/{function}", data=data, session_hash="s")

    async def join(self, app: App, function: str) -> tuple[int, Any]:
        (index,) = (index for index, fn in app.get_blocks().fns.items() if fn.api_name == function)
        return await self.post("queue/join", data=["x"], session_hash="s", fn_index=index)

    async def post(self, path: str, **document: object) -> tuple[int, Any]:
        return await self.ask("POST", f"/gradio_api/{path}", json.dumps(document).encode())

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


def echo(value: Any) -> Any:
    return value


def _mounted() -> App:
    with gr.Blocks(analytics_enabled=False) as blocks:
        text, file, document, state = gr.Textbox(), gr.File(), gr.JSON(), gr.State("")
        on = gr.Button().click
        on(echo, document, document, api_name="echo", queue=False)
        on(echo, file, file, api_name="show", queue=False)
        on(lambda now, before: (now, before), [text, state], [state, text], api_name="remember", queue=False)
        on(echo, text, gr.Dataframe(), api_name="csv", queue=False)
        on(echo, text, gr.Label(), api_name="json", queue=False)
        on(lambda path: [path], text, gr.Gallery(), api_name="svg", queue=False)
        gr.HTML(server_functions=[echo])
        on(lambda chat: chat[0]["content"][0]["instance"].head, gr.Chatbot(), text, api_name="built", queue=False)
        on(json.loads, text, gr.Chatbot(), api_name="shown", queue=False)
        on(lambda: (gr.update(label="x"), gr.skip()), None, [text, state], api_name="changed", queue=False)
        on(echo, gr.FileExplorer(glob="*.txt", root_dir="."), document, api_name="chosen", queue=False)
        on(lambda: (tempfile.gettempdir(), [PICTURE]), None, [text, gr.Gallery()], api_name="made", queue=False)
        on(echo, text, file, api_name="given", queue=False)
        on(gr.cache(lambda: uuid4().hex), None, text, api_name="kept", queue=False)
        on(lambda values: [values], text, text, api_name="batch", batch=True, max_batch_size=3)
    host = FastAPI()
    gr.mount_gradio_app(host, blocks, "/probe", auth_dependency=lambda request: "-", run_history=False, ssr_mode=False)
    blocks.has_launched = True
    (mounted,) = (route.app for route in host.routes if isinstance(route, Mount))
    assert isinstance(mounted, App)
    return mounted
