"""Whose a session, an event and a file are: the books, the spellings of a path, and what a request is refused for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.identity import Credential, Identity
from tests.support.asgi import Answer, ask, http_scope, made_answers
from tests.support.clock import Clock
from tests.support.settings import sound_settings
from ui.isolation.files import Folder, files_named_in
from ui.isolation.grants import Gifts
from ui.isolation.middleware import BODY_BYTES, Ownership
from ui.isolation.owners import (
    BUSY_SECONDS,
    IN_ALL,
    KEPT_SECONDS,
    SESSIONS_AT_MOST,
    SWEEP_SECONDS,
    Asked,
    Owners,
    TooManySessions,
)

ALICE, BOB, CAROL = (f"https://id.acme.example#{name}" for name in ("alice", "bob", "carol"))
CONTENT = "0123456789abcdef" * 4
ASKED = Asked(at=0.0, plain=True)
MCP_SESSION = UUID("6f2b1c0e-8d43-4d7a-9a58-0c1e2f3a4b5c")
FILE_DATA = {"_type": "gradio.FileData"}

# -- the books --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owners(clock: Clock) -> Owners:
    return Owners(now=clock)


def use(owners: Owners, who: str, *sessions: str) -> None:
    for session in sessions:
        assert owners.claim(who, session)
        owners.release(who, [session])


def test_a_session_belongs_to_the_first_who_names_it(owners: Owners) -> None:
    use(owners, ALICE, "s")
    assert not owners.claim(BOB, "s")
    use(owners, ALICE, "s")


def test_an_event_belongs_to_the_first_who_is_told_of_it(owners: Owners) -> None:
    owners.issue(ALICE, "e", ASKED)
    owners.issue(BOB, "e", ASKED)
    assert owners.may_use_event(ALICE, "e")
    assert not owners.may_use_event(BOB, "e")


def test_an_event_is_also_the_name_of_a_session_of_its_own(owners: Owners) -> None:
    owners.issue(ALICE, "e", ASKED)
    assert not owners.claim(BOB, "e")
    use(owners, ALICE, "e")


def test_a_file_belongs_to_everybody_who_has_it(owners: Owners) -> None:
    owners.grant(ALICE, "/f")
    assert not owners.has_file(BOB, "/f")
    owners.grant(BOB, "/f")
    assert owners.has_file(ALICE, "/f")
    assert owners.has_file(BOB, "/f")


def test_the_name_of_a_session_makes_no_file_theirs(owners: Owners) -> None:
    use(owners, BOB, "/f")
    owners.issue(BOB, "/f", ASKED)
    assert not owners.has_file(BOB, "/f")


def test_a_hundred_thousand_sessions_of_one_person_take_no_room_from_others(owners: Owners, clock: Clock) -> None:
    use(owners, ALICE, "hers")
    clock.advance(BUSY_SECONDS)
    refused = 0
    for number in range(100_000):
        try:
            use(owners, BOB, f"s{number}")
        except TooManySessions:
            refused += 1
    assert refused == 100_000 - SESSIONS_AT_MOST
    assert owners.owner_of("hers") == ALICE
    assert owners.owner_of("s99999") is None
    use(owners, ALICE, "another of hers")


def test_a_session_that_was_not_used_for_long_makes_room_for_another_of_the_same_person(
    owners: Owners, clock: Clock
) -> None:
    use(owners, BOB, *(f"s{number}" for number in range(SESSIONS_AT_MOST)))
    clock.advance(BUSY_SECONDS)
    use(owners, BOB, "s0", "new")
    assert owners.owner_of("s1") is None
    assert owners.owner_of("s0") == BOB


def test_a_session_that_a_request_holds_makes_room_for_no_other(owners: Owners, clock: Clock) -> None:
    use(owners, BOB, *(f"s{number}" for number in range(SESSIONS_AT_MOST)))
    owners.claim(BOB, "s0")
    clock.advance(BUSY_SECONDS)
    use(owners, BOB, *(f"new{number}" for number in range(SESSIONS_AT_MOST - 1)))
    assert owners.owner_of("s0") == BOB
    with pytest.raises(TooManySessions):
        use(owners, BOB, "one more")
    owners.release(BOB, ["s0"])
    clock.advance(BUSY_SECONDS - 1)
    with pytest.raises(TooManySessions):  # it was in use until a moment ago
        use(owners, BOB, *(f"newer{number}" for number in range(SESSIONS_AT_MOST)))
    assert owners.owner_of("s0") == BOB


def test_a_session_is_held_until_the_last_of_its_requests_is_over(owners: Owners, clock: Clock) -> None:
    owners.claim(BOB, "twice")
    owners.claim(BOB, "twice")
    owners.release(BOB, ["twice"])
    clock.advance(BUSY_SECONDS)
    use(owners, BOB, *(f"s{number}" for number in range(SESSIONS_AT_MOST - 1)))
    with pytest.raises(TooManySessions):
        use(owners, BOB, "one more")
    owners.release(BOB, ["twice"])
    clock.advance(BUSY_SECONDS)
    use(owners, BOB, *(f"t{number}" for number in range(SESSIONS_AT_MOST)))
    assert owners.owner_of("twice") is None


@pytest.mark.parametrize("many", [11_000])
def test_the_oldest_events_and_files_of_one_person_go_first_and_nobody_elses(owners: Owners, many: int) -> None:
    owners.issue(ALICE, "hers", ASKED)
    owners.grant(ALICE, "/hers")
    for number in range(many):
        owners.issue(BOB, f"e{number}", ASKED)
        owners.grant(BOB, f"/f{number}")
        assert owners.has_file(BOB, "/f0"), "what is in use is not old"
    assert not owners.may_use_event(BOB, "hers")
    assert owners.has_file(ALICE, "/hers")
    assert not owners.has_file(BOB, "/f1")
    assert owners.has_file(BOB, f"/f{many - 1}")
    assert owners.may_use_event(ALICE, "e0"), "forgotten"
    assert not owners.may_use_event(ALICE, f"e{many - 1}")


def test_many_people_share_the_room_evenly(owners: Owners) -> None:
    people = 300
    for person in range(people):
        owners.grant(f"p{person}", "/f")
    for number in range(2 * IN_ALL // people):
        owners.grant("p0", f"/f{number}")
    assert sum(owners.has_file("p0", f"/f{number}") for number in range(2 * IN_ALL // people)) == IN_ALL // people


def test_what_is_a_persons_is_forgotten_a_day_after_they_were_last_seen(owners: Owners, clock: Clock) -> None:
    use(owners, ALICE, "s")
    owners.issue(ALICE, "e", ASKED)
    owners.grant(ALICE, "/f")
    clock.advance(KEPT_SECONDS)
    use(owners, BOB, "his")
    assert owners.owner_of("s") == ALICE
    clock.advance(SWEEP_SECONDS + 1)
    use(owners, BOB, "his")
    assert owners.owner_of("s") is None
    assert owners.may_use_event(BOB, "e")
    assert not owners.has_file(ALICE, "/f")
    assert not owners.has_file(BOB, "/f"), "a forgotten file is nobody's"


def test_a_person_with_an_open_stream_is_not_forgotten(owners: Owners, clock: Clock) -> None:
    owners.claim(ALICE, "s")
    clock.advance(2 * KEPT_SECONDS)
    use(owners, BOB, "his")
    assert owners.owner_of("s") == ALICE


def test_a_file_not_used_for_a_day_is_forgotten(owners: Owners, clock: Clock) -> None:
    owners.grant(ALICE, "/old")
    owners.grant(ALICE, "/used")
    clock.advance(KEPT_SECONDS)
    assert owners.has_file(ALICE, "/used")
    clock.advance(1)
    owners.grant(ALICE, "/new")
    assert not owners.has_file(ALICE, "/old")
    assert owners.has_file(ALICE, "/used")


# -- the spellings of a path ------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Gradio keeps files, with one in it, and links to it beside it; the app runs beside it too."""
    content = tmp_path / "gradio" / CONTENT
    content.mkdir(parents=True)
    (content / "a b.txt").write_text("secret")
    (tmp_path / "gradio" / "tmpab12").write_text("secret")
    (tmp_path / "to the file").symlink_to(content / "a b.txt")
    (tmp_path / "to the folder").symlink_to(tmp_path / "gradio")
    (tmp_path / "elsewhere.txt").write_text("public")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gradio"


