"""Somebody who is signed in too, and knows every identifier of somebody else's."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import gradio as gr
import httpx2
import pytest
from gradio.route_utils import MediaStream
from PIL import Image

from tests.isolation.support import API, Caller, address, file_object, messages, person, program
from tests.support.app_server import AppServer
from tests.support.provider import Provider

NOTHING = b'{"detail":"There is nothing at this address.","error":"not_found"}'
SECRET = b"secret"
STEP_SECONDS = 0.02
LISTEN_SECONDS = 4.0

# -- the Blocks -------------------------------------------------------------------------------------------------------

shelf: list[str] = []


def echo(text: str) -> str:
    return text


def echo_json(value: object) -> object:
    return value


def read_json(text: str) -> object:
    return json.loads(text)


def read_json_file(path: str) -> object:
    return json.loads(Path(path).read_text("utf-8"))


def backwards(text: str) -> str:
    return text[::-1]


def shout(path: str) -> str:
    return Path(path).read_text("utf-8").upper()


def doubled(path: str) -> str:
    """A file of the same content twice, made where the app runs."""
    copy = Path(mkdtemp()) / "doubled.txt"
    copy.write_text(Path(path).read_text("utf-8") * 2, "utf-8")
    return str(copy)


def lend(path: str) -> None:
    shelf.append(path)


def borrow() -> str:
    """What somebody put on the shelf: a copy, for a file itself is its owner's alone."""
    return str(shutil.copy(shelf[-1], Path(mkdtemp()) / "borrowed.txt"))


def take() -> str:
    return shelf[-1]


def endless() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield str(number)
        time.sleep(STEP_SECONDS)


def remember(text: str, before: list[str]) -> tuple[list[str], str]:
    now = [*before, text]
    return now, " ".join(now)


def drawing_of(text: str) -> Image.Image:
    return Image.new("RGB", (2, 2), text)


def colour_of(drawing: Any) -> str:
    return "none" if drawing["background"] is None else str(drawing["background"][0, 0].tolist())


def ask_component(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


def people_blocks(asset: Path) -> gr.Blocks:
    with gr.Blocks() as blocks:
        text, answer = gr.Textbox("hello"), gr.Textbox()
        document, file, made = gr.JSON(), gr.File(), gr.File()
        memory, editor = gr.State([]), gr.ImageEditor()
        gr.Image(str(asset))
        gr.HTML(server_functions=[ask_component])
        gr.DeepLinkButton()
        on = gr.Button("everything").click
        on(echo, text, answer, api_name="echo")
        on(echo_json, document, document, api_name="echo_json")
        on(echo, text, document, api_name="show_json")
        on(read_json, text, document, api_name="read_json")
        on(read_json_file, file, document, api_name="read_json_file")
        on(backwards, text, answer, api_name="backwards")
        on(shout, file, answer, api_name="shout")
        on(doubled, file, made, api_name="doubled")
        on(lend, file, None, api_name="lend")
        on(borrow, None, made, api_name="borrow")
        on(take, None, made, api_name="take")
        on(echo, text, made, api_name="echo_file")
        on(endless, None, answer, api_name="endless", concurrency_limit=None)
        on(remember, [text, memory], [memory, answer], api_name="remember", api_visibility="undocumented")
        on(colour_of, editor, answer, api_name="drawn")
        on(drawing_of, text, gr.Image(), api_name="drawing_of", queue=False)
    return blocks


blocks: list[gr.Blocks] = []


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider], tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    asset = tmp_path_factory.mktemp("assets") / "asset.png"
    Image.new("RGB", (4, 4), "red").save(asset)

    def main_blocks() -> gr.Blocks:
        blocks.append(people_blocks(asset))
        return blocks[-1]

    with AppServer(providers, main_blocks=main_blocks, mcp_server=True) as server:
        yield server


# -- the people --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alice(house: AppServer) -> Iterator[Caller]:
    for alice in person(house):
        functions.update(alice.functions)
        yield alice


