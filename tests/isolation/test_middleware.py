"""What a request looks like to Gradio, how much of it is read, and how much one identity may ask for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from auth.errors import TooManyRequests
from auth.identity import Credential, Identity
from tests.support.asgi import Answer, ask, http_scope
from tests.support.clock import Clock
from ui.isolation.files import Files
from ui.isolation.limits import HOUR_SECONDS, OTHERS_SECONDS, TURN_SECONDS, Accounts, Limits, SessionTable
from ui.isolation.middleware import BODY_BYTES, Isolation
from ui.isolation.paths import is_in, real_path
from ui.isolation.rooms import DAY_SECONDS, LINK_SECONDS, Rooms, room_here
from ui.isolation.routes import Judge

KEY = "kQ7vX2mPz9RtB4nWc6LyH8sDf3GjA5eU"
ALICE, BOB = "https://id.acme.example#alice", "https://id.acme.example#bob"


class Behind:
    """What stands behind the isolation: says what it is asked, and in which room."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.raw_paths: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = scope["method"] == "POST"
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.asked.append((scope["path"], scope["query_string"].decode(), body))
        self.raw_paths.append(scope["raw_path"])
        room = room_here()
        assert room
        await Response(room.name)(scope, receive, send)


class Front:
    def __init__(self, root: Path, limits: Limits = Limits()) -> None:  # noqa: B008
        self.behind = Behind()
        self.rooms = Rooms(str(root), secret_key=KEY)
        self.links: list[str] = []
        self.forgotten: list[str] = []
        self.app = Isolation(
            self.behind,
            refuse=lambda error, scope: Response(error.sentence, error.status),
            rooms=self.rooms,
            judge=Judge(["second"], in_space=False),
            files=Files(folders=lambda: ([], []), is_asset=lambda place: False, shown=["text/plain"]),
            limits=limits,
            make_link=lambda session: self.links.append(session) or "a-link",  # type: ignore[func-returns-value]
            forget_upload=self.forgotten.append,
        )

    async def ask(self, who: str, path: str, body: bytes = b"", **more: Any) -> Answer:
        return await ask(self.app, self.scope(who, path, body, **more), body)

    def scope(self, who: str, path: str, body: bytes = b"", **more: Any) -> Scope:
        issuer, _, subject = who.partition("#")
        identity = Identity(username=subject, issuer=issuer, subject=subject, kind="person", expires_at=0)
        more.setdefault("method", "POST" if body else "GET")
        return http_scope(
            f"/gradio{path}", root_path="/gradio", state={"credential": Credential(outcome=identity)}, **more
        )


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


# -- rooms ------------------------------------------------------------------------------------------------------------


def test_a_room_is_the_same_for_an_identity_and_a_key_and_for_nothing_else(tmp_path: Path) -> None:
    rooms, again = (Rooms(str(tmp_path), secret_key=KEY) for _ in range(2))
    assert rooms.of(ALICE) == again.of(ALICE)
    names = {rooms.of(ALICE).folder, rooms.of(BOB).folder, Rooms(str(tmp_path), secret_key=KEY[1:]).of(ALICE).folder}
    assert len(names) == 3
    assert rooms.of(ALICE).name != Rooms(str(tmp_path), secret_key=KEY[1:]).of(ALICE).name


@pytest.mark.parametrize("name", ["s", "", "u1.s", ".", "a.b", "{alice}.s", "{alice}", "{bob}x"])
def test_whatever_a_session_is_called_it_is_one_of_the_rooms_own(tmp_path: Path, name: str) -> None:
    rooms = Rooms(str(tmp_path), secret_key=KEY)
    alice, bob = rooms.of(ALICE), rooms.of(BOB)
    name = name.format(alice=alice.name, bob=bob.name)
    assert str(bob.named(name)).startswith(f"{bob.name}.")
    assert bob.named(bob.named(name)) == bob.named(name)
    assert alice.named(name) != bob.named(name)


def test_a_room_reads_its_own_folder_and_the_shared_one(tmp_path: Path) -> None:
    rooms = Rooms(str(tmp_path), secret_key=KEY)
    alice, bob = rooms.of(ALICE), rooms.of(BOB)
    assert [room.is_of_identity for room in (alice, rooms.shared, rooms.links)] == [True, False, False]
    for room, place, may in (
        (alice, f"{alice.folder}/x", True),
        (alice, f"{rooms.shared.folder}/x", True),
        (bob, f"{alice.folder}/x", False),
        (alice, f"{alice.folder}x/x", False),
        (alice, f"{rooms.links.folder}/x", False),
        (alice, rooms.folder, False),
    ):
        assert room.may_read(place) is may, place