SPELLINGS: Mapping[str, Callable[[Path], str]] = {
    "as it is": str,
    "relative": lambda file: f"gradio/{file.parent.name}/{file.name}",
    "a slash doubled": lambda file: str(file).replace("/", "//"),
    "with a dot": lambda file: f"{file.parent}/./{file.name}",
    "up and down": lambda file: f"{file.parent}/x/../{file.name}",
    "up over the top": lambda file: f"/..{file}",
    "very long": lambda file: f"{file.parent}{'/.' * 10_000}/{file.name}",
    "through a link to it": lambda file: str(file.parent.parent.parent / "to the file"),
    "through a link to the folder": lambda file: f"to the folder/{file.parent.name}/{file.name}",
    "through /proc": lambda file: f"/proc/self/root{file}",
    "a slash after it": lambda file: f"{file}/",
    "an address": lambda file: f"http://127.0.0.1/gradio/gradio_api/file={quote(str(file))}",
    "the older address": lambda file: f"/gradio_api/file/{quote(str(file))}",
    "an address, all of it encoded": lambda file: "/gradio_api/file=" + "".join(f"%{ord(c):02x}" for c in str(file)),
    "a relative address, encoded": lambda file: f"file={quote(str(file), safe='')}",
    "an address with a query": lambda file: f"/gradio_api/file={quote(str(file))}?a=b#c",
}