@pytest.fixture(scope="module", params=["a person", "a program"])
def other(request: pytest.FixtureRequest, house: AppServer, alice: Caller) -> Iterator[Caller]:
    yield from program(house) if request.param == "a program" else person(house, sub="bob-2", name="Bob Example")


# -- everything of somebody's -----------------------------------------------------------------------------------------


functions: dict[str, int] = {}


def joining(session: str, function: str, *data: object) -> dict[str, Any]:
    return {"session_hash": session, "fn_index": functions[function], "data": data}


@dataclass(frozen=True, kw_only=True)
class Hers:
    """Every identifier of an Alice in the middle of things, and one session that is the caller's own."""

    session: str
    event: str
    call: str
    upload: str
    result: str
    upload_id: str
    drawing: str
    link: str
    own: str


@contextmanager
def busy(alice: Caller) -> Iterator[tuple[Hers, Callable[[], int]]]:
    """What is hers, and a way to see how far her running event has come."""
    session = uuid4().hex
    secret = f"secret {session}"
    upload_id = uuid4().hex
    upload = alice.upload("a 1.txt", secret.encode(), upload_id=upload_id)
    (result,) = alice.run("doubled", file_object(upload), session=session)
    alice.run("remember", "secret", None, session=session)
    call = alice.ask("POST", f"{API}/call/endless", json={"data": []}).json()["event_id"]
    drawing = uuid4().hex
    assert alice.ask("POST", f"{API}/component_server", **blob(session, drawing, "blue")).status_code == 200
    stream = MediaStream()
    stream.segments = [{"id": "0", "data": b"secret", "duration": 1.0, "extension": ".ts"}]
    stream.combined_file = upload
    event = alice.join("endless", session=session).json()["event_id"]
    blocks[-1].pending_streams[f"{event.partition('.')[0]}.{session}"] = {"run": {1: stream}}
    with alice.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as answer:
        numbers = (index for index, message in enumerate(messages(answer)) if message["msg"] == "process_generating")
        hers = Hers(
            session=session,
            event=event,
            call=call,
            upload=upload,
            result=result["path"],
            upload_id=upload_id,
            drawing=drawing,
            link=alice.ask("GET", f"{API}/deep_link", params={"session_hash": session}).json(),
            own=alice.session,
        )
        next(numbers)
        yield hers, lambda: next(numbers)
    alice.ask("POST", f"{API}/cancel", json={"session_hash": call, "fn_index": functions["endless"], "event_id": call})


@cache
def picture(colour: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (2, 2), colour).save(file, "PNG")
    return file.getvalue()


HER_COLOUR = "[0, 0, 255, 255]"


def blob(session: str, drawing: str, colour: str = "red") -> dict[str, Any]:
    fields = {"session_hash": session, "fn_name": "accept_blobs", "component_id": str(component("imageeditor"))}
    fields |= {"id": drawing, "type": "background", "index": "null"}
    return {"data": fields, "files": {"file": ("background.png", picture(colour))}}


def component(kind: str) -> int:
    (found,) = (number for number, block in blocks[-1].blocks.items() if block.get_block_name() == kind)
    return int(found)


def asked(session: str, data: object) -> dict[str, Any]:
    return {"session_hash": session, "component_id": component("html"), "fn_name": "ask_component", "data": data}


Attack = tuple[str, str, dict[str, Any]]
"""Method, path below the API, and the rest of the request."""


def get(path: str, **query: str) -> Attack:
    return "GET", path, {"params": query} if query else {}


def post(path: str, document: object) -> Attack:
    return "POST", path, {"json": document}


def raw(path: str, content: str, kind: str) -> Attack:
    return "POST", path, {"content": content, "headers": {"Content-Type": kind}}


def form(path: str, **fields: str) -> Attack:
    """A multipart form of fields and one file."""
    return "POST", path, {"data": fields, "files": {"file": ("f", b"x")}}


