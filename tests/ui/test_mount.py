"""Nothing of the mounted Blocks answers a caller without an identity: no route there is, nor whatever else one types.

The routes are not listed here but found in the app that is served, to the leaves, so that those of the next Gradio
are held against the gate too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPMessage

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from tests.support.app_server import AppServer
from tests.support.provider import Provider

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OUGHT_TO_BE_FOUND = {
    "/gradio/",
    "/gradio/config",
    "/gradio/openapi.json",
    "/gradio/gradio_api/heartbeat/x",
    "/gradio/gradio_api/mcp/",
    "/gradio/gradio_api/mcp/schema",
    "/gradio/gradio_api/queue/join",
    "/gradio/gradio_api/startup-events",
    "/gradio/gradio_api/cancel",
    "/gradio/gradio_api/upload",
}
"""Of each kind of nesting at least one: what is here and not found says that the walk has become too short."""
UNKNOWN = (
    "/gradio/nothing",
    "/gradio/gradio_api",
    "/gradio/gradio_api/nothing/here",
    "/gradio/gradio_api/mcp/nothing",
    "/gradio/gradio_api/file=/etc/hostname",
    "/gradio/config%00",
    "/gradio/%C3%A9",
)
ROUND_ABOUT = (
    "/gradio//config",
    "/gradio/./config",
    "/gradio/gradio_api/../config",
    "/gradio/gradio_api/%2e%2e/config",
    "/gradio/%63onfig",
    "/gradio/config;x=y",
    "/gradio/config%3Fx",
    "/gradio/config#x",
    "//gradio/config",
    "/./gradio/config",
    "/x/../gradio/config",
    "/%67radio/config",
    "/GRADIO/config",
    "/gradio%2Fconfig",
    "/gradio;x/config",
    "/gradio\\config",
    "/login-demo/../gradio/config",
    "/login-demo/%2e%2e/gradio/config",
    "/login-demo/..%2fgradio/config",
    "/login-demo/static/../../gradio/config",
    "/login-demo/gradio/config",
    "/docs/assets/../../gradio/config",
    "/docs/assets/..%2f..%2fgradio/config",
)
OPEN_AT_SIGN_IN = {
    "/login-demo/",
    "/login-demo/assets/x",
    "/login-demo/gradio_api/startup-events",
    "/login-demo/static/x",
    "/login-demo/theme.css",
}
NOTHING = b'{"detail":"There is nothing at this address.","error":"not_found"}'
"""The answer in place of the sign-in Blocks' own, also to a HEAD, of which only the length can be seen."""
CLOSED_AT_SIGN_IN = (
    "/login-demo/gradio_api/file={file}",
    "/login-demo/gradio_api/file/{file}",
    "/login-demo/file={file}",
    "/login-demo/static/..%2f..{file}",
    "/login-demo/static/../../../../../../../../{file}",
    "/login-demo/static/{file}",
    "/login-demo/assets/{file}",
    "/login-demo/assets/../gradio_api/file={file}",
    "/login-demo/assets/..%2fgradio_api%2ffile={file}",
    "/login-demo/svelte/{file}",
    "/login-demo/login-demo/",
    "/login-demo/config",
    "/login-demo/gradio_api/info",
    "/login-demo/gradio_api/app_id",
    "/login-demo/gradio_api/mcp/",
)


@pytest.fixture(scope="module")
def served(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """The app with all that it can serve."""
    with AppServer(providers, mcp_server=True) as server:
        yield server


@pytest.fixture
def anybody(served: AppServer) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url) as client:
        yield client