def places(root: Path | str, text: str) -> set[str | None]:
    return {Folder(str(root), assets=[]).place(file) for file in files_named_in(text)} - {None}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_file_is_found_in_any_spelling(root: Path, spell: Callable[[Path], str]) -> None:
    file = root / CONTENT / "a b.txt"
    assert places(root, spell(file)) == {str(file)}


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "elsewhere.txt",
        "/etc/passwd",
        "http://127.0.0.1/gradio/",
        CONTENT,
        f"see /gradio/{CONTENT} there",
        "a/b/c and 100 % of it",
        "\0/",
        "/" + "x" * 5000,
        "..",
        "/",
    ],
)
def test_what_names_nothing_there_names_no_place(root: Path, text: str) -> None:
    assert places(root, text) == set()


def test_a_path_without_end_is_not_followed_to_its_end(root: Path) -> None:
    endless = f"{root}{'/x' * 100_000}"
    start = time.process_time()
    assert places(root, endless) == {endless}
    assert time.process_time() - start < 1.0


def test_the_folder_itself_is_a_place(root: Path) -> None:
    assert places(root, f"{root}/") == {str(root)}


def test_a_path_in_another_case_is_a_place_of_its_own(root: Path) -> None:
    (root.parent / "GRADIO").mkdir()
    (root.parent / "GRADIO" / "x.txt").write_text("on this file system it is another folder")
    assert places(root, str(root.parent / "GRADIO" / "x.txt"))


def test_a_folder_reached_through_a_link_has_one_spelling(root: Path) -> None:
    link = root.parent / "to the folder"
    assert places(link, str(root / "tmpab12")) == {str(root / "tmpab12")}
    assert places(link, str(link / "tmpab12")) == {str(root / "tmpab12")}
    assert places(link, str(link / "nothing")) == {str(root / "nothing")}
    assert places(link, str(root / "nothing")) == {str(root / "nothing")}


def test_an_asset_and_what_lies_below_it_is_open(root: Path) -> None:
    (root / "shared" / "below").mkdir(parents=True)
    shared = str(root / "shared")
    folder = Folder(str(root), assets=[shared, f"http://x/gradio_api/file={quote(str(root / CONTENT / 'a b.txt'))}"])
    assert folder.is_open(f"{shared}/below/f")
    assert folder.is_open(str(root / CONTENT / "a b.txt"))
    assert not folder.is_open(str(root / CONTENT / "c.txt"))
    assert not folder.is_open(str(root / "tmpab12"))


@pytest.mark.parametrize("asset", ["", ".", "/", "gradio", "gradio/"])
def test_an_asset_never_opens_the_whole_folder(root: Path, asset: str) -> None:
    assert not Folder(str(root), assets=[asset]).is_open(str(root / "tmpab12"))


# -- what a request is refused for ------------------------------------------------------------------------------------


def identity(who: str) -> Identity:
    issuer, _, subject = who.partition("#")
    return Identity(username=subject, issuer=issuer, subject=subject, kind="person", expires_at=0)


def owned(
    app: ASGIApp,
    root: Path,
    owners: Owners,
    *,
    routes: Sequence[BaseRoute] = (),
    now: Callable[[], float] = time.time,
) -> Ownership:
    settings = sound_settings().completed()
    answers = made_answers(settings)
    folder = Folder(str(root), assets=[])
    gifts = Gifts(owners=owners, folder=folder, plain={"shows", 7}, now=now)
    return Ownership(app, answers=answers, owners=owners, folder=folder, gifts=gifts, routes=routes)


class House:
    """Ownership in front of an app that answers what it is told to, and knows what it was asked."""

    def __init__(self, root: Path, owners: Owners) -> None:
        self.asked: list[bytes] = []
        self.answer: Callable[[], Response] = lambda: PlainTextResponse("inside")
        self.owners = owners
        self.now = time.time()
        inner = FastAPI()

        @inner.get("/gradio_api/heartbeat/{session_hash}")
        @inner.get("/gradio_api/call/{api_name}/{event_id}")
        @inner.post("/gradio_api/stream/{event_id}")
        @inner.get("/made/tomorrow/{session_hash}/by/{event_id}")
        @inner.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
        async def anything(request: Request) -> Response:
            self.asked.append(await request.body())
            return self.answer()

        @inner.websocket("/gradio_api/ws")
        async def websocket(websocket: WebSocket) -> None:
            await websocket.accept()

        inner.add_middleware(lambda app: owned(app, root, owners, routes=inner.routes, now=lambda: self.now))
        self.app = inner

    async def ask(self, who: str, path: str, *, body: bytes | object = b"", kind: str = "", **more: Any) -> Answer:
        if not isinstance(body, bytes):
            body, kind = json.dumps(body).encode(), kind or "application/json"
        more.setdefault("method", "POST" if body else "GET")
        scope = http_scope(
            f"/gradio{path}",
            root_path="/gradio",
            headers={"Content-Type": kind} if kind else {},
            state={"credential": Credential(outcome=identity(who))},
            **more,
        )
        return await ask(self.app, scope, body)


@pytest.fixture
def house(root: Path, owners: Owners) -> House:
    house = House(root, owners)
    use(owners, ALICE, "hers", "", MCP_SESSION.hex)
    owners.issue(ALICE, "her-event", ASKED)
    for file in (root / CONTENT / "a b.txt", root / "tmpab12"):
        owners.grant(ALICE, str(file))
    return house