def cancelling(session: str, event: str) -> Attack:
    return post("cancel", {"session_hash": session, "event_id": event, "fn_index": functions["endless"]})


NAMES: Mapping[str, Callable[[Hers], Attack]] = {
    "join her session": lambda h: post("queue/join", joining(h.session, "echo", "x")),
    "join it as the second of two": lambda h: raw(
        "queue/join",
        f'{{"session_hash": "{h.own}", {json.dumps(joining(h.session, "echo", "x"))[1:]}',
        "application/json",
    ),
    "join it with another kind of JSON": lambda h: raw(
        "queue/join", json.dumps(joining(h.session, "echo", "x")), "application/vnd.api+json"
    ),
    "read her stream": lambda h: get("queue/data", session_hash=h.session),
    "read it as the second of two": lambda h: get(f"queue/data?session_hash={h.own}&session_hash={h.session}"),
    "keep it alive": lambda h: get(f"heartbeat/{h.session}"),
    "make a deep link of it": lambda h: get("deep_link", session_hash=h.session),
    "cancel in it": lambda h: cancelling(h.session, h.event),
    "cancel her event from a session of one's own": lambda h: cancelling(h.own, h.event),
    "cancel her event without a session": lambda h: post("reset", {"event_id": h.event}),
    "run in it": lambda h: post("run/remember", {"data": ["x", None], "session_hash": h.session}),
    "run in it by the other name": lambda h: post("api/remember", {"data": ["x", None], "session_hash": h.session}),
    "call in it": lambda h: post("call/remember", {"data": ["x", None], "session_hash": h.session}),
    "ask a component in it": lambda h: post("component_server", asked(h.session, "x")),
    "ask a component in it, as text": lambda h: raw(
        "component_server", json.dumps(asked(h.session, "x")), "text/plain"
    ),
    "ask a component in it, as a form that is none": lambda h: raw(
        "component_server", json.dumps(asked(h.session, "x")), "Multipart/Form-Data; boundary=x"
    ),
    "ask a component in it, as a form": lambda h: form(
        "component_server", **{name: str(value) for name, value in asked(h.session, "x").items()}
    ),
    "send a drawing in it": lambda h: ("POST", "component_server", blob(h.session, uuid4().hex)),
    "play what it streams": lambda h: get(f"stream/{h.session}/run/1/playlist.m3u8"),
    "play a segment": lambda h: get(f"stream/{h.session}/run/1/0.ts"),
    "play all of it": lambda h: get(f"stream/{h.session}/run/1/playlist-file"),
    "watch her upload": lambda h: get("upload_progress", upload_id=h.upload_id),
    "upload under her upload's name": lambda h: (
        "POST",
        f"upload?upload_id={h.upload_id}",
        {"files": {"files": ("f", b"x")}},
    ),
    "read her call": lambda h: get(f"call/endless/{h.call}"),
    "read her call the second way": lambda h: get(f"call/v2/endless/{h.call}"),
    "read her call as a session": lambda h: get("queue/data", session_hash=h.call),
    "keep her call alive": lambda h: get(f"heartbeat/{h.call}"),
    "send to her event": lambda h: post(f"stream/{h.event}", {"data": ["x"]}),
    "close her event": lambda h: post(f"stream/{h.event}/close", {}),
    "call her event": lambda h: get(f"call/endless/{h.event}"),
    "add to her drawing": lambda h: ("POST", "component_server", blob(h.own, h.drawing)),
    "use her drawing": lambda h: post("run/drawn", {"data": [{"id": h.drawing}]}),
}

SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "from where the app runs": lambda path: f"{'../' * 20}{path.lstrip('/')}",
    "with slashes doubled": lambda path: f"/{path.lstrip('/').replace('/', '//')}",
    "with dots": lambda path: path.replace("/", "/./", 2).replace("gradio/", "gradio/x/../"),
    "through a link": lambda path: f"/proc/self/root{path}",
}
FILES: Mapping[str, Callable[[Hers], Attack]] = {
    **{
        f"{name}, {spelling}": lambda h, field=field, spell=spell, start=start: get(
            address(spell(getattr(h, field))).replace("file=", start, 1)
        )
        for name, field, start in (("her upload", "upload", "file="), ("her result, older", "result", "file/"))
        for spelling, spell in SPELLINGS.items()
    },
    "her upload's length": lambda h: ("HEAD", address(h.upload), {}),
    "a part of it": lambda h: ("GET", address(h.upload), {"headers": {"Range": "bytes=0-3"}}),
    "encoded to the last letter": lambda h: get("file=" + "".join(f"%{byte:02X}" for byte in h.upload.encode())),
    "through a proxy": lambda h: get(f"proxy=https://x.hf.space{API}/{address(h.upload)}"),
}
ARGUMENTS: Mapping[str, Callable[[Hers], Any]] = {
    **{
        f"a file, {spelling}": lambda h, spell=spell: file_object(spell(h.upload))
        for spelling, spell in SPELLINGS.items()
    },
    "her result": lambda h: file_object(h.result),
    "a file that streams": lambda h: file_object(h.upload, is_stream=True),
    "a file without the mark": lambda h: {"path": h.upload},
    "a file in a list": lambda h: [file_object(h.upload)],
    "a file deep inside": lambda h: {"a": [[{"b": {"c": file_object(h.upload)}}]]},
    "an address of it": lambda h: file_object(f"http://127.0.0.1/gradio/gradio_api/{address(h.upload)}"),
    "a file as a member's name": lambda h: {h.upload: "x"},
    "a path": lambda h: h.upload,
}
WAYS: Mapping[str, Callable[[Hers, Any], Attack]] = {
    "an event": lambda h, value: post("queue/join", joining(h.own, "echo_json", value)),
    "a run": lambda h, value: post("run/echo_json", {"data": [value]}),
    "a call": lambda h, value: post("call/echo_json", {"data": [value]}),
    "a call the second way": lambda h, value: post("call/v2/echo_json", {"value": value}),
    "a component": lambda h, value: post("component_server", asked(h.own, value)),
    "what an event is about": lambda h, value: post(
        "queue/join", {**joining(h.own, "echo", "x"), "event_data": {"value": value}}
    ),
    "an MCP tool": lambda h, value: tool("echo_json", value=value),
}
FUNCTIONS: Mapping[str, Callable[[Hers], Attack]] = {
    f"{name} to {way}": lambda h, argument=argument, send=send: send(h, argument(h))
    for name, argument in ARGUMENTS.items()
    for way, send in WAYS.items()
}
ATTACKS = {**NAMES, **FILES, **FUNCTIONS}
TEXTS = ("a file as a member's name", "a path", "an address of it")


def tool(name: str, **arguments: object) -> Attack:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return "POST", "mcp/", {"json": call, "headers": {"Accept": "application/json, text/event-stream"}}


def got(caller: Caller, method: str, path: str, **request: Any) -> tuple[int, bytes]:
    """Status, and all that somebody is told: of an event what it gives, of an endless answer what comes first."""
    with caller.stream(method, f"{API}/{path}", timeout=LISTEN_SECONDS, **request) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return response.status_code, first_of(response)
        body = response.read()
    event = response.json().get("event_id") if path.startswith(("queue/", "call/")) and body[:1] == b"{" else None
    if event:
        session = request["json"].get("session_hash") if "json" in request else None
        reading = f"queue/data?session_hash={session}" if session else f"call/{path.split('/')[1]}/{event}"
        with caller.stream("GET", f"{API}/{reading}") as response:
            body += first_of(response, until=b"process_completed" if session else b"event: ")
    return response.status_code, body


def first_of(stream: httpx2.Response, until: bytes = b"data: ") -> bytes:
    body = b""
    with suppress(httpx2.RemoteProtocolError, httpx2.ReadTimeout):  # an unknown session; one in which nothing happens
        for part in stream.iter_bytes():
            body += part
            if until in body:
                break
    return body


