"""What people who are in, and links that they follow, get out of the running app: nothing of the host's or of others'.

Beside each attack stands the honest use that it looks like.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
import pytest

from auth import identity_of
from tests.isolation.support import API, FILE_DATA, Caller, file_object, host_elsewhere, person, signed_in
from tests.support.app_server import AppServer
from tests.support.provider import Provider
from ui.isolation.limits import Limits
from ui.isolation.rooms import room_of

HERE = Path(__file__)
COMMON_TEMP = tempfile.gettempdir()
"""As it is before the hooks are set."""
BLOCKS: list[gr.Blocks] = []
fetched: list[str] = []
calls: list[str] = []
gate = threading.Event()


def slowly(text: str) -> str:
    gate.wait(10)
    calls.append(text)
    return text


def together(texts: list[str], states: list[str], request: gr.Request) -> list[list[str]]:
    time.sleep(0.2)
    return [[f"{text} {len(texts)} {identity_of(request).subject}" for text in texts], list(texts)]


@gr.cache
def remembered(text: str, request: gr.Request) -> str:
    return f"{text} for {identity_of(request).subject}"


@gr.cache(per_session=True)
def remembered_by_session(text: str) -> str:
    return f"{text} {uuid4().hex}"


def left_in_temp(text: str) -> tuple[str, str]:
    """A file that a function leaves in the common temp folder, as a library would, and its name."""
    file = Path(tempfile.mkdtemp()) / "left.txt"
    file.write_text(text, "utf-8")
    return str(file), str(file)


def in_the_open(text: str) -> str:
    file = Path(COMMON_TEMP) / f"{uuid4().hex}.txt"
    file.write_text(text, "utf-8")
    return str(file)


def echo(value: Any) -> Any:
    return value


def parsed(text: str) -> Any:
    return json.loads(text)


def failing(text: str) -> str:
    raise gr.Error(text)


def attack_blocks() -> gr.Blocks:
    with gr.Blocks() as blocks:
        text, answer, made, document = gr.Textbox(), gr.Textbox(), gr.File(), gr.JSON()
        file, image, gallery, chat = gr.File(), gr.Image(type="filepath"), gr.Gallery(), gr.Chatbot()
        video, audio, model, editor = gr.Video(), gr.Audio(type="filepath"), gr.Model3D(), gr.ImageEditor()
        multi, state, choice = gr.MultimodalTextbox(), gr.State(""), gr.Dropdown([str(HERE), "other"])
        browser = gr.BrowserState([])
        gr.JSON({"path": str(HERE)})
        on = gr.Button().click
        on(slowly, text, answer, api_name="slowly")
        on(together, [text, state], [answer, state], api_name="together", batch=True, max_batch_size=4)
        on(remembered, text, answer, api_name="remembered")
        on(remembered_by_session, text, answer, api_name="remembered_by_session")
        on(left_in_temp, text, [made, answer], api_name="left_in_temp")
        on(in_the_open, text, made, api_name="in_the_open")
        on(echo, text, answer, api_name="echo")
        on(echo, text, made, api_name="echo_file")
        on(echo, choice, made, api_name="chosen")
        on(echo, document, document, api_name="echo_json")
        on(echo, document, chat, api_name="load_chat")
        on(echo, document, gallery, api_name="load_gallery")
        on(echo, browser, document, api_name="load_browser_state")
        on(parsed, text, document, api_name="parsed")
        for kind, component in {
            "file": file, "image": image, "gallery": gallery, "chat": chat, "video": video, "audio": audio,
            "model": model, "editor": editor, "multi": multi,
        }.items():  # fmt: skip
            on(lambda value: str(value), component, answer, api_name=f"take_{kind}")
        on(lambda: str(HERE), None, made, api_name="own_file")
        on(failing, text, answer, api_name="failing")
    BLOCKS.append(blocks)
    return blocks


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """A host that somebody else runs."""
    with host_elsewhere(b"<script>alert(1)</script>", fetched) as address:
        yield address


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=attack_blocks) as server:
        yield server


# -- the host is nobody's proxy ----------------------------------------------------------------------------------------


FROM_ELSEWHERE = (
    "file={url}/x.png",
    "file={url}/x.html",
    "file/{url}/x.png",
    "file=HTTP://{host}/x.png",
    "file=//{host}/x.png",
    "file=https:/{host}/x.png",
    "proxy={url}/x.png",
    "file=ftp://{host}/x.png",
    "file=file:///etc/hostname",
    "file=http://100.100.100.200/latest/meta-data",
    "file=http://169.254.169.254/latest/meta-data",
    "file=http://[::1]:1/x.png",
    "file=data:text/html,<script>alert(1)</script>",
    "file=/a%00b",
    f"file=/{'a' * 5000}",
)


@pytest.mark.parametrize("path", FROM_ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_lies_at_an_address_is_not_served(alice: Caller, elsewhere: str, path: str, method: str) -> None:
    before = len(fetched)
    answer = alice.ask(method, f"{API}/{path.format(url=elsewhere, host=elsewhere.removeprefix('http://'))}")
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert len(fetched) == before


ADDRESSED: Mapping[str, Any] = {
    "take_file": lambda url: file_object(url),
    "take_image": lambda url: {**file_object(url), "url": url},
    "take_gallery": lambda url: [{"image": file_object(url), "caption": None}],
    "take_video": lambda url: file_object(url),
    "take_audio": lambda url: file_object(url),
    "take_model": lambda url: file_object(url),
    "take_chat": lambda url: [{"role": "user", "content": file_object(url)}],
    "take_multi": lambda url: {"text": "", "files": [file_object(url)]},
    "take_editor": lambda url: {"background": file_object(url), "layers": [], "composite": None},
    "echo_json": lambda url: file_object(url),
    "echo_file": lambda url: url,
    "load_chat": lambda url: [{"role": "user", "content": {"path": url}}],
    "load_gallery": lambda url: [url],
    "parsed": lambda url: json.dumps(file_object(url)).replace("/", "\\/"),
}


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio would refuse this machine; what stands in its way is to be the host's own refusal."""
    import httpx
    import safehttpx

    async def get(url: str, **options: object) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(url)

    monkeypatch.setattr(safehttpx, "get", get)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("name", ADDRESSED)