@pytest.mark.parametrize(("place", "folder", "is_inside"), [("/a/b", "/a", 1), ("/a", "/a", 1), ("/ab", "/a", 0)])
def test_paths_are_compared_on_a_boundary(place: str, folder: str, is_inside: int) -> None:
    assert is_in(place, folder) == bool(is_inside)
    assert is_in(place.upper(), folder) == bool(is_inside), "some file systems tell no case"


def test_a_path_is_followed_to_where_it_leads_unless_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert real_path(f"{tmp_path}/x/../link") == str(tmp_path / "file")
    with pytest.raises(ValueError, match="too long"):
        real_path("a/" * 3000)


def test_old_links_and_the_rooms_of_earlier_keys_are_deleted(tmp_path: Path) -> None:
    rooms, earlier = Rooms(str(tmp_path), secret_key=KEY), Rooms(str(tmp_path), secret_key="earlier")
    kept = tmp_path / ("a" * 64)
    kept.mkdir()
    earlier.sweep(0.0)
    rooms.sweep(0.0)
    for folder in ("links/deep_links/one", "shared/links/one", "u1/hash"):
        (Path(rooms.folder) / folder).mkdir(parents=True)
    assert Path(rooms.folder).stat().st_mode & 0o077 == 0
    rooms.sweep(DAY_SECONDS - 1)
    assert Path(earlier.folder).exists()
    rooms.sweep(DAY_SECONDS + 1)
    assert not Path(earlier.folder).exists()
    now = (Path(rooms.folder) / "links/deep_links/one").stat().st_mtime
    rooms.sweep(now + LINK_SECONDS + 1)
    assert not (Path(rooms.folder) / "links/deep_links/one").exists()
    assert not (Path(rooms.folder) / "shared/links/one").exists()
    assert (Path(rooms.folder) / "u1/hash").exists()
    assert kept.exists()


def test_files_of_people_are_deleted_by_age_where_the_app_says_so(tmp_path: Path) -> None:
    rooms = Rooms(str(tmp_path), secret_key=KEY)
    room = Path(rooms.of(ALICE).folder)
    swept, kept = (
        [room / "hash/a.txt", room / "tmp/one/b.txt"],
        [room / "examples/run/log.csv", Path(rooms.shared.folder, "c")],
    )
    for file in (*swept, *kept):
        file.parent.mkdir(parents=True)
        file.touch()
    now = swept[0].stat().st_ctime
    rooms.sweep(now + 61)
    rooms.sweep(now + 59, keep_seconds=60)
    assert all(file.exists() for file in swept)
    rooms.sweep(now + 61, keep_seconds=60)
    assert not any(file.exists() for file in swept)
    assert all(file.exists() for file in kept)


# -- what Gradio is asked ---------------------------------------------------------------------------------------------