@pytest.fixture(scope="module")
def hers(alice: Caller) -> Iterator[tuple[Hers, Callable[[], int]]]:
    with busy(alice) as (hers, number):
        yield hers, number


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_with_somebody_elses_identifiers_nothing_of_hers_is_got_or_changed(
    hers: tuple[Hers, Callable[[], int]], alice: Caller, other: Caller, attack: Callable[[Hers], Attack]
) -> None:
    """Somebody else's session, event or upload is just one of one's own; somebody else's file is none."""
    known, number = hers
    method, path, request = attack(replace(known, own=other.session))
    body = got(other, method, path, **request)[1]
    assert SECRET not in body
    assert SECRET.upper() not in body
    assert b"process_generating" not in body
    assert HER_COLOUR.encode() not in body, "her drawing"
    before = number()
    assert number() > before, "her event goes on"
    assert alice.get(f"file={known.upload}").content == f"secret {known.session}".encode()


@pytest.mark.parametrize("attack", FILES.values(), ids=FILES)
def test_somebody_elses_file_is_not_found(
    hers: tuple[Hers, Callable[[], int]], other: Caller, attack: Callable[[Hers], Attack]
) -> None:
    method, path, request = attack(hers[0])
    assert got(other, method, path, **request) == (404, b"" if method == "HEAD" else NOTHING)


@pytest.mark.parametrize("attack", FUNCTIONS.values(), ids=FUNCTIONS)
def test_somebody_elses_file_is_handed_to_no_function(
    hers: tuple[Hers, Callable[[], int]], other: Caller, attack: Callable[[Hers], Attack], name: str
) -> None:
    method, path, request = attack(replace(hers[0], own=other.session))
    status, body = got(other, method, path, **request)
    if any(
        text in name for text in TEXTS
    ):  # a text like any other; that it is repeated makes nobody a present of the file
        assert other.get(f"file={hers[0].upload}").status_code == 404
    else:
        assert status in (400, 404) or b'"isError":true' in body, body


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.id)


def test_what_another_does_in_a_session_of_her_name_is_not_done_in_hers(alice: Caller, other: Caller) -> None:
    session = uuid4().hex
    assert alice.run("remember", "hers", None, session=session) == [None, "hers"]
    assert other.run("remember", "his", None, session=session) == [None, "his"]
    assert other.ask("POST", f"{API}/cancel", json=cancelling(session, "x")[2]["json"]).status_code == 200
    assert alice.run("remember", "more", None, session=session) == [None, "hers more"]


@pytest.mark.parametrize("attack", {**FILES, **FUNCTIONS}.values(), ids={**FILES, **FUNCTIONS})
def test_she_herself_gets_her_files_and_hands_them_to_functions(
    hers: tuple[Hers, Callable[[], int]], alice: Caller, attack: Callable[[Hers], Attack]
) -> None:
    method, path, request = attack(hers[0])
    if "proxy=" in path:
        return  # closed, to her too
    assert got(alice, method, path, **request)[1] != NOTHING


@pytest.mark.parametrize("attack", NAMES.values(), ids=NAMES)
def test_she_herself_is_let_into_her_sessions(alice: Caller, attack: Callable[[Hers], Attack]) -> None:
    with busy(alice) as (known, _):
        method, path, request = attack(known)
        with alice.stream(method, f"{API}/{path}", **request) as response:
            assert response.status_code == 200


# -- whose a thing is -------------------------------------------------------------------------------------------------


@pytest.fixture
def bob(house: AppServer, alice: Caller) -> Iterator[Caller]:
    yield from person(house, sub="bob-2", name="Bob Example")


def test_a_person_is_the_same_in_two_browsers(house: AppServer, alice: Caller) -> None:
    path = alice.upload("two.txt", b"seen from both")
    assert alice.run("remember", "one", None, session="of-both") == [None, "one"]
    for elsewhere in person(house):
        assert elsewhere.get(f"file={path}").content == b"seen from both"
        assert elsewhere.run("shout", file_object(path)) == ["SEEN FROM BOTH"]
        assert elsewhere.run("remember", "two", None, session="of-both") == [None, "one two"]