def form(**fields: str) -> dict[str, Any]:
    """A multipart form, as arguments of `House.ask`."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return {"body": "".join([*parts, "--b--\r\n"]).encode(), "kind": "multipart/form-data; boundary=b"}


FOREIGN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a session in the query": ("/gradio_api/queue/data", {"query": "session_hash=hers"}),
    "a session in the query, encoded": ("/gradio_api/queue/data", {"query": "session%5Fhash=h%65rs"}),
    "a session second in the query": ("/gradio_api/queue/data", {"query": "session_hash=his&session_hash=hers"}),
    "a session first in the query": ("/gradio_api/queue/data", {"query": "session_hash=hers&session_hash=his"}),
    "a session without a name": ("/gradio_api/queue/data", {"query": "session_hash="}),
    "an event in the query": ("/gradio_api/later", {"query": "event_id=her-event"}),
    "an event as a session": ("/gradio_api/queue/data", {"query": "session_hash=her-event"}),
    "an upload's name": ("/gradio_api/upload_progress", {"query": "upload_id=hers"}),
    "a session of MCP": ("/gradio_api/mcp/messages/", {"query": f"session_id={MCP_SESSION.hex}", "body": {}}),
    "a session of MCP in another spelling": (
        "/gradio_api/mcp/messages/",
        {"query": f"session_id=%7B{str(MCP_SESSION).upper()}%7D", "body": {}},
    ),
    "a session of MCP by no UUID": ("/gradio_api/mcp/messages/", {"query": "session_id=hers", "body": {}}),
    "a session in the path": ("/gradio_api/heartbeat/hers", {}),
    "an event in the path": ("/gradio_api/call/echo/her-event", {}),
    "an event in the path of a POST": ("/gradio_api/stream/her-event", {"body": {}}),
    "a session at an address that nobody knows": ("/made/tomorrow/hers/by/x", {}),
    "an event at an address that nobody knows": ("/made/tomorrow/his/by/her-event", {}),
    "a session in a body": ("/gradio_api/queue/join", {"body": {"session_hash": "hers"}}),
    "a session in a body that is put": ("/gradio_api/later", {"body": {"session_hash": "hers"}, "method": "PUT"}),
    "a session in a body that is deleted": (
        "/gradio_api/later",
        {"body": {"session_hash": "hers"}, "method": "DELETE"},
    ),
    "an event in a body": ("/gradio_api/cancel", {"body": {"session_hash": "his", "event_id": "her-event"}}),
    "a session in a body said to be text": (
        "/gradio_api/x",
        {"body": b'{"session_hash": "hers"}', "kind": "text/plain"},
    ),
    "a session in a body said to be nothing": ("/gradio_api/x", {"body": b'{"session_hash": "hers"}'}),
    "a session in JSON said to be a form": (
        "/gradio_api/x",
        {"body": b'{"session_hash": "hers"}', "kind": "Multipart/Form-Data; boundary=b"},
    ),
    "a session in JSON said to be another kind of form": (
        "/gradio_api/x",
        {"body": b'{"session_hash": "hers"}', "kind": "multipart/form-data2; boundary=b"},
    ),
    "a session under an escaped name": ("/gradio_api/x", {"body": rb'{"session\u005fhash": "\u0068ers"}'}),
    "a session twice, hers last": ("/gradio_api/x", {"body": b'{"session_hash": "his", "session_hash": "hers"}'}),
    "a session in a form": ("/gradio_api/component_server", form(session_hash="hers", fn_name="f")),
    "a session twice in a form": (
        "/gradio_api/component_server",
        {
            "body": b'--b\r\nContent-Disposition: form-data; name="session_hash"\r\n\r\nhis\r\n'
            b'--b\r\nContent-Disposition: form-data; name="session_hash"\r\n\r\nhers\r\n--b--\r\n',
            "kind": "multipart/form-data; boundary=b",
        },
    ),
    "a file in the path": ("/gradio_api/file={file}", {}),
    "a file's head": ("/gradio_api/file={file}", {"method": "HEAD"}),
    "a file in the older path": ("/gradio_api/file/{file}", {}),
    "a file through a proxy": ("/gradio_api/proxy=https://x.hf.space/gradio_api/file={file}", {}),
    "a file of no content's folder": ("/gradio_api/file={temporary}", {}),
    "a file with another's query in its name": ("/gradio_api/file={his}?/../../tmpab12", {}),
    "a file that is not there": ("/gradio_api/file={root}/nothing", {}),
    "the folder": ("/gradio_api/file={root}", {}),
    "a file in the query": ("/gradio_api/later", {"query": "f={file}"}),
    "a file in a body": ("/gradio_api/run/f", {"body": {"data": [{"path": "{file}", "meta": FILE_DATA}]}}),
    "a file of no content's folder in a body": ("/gradio_api/run/f", {"body": {"data": ["{temporary}"]}}),
    "a file deep in a body": ("/gradio_api/run/f", {"body": {"data": [[[{"a": [{"b": {"path": "{file}"}}]}]]]}}),
    "a file as a member's name": ("/gradio_api/run/f", {"body": {"data": [{"{file}": 1}]}}),
    "a file outside of the data": ("/gradio_api/run/f", {"body": {"data": [], "event_data": {"x": "{file}"}}}),
    "a file in a body that is a list": ("/gradio_api/mcp", {"body": ["{file}"]}),
    "a file in a body that is a text": ("/gradio_api/mcp", {"body": "{file}"}),
    "a file in a body without a slash": ("/gradio_api/run/f", {"body": b'{"data": ["{escaped}"]}'}),
    "a file's address in a body without a slash": ("/gradio_api/run/f", {"body": {"data": ["file={encoded}"]}}),
    "a file's address beside one's own path": (
        "/gradio_api/run/f",
        {"body": {"data": [{"path": "{his}", "url": "http://x/gradio_api/file={file}"}]}},
    ),
    "a file in a form": ("/gradio_api/component_server", form(session_hash="his", x="{file}")),
}


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """The same with `{file}` and the like filled in."""
    if isinstance(value, bytes):
        return filled(value.decode(), names).encode()
    if isinstance(value, str):
        for name, path in names.items():
            value = value.replace(f"{{{name}}}", path)
        return value
    if isinstance(value, dict):
        return {filled(key, names): filled(member, names) for key, member in value.items()}
    return [filled(item, names) for item in value] if isinstance(value, list) else value


@pytest.fixture
def names(house: House, root: Path) -> Mapping[str, str]:
    his = root / ("f" * 64) / "his.txt"
    his.parent.mkdir()
    his.write_text("his")
    for who in (ALICE, BOB):
        house.owners.grant(who, str(his))
    return {
        "file": str(root / CONTENT / "a b.txt"),
        "escaped": str(root / CONTENT / "a b.txt").replace("/", r"\u002f"),
        "encoded": quote(str(root / CONTENT / "a b.txt"), safe=""),
        "temporary": str(root / "tmpab12"),
        "his": str(his),
        "root": str(root),
    }


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "request_"), FOREIGN.values(), ids=FOREIGN)
async def test_what_is_somebody_elses_is_not_found(
    house: House, names: Mapping[str, str], path: str, request_: Mapping[str, Any]
) -> None:
    answer = await house.ask(BOB, filled(path, names), **filled(request_, names))
    assert answer.status == 404
    if request_.get("method") != "HEAD":
        assert answer.json == {"detail": "There is nothing at this address."}
    assert house.asked == []


HERS = {name: attack for name, attack in FOREIGN.items() if name not in ("a file that is not there", "the folder")}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "request_"), HERS.values(), ids=HERS)
async def test_the_same_request_of_the_owner_comes_through_unchanged(
    house: House, names: Mapping[str, str], path: str, request_: Mapping[str, Any]
) -> None:
    request_ = filled(request_, names)
    answer = await house.ask(ALICE, filled(path, names), **request_)
    assert answer.status == 200
    body = request_.get("body", b"")
    assert house.asked == [body if isinstance(body, bytes) else json.dumps(body).encode()]


@pytest.mark.anyio
async def test_a_websocket_is_closed(house: House) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http_scope("/gradio/gradio_api/ws", root_path="/gradio", type="websocket", subprotocols=[])
    await house.app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


MALFORMED: Mapping[str, Mapping[str, Any]] = {
    "no JSON": {"body": b"session_hash=hers"},
    "JSON in UTF-16": {"body": json.dumps({"session_hash": "hers"}).encode("utf-16")},
    "JSON in Latin-1": {"body": '{"x": "\u00e9"}'.encode("latin-1")},
    "JSON after a byte order mark": {"body": b"\xef\xbb\xbf{}"},
    "JSON too deep": {"body": b"[" * 100_000 + b"]" * 100_000},
    "a form in another charset": {
        **form(session_hash="his", **{"+AHM-ession_hash": "hers"}),
        "kind": "multipart/form-data; boundary=b; charset=utf-7",
    },
    "a form without its boundary": {**form(session_hash="his"), "kind": "multipart/form-data"},
    "a form that is none": {"body": b"{}", "kind": "multipart/form-data; boundary=b"},
    "a form with an endless field": form(x="x" * (2 * 2**20)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_a_body_that_could_be_read_in_two_ways_is_refused(house: House, request_: Mapping[str, Any]) -> None:
    answer = await house.ask(BOB, "/gradio_api/component_server", **request_)
    assert answer.status == 400
    assert answer.headers["connection"] == "close"
    assert house.asked == []


@pytest.mark.anyio
async def test_a_body_is_read_up_to_a_bound_and_not_further(house: House) -> None:
    longest = b'"' + b"x" * (BODY_BYTES - 2) + b'"'
    assert (await house.ask(BOB, "/gradio_api/queue/join", body=longest)).status == 200
    answer = await house.ask(BOB, "/gradio_api/queue/join", body=b" " + longest)
    assert answer.status == 413
    assert answer.json == {"detail": f"What was sent is longer than {BODY_BYTES} bytes.", "error": "too_large"}
    assert len(house.asked) == 1


@pytest.mark.anyio
async def test_what_is_uploaded_goes_through_as_it_comes_whatever_its_length(root: Path, owners: Owners) -> None:
    parts, given, behind = 40, 0, []

    async def receive() -> Message:
        nonlocal given
        given += 1
        return {"type": "http.request", "body": b"x" * 2**20, "more_body": given < parts}

    async def send(message: Message) -> None:
        pass

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            behind.append(given)

    scope = http_scope("/gradio_api/upload", method="POST", state={"credential": Credential(outcome=identity(BOB))})
    await owned(app, root, owners)(scope, receive, send)
    assert behind == list(range(1, parts))


@pytest.mark.anyio
async def test_a_caller_who_leaves_in_the_middle_of_a_body_gets_no_answer(root: Path, owners: Owners) -> None:
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        return messages.pop()

    async def nobody(*_: object) -> None:
        raise AssertionError("nothing is to be called")

    scope = http_scope("/gradio_api/queue/join", method="POST", state={"credential": Credential(outcome=identity(BOB))})
    await owned(nobody, root, owners)(scope, receive, nobody)


@pytest.mark.anyio
async def test_a_person_with_too_many_sessions_is_told_to_wait(house: House) -> None:
    for number in range(SESSIONS_AT_MOST):
        assert (await house.ask(BOB, f"/gradio_api/heartbeat/{number}")).status == 200
    answer = await house.ask(BOB, "/gradio_api/heartbeat/one-more")
    assert answer.status == 429
    assert answer.headers["retry-after"] == "60"
    assert (await house.ask(ALICE, "/gradio_api/heartbeat/another-of-hers")).status == 200


@pytest.mark.anyio
async def test_a_session_is_held_until_the_answer_has_ended(house: House, clock: Clock) -> None:
    def answer() -> Response:
        clock.advance(BUSY_SECONDS)
        use(house.owners, BOB, *(f"s{number}" for number in range(SESSIONS_AT_MOST - 1)))
        clock.advance(BUSY_SECONDS)
        use(house.owners, BOB, "s")
        return PlainTextResponse(str(house.owners.owner_of("open") == BOB))

    house.answer = answer
    assert (await house.ask(BOB, "/gradio_api/heartbeat/open")).body == b"True"
    clock.advance(BUSY_SECONDS)
    use(house.owners, BOB, *(f"t{number}" for number in range(SESSIONS_AT_MOST)))
    assert house.owners.owner_of("open") is None


# -- drawings ---------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_drawing_that_somebody_else_sent_to_an_image_editor_is_not_found(house: House) -> None:
    sends = form(session_hash="s", fn_name="accept_blobs", id="3k5jx09aq", type="background")
    uses = {"body": {"data": [{"id": "3k5jx09aq"}]}}
    escaped = {"body": rb'{"data": [{"\u0069d": "3k5jx09aq"}]}'}
    posted = {
        "body": b"--b\r\nContent-Disposition: form-data; name=id\r\n\r\n3k5jx09aq\r\n--b--\r\n",
        "kind": "multipart/form-data; boundary=b",
    }
    assert (await house.ask(ALICE, "/gradio_api/component_server", **sends)).status == 200
    again = form(session_hash="his", fn_name="accept_blobs", id="3k5jx09aq", type="background")
    assert (await house.ask(BOB, "/gradio_api/component_server", **again)).status == 404
    for used in (uses, escaped, posted):
        assert (await house.ask(BOB, "/gradio_api/run/f", **used)).status == 404
        assert (await house.ask(ALICE, "/gradio_api/run/f", **used)).status == 200


@pytest.mark.anyio
async def test_the_id_of_anything_else_is_no_drawing(house: House) -> None:
    for drawing in ({"id": "3k5jx09aq"}, {"id": "12345678"}, {"id": "12345"}, {"id": "None"}, {}):
        sends = form(session_hash="s", fn_name="accept_blobs", type="background", **drawing)
        await house.ask(ALICE, "/gradio_api/component_server", **sends)
    await house.ask(ALICE, "/", query="drawing=somebody-else")
    record = {"id": "3k5jx09aq", "name": "a record"}
    for value in (record, {"id": 12345678}, {"id": "12345"}, {"id": None}, {}, {"id": "somebody-else"}):
        assert (await house.ask(BOB, "/gradio_api/run/f", body={"data": [value]})).status == 200


# -- what an answer gives ---------------------------------------------------------------------------------------------


def file_object(path: str, **more: object) -> dict[str, object]:
    return {"path": path, "url": f"http://x/gradio_api/file={quote(path)}", "size": None, **more, "meta": FILE_DATA}


def event_stream(*messages: object) -> Response:
    body = "".join(f"data: {json.dumps(message, separators=(',', ':'))}\n\n" for message in messages)
    return Response(body, media_type="text/event-stream")


Reply = Callable[[str], Response]
GIVES: Mapping[str, tuple[str, Reply]] = {
    "an upload": ("POST /gradio_api/upload", lambda file: JSONResponse([file])),
    "an event": ("GET /gradio_api/queue/data", lambda file: event_stream(completed(file_object(file)))),
    "an event, in a gallery": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed([{"image": file_object(file), "caption": '} \\" {'}])),
    ),
    "an event, named with braces and quotes": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed("{", file_object(file, orig_name='a {"b"} \\ c.txt'), "}")),
    ),
    "a call": (
        "GET /gradio_api/call/shows/shown",
        lambda file: Response(
            f"event: complete\ndata: {json.dumps([file_object(file)])}\n\n", media_type="text/event-stream; charset=x"
        ),
    ),
    "a run": ("POST /gradio_api/run/shows", lambda file: JSONResponse({"data": [file_object(file)]})),
    "a run of a function by its index": (
        'POST /gradio_api/run/shows {"fn_index": 7}',
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a deep link's page": (
        "GET /?deep_link=hers",
        lambda file: HTMLResponse(f"<script>window.gradio_config = {json.dumps({'v': file_object(file)})};</script>"),
    ),
    "a deep link's config": ("GET /config?deep_link=hers", lambda file: JSONResponse({"v": file_object(file)})),
}
"""Answers that give a file, whenever it was made."""
GIVES_IF_FRESH: Mapping[str, tuple[str, Reply]] = {
    "an event of a function that answers JSON": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed(file_object(file), event="let-through")),
    ),
    "an event of a function that answers JSON, which speaks of another": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed({"event_id": "shown"}, file_object(file), event="let-through")),
    ),
    "an event that nobody knows": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed(file_object(file), event="unknown")),
    ),
    "a call of a function that answers JSON, which speaks of another": (
        "GET /gradio_api/call/shows/let-through",
        lambda file: event_stream([{"event_id": "shown"}, file_object(file)]),
    ),
    "a run of a function that answers JSON": (
        "POST /gradio_api/run/lets",
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a run of a function that answers JSON, under another's name": (
        'POST /gradio_api/run/shows {"fn_index": 8}',
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a run of a function that answers JSON, under an event's name": (
        'POST /gradio_api/run/shown {"fn_index": 8}',
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a run of a function whose index is none": (
        'POST /gradio_api/run/shows {"fn_index": [7]}',
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a run of a function whose index is a text": (
        'POST /gradio_api/run/shows {"fn_index": "7"}',
        lambda file: JSONResponse({"data": [file_object(file)]}),
    ),
    "a component": ("POST /gradio_api/component_server", lambda file: JSONResponse(file_object(file))),
    "an MCP tool": (
        "POST /gradio_api/mcp/",
        lambda file: event_stream({"content": [{"text": f"Image URL: http://x/gradio_api/file={quote(file)}"}]}),
    ),
    "a link in a text": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed(f"![a](/gradio_api/file={quote(file)})")),
    ),
}
"""Answers that may be what came in."""
GIVES_NOT: Mapping[str, tuple[str, Reply]] = {
    "the content of a file": ("GET /gradio_api/file=x", lambda file: JSONResponse(file_object(file))),
    "the content of a file through a proxy": (
        "GET /gradio_api/proxy=https://x.hf.space/file=x",
        lambda file: JSONResponse(file_object(file)),
    ),
    "a recording that is given back": ("POST /gradio_api/process_recording", lambda file: JSONResponse([file])),
    "a picture": (
        "POST /gradio_api/run/shows",
        lambda file: Response(json.dumps(file_object(file)), media_type="image/png"),
    ),
    "a text that looks like a file object": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed(json.dumps(file_object(file, url=None)))),
    ),
    "a text that would be a file object between others": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed("{", f'path":"{file}', {"_type": "gradio.FileData"}, "}")),
    ),
    "an object that is no file": ("GET /gradio_api/queue/data", lambda file: event_stream(completed({"path": file}))),
    "an object with the mark of a file elsewhere": (
        "GET /gradio_api/queue/data",
        lambda file: event_stream(completed({"path": file, "beside": FILE_DATA})),
    ),
    "a page with what is no JSON": (
        "GET /?deep_link=hers",
        lambda file: HTMLResponse(f'{{ path: "{file}", {json.dumps(FILE_DATA)} }}'),
    ),
    "a list of paths": ("POST /gradio_api/run/shows", lambda file: JSONResponse([file])),
    "a page that opens no deep link": ("GET /", lambda file: HTMLResponse(json.dumps(file_object(file)))),
    "a deep link that nobody made here": ("GET /?deep_link=x", lambda file: JSONResponse(file_object(file))),
    "a deep link of somebody whose file it is not": (
        "GET /?deep_link=of-a-third",
        lambda file: JSONResponse(file_object(file)),
    ),
}


def completed(*data: object, event: str = "shown") -> object:
    return {"msg": "process_completed", "event_id": event, "output": {"data": data, "is_generating": False}}


@pytest.fixture
async def produced(house: House, root: Path) -> str:
    """Alice's file. Bob has an event of a function that shows files, and one of a function that lets JSON through."""
    file = root / ("e" * 64) / "résumé 1.txt"
    file.parent.mkdir()
    file.write_text("just made")
    house.owners.grant(ALICE, str(file))
    await hear(house, 'POST /gradio_api/queue/join {"fn_index": 7}', JSONResponse({"event_id": "shown"}))
    await hear(house, 'POST /gradio_api/queue/join {"fn_index": 8}', JSONResponse({"event_id": "let-through"}))
    await hear(house, "GET /gradio_api/deep_link?session_hash=hers", JSONResponse("hers"), who=ALICE)
    await hear(house, "GET /gradio_api/deep_link?session_hash=of-a-third", JSONResponse("of-a-third"), who=CAROL)
    return str(file)


