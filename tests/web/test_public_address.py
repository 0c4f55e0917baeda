from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from auth.web.public_address import PublicAddress
from tests.support.asgi import Answer, Recorder, ask, http_scope, made_answers, made_security
from tests.support.settings import sound_settings

PUBLIC = {"host": "0.0.0.0", "public_url": "https://app.example.com"}
PREFIX = {"host": "0.0.0.0", "public_url": "https://example.com/app"}
LOCAL: dict[str, Any] = {}
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


def edge(app: ASGIApp, settings: dict[str, Any]) -> PublicAddress:
    made = sound_settings(**settings)
    return PublicAddress(app, site=made.site, answers=made_answers(made), security=made_security(made))


async def reached(settings: dict[str, Any], scope: Scope) -> Scope:
    """The scope that the app behind the edge is given."""
    behind = Recorder()
    await ask(edge(behind, settings), scope)
    return behind.scope


async def answered(settings: dict[str, Any], scope: Scope) -> tuple[Answer, int]:
    """The answer, and how often the app behind the edge was asked."""
    behind = Recorder()
    return await ask(edge(behind, settings), scope), len(behind.scopes)


# -- whatever the headers say -----------------------------------------------------------------------------------------

MISLEADING = [
    {"Host": "evil.example"},
    {"Host": "app.example.com:8443"},
    {"Host": ""},
    {},
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Gradio-Server": "https://evil.example"},
    {"x-gradio-server": "https://evil.example", "x-FORWARDED-host": "evil.example", "X-Forwarded-Proto": "gopher"},
]


@pytest.mark.anyio
@pytest.mark.parametrize("headers", MISLEADING, ids=repr)
async def test_no_header_changes_the_address_that_the_app_takes_for_its_own(headers: dict[str, str]) -> None:
    scope = await reached(PUBLIC, http_scope("/x", query="y=1", headers={"Host": "app.example.com"} | headers))
    assert str(Request(scope).url) == "https://app.example.com/x?y=1"
    assert str(Request(scope).base_url) == "https://app.example.com/"
    assert Headers(scope=scope).getlist("host") == ["app.example.com"]
    assert "evil" not in repr(scope["headers"])
    assert not {name for name, _ in scope["headers"]} - {b"host"}


@pytest.mark.anyio
async def test_a_header_sent_twice_is_taken_away_twice() -> None:
    names = ("Host", "X-Forwarded-Host", "X-Gradio-Server", "Host", "X-Forwarded-Host", "X-Gradio-Server")
    scope = await reached(PUBLIC, http_scope(headers=[(name, "evil.example") for name in names]))
    assert scope["headers"] == [(b"host", b"app.example.com")]


@pytest.mark.anyio
async def test_every_other_header_goes_through_in_its_order() -> None:
    kept = [
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("X-Request-Id", "7"),
        ("Authorization", "Bearer x"),
        ("Origin", "null"),
    ]
    scope = await reached(PUBLIC, http_scope(headers=[("Host", "evil.example"), *kept]))
    assert scope["headers"][1:] == [(name.lower().encode(), value.encode()) for name, value in kept]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "host", "scheme"),
    [(PUBLIC, b"app.example.com", "wss"), (LOCAL, b"127.0.0.1:8000", "ws")],
    ids=["https", "http"],
)
async def test_a_websocket_is_addressed_the_same_way(settings: dict[str, Any], host: bytes, scheme: str) -> None:
    behind = Recorder()
    headers = {"Host": "127.0.0.1:8000", "X-Forwarded-Host": "evil.example"}
    scope = http_scope("/x", headers=headers, type="websocket", scheme="ws")
    del scope["method"]
    await edge(behind, settings)(scope, _nothing, _nothing)
    assert (behind.scope["scheme"], behind.scope["headers"]) == (scheme, [(b"host", host)])


async def _nothing(*_: object) -> Any:
    raise AssertionError("nothing is to be read or sent here")


@pytest.mark.anyio
async def test_the_lifespan_goes_through_untouched() -> None:
    behind = Recorder()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await edge(behind, PREFIX)(scope, _nothing, _nothing)
    assert behind.scope is scope
    assert scope == {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}


# -- the path prefix --------------------------------------------------------------------------------------------------