def test_no_argument_makes_the_host_fetch_anything(alice: Caller, elsewhere: str, name: str) -> None:
    before = len(fetched)
    value = ADDRESSED[name](f"{elsewhere}/{name}.png")
    joined = alice.join(name, value)
    if joined.status_code == 200:
        alice.result(joined.json()["event_id"])
    alice.ask("POST", f"{API}/run/{name}", json={"data": [value]})
    assert len(fetched) == before


# -- an answer has no header of the request ----------------------------------------------------------------------------


@pytest.mark.parametrize("range_", ["bytes=0-3", "bytes=0-", "bytes=-3", "bytes=0-0,2-2", "bytes=9-", "bytes=a-b", ""])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_has_no_header_of_the_request(alice: Caller, range_: str, method: str) -> None:
    path = alice.upload("ranged.txt", b"0123456")
    marks = {"X-Mark": "a mark", "Cookie2": "a mark"} | ({"Range": range_} if range_ else {})
    with alice.stream(method, f"{API}/file={path}", headers=marks) as answer:
        body = answer.read()
    assert not {"cookie", "authorization", "x-mark", "cookie2", "user-agent", "accept"} & set(answer.headers)
    if method == "GET" and range_ == "bytes=0-3":
        assert (answer.status_code, body) == (206, b"0123")
    if not range_:
        assert (answer.status_code, answer.headers["content-length"]) == (200, "7")


# -- files ------------------------------------------------------------------------------------------------------------


RUNS = {
    "page.html": b"<script>alert(1)</script>",
    "page.xhtml": b"<script/>",
    "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "style.css": b"a{}",
    "code.js": b"alert(1)",
    "feed.xml": b"<x/>",
    "noname": b"<html><script>alert(1)</script>",
    "letter.pdf": b"%PDF",
}
SHOWN = {"a.png": "image/png", "a.mp4": "video/mp4", "a.txt": "text/plain; charset=utf-8", "a.json": "application/json"}