async def hear(house: House, request_: str, answer: Response, who: str = BOB) -> Answer:
    """Somebody asks, and this is the answer."""
    method, address, body = (*request_.split(" ", 2), "{}")[:3]
    path, _, query = address.partition("?")
    house.answer = lambda: answer
    return await house.ask(who, path, method=method, query=query, body=body.encode() if method == "POST" else b"")


async def has(house: House, who: str, file: str) -> bool:
    """True when it is served to them and they can hand it to a function."""
    house.answer = lambda: PlainTextResponse("inside")
    served = await house.ask(who, f"/gradio_api/file={file}")
    handed = await house.ask(who, "/gradio_api/run/f", body={"data": [file_object(file)]})
    assert served.status == handed.status
    return served.status == 200


LATER = 1.0


@pytest.mark.anyio
@pytest.mark.parametrize("later", [0.0, LATER])
@pytest.mark.parametrize(("request_", "reply"), GIVES.values(), ids=GIVES)
async def test_what_an_answer_gives_is_theirs_from_then_on(
    house: House, produced: str, request_: str, reply: Reply, later: float
) -> None:
    house.now += later
    assert not await has(house, BOB, produced)
    assert (await hear(house, request_, reply(produced))).status == 200
    assert await has(house, BOB, produced)
    assert not await has(house, CAROL, produced)