def leaves(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    """An address for each route below `routes`, mounted apps and included routers walked through."""
    for context in iter_route_contexts(list(routes)):
        path = prefix + re.sub(r"\{[^}]*\}", "x", context.path or "")
        inside = getattr(context.original_route, "routes", None)
        if isinstance(context.original_route, Mount):
            yield f"{path}/"
        if inside:
            yield from leaves(inside, path)
        elif not isinstance(context.original_route, Mount):
            yield path


def under(server: AppServer, mounted: str) -> list[str]:
    routes = server.app.routes
    return sorted({path for path in leaves(routes) if path.startswith(f"{mounted}/")})


def raw(server: AppServer, target: str, method: str = "GET", **headers: str) -> tuple[int, HTTPMessage, bytes]:
    """Status, headers and body for exactly that target: nothing in it is decoded or resolved on the way."""
    with closing(HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.putrequest(method, target)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


# -- the main Blocks -------------------------------------------------------------------------------------------------


def test_the_walk_finds_what_is_nested(served: AppServer) -> None:
    found = under(served, "/gradio")
    assert set(found) >= OUGHT_TO_BE_FOUND
    assert len(found) > 60


def test_a_file_of_an_app_that_was_written_for_the_root_is_led_to(served: AppServer, anybody: httpx2.Client) -> None:
    answer = anybody.get("/gradio_api/file=/srv/a%20b%23c.png")
    file = f"{served.url}/gradio/gradio_api/file=/srv/a%20b%23c.png"
    assert (answer.status_code, answer.headers["location"]) == (307, file)
    assert anybody.get(file).status_code == 401


def test_no_route_under_gradio_is_open(served: AppServer, anybody: httpx2.Client) -> None:
    tried, is_open = 0, []
    for path in (*under(served, "/gradio"), *UNKNOWN):
        for method in METHODS:
            answer = anybody.request(method, path)
            tried += 1
            if (
                answer.status_code != 401
                or not answer.headers.get("www-authenticate", "").startswith("Bearer")
                or answer.headers.get("cache-control") != "no-store"
                or "set-cookie" in answer.headers
            ):
                is_open.append(f"{method} {path}: {answer.status_code} {dict(answer.headers)}")
    print(f"{len(is_open)} open of {tried}")
    assert not is_open


def test_a_page_load_of_any_route_goes_to_sign_in(served: AppServer, anybody: httpx2.Client) -> None:
    for path in (*under(served, "/gradio"), *UNKNOWN):
        answer = anybody.get(path, headers=PAGE)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith(f"{served.url}/login-demo/?next="), path
        assert answer.headers["cache-control"] == "no-store", path


def test_with_an_identity_the_same_routes_are_there(served: AppServer) -> None:
    """Otherwise the tests above would hold for an app that serves nothing."""
    with served.browser() as browser:
        browser.sign_in()
        for path in ("/gradio/", "/gradio/config", "/gradio/gradio_api/info", "/gradio/gradio_api/mcp/schema"):
            assert browser.fetch(path).status_code == 200, path


@pytest.mark.parametrize("target", ROUND_ABOUT)
@pytest.mark.parametrize("kind", ["a page load", "anything else"])
def test_no_way_round_leads_to_the_blocks(served: AppServer, target: str, kind: str) -> None:
    status, _, body = raw(served, target, **({"Sec_Fetch_Mode": "navigate"} if kind == "a page load" else {}))
    assert status in (303, 307, 400, 401, 403, 404), body
    assert b'"components"' not in body


def test_a_refusal_does_not_wait_for_the_body(served: AppServer) -> None:
    big = {"Content_Length": "1000000000", "Content_Type": "text/plain"}
    status, headers, _ = raw(served, "/gradio/gradio_api/upload", "POST", **big)
    assert status == 401
    assert headers["connection"] == "close"


def test_a_websocket_is_not_opened(served: AppServer) -> None:
    status, _, _ = raw(
        served,
        "/gradio/gradio_api/queue/join",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert status in (401, 403)


# -- the sign-in Blocks ----------------------------------------------------------------------------------------------


def test_of_the_sign_in_blocks_the_page_and_its_assets_answer_and_nothing_else(
    served: AppServer, anybody: httpx2.Client
) -> None:
    is_open = set()
    for path in under(served, "/login-demo"):
        for method in METHODS:
            answer = anybody.request(method, path, headers={"Accept": "application/json"})
            if answer.status_code != 404 or answer.headers["content-length"] != str(len(NOTHING)):
                is_open.add((method, path))
    assert {path for _, path in is_open} <= OPEN_AT_SIGN_IN
    assert {method for method, _ in is_open} <= {"GET", "HEAD"}


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
def test_nothing_can_be_uploaded_at_sign_in(served: AppServer, signed_in: bool) -> None:
    with served.browser() as browser:
        if signed_in:
            browser.sign_in()
        for path in ("/login-demo/gradio_api/upload", "/login-demo/upload", "/login-demo/"):
            assert browser.post(path, files={"files": b"x"}).status_code == 404, path


@pytest.mark.parametrize("signed_in", [False, True], ids=["anonymous", "signed in"])
@pytest.mark.parametrize("target", CLOSED_AT_SIGN_IN)
def test_the_main_blocks_files_cannot_be_had_at_sign_in(served: AppServer, target: str, signed_in: bool) -> None:
    secret = b"what somebody uploaded"
    with served.browser() as browser:
        browser.sign_in()
        own = {"Sec-Fetch-Site": "same-origin"}
        (file,) = browser.post("/gradio/gradio_api/upload", files={"files": secret}, headers=own).json()
        assert browser.fetch(f"/gradio/gradio_api/file={file}").content == secret
        cookie = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)}
    status, _, body = raw(served, target.format(file=file), **(cookie if signed_in else {}))
    assert secret not in body
    assert status in (403, 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [("call/v2/greet", {"unheard_of": 1}), ("call/v2/nothing", {}), ("call/v2/greet", {"session_hash": "x" * 12})],
    ids=["argument", "function", "session"],
)
def test_a_call_that_fits_no_function_is_said_to_and_is_no_fault_of_the_app(served: AppServer, path, body) -> None:
    url = f"{served.url}/local/oauth2/token"
    token = httpx2.post(url, data={"grant_type": "client_credentials"}, auth=("local-program", "local-secret")).json()
    credentials = {"Authorization": f"Bearer {token['access_token']}"}
    answer = httpx2.post(f"{served.url}/gradio/gradio_api/{path}", json=body, headers=credentials)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