def test_two_people_in_one_browser_have_nothing_of_each_other(house: AppServer, alice: Caller) -> None:
    with house.browser() as browser:
        browser.sign_in()
        caller = Caller(browser)
        path = caller.upload("left.txt", b"left behind")
        assert caller.run("remember", "hers", None, session="of-the-tab") == [None, "hers"]
        browser.sign_out()
        with house.providers["acme"].signing_in(sub="bob-2", name="Bob Example"):
            browser.sign_in()
        assert caller.get(f"file={path}").status_code == 404
        assert caller.run("remember", "his", None, session="of-the-tab") == [None, "his"]


def test_who_uploads_the_same_has_a_file_of_their_own(alice: Caller, bob: Caller) -> None:
    path = alice.upload("same.txt", b"the same")
    assert bob.get(f"file={path}").status_code == 404
    his = bob.upload("same.txt", b"the same")
    assert his != path
    for caller, file in ((alice, path), (bob, his)):
        assert caller.get(f"file={file}").content == b"the same"
        assert caller.run("shout", file_object(file)) == ["THE SAME"]
    assert bob.get(f"file={path}").status_code == 404


def test_who_makes_the_same_has_a_file_of_their_own(alice: Caller, bob: Caller) -> None:
    (hers,) = alice.run("doubled", file_object(alice.upload("one.txt", b"as one")))
    (his,) = bob.run("doubled", file_object(bob.upload("two.txt", b"as one")))
    assert his["path"] != hers["path"]
    for caller, file, others in ((alice, hers, his), (bob, his, hers)):
        assert caller.get(f"file={file['path']}").content == b"as oneas one"
        assert caller.get(f"file={others['path']}").status_code == 404


def test_a_copy_that_a_function_sends_somebody_is_theirs(alice: Caller, bob: Caller) -> None:
    path = alice.upload("lent.txt", b"lent")
    alice.run("lend", file_object(path))
    (borrowed,) = bob.run("borrow")
    assert bob.get(f"file={borrowed['path']}").content == b"lent"
    assert bob.run("shout", file_object(borrowed["path"])) == ["LENT"]


def test_a_file_itself_is_sent_to_nobody_but_its_owner(alice: Caller, bob: Caller) -> None:
    alice.run("lend", file_object(alice.upload("kept.txt", b"kept")))
    with pytest.raises(AssertionError, match="process_completed"):
        bob.run("take")
    assert alice.get(f"file={alice.run('take')[0]['path']}").content == b"kept"


@pytest.mark.parametrize("page", ["/gradio/", "/gradio/config"])
def test_a_deep_link_opens_for_whoever_is_signed_in(alice: Caller, bob: Caller, page: str) -> None:
    path = alice.upload("linked.txt", page.encode())
    alice.run("doubled", file_object(path))
    link = alice.ask("GET", f"{API}/deep_link", params={"session_hash": alice.session}).json()
    assert bob.get(f"file={path}").status_code == 404
    assert bob.get(f"file={Path(path).parents[1]}/deep_links/{link}/state.json").status_code == 404
    shown = bob.ask("GET", page, params={"deep_link": link}).text
    copies = set(re.findall(r"/[^\"\\]*/linked\.txt", shown)) - {path}
    assert path not in shown
    assert [bob.get(f"file={copy}").content for copy in copies if "file=" not in copy] == [page.encode()]
    assert bob.get(f"file={path}").status_code == 404


def test_what_is_on_the_page_is_for_everybody(alice: Caller, other: Caller) -> None:
    (picture,) = (
        part["props"]["value"]["path"]
        for part in other.ask("GET", "/gradio/config").json()["components"]
        if part["type"] == "image" and part["props"].get("value")
    )
    for caller in (alice, other):
        assert caller.get(f"file={picture}").headers["content-type"].startswith("image/")
        assert caller.run("echo_json", file_object(picture))