@pytest.mark.anyio
@pytest.mark.parametrize("later", [0.0, LATER])
@pytest.mark.parametrize(("request_", "reply"), GIVES_IF_FRESH.values(), ids=GIVES_IF_FRESH)
async def test_what_may_be_an_echo_gives_only_what_was_made_just_then(
    house: House, produced: str, request_: str, reply: Reply, later: float
) -> None:
    house.now += later
    await hear(house, 'POST /gradio_api/queue/join {"fn_index": 7}', JSONResponse({"event_id": "shown"}))
    await hear(house, 'POST /gradio_api/queue/join {"fn_index": 8}', JSONResponse({"event_id": "let-through"}))
    assert (await hear(house, request_, reply(produced))).status == 200
    assert await has(house, BOB, produced) == (later == 0.0)


@pytest.mark.anyio
async def test_an_answer_may_be_fetched_long_after_its_file_was_made(house: House, produced: str) -> None:
    house.now += LATER
    await hear(house, "GET /gradio_api/call/lets/let-through", event_stream([file_object(produced)]))
    assert await has(house, BOB, produced)


@pytest.mark.anyio
@pytest.mark.parametrize(("request_", "reply"), GIVES_NOT.values(), ids=GIVES_NOT)
async def test_what_only_looks_given_is_not_theirs(house: House, produced: str, request_: str, reply: Reply) -> None:
    assert (await hear(house, request_, reply(produced))).status == 200
    assert not await has(house, BOB, produced)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["queue/join", "call/f", "call/v2/f"])