@pytest.mark.parametrize("name", RUNS)
def test_what_could_run_is_downloaded(alice: Caller, name: str) -> None:
    answer = alice.get(f"file={alice.upload(name, RUNS[name])}")
    assert answer.content == RUNS[name]
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("name", [*SHOWN, *RUNS])
def test_a_file_has_a_policy_of_its_own(alice: Caller, name: str) -> None:
    path = alice.upload(name, RUNS.get(name, b"x"))
    answer = alice.get(f"file={path}")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "private" in answer.headers["cache-control"]
    if name in SHOWN:
        assert answer.headers["content-type"] == SHOWN[name]
        assert answer.headers["content-disposition"].startswith("inline")
    again = alice.get(f"file={path}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_path_that_stands_on_a_page_is_no_file_of_the_page(alice: Caller) -> None:
    assert str(HERE) in alice.ask("GET", "/gradio/config").text
    assert alice.get(f"file={HERE}").status_code == 404


# -- a function is handed its caller's files and assets alone ----------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[list[Path]]:
    """Files that are nobody's upload: of the app, of the system, of the common temp folder."""
    common = Path(COMMON_TEMP) / f"{uuid4().hex}.txt"
    common.write_text("secret of the machine", "utf-8")
    yield [common, HERE, Path("/proc/self/environ"), Path("/etc/passwd"), Path("app.py")]
    common.unlink()


SHAPES: Mapping[str, Any] = {
    "bare": lambda path: {"path": path},
    "marked": lambda path: {"path": path, "meta": FILE_DATA},
    "with another mark": lambda path: {"path": path, "meta": {"_type": "x"}},
    "with an address": lambda path: {"path": path, "url": f"/gradio_api/file={path}"},
    "in a list": lambda path: [[{"path": path}]],
    "as a member": lambda path: {"a": {"b": {"path": path, "meta": FILE_DATA}}},
    "as a message": lambda path: [{"role": "user", "content": {"path": path}}],
    "as an older message": lambda path: [0, [[{"role": "user", "content": {"path": path}}]]],
    "as a file in a message": lambda path: [{"role": "user", "content": {"type": "file", "file": {"path": path}}}],
    "beside one's own": lambda path: [{"path": path}, {"path": ""}],
    "streamed": lambda path: {"path": path, "is_stream": True, "meta": FILE_DATA},
    "an update": lambda path: {"__type__": "update", "value": {"path": path, "meta": FILE_DATA}},
}
INTO = ("echo_json", "load_chat", "load_gallery", "load_browser_state", "take_file", "take_chat")


def secrets_in(alice: Caller, said: str) -> bool:
    """Whether something that was said is, or leads to, content from outside."""
    if "secret of the machine" in said or "root:" in said:
        return True
    for part in said.replace("\\", "").split('"'):
        if part.startswith("/") and "/gradio/" in part and alice.get(f"file={part}").status_code == 200:
            return True
    return False


@pytest.mark.parametrize("function", INTO)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_object_with_a_path_hands_over_what_lies_outside(
    alice: Caller, outside: list[Path], shape: str, function: str
) -> None:
    for file in outside:
        value = SHAPES[shape](str(file))
        joined = alice.join(function, value)
        assert joined.status_code == 404, (file, joined.text)
        ran = alice.ask("POST", f"{API}/run/{function}", json={"data": [value]})
        assert ran.status_code == 404
        about = {**alice.joining(alice.session, "echo", "x"), "event_data": value}
        assert alice.ask("POST", f"{API}/queue/join", json=about).status_code == 404


@pytest.mark.parametrize("shape", SHAPES)
def test_what_a_text_says_of_a_file_hands_over_nothing(alice: Caller, outside: list[Path], shape: str) -> None:
    for file in outside:
        for text in (
            json.dumps(SHAPES[shape](str(file))),
            json.dumps(SHAPES[shape](str(file))).replace("/", "\\u002f"),
        ):
            message = alice.result(alice.join("parsed", text).json()["event_id"])
            assert not secrets_in(alice, json.dumps(message))


def test_a_path_that_a_caller_writes_is_no_file(alice: Caller, outside: list[Path]) -> None:
    for file in outside:
        for name in (str(file), os.path.relpath(file), f"/proc/self/root{file.resolve()}"):
            message = alice.result(alice.join("echo_file", name).json()["event_id"])
            assert not message["success"], name
            assert not secrets_in(alice, json.dumps(message))


def test_an_object_with_a_path_that_is_none_is_data(alice: Caller) -> None:
    route = {"path": "/users/1", "method": "GET"}
    assert alice.run("echo_json", route) == [route]


def test_what_the_app_itself_chooses_is_shown(alice: Caller) -> None:
    for (made,) in (alice.run("own_file"), alice.run("chosen", str(HERE)), alice.run("in_the_open", "mine")):
        assert alice.get(f"file={made['path']}").status_code == 200


def test_what_a_function_leaves_in_the_temp_folder_is_not_to_be_had_by_name(alice: Caller, bob: Caller) -> None:
    made, name = alice.run("left_in_temp", "secret of hers")
    assert alice.get(f"file={made['path']}").content == b"secret of hers"
    assert alice.run("echo_file", name)[0]["path"], "she has it by its name"
    for value in (name, name.replace("/tmp", "/tmp/."), f"/proc/self/root{name}"):
        assert not bob.result(bob.join("echo_file", value).json()["event_id"])["success"]
        assert bob.join("echo_json", {"path": value}).status_code == 404
        assert bob.get(f"file={value}").status_code == 404


@pytest.mark.parametrize("kind", ["waits", "streams"])
def test_a_link_in_a_text_gives_nothing_while_an_event_waits_or_streams(alice: Caller, bob: Caller, kind: str) -> None:
    path = alice.upload("hers.txt", b"secret")
    gate.clear() if kind == "waits" else gate.set()
    event = bob.join("slowly", f"x file={path} /gradio_api/file={path} z").json()["event_id"]
    assert bob.get(f"file={path}").status_code == 404
    gate.set()
    assert path in json.dumps(bob.result(event))
    assert bob.get(f"file={path}").status_code == 404


# -- batches and caches ------------------------------------------------------------------------------------------------


def test_a_batch_holds_one_persons_events(alice: Caller, bob: Caller) -> None:
    def one(number: int) -> tuple[str, str, list[str]]:
        caller = (alice, bob)[number % 2]
        session = uuid4().hex
        return ("ab"[number % 2]), f"t{number}", caller.run("together", f"t{number}", None, session=session)

    subjects: dict[str, set[str]] = {"a": set(), "b": set()}
    with ThreadPoolExecutor(8) as pool:
        for who, text, (said, _) in pool.map(one, range(16)):
            answered, _, subject = said.split(" ")
            assert answered == text
            subjects[who].add(subject)
    assert not subjects["a"] & subjects["b"]


def test_a_cache_has_the_identity_in_its_key(alice: Caller, bob: Caller) -> None:
    for _ in range(20):
        (hers,), (his,) = alice.run("remembered", "x"), bob.run("remembered", "x")
        assert hers != his
        assert his == "x for bob-2"


def test_a_cache_by_session_is_nobody_elses_without_one(alice: Caller, bob: Caller) -> None:
    said = [
        caller.ask("POST", f"{API}/run/remembered_by_session", json={"data": ["x"]}).json()["data"]
        for caller in (alice, bob, alice)
    ]
    assert said[0] == said[2]
    assert said[0] != said[1]


# -- an event's turn comes after a sign-out ----------------------------------------------------------------------------


def test_what_waits_when_its_session_ends_is_not_run(house: AppServer) -> None:
    gate.clear()
    for one in person(house, sub="carol-3", name="Carol"):
        calls.clear()
        for number in range(6):
            assert one.join("slowly", f"carol {number}").status_code == 200
        time.sleep(0.3)  # the first has begun
        for elsewhere in person(house, sub="carol-3", name="Carol"):
            elsewhere._http.sign_out(everywhere="1")
    for other in person(house, sub="dave-4", name="Dave"):
        gate.set()
        assert other.run("slowly", "dave") == ["dave"]
    assert [text for text in calls if text.startswith("carol")] in ([], ["carol 0"])


# -- nobody stops the others -------------------------------------------------------------------------------------------


def test_what_one_person_sends_in_thousands_stops_nobody(house: AppServer, bob: Caller) -> None:
    gate.set()

    def send(one: Caller) -> list[int]:
        codes = []
        for _ in range(320):
            codes.append(one.ask("POST", f"{API}/call/echo", json={"data": ["x"]}).status_code)
        return codes

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        browsers = [stack.enter_context(signed_in(house, sub="eve-5", name="Eve")) for _ in range(8)]
        sent = [pool.submit(send, Caller(browser)) for browser in browsers]
        while not all(one.done() for one in sent):
            start = time.monotonic()
            assert bob.run("echo", "hello") == ["hello"]
            assert time.monotonic() - start < 5
            time.sleep(2)  # alone, who sends is not put off
    codes = [code for one in sent for code in one.result()]
    assert set(codes) <= {200, 429}
    assert codes.count(200) > Limits().sessions
    for table in (BLOCKS[-1]._queue.pending_messages_per_session, BLOCKS[-1].state_holder.session_data):
        assert max(Counter(map(room_of, table)).values()) <= Limits().sessions
    assert bob.run("echo", "still here") == ["still here"]
    assert bob._http.get("/readyz").status_code == 200


@pytest.mark.parametrize("body", ['"/"', '{"path":"/"}', "[]", '"' + "a/" * 20 + '"', "1", '{"path":"/%d"}'])
def test_a_hostile_body_does_not_stop_the_loop(house: AppServer, alice: Caller, body: str) -> None:
    """4 MiB of it."""
    many = 4 * 2**20 // (len(body) + 1)
    items = ",".join(body % number if "%d" in body else body for number in range(many))
    content = f'{{"data":[[{items}]],"session_hash":"s"}}'
    tries = (
        stalls(house, lambda: alice.ask("POST", f"{API}/run/echo_json", content=content).status_code) for _ in range(3)
    )
    assert any(longest < 0.5 for longest in tries), "once at least nothing else kept this machine busy"


def stalls(house: AppServer, do: Any) -> float:
    """Seconds that the longest wait for an answer to anybody took meanwhile."""
    done = threading.Event()
    longest = 0.0

    def watch() -> None:
        nonlocal longest
        with house.browser() as http:
            while not done.is_set():
                start = time.monotonic()
                assert http.get("/healthz").status_code == 200
                longest = max(longest, time.monotonic() - start)

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        do()
        done.set()
        watching.result()
    return longest


def test_a_drawing_has_a_bounded_number_of_layers(alice: Caller) -> None:
    """Gradio makes room for as many as the number says."""
    (editor,) = (number for number, block in BLOCKS[-1].blocks.items() if isinstance(block, gr.ImageEditor))
    for index, status in ((0, 200), (99, 200), (100, 413), (2_000_000_000, 413)):
        fields = {"session_hash": "s", "fn_name": "accept_blobs", "component_id": str(editor)}
        fields |= {"id": "a drawing", "type": "layer", "index": str(index)}
        sent = {"data": fields, "files": {"file": ("layer.png", b"x")}}
        assert alice.ask("POST", f"{API}/component_server", **sent).status_code == status


# -- bounds of one person ----------------------------------------------------------------------------------------------


@pytest.fixture
def queue(house: AppServer) -> Any:
    return BLOCKS[-1]._queue


def test_a_queue_that_stops_is_said_to_and_started_again(alice: Caller, queue: Any) -> None:
    queue.stopped = True
    assert alice._http.get("/readyz").status_code == 503
    assert "queue" in alice._http.get("/readyz").json()["problems"][0]
    wait_until_ready(alice)
    assert alice.run("echo", "again") == ["again"]


def test_nobody_starts_the_queue_a_second_time(alice: Caller, queue: Any) -> None:
    """What runs would be forgotten."""
    before = queue.active_jobs
    assert alice.get("startup-events").status_code == 200
    assert queue.active_jobs is before


def test_a_queue_whose_loop_dies_is_started_again(alice: Caller, queue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        monkeypatch.undo()
        raise KeyError("a session")

    gate.set()
    monkeypatch.setattr(queue, "get_events", fail)
    alice.join("slowly", "x")
    time.sleep(0.1)
    wait_until_ready(alice)
    assert alice.run("echo", "again") == ["again"]


def wait_until_ready(caller: Caller) -> None:
    for _ in range(100):
        if caller._http.get("/readyz").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError("it was not started again")


def test_who_has_too_many_events_is_told_in_words(house: AppServer, bob: Caller) -> None:
    gate.clear()
    for frank in person(house, sub="frank-6", name="Frank"):
        answers = [frank.join("slowly", f"frank {number}", session=uuid4().hex) for number in range(210)]
        gate.set()
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) >= 9
        for answer in refused:
            assert answer.status_code == 429
            assert answer.json()["detail"].endswith("Please wait until some are done.")
            assert answer.headers["retry-after"]
        assert bob.run("slowly", "bob") == ["bob"], "before the hundreds that wait"
        assert len([text for text in calls if text.startswith("frank")]) < 200


def test_fifty_events_of_one_person_are_answered_while_another_sends_all_they_can(
    house: AppServer, bob: Caller
) -> None:
    gate.set()
    usual = [seconds_of(bob) for _ in range(20)]
    stop = threading.Event()

    def send(grace: Caller) -> int:
        count = 0
        while not stop.is_set():
            grace.ask("POST", f"{API}/call/echo", json={"data": ["x"]})
            count += 1
        return count

    with ExitStack() as stack, ThreadPoolExecutor(8) as pool:
        browsers = [stack.enter_context(signed_in(house, sub="grace-7", name="Grace")) for _ in range(8)]
        sending = [pool.submit(send, Caller(browser)) for browser in browsers]
        meanwhile = []
        while len(meanwhile) < 50:
            time.sleep(0.2)
            meanwhile.append(seconds_of(bob))
        stop.set()
        sent = sum(one.result() for one in sending)
    assert sent > 50
    print(
        f"median and longest: {sorted(usual)[10]:.3f} {max(usual):.3f} s, "
        f"beside {sent} requests {sorted(meanwhile)[25]:.3f} {max(meanwhile):.3f} s"
    )


def seconds_of(caller: Caller) -> float:
    start = time.monotonic()
    assert caller.run("echo", "hello", session=uuid4().hex) == ["hello"]
    return time.monotonic() - start