# -- no echo makes a file theirs --------------------------------------------------------------------------------------


ECHOES: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "a text": ("echo", lambda path: f"Look at {path}."),
    "a text of JSON": ("echo", lambda path: json.dumps(file_object(path))),
    "a text shown as JSON": ("show_json", lambda path: json.dumps(file_object(path))),
    "a text read as JSON": ("read_json", lambda path: json.dumps(file_object(path))),
    "a text read as JSON, escaped": ("read_json", lambda path: json.dumps(file_object(path)).replace("g", "\\u0067")),
    "a text read as JSON of a gallery": ("read_json", lambda path: json.dumps([{"image": file_object(path)}])),
    "a text read from behind": ("backwards", lambda path: f"/gradio_api/file={path}"[::-1]),
    "an address in a text read from behind": ("backwards", lambda path: f"http://x/gradio_api/file={path}"[::-1]),
    "what was uploaded": ("read_json_file", lambda path: json.dumps(file_object(path)).encode()),
}


@pytest.mark.parametrize(("function", "said"), ECHOES.values(), ids=ECHOES)
def test_what_a_function_only_repeats_makes_no_file_theirs(
    alice: Caller, other: Caller, function: str, said: Callable[[str], object]
) -> None:
    path = alice.upload(f"{uuid4().hex}.txt", b"no echo")
    value = said(path)
    if isinstance(value, bytes):
        value = file_object(other.upload("x.json", value))
    with suppress(AssertionError):  # an object that is a file is not even repeated
        (repeated,) = other.run(function, value)
        assert Path(path).name in json.dumps(repeated), "it did repeat it"
    assert other.get(f"file={path}").status_code == 404
    assert other.join("shout", file_object(path)).status_code == 404
    link = other.ask("GET", f"{API}/deep_link", params={"session_hash": other.session}).json()
    shown = other.ask("GET", "/gradio/config", params={"deep_link": link}).text
    assert other.get(f"file={path}").status_code == 404, "through a deep link neither"
    for copy in re.findall(r"/[^\"\\]*\.txt", shown):
        assert other.get(f"file={copy}").content != b"no echo"
    assert alice.get(f"file={path}").content == b"no echo"


def test_a_component_that_repeats_makes_no_file_theirs(alice: Caller, other: Caller) -> None:
    path = alice.upload(f"{uuid4().hex}.txt", b"no echo")
    text = json.dumps(file_object(path))
    repeated = other.ask("POST", f"{API}/component_server", json=asked(other.session, text)).json()
    assert repeated == file_object(path)
    assert other.get(f"file={path}").status_code == 404


def test_a_file_with_a_file_object_in_it_gives_nothing_when_it_is_read(alice: Caller, bob: Caller) -> None:
    path = alice.upload("echo.txt", b"no echo")
    his = bob.upload("x.json", b"{}")
    Path(his).write_text(json.dumps(file_object(path)), "utf-8")  # as some function of the app might
    assert json.loads(bob.get(f"file={his}").content)["path"] == path
    assert bob.get(f"file={path}").status_code == 404


# -- MCP --------------------------------------------------------------------------------------------------------------


def called(caller: Caller, name: str, **arguments: object) -> str:
    """What an MCP tool says."""
    _, path, request = tool(name, **arguments)
    response = caller.ask("POST", f"{API}/{path}", **request)
    (message,) = messages(response)
    assert not message["result"]["isError"], message
    return " ".join(part.get("text", "") for part in message["result"]["content"])


def test_what_a_tool_makes_is_its_callers(alice: Caller, other: Caller) -> None:
    hers, others = (
        unquote(called(caller, "drawing_of", text="blue").partition("file=")[2]) for caller in (alice, other)
    )
    assert hers != others
    assert alice.get(f"file={hers}").status_code == 200
    assert other.get(f"file={hers}").status_code == 404
    assert other.get(f"file={others}").status_code == 200