PATHS = {
    "start": ("/", "/app/"),
    "page": ("/gradio/", "/app/gradio/"),
    "deep": ("/gradio/a/b", "/app/gradio/a/b"),
    "looks-like-the-prefix": ("/apple", "/app/apple"),
    "two-slashes": ("//evil.example", "/app//evil.example"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("stripped", "whole"), PATHS.values(), ids=PATHS)
async def test_a_prefix_is_there_whether_the_proxy_strips_it_or_not(stripped: str, whole: str) -> None:
    for path in (stripped, whole):
        scope = await reached(PREFIX, http_scope(path))
        assert (scope["path"], scope["raw_path"], scope["root_path"]) == (whole, whole.encode(), "/app")


@pytest.mark.anyio
async def test_the_prefix_itself_is_a_path_within_it() -> None:
    scope = await reached(PREFIX, http_scope("/app"))
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/app", b"/app", "/app")


@pytest.mark.anyio
@pytest.mark.parametrize("raw", [b"/gradio/a%2Fb", b"/gradio/a%20b", b"/gradio/%C3%A9"])
async def test_a_path_is_kept_as_it_was_spelled(raw: bytes) -> None:
    decoded = {b"/gradio/a%2Fb": "/gradio/a/b", b"/gradio/a%20b": "/gradio/a b", b"/gradio/%C3%A9": "/gradio/é"}[raw]
    assert (await reached(PUBLIC, http_scope(decoded, raw_path=raw)))["raw_path"] == raw
    assert (await reached(PREFIX, http_scope(decoded, raw_path=raw)))["raw_path"] == b"/app" + raw
    assert (await reached(PREFIX, http_scope(f"/app{decoded}", raw_path=b"/app" + raw)))["raw_path"] == b"/app" + raw


@pytest.mark.anyio
async def test_a_server_that_gives_no_raw_path_is_no_trouble() -> None:
    scope = http_scope("/gradio/é")
    del scope["raw_path"]
    assert (await reached(PREFIX, scope))["raw_path"] == "/app/gradio/é".encode()


@pytest.mark.anyio
async def test_without_a_prefix_the_path_is_left_alone() -> None:
    scope = await reached(PUBLIC, http_scope("/app/x"))
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/app/x", b"/app/x", "")


# -- on this machine --------------------------------------------------------------------------------------------------

FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "127.0.0.1.evil.example:8000",
    "localhost.evil.example:8000",
    "192.168.0.7:8000",
    "0.0.0.0:8000",
    "[::2]:8000",
    "",
    "localhost:port",
    "[::1",
    "127.0.0.1:8000@evil.example",
]


@pytest.mark.anyio
@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("headers", [PAGE, {}], ids=["page", "api"])
async def test_another_sites_name_that_points_here_is_refused(host: str, headers: dict[str, str]) -> None:
    answer, asked = await answered(LOCAL, http_scope("/x", headers={"Host": host, **headers}))
    assert (answer.status, asked) == (421, 0)
    assert "http://127.0.0.1:8000" in answer.body.decode()


@pytest.mark.anyio
async def test_a_request_without_host_is_refused() -> None:
    assert (await answered(LOCAL, http_scope("/x")))[0].status == 421


@pytest.mark.anyio
async def test_a_websocket_under_another_sites_name_is_refused() -> None:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = http_scope("/x", headers={"Host": "evil.example"}, type="websocket", scheme="ws")
    del scope["method"]
    behind = Recorder()
    await edge(behind, LOCAL)(scope, _nothing, send)
    assert behind.scopes == []
    assert sent[0]["status"] == 421


@pytest.mark.anyio
async def test_off_this_machine_the_host_header_means_nothing() -> None:
    answer, asked = await answered(PUBLIC, http_scope("/x", headers={"Host": "evil.example"}))
    assert (answer.status, asked) == (200, 1)


ALIASES = ["localhost:8000", "LOCALHOST:8000", "127.0.0.2:8000", "[::1]:8000", "app.localhost:8000"]


