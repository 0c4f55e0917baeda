from __future__ import annotations

import asyncio
import gc
import json
import weakref
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.errors import NotSignedIn, ScopeTooNarrow, TokenInvalid
from auth.gate.dependencies import require_identity, require_scopes
from auth.gate.gate import Gate
from auth.identity import Credential, Identity, identity_of
from auth.programs.verifier import cognito_verifier
from auth.sessions import cookie_name, session_signer
from tests.support.asgi import Recorder, ask, http_scope, made_answers
from tests.support.clock import NOW
from tests.support.forge import CLIENT_ID, NEIGHBOUR, access_token
from tests.support.house import House
from tests.support.settings import ACME, signed_cookie, sound_settings

BASE = "http://127.0.0.1:8000"
PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
API = {"Accept": "application/json"}


@pytest.fixture
def house() -> House:
    return House()


def bearer(**changes: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {access_token(**changes)}"}


# -- nobody -----------------------------------------------------------------------------------------------------------

KINDS = {
    "page": ("GET", PAGE, 303),
    "page-of-an-old-browser": ("GET", {"Accept": "text/html"}, 303),
    "page-head": ("HEAD", PAGE, 303),
    "form": ("POST", PAGE, 401),
    "fetch": ("GET", {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}, 401),
    "api": ("GET", API, 401),
    "anything": ("GET", {}, 401),
    "post": ("POST", API, 401),
    "delete": ("DELETE", {}, 401),
    "options": ("OPTIONS", {"Origin": BASE, "Access-Control-Request-Method": "POST"}, 401),
    "unknown-method": ("BREW", {}, 401),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "headers", "status"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("path", ["/gradio/", "/gradio/gradio_api/mcp/", "/gradio/assets/x.js", "/", "//", "/%2e%2e/"])
async def test_nobody_gets_past_the_gate(house: House, path: str, method, headers, status: int) -> None:
    answer = await ask(house.around(), http_scope(path, method=method, headers=headers), b"never read")
    assert answer.status == status
    assert house.behind.scopes == []
    assert answer.headers["cache-control"] == "no-store"
    assert not answer.body_was_read
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    else:
        assert answer.headers["location"].startswith(f"{BASE}/login-demo/?next=/")


NOBODY = {
    "no-cookie": {},
    "cookie-of-others": {"Cookie": "session-8000=garbage"},
    "cookie-under-another-name": {"Cookie": signed_cookie(sound_settings(port=9000), House().sign_in())},
    "cookie-without-session": {"Cookie": signed_cookie(sound_settings(), {"begun": {}})},
    "cookie-of-another-shape": {"Cookie": signed_cookie(sound_settings(), {"person": ["ada-1"]})},
    "another-scheme": {"Authorization": "Basic YWRhOmFkYQ=="},
}


@pytest.mark.anyio
@pytest.mark.parametrize("headers", NOBODY.values(), ids=NOBODY)
async def test_what_is_no_session_and_no_token_is_nobody(house: House, headers: dict[str, str]) -> None:
    answer = await ask(house.around(), http_scope("/gradio/", headers=headers))
    assert (answer.status, answer.json["error"]) == (401, NotSignedIn.code)


@pytest.mark.anyio
@pytest.mark.parametrize("headers", NOBODY.values(), ids=NOBODY)
async def test_outside_the_gate_nobody_is_known_to_be_nobody(house: House, headers: dict[str, str]) -> None:
    assert (await ask(house.around(gated=False), http_scope("/", headers=headers))).body == b"inside"
    assert type(house.behind.scope["state"]["credential"].outcome) is NotSignedIn


@pytest.mark.anyio
async def test_where_nobody_asked_who_is_calling_the_gate_is_shut(house: House) -> None:
    answers = made_answers(house.settings)
    gate = Gate(house.behind, answers=answers, scopes=())
    assert (await ask(gate, http_scope("/gradio/"))).status == 401


ENDED = {
    "expired": (8 * 3600, "session_expired"),
    "idle": (3601, "session_idle"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "code"), ENDED.values(), ids=ENDED)
async def test_a_session_that_has_ended_is_refused_and_says_why(house: House, seconds: float, code: str) -> None:
    cookie = house.cookie()
    house.clock.advance(seconds)
    assert (await ask(house.around(), http_scope("/gradio/", headers=cookie))).json["error"] == code
    page = await ask(house.around(), http_scope("/gradio/", headers=cookie | PAGE))
    assert page.headers["location"] == f"{BASE}/login-demo/?next=/gradio/&reason={code}"


# -- somebody ---------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("gated", [True, False], ids=["gated", "open"])
async def test_who_is_signed_in_is_known_to_all_that_is_behind(house: House, gated: bool) -> None:
    answer = await ask(house.around(gated=gated), http_scope("/gradio/", headers=house.cookie()))
    assert answer.body == b"inside"
    identity = identity_of(HTTPConnection(house.behind.scope))
    assert (identity.identity, identity.kind) == (f"{ACME.issuer}#ada-1", "person")


@pytest.mark.anyio
async def test_a_program_is_known_to_all_that_is_behind(house: House) -> None:
    answer = await ask(house.around(), http_scope("/gradio/", headers=bearer()))
    assert answer.body == b"inside"
    identity = identity_of(HTTPConnection(house.behind.scope))
    assert (identity.username, identity.kind) == (CLIENT_ID, "program")


@pytest.mark.anyio
async def test_outside_the_gate_nobody_is_let_through_and_why_is_known(house: House) -> None:
    headers = {"Authorization": "Bearer not-a-token"}
    assert (await ask(house.around(gated=False), http_scope("/", headers=headers))).body == b"inside"
    with pytest.raises(TokenInvalid):
        await require_identity(Request(house.behind.scope))


@pytest.mark.anyio
async def test_what_a_server_keeps_in_its_state_stays_there(house: House) -> None:
    await ask(house.around(), http_scope("/gradio/", headers=house.cookie(), state={"pool": 1}))
    assert house.behind.scope["state"]["pool"] == 1


@pytest.mark.anyio
async def test_an_answer_that_depends_on_the_cookie_says_so(house: House) -> None:
    answer = await ask(house.around(), http_scope("/gradio/", headers=house.cookie()))
    assert "cookie" in answer.headers["vary"].lower()


CACHE_CONTROL = {
    "nothing-said": (None, "no-store"),
    "public": ("public, max-age=60", "private, max-age=60"),
    "public-in-capitals": ("Public, max-age=60", "private, max-age=60"),
    "private": ("private, max-age=60", "private, max-age=60"),
    "neither": ("max-age=60", "private, max-age=60"),
    "shared": ("s-maxage=60", "private, s-maxage=60"),
    "no-store": ("no-store", "no-store"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("said", "heard"), CACHE_CONTROL.values(), ids=CACHE_CONTROL)
async def test_no_shared_cache_keeps_what_is_behind_the_gate(house: House, said: str | None, heard: str) -> None:
    house.behind = Recorder({"content-length": "6"} | ({"cache-control": said} if said else {}))
    answer = await ask(house.around(), http_scope("/gradio/", headers=house.cookie()))
    directives = {part.strip() for part in answer.headers["cache-control"].split(",")}
    assert directives == {part.strip() for part in heard.split(",")}


@pytest.mark.anyio
async def test_the_lifespan_goes_through_to_what_is_behind(house: House) -> None:
    await house.around()({"type": "lifespan"}, None, None)
    assert house.behind.scope == {"type": "lifespan"}


# -- Bearer -----------------------------------------------------------------------------------------------------------

TOKEN = access_token()
MALFORMED = {
    "no-token": ["Bearer"],
    "empty-token": ["Bearer "],
    "only-spaces": ["Bearer    "],
    "two-tokens": [f"Bearer {TOKEN} {TOKEN}"],
    "comma": [f"Bearer {TOKEN},"],
    "list": [f"Bearer {TOKEN}, Bearer {TOKEN}"],
    "parameters": [f'Bearer token="{TOKEN}", realm="x"'],
    "tab": [f"Bearer\t{TOKEN}"],
    "twice": [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
    "twice-and-one-bad": [f"Bearer {TOKEN}", "Bearer x"],
    "with-basic": [f"Bearer {TOKEN}", "Basic YWRhOmFkYQ=="],
    "basic-first": ["Basic YWRhOmFkYQ==", f"Bearer {TOKEN}"],
}
INVALID = {
    "text": ["Bearer x"],
    "three-parts": ["Bearer a.b.c"],
    "null": ["Bearer null"],
    "quotes": [f'Bearer "{TOKEN}"'],
    "latin": ["Bearer \xe9\xff"],
    "long": ["Bearer " + "x" * 20_000],
    "expired": [f"Bearer {access_token(exp=1)}"],
    "of-another-client": [f"Bearer {access_token(client_id='another')}"],
    "of-another-issuer": [f"Bearer {access_token(iss=NEIGHBOUR)}"],
    "id-token": [f"Bearer {access_token(token_use='id')}"],
    "by-another-key": [f"Bearer {access_token(signed_with='stranger')}"],
    "unknown-key": [f"Bearer {access_token(kid='stranger')}"],
    "signature-cut": [f"Bearer {TOKEN[:-4]}"],
}
REFUSED = {
    **{name: (values, 400, "invalid_request") for name, values in MALFORMED.items()},
    **{name: (values, 401, "invalid_token") for name, values in INVALID.items()},
}


@pytest.mark.anyio
@pytest.mark.parametrize(("values", "status", "code"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("kind", [API, PAGE], ids=["api", "page"])
async def test_a_bad_bearer_is_refused_whatever_cookie_comes_with_it(house: House, values, status, code, kind) -> None:
    headers = [*kind.items(), *house.cookie().items(), *(("Authorization", value) for value in values)]
    answer = await ask(house.around(), http_scope("/gradio/", headers=headers))
    assert (answer.status, answer.json["error"]) == (status, code)
    assert f'error="{code}"' in answer.headers["www-authenticate"]
    assert house.behind.scopes == []


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
async def test_the_scheme_is_spelled_in_any_case(house: House, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert (await ask(house.around(), http_scope("/gradio/", headers=headers))).body == b"inside"


@pytest.mark.anyio
@pytest.mark.parametrize("value", ["Basic YWRhOmFkYQ==", "Bearerx y", "Token abc", "", "Negotiate"])
async def test_another_scheme_is_no_bearer_and_leaves_the_cookie_alone(house: House, value: str) -> None:
    headers = {"Authorization": value}
    assert (await ask(house.around(), http_scope("/gradio/", headers=headers))).status == 401
    assert (await ask(house.around(), http_scope("/gradio/", headers=headers | house.cookie()))).body == b"inside"


@pytest.mark.anyio
async def test_a_good_bearer_decides_alone(house: House) -> None:
    await ask(house.around(), http_scope("/gradio/", headers=bearer() | house.cookie()))
    assert identity_of(HTTPConnection(house.behind.scope)).kind == "program"


@pytest.mark.anyio
async def test_a_request_with_a_bearer_has_no_session_and_leaves_that_of_the_cookie_as_it_was(house: House) -> None:
    async def writing(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["session"] == {}
        scope["session"]["person"] = None
        await house.behind(scope, receive, send)

    answer = await ask(house.around(writing), http_scope("/gradio/", headers=bearer() | house.cookie()))
    assert "set-cookie" not in answer.headers


@pytest.mark.anyio
async def test_a_fault_of_the_app_is_not_taken_for_one_of_the_caller(house: House) -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        await house.behind(scope, receive, send)
        raise NotSignedIn("the app's own")

    for headers in (house.cookie(), bearer()):
        with pytest.raises(NotSignedIn, match="the app's own"):
            await ask(house.around(faulty), http_scope("/gradio/", headers=headers))
    assert len(house.behind.scopes) == 2


@pytest.mark.anyio
async def test_an_exchange_that_is_over_leaves_nothing_running(house: House) -> None:
    async def never_ending() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        for _ in range(3):  # as Gradio does, again and again
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        await house.behind(scope, receive, send)

    async def body_then_silence() -> Message:
        bodies.append(b"")
        return {"type": "http.request", "body": b"", "more_body": False} if len(bodies) == 1 else await never_ending()

    async def send(message: Message) -> None:
        pass

    bodies: list[bytes] = []
    before = asyncio.all_tasks()
    await house.around(listening)(http_scope("/gradio/", headers=house.cookie()), body_then_silence, send)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


@pytest.mark.anyio
async def test_another_sites_page_may_send_a_bearer(house: House) -> None:
    headers = bearer() | {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
    assert (await ask(house.around(), http_scope("/gradio/", headers=headers))).body == b"inside"


@pytest.mark.anyio
async def test_where_no_pool_is_configured_every_bearer_is_refused() -> None:
    house = House(cognito_region="", cognito_pool_id="", cognito_client_ids=())
    answer = await ask(house.around(), http_scope("/gradio/", headers=bearer() | house.cookie()))
    assert (answer.status, answer.json["error"]) == (401, "invalid_token")


@pytest.mark.anyio
async def test_a_token_whose_keys_cannot_be_had_is_neither_good_nor_bad(house: House) -> None:
    async def down(url: str) -> dict[str, Any]:
        raise OSError("nobody there")

    assert house.settings.user_pool
    house.verifier = cognito_verifier(house.settings.user_pool, fetch=down, now=house.clock)
    answer = await ask(house.around(), http_scope("/gradio/", headers=bearer() | house.cookie()))
    assert (answer.status, answer.headers["retry-after"]) == (503, "10")


SCOPES = {
    "both": ("app/read app/write", 200),
    "more": ("x app/write y app/read", 200),
    "one": ("app/read", 403),
    "none": ("", 403),
    "almost": ("app/read app/writer", 403),
    "other-case": ("app/read App/write", 403),
    "run-together": ("app/readapp/write", 403),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("scope", "status"), SCOPES.values(), ids=SCOPES)
async def test_a_program_needs_every_scope(scope: str, status: int) -> None:
    house = House(api_scopes="app/read,app/write")
    answer = await ask(house.around(), http_scope("/gradio/", headers=bearer(scope=scope) | house.cookie()))
    assert answer.status == status
    if status == 403:
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="app/read app/write"' in challenge


@pytest.mark.anyio
async def test_a_token_of_a_person_needs_the_scopes_too() -> None:
    house = House(api_scopes="app/read")
    answer = await ask(house.around(), http_scope("/gradio/", headers=bearer(username="ada")))
    assert answer.status == 403


@pytest.mark.anyio
async def test_a_person_who_signed_in_needs_no_scope() -> None:
    house = House(api_scopes="app/read")
    assert (await ask(house.around(), http_scope("/gradio/", headers=house.cookie()))).body == b"inside"


@pytest.mark.parametrize("scopes", [(), ("a",), ("a", "b")])
def test_no_scope_is_asked_for_where_none_is_needed(scopes: tuple[str, ...]) -> None:
    identity = Identity(username="p", issuer="i", subject="s", kind="program", expires_at=0, scopes=scopes)
    assert require_scopes(identity, ()) is identity
    with pytest.raises(ScopeTooNarrow):
        require_scopes(identity, ("c", *scopes))


# -- another site's pages ---------------------------------------------------------------------------------------------

FOREIGN = "https://evil.example"
NEIGHBOUR = "http://127.0.0.1:9000"
SENDERS = {
    "curl": ("GET", {}, True),
    "curl-post": ("POST", {}, True),
    # Fetch Metadata
    "own-fetch": ("GET", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
    "own-post": ("POST", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Origin": BASE}, True),
    "own-form": ("POST", {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Origin": BASE}, True),
    "typed": ("GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True),
    "asked-for-by-the-person": ("GET", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "cors"}, True),
    "sibling-fetch": ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),
    "sibling-post": ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, False),
    "foreign-fetch": ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, False),
    "foreign-image": ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    "foreign-post": ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
    "foreign-link": ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
    "foreign-link-with-referer": (
        "GET",
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Referer": f"{FOREIGN}/"},
        True,
    ),
    "foreign-link-head": ("HEAD", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),
    "sibling-link": ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, True),
    "foreign-form": ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, False),
    "sibling-form": ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, False),
    "foreign-without-mode": ("GET", {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}, False),
    "unknown-site": ("GET", {"Sec-Fetch-Site": "elsewhere"}, False),
    "metadata-before-origin": ("GET", {"Sec-Fetch-Site": "cross-site", "Origin": BASE}, False),
    "metadata-before-referer": ("GET", {"Sec-Fetch-Site": "same-site", "Referer": f"{BASE}/"}, False),
    "own-metadata-before-referer": ("GET", {"Sec-Fetch-Site": "same-origin", "Referer": f"{FOREIGN}/"}, True),
    # browsers without it
    "link": ("GET", {"Accept": "text/html", "Referer": f"{FOREIGN}/"}, True),
    "link-head": ("HEAD", {"Accept": "text/html", "Referer": f"{FOREIGN}/"}, True),
    "form": ("POST", {"Accept": "text/html", "Referer": f"{FOREIGN}/"}, False),
    "image": ("GET", {"Accept": "image/*", "Referer": f"{FOREIGN}/"}, False),
    "own-origin": ("POST", {"Origin": BASE}, True),
    "own-origin-before-referer": ("POST", {"Origin": BASE, "Referer": f"{FOREIGN}/"}, True),
    "foreign-origin": ("POST", {"Origin": FOREIGN}, False),
    "foreign-origin-get": ("GET", {"Origin": FOREIGN}, False),
    "foreign-origin-and-html": ("GET", {"Origin": FOREIGN, "Accept": "text/html"}, False),
    "foreign-origin-before-referer": ("POST", {"Origin": FOREIGN, "Referer": f"{BASE}/"}, False),
    "opaque-origin": ("POST", {"Origin": "null"}, False),
    "neighbouring-port": ("POST", {"Origin": NEIGHBOUR}, False),
    "other-scheme": ("POST", {"Origin": "https://127.0.0.1:8000"}, False),
    "other-name": ("POST", {"Origin": "http://localhost:8000"}, False),
    "origin-as-a-start": ("POST", {"Origin": f"{BASE}.evil.example"}, False),
    "own-referer": ("POST", {"Referer": f"{BASE}/gradio/"}, True),
    "foreign-referer": ("POST", {"Referer": f"{FOREIGN}/gradio/"}, False),
    "foreign-referer-naming-us": ("POST", {"Referer": f"{FOREIGN}/?{BASE}/"}, False),
    "unreadable-referer": ("POST", {"Referer": "http://[::1"}, False),
    "unreadable-origin": ("POST", {"Origin": "http://[::1"}, False),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "headers", "is_person"), SENDERS.values(), ids=SENDERS)
async def test_a_cookie_counts_for_own_pages_and_followed_links_alone(house, method, headers, is_person) -> None:
    answer = await ask(house.around(), http_scope("/gradio/", method=method, headers=house.cookie() | headers))
    assert (answer.body == b"inside") is is_person
    assert len(house.behind.scopes) == is_person


@pytest.mark.anyio
async def test_another_sites_request_is_no_sign_of_life(house: House) -> None:
    cookie = house.cookie()
    house.clock.advance(3000)
    await ask(house.around(), http_scope(headers=cookie | {"Sec-Fetch-Site": "cross-site"}))
    house.clock.advance(1000)
    assert (await ask(house.around(), http_scope(headers=cookie))).json["error"] == "session_idle"


# -- websockets -------------------------------------------------------------------------------------------------------


async def websocket(app: ASGIApp, headers: Mapping[str, str]) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http_scope("/gradio/", headers=headers, type="websocket", scheme="ws")
    del scope["method"]
    await app(scope, receive, send)
    return sent


async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})


CALLERS: dict[str, tuple[Callable[[House], dict[str, str]], bool]] = {
    "nobody": (lambda house: {}, False),
    "bad-token": (lambda house: {"Authorization": "Bearer x"} | house.cookie(), False),
    "another-sites-page": (lambda house: house.cookie() | {"Origin": FOREIGN}, False),
    "person": (lambda house: house.cookie() | {"Origin": BASE}, True),
    "program": (lambda house: bearer(), True),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("headers_of", "is_let_in"), CALLERS.values(), ids=CALLERS)
async def test_a_websocket_is_opened_for_an_identity_and_closed_for_anybody_else(house, headers_of, is_let_in) -> None:
    (message,) = await websocket(house.around(accepting), headers_of(house))
    if is_let_in:
        assert message == {"type": "websocket.accept"}
    else:
        assert (message["type"], message["code"]) == ("websocket.close", 1008)
        assert 0 < len(message["reason"].encode()) <= 123  # RFC 6455 section 5.5


@pytest.mark.anyio
async def test_what_is_said_over_an_open_websocket_goes_both_ways(house: House) -> None:
    said = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": text} for text in ("one", "two"))]
    sent: list[Message] = []

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            await send({"type": "websocket.send", "text": (await receive())["text"]})

    async def receive() -> Message:
        return said.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = http_scope("/gradio/", headers=house.cookie(), type="websocket", scheme="ws")
    await house.around(echo)(scope, receive, send)
    assert [message.get("text") for message in sent] == [None, "one", "two"]


# -- streams ----------------------------------------------------------------------------------------------------------


class Exchange:
    """One exchange as it happens: what was sent so far, and a connection that can be closed."""

    slowness = 0.0
    """Seconds that the connection takes for each message."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self.sent: list[Message] = []
        self._something = asyncio.Event()
        self._gone = asyncio.Event()
        self._asked = False
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await asyncio.sleep(self.slowness)
        self.sent.append(message)
        self._something.set()

    async def began(self) -> None:
        """Until the first piece of the body was sent."""
        while len(self.sent) < 2:
            self._something.clear()
            await asyncio.wait_for(self._something.wait(), 5)

    async def ended(self) -> None:
        """Until the app has returned; what it raises is raised here."""
        await asyncio.wait_for(self.task, 5)

    def hang_up(self) -> None:
        self._gone.set()

    @property
    def is_complete(self) -> bool:
        return self.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def ticks() -> AsyncIterator[bytes]:
    while True:
        yield b"tick "
        await asyncio.sleep(0.001)


async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
    await StreamingResponse(ticks())(scope, receive, send)


class Listening:
    """A stream that says one thing, then waits for its client to go, as an event stream with no news does."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.heard: list[str] = []
        self._headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"hello", "more_body": True})
        self.heard.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"too late", "more_body": False})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.gate.gate.CHECK_SECONDS", 0.01)