async def test_an_event_is_theirs_who_are_told_of_it(house: House, path: str) -> None:
    await hear(house, f"POST /gradio_api/{path}", JSONResponse({"event_id": "his-event"}))
    assert (await house.ask(ALICE, "/gradio_api/call/f/his-event")).status == 404
    assert (await house.ask(BOB, "/gradio_api/call/f/his-event")).status == 200


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [{"detail": "Queue is full."}, {"detail": [{"msg": "x"}]}, {"event_id": None}])
async def test_an_event_that_was_not_made_is_nobodys(house: House, answer: object) -> None:
    heard = await hear(house, "POST /gradio_api/queue/join", JSONResponse(answer, 503))
    assert heard.status == 503
    assert heard.json == answer


@pytest.mark.anyio
async def test_an_event_that_a_function_only_speaks_of_stays_whose_it_is(house: House) -> None:
    await hear(house, "POST /gradio_api/run/f", JSONResponse({"event_id": "her-event"}))
    await hear(house, "POST /gradio_api/component_server", JSONResponse({"event_id": "nobodys"}))
    assert (await house.ask(BOB, "/gradio_api/call/f/her-event")).status == 404
    assert (await house.ask(ALICE, "/gradio_api/call/f/her-event")).status == 200
    assert (await house.ask(ALICE, "/gradio_api/call/f/nobodys")).status == 200