@pytest.mark.anyio
@pytest.mark.parametrize("host", ALIASES)
async def test_a_page_under_another_name_of_this_machine_is_sent_to_the_one_name(host: str) -> None:
    scope = http_scope("/gradio/", query="x=1&y=%2F", headers={"Host": host, **PAGE})
    answer, asked = await answered(LOCAL, scope)
    assert (answer.status, asked) == (307, 0)
    assert answer.headers["location"] == "http://127.0.0.1:8000/gradio/?x=1&y=%2F"


SENT_TO = {
    "no-query": ("/gradio/", b"/gradio/", "", "http://127.0.0.1:8000/gradio/"),
    "start": ("/", b"/", "", "http://127.0.0.1:8000/"),
    "spelling": ("/a b/c/d", b"/a%20b/c%2Fd", "", "http://127.0.0.1:8000/a%20b/c%2Fd"),
    "another-host-as-path": ("//evil.example/x", b"//evil.example/x", "", "http://127.0.0.1:8000/evil.example/x"),
    "userinfo-as-path": ("/@evil.example", b"/@evil.example", "", "http://127.0.0.1:8000/@evil.example"),
    "not-utf-8": ("/\ufffd", b"/%FF", "", "http://127.0.0.1:8000/%FF"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "raw", "query", "location"), SENT_TO.values(), ids=SENT_TO)
async def test_it_is_sent_to_the_same_path_of_this_machine_and_nowhere_else(path, raw, query, location) -> None:
    scope = http_scope("/", query=query, headers={"Host": "localhost:8000", **PAGE}) | {"path": path, "raw_path": raw}
    assert (await answered(LOCAL, scope))[0].headers["location"] == location


@pytest.mark.anyio
async def test_a_prefix_is_there_once_in_the_place_it_is_sent_to() -> None:
    settings = {"public_url": "http://127.0.0.1:8000/app"}
    answer, _ = await answered(settings, http_scope("/app/gradio/", headers={"Host": "localhost:8000", **PAGE}))
    assert answer.headers["location"] == "http://127.0.0.1:8000/app/gradio/"


NOT_SENT = {
    "api-call": ("GET", {"Host": "localhost:8000", "Accept": "application/json"}),
    "fetch": ("GET", {"Host": "localhost:8000", "Accept": "text/html", "Sec-Fetch-Mode": "cors"}),
    "form": ("POST", {"Host": "localhost:8000", **PAGE}),
    "the-one-name": ("GET", {"Host": "127.0.0.1:8000", **PAGE}),
    "another-port": ("GET", {"Host": "localhost:9000", **PAGE}),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "headers"), NOT_SENT.values(), ids=NOT_SENT)
async def test_what_is_no_page_under_another_name_is_answered_where_it_came(
    method: str, headers: dict[str, str]
) -> None:
    answer, asked = await answered(LOCAL, http_scope("/x", method=method, headers=headers))
    assert (answer.status, asked) == (200, 1)


# -- what every answer carries ----------------------------------------------------------------------------------------

SEALED = {
    "public": (PUBLIC, "SAMEORIGIN"),
    "in-an-iframe": (PUBLIC | {"cookie_samesite": "none"}, None),
    "local": (LOCAL, "SAMEORIGIN"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("settings", "frame"), SEALED.values(), ids=SEALED)
async def test_an_answer_is_sealed(settings: dict[str, Any], frame: str | None) -> None:
    answer, _ = await answered(settings, http_scope(headers={"Host": "127.0.0.1:8000"}))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers.get("x-frame-options") == frame


@pytest.mark.anyio
async def test_an_app_that_seals_its_answer_itself_is_left_its_own() -> None:
    own = {"referrer-policy": "no-referrer", "x-frame-options": "DENY", "content-length": "6"}
    answer = await ask(edge(Recorder(own), PUBLIC), http_scope())
    assert answer.headers.getlist("referrer-policy") == ["no-referrer"]
    assert answer.headers.getlist("x-frame-options") == ["DENY"]


@pytest.mark.anyio
async def test_a_refusal_of_the_edge_itself_is_sealed_too() -> None:
    answer, _ = await answered(LOCAL, http_scope(headers={"Host": "evil.example"}))
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.anyio
async def test_the_body_goes_through_both_ways() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    assert (await ask(edge(echo, PUBLIC), http_scope(method="POST"), b"as it is")).body == b"as it is"