NAMED: Mapping[str, tuple[str, str]] = {
    "in the query": ("/gradio_api/queue/data?session_hash=s", "/gradio_api/queue/data?session_hash={room}.s"),
    "encoded": ("/gradio_api/queue/data?session%5Fhash=%73", "/gradio_api/queue/data?session_hash={room}.s"),
    "twice": (
        "/gradio_api/queue/data?session_hash=a&session_hash=b",
        "/gradio_api/queue/data?session_hash={room}.a&session_hash={room}.b",
    ),
    "empty": ("/gradio_api/queue/data?session_hash=", "/gradio_api/queue/data?session_hash={room}."),
    "in the path": ("/gradio_api/heartbeat/s", "/gradio_api/heartbeat/{room}.s"),
    "an event": ("/gradio_api/call/f/e", "/gradio_api/call/f/{room}.e"),
    "an upload": ("/gradio_api/upload_progress?upload_id=u", "/gradio_api/upload_progress?upload_id={room}.u"),
    "nothing": ("/gradio_api/info?all_endpoints=1", "/gradio_api/info?all_endpoints=1"),
    "a stream": ("/gradio_api/stream/s/r/1/0.ts", "/gradio_api/stream/{room}.s/r/1/0.ts"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("sent", "seen"), NAMED.values(), ids=NAMED)
async def test_names_in_an_address_are_the_rooms(front: Front, sent: str, seen: str) -> None:
    path, _, query = sent.partition("?")
    answer = await front.ask(ALICE, path, query=query)
    room = front.rooms.of(ALICE).name
    assert answer.body.decode() == room
    ((path, query, _),) = front.behind.asked
    assert f"{path}?{query}".rstrip("?") == f"/gradio{seen.format(room=room)}"


@pytest.mark.anyio
async def test_an_address_is_another_one_to_gradio_alone(front: Front) -> None:
    """What is around it, such as the log of requests, sees what was sent."""
    sent = front.scope(ALICE, "/gradio_api/call/f/e", query="session_hash=s")
    await ask(front.app, sent, b"")
    assert (sent["path"], sent["query_string"]) == ("/gradio/gradio_api/call/f/e", b"session_hash=s")
    ((path, _, _),) = front.behind.asked
    assert front.behind.raw_paths == [path.encode()] != [sent["path"].encode()]


@pytest.mark.anyio
async def test_a_browser_gets_no_page_of_mcp_and_a_program_its_stream(front: Front) -> None:
    stream = {"Accept": "text/event-stream"}
    for path in ("/gradio_api/mcp", "/gradio_api/mcp/", "/gradio_api/mcp/http", "/gradio_api/mcp/http/"):
        assert (await front.ask(ALICE, path, headers={"Accept": "text/html,*/*"})).status == 404
        assert (await front.ask(ALICE, path, headers=stream)).status == 200
        assert (await front.ask(ALICE, path, b"{}")).status == 200


@pytest.mark.anyio
async def test_an_upload_whose_progress_was_told_is_forgotten(front: Front) -> None:
    await front.ask(ALICE, "/gradio_api/upload_progress", query="upload_id=u")
    await front.ask(ALICE, "/gradio_api/queue/data", query="upload_id=v&session_hash=s")
    assert front.forgotten == [f"{front.rooms.of(ALICE).name}.u"]


@pytest.mark.anyio
async def test_an_mcp_session_is_that_of_its_room(front: Front) -> None:
    hers, his = (front.rooms.of(who).new_uuid().hex for who in (ALICE, BOB))
    for session, status in ((hers, 200), (his, 404), ("x", 404), (f"{{{hers.upper()}}}", 200)):
        path, query = "/gradio_api/mcp/messages/", f"session_id={session}"
        assert (await front.ask(ALICE, path, b"{}", query=query)).status == status
    assert (await front.ask(ALICE, path, b"{}", query=f"session_id={hers}&session_id={his}")).status == 404


@pytest.mark.anyio
async def test_a_deep_link_is_read_where_links_are_kept(front: Front) -> None:
    for path in ("/", "/config", "/second"):
        assert (await front.ask(ALICE, path, query="deep_link=x")).body == b"links"
        assert (await front.ask(ALICE, path)).body == front.rooms.of(ALICE).name.encode()
    answer = await front.ask(ALICE, "/gradio_api/deep_link", query="session_hash=s")
    assert (answer.json, front.links) == ("a-link", [f"{front.rooms.of(ALICE).name}.s"])
    front.app._make_link = None
    assert (await front.ask(ALICE, "/gradio_api/deep_link", query="session_hash=s")).status == 404
    assert (await front.ask(ALICE, "/", query="deep_link=x")).body != b"links"


@pytest.mark.anyio
async def test_a_websocket_is_closed(front: Front) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await front.app(http_scope("/gradio/gradio_api/ws", type="websocket", subprotocols=[]), receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]


# -- how much is read -------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_body_is_read_up_to_a_bound_and_not_further(front: Front) -> None:
    longest = b'"' + b"x" * (BODY_BYTES - 2) + b'"'
    assert (await front.ask(BOB, "/gradio_api/queue/join", longest)).status == 200
    assert (await front.ask(BOB, "/gradio_api/queue/join", b" " + longest)).status == 413
    assert len(front.behind.asked) == 1


@pytest.mark.anyio
async def test_a_body_has_a_bounded_number_of_values(tmp_path: Path) -> None:
    front = Front(tmp_path, Limits(values=100))
    for many, status in ((90, 200), (110, 413)):
        for value in (
            ["/"] * many,
            [[]] * (many // 2),
            [{"a": 1}] * (many // 3),
            {str(n): 1 for n in range(many // 2)},
        ):
            assert (await front.ask(BOB, "/gradio_api/run/f", json.dumps(value).encode())).status == status
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    assert (await front.ask(BOB, "/gradio_api/component_server", b"," * 1000, headers=form)).status == 200


@pytest.mark.anyio
async def test_what_is_uploaded_goes_through_as_it_comes_up_to_so_much_an_hour(tmp_path: Path) -> None:
    front = Front(tmp_path, Limits(upload_bytes=40 * 2**20))
    for status in (200, 200, 429):
        assert (await front.ask(BOB, "/gradio_api/upload", b"x" * 20 * 2**20)).status == status
    assert (await front.ask(ALICE, "/gradio_api/upload", b"x" * 20 * 2**20)).status == 200


@pytest.mark.anyio
async def test_who_asks_for_too_much_is_refused_slowly_and_who_calls_a_lot_is_put_off(tmp_path: Path) -> None:
    pauses: list[float] = []
    front = Front(tmp_path, Limits(upload_bytes=0, refusals_per_second=4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ui.isolation.middleware.asyncio", SimpleNamespace(sleep=lambda seconds: _noted(pauses, seconds)))
        assert (await front.ask(BOB, "/gradio_api/upload", b"x")).status == 429
        patch.setattr(front.app._accounts, "turn", lambda who: 0.5)
        assert (await front.ask(BOB, "/gradio_api/queue/join", b"{}")).status == 200
        assert (await front.ask(BOB, "/gradio_api/info")).status == 200, "what changes nothing waits for nothing"
    assert pauses == [0.25, 0.5]
    assert (await Front(tmp_path, Limits(requests=0)).ask(BOB, "/gradio_api/info")).status == 429


async def _noted(pauses: list[float], seconds: float) -> None:
    pauses.append(seconds)


@pytest.mark.anyio
async def test_who_leaves_in_the_middle_of_a_body_gets_no_answer(front: Front) -> None:
    messages = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        return messages.pop()

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there")

    identity = Identity(username="bob", issuer="i", subject="bob", kind="person", expires_at=0)
    state = {"credential": Credential(outcome=identity)}
    await front.app(http_scope("/gradio_api/queue/join", method="POST", state=state), receive, send)
    assert front.behind.asked == []


# -- how much one identity may ask for --------------------------------------------------------------------------------


def test_so_many_requests_at_once_and_no_more() -> None:
    accounts = Accounts(Limits(requests=2))
    with accounts.request("a"), accounts.request("a"):
        with pytest.raises(TooManyRequests, match="requests at once"), accounts.request("a"):
            pass
        with accounts.request("b"):
            pass
    with accounts.request("a"):
        pass


def test_an_hour_later_one_may_upload_again() -> None:
    clock = Clock()
    accounts = Accounts(Limits(upload_bytes=10), now=clock)
    accounts.upload("a", 10)
    with pytest.raises(TooManyRequests):
        accounts.upload("a", 1)
    accounts.upload("b", 10)
    clock.advance(3601)
    accounts.upload("a", 10)


def test_who_calls_without_end_gives_way_to_others_and_to_nobody_else() -> None:
    clock = Clock()
    accounts = Accounts(Limits(calls=10, calls_per_second=10), now=clock)
    with accounts.request("a"), accounts.request("a"), accounts.request("b"):
        assert not any(accounts.turn("a") for _ in range(100)), "nobody else is there"
        assert accounts.turn("b") == 0
        assert accounts.turn("a") == TURN_SECONDS
        assert accounts.turn("b") == 0
        clock.advance(OTHERS_SECONDS)
        assert accounts.turn("a") == 0, "nobody else is there any more"
        clock.advance(60)
        assert accounts.turn("b") == 0
        assert not any(accounts.turn("a") for _ in range(10))


def test_whoever_is_gone_takes_no_memory() -> None:
    clock = Clock()
    accounts = Accounts(Limits(), now=clock)
    for who in ("a", "b"):
        with accounts.request(who):
            accounts.turn(who)
            accounts.upload(who, 1)
        clock.advance(HOUR_SECONDS + 1)
    accounts.turn("c")
    accounts.upload("c", 1)
    kept = (accounts._requests, accounts._calls, accounts._uploads)
    assert [list(one) for one in kept] == [[], ["c"], ["c"]]


def table(most: int = 2, in_all: int = 100, busy: tuple[str, ...] = ()) -> tuple[SessionTable, list[str]]:
    forgotten: list[str] = []
    is_idle = lambda session: session not in busy  # noqa: E731
    return SessionTable(most=most, in_all=in_all, is_idle=is_idle, forget=forgotten.append), forgotten


def test_a_new_session_takes_the_place_of_ones_own_oldest() -> None:
    sessions, forgotten = table()
    for name in ("b.1", "a.1", "a.2", "a.3", "a.4"):
        sessions[name] = 0
    assert list(sessions) == ["b.1", "a.3", "a.4"]
    assert forgotten == ["a.1", "a.2"]


def test_a_session_in_which_something_runs_takes_no_others_place() -> None:
    sessions, _ = table(busy=("a.1", "a.2"))
    sessions["a.1"] = sessions["a.2"] = 0
    with pytest.raises(TooManyRequests, match="sessions"):
        sessions["a.3"] = 0
    sessions["b.1"] = 0


def test_beyond_all_that_there_may_be_who_has_most_makes_room() -> None:
    sessions, forgotten = table(most=10, in_all=4)
    for name in ("b.1", "a.1", "a.2", "a.3", "c.1"):
        sessions[name] = 0
    assert forgotten == ["a.1"]
    assert sessions.popitem(last=False) == ("a.2", 0)
    assert sessions.pop("nobody", None) is None
    assert "b.1" in sessions


def test_a_session_that_is_gone_leaves_room_for_another() -> None:
    sessions, forgotten = table(most=2, in_all=3)
    for name in ("a.1", "a.2"):
        sessions[name] = 0
    del sessions["a.1"]
    assert sessions.pop("a.2") == 0
    assert not sessions._counts
    for name in ("a.3", "a.4", "b.1"):
        sessions[name] = 0
    assert forgotten == []