ENDINGS: dict[str, Callable[[House, dict[str, Any]], object]] = {
    "signed-out": lambda house, session: house.sessions.end(session),
    "signed-out-everywhere": lambda house, session: house.sessions.end(session, everywhere=True),
    "idle": lambda house, session: house.clock.advance(3601),
    "expired": lambda house, session: house.clock.advance(8 * 3600),
}


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_stream_is_cut_once_its_session_has_ended(house: House, ending) -> None:
    session = house.sign_in()
    exchange = Exchange(house.around(streaming), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    ending(house, session)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_programs_stream_is_cut_once_its_token_has_expired(house: House) -> None:
    exchange = Exchange(house.around(streaming), http_scope("/gradio/", headers=bearer()))
    await exchange.began()
    house.clock.advance(3600)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_an_app_behind_a_cut_stream_hears_that_its_client_is_gone_and_is_heard_no_more(house: House) -> None:
    session, behind = house.sign_in(), Listening()
    exchange = Exchange(house.around(behind), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    house.sessions.end(session)
    await exchange.ended()
    assert behind.heard == ["http.disconnect"]
    assert [message["body"] for message in exchange.sent[1:]] == [b"hello", b""]


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_an_app_that_asks_again_and_again_for_its_client_is_told_when_its_stream_is_cut(house) -> None:
    """As Gradio does between two messages of an event."""

    async def polling(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        assert await request.body() == b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not await request.is_disconnected():
            await send({"type": "http.response.body", "body": b"tick ", "more_body": True})
            await asyncio.sleep(0.001)

    session = house.sign_in()
    exchange = Exchange(house.around(polling), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    house.sessions.end(session)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
async def test_an_exchange_that_is_over_is_given_back_at_once(house: House) -> None:
    """And not when Python next looks for cycles: that costs more than the exchange."""

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces_of([b"one", b"two"]))(scope, receive, send)

    async def pieces_of(pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            await asyncio.sleep(0.01)
            yield piece

    gc.collect()
    gc.disable()
    try:
        exchange = Exchange(house.around(listening), http_scope("/gradio/", headers=house.cookie()))
        await exchange.ended()
        gone = weakref.ref(exchange)
        del exchange
        await asyncio.sleep(0.01)
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_runs_on_while_its_session_stands(house: House) -> None:
    exchange = Exchange(house.around(Listening()), http_scope("/gradio/", headers=house.cookie()))
    await exchange.began()
    await asyncio.sleep(0.05)
    assert not exchange.task.done()
    exchange.hang_up()
    await exchange.ended()
    assert [message["body"] for message in exchange.sent[1:]] == [b"hello", b"too late"]


async def minutes_pass(house: House, minutes: int) -> None:
    """Ten at a time, and a stream is looked at after each."""
    for _ in range(minutes // 10):
        house.clock.advance(600)
        await asyncio.sleep(0.05)


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_that_is_read_is_use_up_to_the_longest_life_of_a_session(house: House) -> None:
    cookie = house.cookie()
    exchange = Exchange(house.around(streaming), http_scope("/gradio/gradio_api/queue/data", headers=cookie))
    await exchange.began()
    await minutes_pass(house, 120)
    assert not exchange.task.done()
    assert (await ask(house.around(), http_scope("/gradio/", headers=cookie))).body == b"inside"
    await minutes_pass(house, 350)
    assert not exchange.task.done()
    await minutes_pass(house, 10)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_that_is_read_does_not_keep_a_session_that_was_ended(house: House) -> None:
    session = house.sign_in()
    exchange = Exchange(house.around(streaming), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    await minutes_pass(house, 30)
    house.sessions.end(session)
    await exchange.ended()
    assert house.sessions.live == 0


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_tab_that_is_only_open_is_no_use(house: House) -> None:
    scope = http_scope("/gradio/gradio_api/heartbeat/abc", headers=house.cookie())
    exchange = Exchange(house.around(streaming), scope)
    await exchange.began()
    await minutes_pass(house, 60)
    assert not exchange.task.done()
    await minutes_pass(house, 10)
    await exchange.ended()


class Unread(Exchange):
    """Its client takes the beginning of the answer, and then no more until it is asked to."""

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self.reads_on = asyncio.Event()
        super().__init__(app, scope)

    async def _send(self, message: Message) -> None:
        await super()._send(message)
        if len(self.sent) > 1:
            await self.reads_on.wait()


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_that_nobody_reads_is_no_use(house: House) -> None:
    cookie = house.cookie()
    exchange = Unread(house.around(streaming), http_scope("/gradio/gradio_api/queue/data", headers=cookie))
    await exchange.began()
    await minutes_pass(house, 80)
    assert (await ask(house.around(), http_scope("/gradio/", headers=cookie))).json["error"] == "session_idle"
    exchange.reads_on.set()
    await exchange.ended()
    assert exchange.is_complete
    assert len(exchange.sent) == 3  # the beginning, one piece, and the end


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_gate_knows_how_many_streams_are_open(house: House) -> None:
    gate = Gate(Listening(), answers=house.answers, scopes=())
    whole = Gate(house.behind, answers=house.answers, scopes=())
    exchange = Exchange(house.around(gate, gated=False), http_scope("/gradio/", headers=house.cookie()))
    await exchange.began()
    await ask(house.around(whole, gated=False), http_scope("/gradio/", headers=house.cookie()))
    assert (gate.streams, whole.streams) == (1, 0)
    exchange.hang_up()
    await exchange.ended()
    assert gate.streams == 0


def rewriting(app: ASGIApp) -> ASGIApp:
    """What an app behind the gate may do to a request: change its session in place, and put others in its place."""

    async def rewritten(scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"].get("person", {}).clear()
        scope["session"] = {}
        scope["state"]["credential"] = Credential(outcome=NotSignedIn())
        await app(scope, receive, send)

    return rewritten


BEHIND = {
    "rewriting": rewriting,
    "a session middleware of its own": lambda app: SessionMiddleware(app, secret_key="of-gradio-in-a-space"),
}


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
async def test_what_the_app_behind_does_to_its_session_neither_cuts_a_stream_nor_keeps_it(house, behind) -> None:
    session = house.sign_in()
    exchange = Exchange(house.around(behind(streaming)), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    await asyncio.sleep(0.05)
    assert not exchange.task.done()
    house.sessions.end(session)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
async def test_a_session_middleware_behind_the_gate_leaves_this_cookie_alone(house: House) -> None:
    """Also where the session's sign of life is due to be written into it."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        scope["session"]["visits"] = 1
        await house.behind(scope, receive, send)

    cookie = house.cookie()
    house.clock.advance(600)
    answer = await ask(house.around(BEHIND["a session middleware of its own"](counting)), http_scope(headers=cookie))
    ours, theirs = (
        next(value for value in answer.headers.getlist("set-cookie") if value.startswith(f"{name}="))
        for name in (cookie_name(house.settings.site), "session")
    )
    assert theirs
    signed = ours.partition("=")[2].partition(";")[0]
    content = json.loads(b64decode(session_signer(house.settings.signing_keys).unsign(signed)))
    assert content.keys() == {"person"}
    assert content["person"]["seen"] == NOW + 600


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_is_ended_with_a_farewell_when_there_is_one(house: House) -> None:
    words: list[bytes | None] = [None, None, b"goodbye"]
    app = house.around(Listening(), closing_message=lambda scope: words.pop(0))
    exchange = Exchange(app, http_scope("/gradio/", headers=house.cookie()))
    await exchange.ended()
    assert [message["body"] for message in exchange.sent[1:]] == [b"hello", b"goodbye"]
    assert exchange.sent[-1]["more_body"] is False


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_stream_whose_session_has_ended_gets_no_farewell(house: House) -> None:
    session = house.sign_in()
    app = house.around(streaming, closing_message=lambda scope: None if house.clock() == NOW else b"goodbye")
    exchange = Exchange(app, http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    house.sessions.end(session)
    house.clock.advance(1)
    await exchange.ended()
    assert exchange.is_complete


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_an_answer_of_a_stated_length_is_not_cut(house: House) -> None:
    session, behind = house.sign_in(), Listening({"content-length": "13"})
    exchange = Exchange(house.around(behind), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    house.sessions.end(session)
    await asyncio.sleep(0.05)
    exchange.hang_up()
    await exchange.ended()
    assert b"".join(message["body"] for message in exchange.sent[1:]) == b"hellotoo late"


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_client_that_hangs_up_is_heard_at_once(house: House) -> None:
    behind = Listening()
    exchange = Exchange(house.around(behind), http_scope("/gradio/", headers=house.cookie()))
    await exchange.began()
    exchange.hang_up()
    await exchange.ended()
    assert behind.heard == ["http.disconnect"]


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_body_that_comes_in_pieces_is_handed_on_whole(house: House) -> None:
    pieces = [
        {"type": "http.request", "body": b"one ", "more_body": True},
        {"type": "http.request", "body": b"two", "more_body": False},
    ]

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse((await Request(scope, receive).body()).decode())(scope, receive, send)

    sent: list[Message] = []

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await house.around(echo)(http_scope("/gradio/", method="POST", headers=house.cookie()), receive, send)
    assert sent[1]["body"] == b'"one two"'


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_fault_behind_the_gate_is_not_swallowed(house: House) -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Exchange(house.around(faulty), http_scope("/gradio/", headers=house.cookie())).ended()


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
async def test_a_cut_stream_is_over_when_its_end_has_been_sent(house: House) -> None:
    session = house.sign_in()
    exchange = Exchange(house.around(Listening()), http_scope("/gradio/", headers=house.cookie(session)))
    await exchange.began()
    exchange.slowness = 0.03
    house.sessions.end(session)
    await exchange.ended()
    assert exchange.is_complete


async def brief(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
    await asyncio.sleep(0.02)


async def unfinished(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


@pytest.mark.anyio
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("app", [brief, unfinished])
async def test_a_stream_that_is_over_is_looked_at_no_more(house: House, app: ASGIApp) -> None:
    asked = []
    house.sessions.is_still_valid = lambda session: bool(asked.append(1)) or True
    exchange = Exchange(house.around(app), http_scope("/gradio/", headers=house.cookie()))
    await exchange.ended()
    await asyncio.sleep(0.03)
    assert asked == []
    assert len(exchange.sent) == 2
