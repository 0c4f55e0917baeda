from __future__ import annotations

import json
import logging
import re
from html import unescape
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from auth.errors import (
    AuthError,
    BearerError,
    BearerMalformed,
    EmailUnverified,
    KeysUnavailable,
    NotAllowed,
    NotSignedIn,
    ScopeTooNarrow,
    SessionExpired,
    SessionIdle,
    SessionRevoked,
    SignInError,
    TokenExpired,
    TokenInvalid,
    TokenResponseInvalid,
    UnknownKey,
    UnknownProvider,
    WrongNonce,
    subclasses,
)
from auth.identity import Credential, Identity
from auth.web import ProtectedResources
from auth.web.answers import REASONS, Answers
from tests.support.asgi import Answer, ask, http_scope, made_answers
from tests.support.clock import NOW
from tests.support.settings import sound_settings
from ui.serving.log import JsonLines

TREE = [AuthError, *(error for error in subclasses(AuthError) if error.__module__ == AuthError.__module__)]
METADATA = "http://127.0.0.1:8000/.well-known/oauth-protected-resource"
PAGE = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
FORM = {"Accept": "text/html,*/*;q=0.8"}
API = {"Accept": "application/json"}
ADA = Identity(username="ada", issuer="i", subject="s", kind="person", expires_at=int(NOW))


def answers(*, with_resources: bool = False, **changes: Any) -> Answers:
    settings = sound_settings(**changes)
    resources = ProtectedResources(settings.site, authorization_servers=("https://as.example",), scopes=())
    return made_answers(settings, resources=resources if with_resources else None)


async def to(error: AuthError, *args: Any, given: Answers | None = None, **changes: Any) -> Answer:
    scope = http_scope(*args, **changes)
    return await ask((given or answers()).to(error, scope), scope)


each_error = pytest.mark.parametrize("error", TREE, ids=lambda error: error.__name__)


# -- the tree ---------------------------------------------------------------------------------------------------------


@each_error
def test_every_error_says_what_is_answered_and_what_a_person_reads(error: type[AuthError]) -> None:
    assert 400 <= error.status <= 599
    assert error.status != 500
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert re.fullmatch(r"[A-Z][^\n]{3,60}", error.title)
    assert re.fullmatch(r"[A-Z][^\n]{10,200}\.( [A-Z][^\n]+\.)*|[A-Z][^\n]+: Bearer <token>\.", error.sentence)


@each_error
def test_a_sentence_can_stand_in_a_challenge(error: type[AuthError]) -> None:
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", error.sentence)  # RFC 6750 section 3, error_description


def test_a_code_means_one_thing() -> None:
    meaning: dict[str, set[str]] = {}
    for error in subclasses(SignInError):
        meaning.setdefault(error.code, set()).add(error.sentence)
    for error in subclasses(NotSignedIn):
        meaning.setdefault(error.code, set()).add(error.sentence)
    assert {code: sentences for code, sentences in meaning.items() if len(sentences) > 1} == {}


def test_every_reason_that_a_person_is_sent_to_sign_in_with_has_its_sentence() -> None:
    for error in (*subclasses(NotSignedIn), *subclasses(SignInError)):
        assert REASONS[error.code] == error.sentence


@pytest.mark.parametrize("error", [EmailUnverified, SessionIdle, SessionExpired, SessionRevoked, NotAllowed])
def test_the_sign_in_page_knows_the_leaves_too(error: type[AuthError]) -> None:
    assert error.code in REASONS


def test_the_operators_line_has_reason_and_both_sides_of_a_comparison_cut_short() -> None:
    assert str(TokenExpired("exp", actual=1, expected="later")) == "exp; expected 'later', got 1"
    assert str(NotSignedIn()) == "NotSignedIn"
    assert str(NotSignedIn("why")) == "why"
    assert len(str(TokenExpired("exp", actual="x" * 100_000, expected="y" * 100_000))) < 300


# -- to programs ------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@each_error
@pytest.mark.parametrize("headers", [API, FORM, PAGE], ids=["api", "form", "page"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_answer_tells_the_caller_what_only_the_operator_reads(error, headers, method) -> None:
    hushed = error("hush-reason", actual="hush-actual", expected=("hush-expected",))
    answer = await to(hushed, "/gradio/", method=method, headers=headers)
    shown = f"{answer.status} {answer.headers!r} {answer.body!r}"
    if error is ScopeTooNarrow:  # RFC 6750 section 3 names the scope that is needed
        shown = shown.replace('scope="hush-expected"', "")
    assert "hush" not in shown
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.anyio
@each_error
async def test_a_program_gets_status_code_and_sentence_as_json(error: type[AuthError]) -> None:
    answer = await to(error("why"), "/secure", headers=API)
    assert answer.status == error.status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {"detail": error.sentence, "error": error.code}


CHALLENGES = {
    "nobody": (NotSignedIn(), "Bearer"),
    "session-over": (SessionExpired(), "Bearer"),
    "malformed": (
        BearerMalformed(),
        f'Bearer error="invalid_request", error_description="{BearerMalformed.sentence}"',
    ),
    "invalid": (TokenInvalid(), f'Bearer error="invalid_token", error_description="{TokenInvalid.sentence}"'),
    "expired": (TokenExpired(), f'Bearer error="invalid_token", error_description="{TokenExpired.sentence}"'),
    "narrow": (
        ScopeTooNarrow(expected=("a/read", "a/write")),
        f'Bearer error="insufficient_scope", error_description="{ScopeTooNarrow.sentence}", scope="a/read a/write"',
    ),
    "keys": (KeysUnavailable(), None),
    "sign-in": (UnknownProvider(), None),
    "sign-in-not-allowed": (NotAllowed(), None),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "challenge"), CHALLENGES.values(), ids=CHALLENGES)
async def test_a_challenge_is_that_of_rfc_6750(error: AuthError, challenge: str | None) -> None:
    answer = await to(error, headers=API)
    assert answer.headers.get("www-authenticate") == challenge


@pytest.mark.anyio
@each_error
async def test_a_challenge_stands_where_credentials_are_asked_for_and_nowhere_else(error: type[AuthError]) -> None:
    answer = await to(error(expected=()), headers=API)
    asks = error.status == 401 or (issubclass(error, BearerError) and error.status != 503)
    assert ("www-authenticate" in answer.headers) is asks
    assert ("retry-after" in answer.headers) is (error.status in (429, 503))


@pytest.mark.anyio
async def test_a_challenge_says_where_the_protected_resource_is_described() -> None:
    given = answers(with_resources=True)
    nobody = await to(NotSignedIn(), headers=API, given=given)
    assert nobody.headers["www-authenticate"] == f'Bearer resource_metadata="{METADATA}"'
    expired = await to(TokenExpired(), headers=API, given=given)
    assert expired.headers["www-authenticate"].startswith(f'Bearer resource_metadata="{METADATA}", error=')


# -- to people --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("error", [NotSignedIn, SessionExpired, SessionIdle, SessionRevoked])
@pytest.mark.parametrize("headers", [PAGE, FORM, {"Sec-Fetch-Mode": "navigate"}], ids=["page", "old-browser", "any"])
async def test_a_page_load_is_sent_to_sign_in_and_told_why(error: type[AuthError], headers: dict[str, str]) -> None:
    answer = await to(error(), "/gradio/", headers=headers)
    reason = "" if error is NotSignedIn else f"&reason={error.code}"
    assert answer.status == 303
    assert answer.headers["location"] == f"http://127.0.0.1:8000/login-demo/?next=/gradio/{reason}"
    assert answer.headers["cache-control"] == "no-store"


WANTED = {
    "query": ("/gradio/", b"/gradio/", "x=1&y=a%20b", "/gradio/%3Fx%3D1%26y%3Da%2520b"),
    "spelling": ("/gradio/a/b", b"/gradio/a%2Fb", "", "/gradio/a%252Fb"),
    "reason-in-the-query": ("/gradio/", b"/gradio/", "&reason=x#y", "/gradio/%3F%26reason%3Dx%23y"),
    "not-ascii": ("/gradio/é", "/gradio/é".encode("latin-1"), "", "/gradio/%C3%A9"),
    "two-slashes": ("//evil.example", b"//evil.example", "", "//evil.example"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "raw", "query", "wanted"), WANTED.values(), ids=WANTED)
async def test_the_address_that_was_wanted_goes_along_whole_as_one_parameter(path, raw, query, wanted) -> None:
    answer = await to(NotSignedIn(), path, raw_path=raw, query=query, headers=PAGE)
    assert answer.headers["location"] == f"http://127.0.0.1:8000/login-demo/?next={wanted}"


@pytest.mark.anyio
async def test_under_a_prefix_the_address_is_on_the_public_one_and_what_was_wanted_without_the_prefix() -> None:
    given = answers(public_url="https://example.com/app")
    answer = await to(NotSignedIn(), "/app/gradio/", headers=PAGE, given=given)
    assert answer.headers["location"] == "https://example.com/app/login-demo/?next=/gradio/"


NO_PAGE_LOADS = {
    "post": ("POST", PAGE),
    "put": ("PUT", PAGE),
    "fetch": ("GET", {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}),
    "image": ("GET", {"Accept": "image/*", "Sec-Fetch-Mode": "no-cors"}),
    "curl": ("GET", {"Accept": "*/*"}),
    "nothing-said": ("GET", {}),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "headers"), NO_PAGE_LOADS.values(), ids=NO_PAGE_LOADS)
async def test_what_is_no_page_load_is_refused_where_it_stands(method: str, headers: dict[str, str]) -> None:
    answer = await to(NotSignedIn(), "/gradio/", method=method, headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error", [error for error in TREE if issubclass(error, BearerError)], ids=lambda error: error.__name__
)
async def test_a_bad_token_is_refused_on_a_page_load_too(error: type[AuthError]) -> None:
    answer = await to(error(expected=()), "/gradio/", headers=PAGE)
    assert answer.status == error.status
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.anyio
@pytest.mark.parametrize("error", subclasses(SignInError), ids=lambda error: error.__name__)
async def test_a_sign_in_that_failed_is_a_page_that_says_so_and_offers_to_try_again(error: type[AuthError]) -> None:
    failed = error()
    failed.next_path = "/gradio/?x=1&y=2"
    answer = await to(failed, "/auth", headers=PAGE)
    page = unescape(answer.body.decode())
    assert answer.status == error.status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert error.title in page
    assert error.sentence in page
    assert f'href="/login-demo/?reason={error.code}&next=/gradio/%3Fx%3D1%26y%3D2"' in page


@pytest.mark.anyio
async def test_whoever_is_signed_in_is_also_offered_the_app() -> None:
    signed_in = await to(NotAllowed(), "/auth", headers=PAGE, state={"credential": Credential(outcome=ADA)})
    nobody = await to(NotAllowed(), "/auth", headers=PAGE, state={"credential": Credential(outcome=NotSignedIn())})
    assert 'href="/gradio/"' in signed_in.body.decode()
    assert 'href="/gradio/"' not in nobody.body.decode()


# -- before the body is read ------------------------------------------------------------------------------------------

BODIES = {
    "announced": ({"Content-Length": "5"}, "close"),
    "in-pieces": ({"Transfer-Encoding": "chunked"}, "close"),
    "empty": ({"Content-Length": "0"}, None),
    "none": ({}, None),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("headers", "connection"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    ("method", "kind"), [("POST", API), ("POST", FORM), ("GET", PAGE)], ids=["api", "form", "page"]
)
async def test_a_connection_with_an_unread_body_is_closed(method, kind, headers, connection) -> None:
    answer = await to(NotSignedIn(), "/gradio/", method=method, headers=kind | headers)
    assert answer.headers.get("connection") == connection
    assert not answer.body_was_read


# -- what others raise ------------------------------------------------------------------------------------------------


async def for_http(error: HTTPException, *args: Any, **changes: Any) -> Answer:
    scope = http_scope(*args, **changes)
    return await ask(answers().for_http(error, scope), scope)


@pytest.mark.anyio
async def test_a_page_that_is_not_there_is_said_to_be_not_there() -> None:
    answer = await for_http(HTTPException(404), "/nothing", headers=PAGE)
    assert answer.status == 404
    assert "There is nothing at this address." in answer.body.decode()
    assert (await for_http(HTTPException(404), "/nothing", headers=API)).json == {"detail": "Not Found"}


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [PAGE, API], ids=["page", "api"])
async def test_headers_of_an_http_error_are_kept(headers: dict[str, str]) -> None:
    answer = await for_http(HTTPException(405, headers={"Allow": "GET"}), headers=headers)
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.anyio
async def test_a_detail_is_text_never_markup() -> None:
    answer = await for_http(HTTPException(418, "<script>alert(1)</script>"), headers=PAGE)
    assert b"<script>alert" not in answer.body
    assert b"&lt;script&gt;" in answer.body


@pytest.mark.anyio
@pytest.mark.parametrize("headers", [PAGE, API], ids=["page", "api"])
async def test_the_apps_own_fault_is_one_sentence(headers: dict[str, str]) -> None:
    scope = http_scope(headers=headers)
    answer = await ask(await answers().to_exception(Request(scope), RuntimeError("of the app")), scope)
    assert answer.status == 500
    assert b"It has been logged." in answer.body


# -- the operator's line ----------------------------------------------------------------------------------------------

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJodXNoIjoxfQ.hush-signature"


def line_of(caplog: pytest.LogCaptureFixture, error: AuthError, *args: Any, **changes: Any) -> dict[str, Any]:
    caplog.set_level(logging.INFO)
    response = answers().to(error, http_scope(*args, **changes))
    assert isinstance(response, Response)
    (record,) = caplog.records
    text = JsonLines().format(record)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_refusal_is_one_line_that_says_what_where_and_to_whom(caplog: pytest.LogCaptureFixture) -> None:
    line = line_of(caplog, TokenExpired("exp", actual=1, expected="later"), "/secure", method="PUT")
    del line["time"]
    assert line == {
        "level": "WARNING",
        "logger": "auth",
        "message": "refused: exp; expected 'later', got 1",
        "about": {
            "event": "token_refused",
            "reason": "exp; expected 'later', got 1",
            "error": "TokenExpired",
            "code": "invalid_token",
            "status": 401,
            "method": "PUT",
            "path": "/secure",
            "address": "127.0.0.1",
        },
    }


@pytest.mark.parametrize(
    ("error", "level"), [(NotSignedIn(), "INFO"), (SessionRevoked(), "WARNING"), (WrongNonce(), "WARNING")]
)
def test_a_visitor_who_is_not_signed_in_is_no_warning(caplog, error: AuthError, level: str) -> None:
    assert line_of(caplog, error)["level"] == level


def test_the_check_that_failed_inside_a_sign_in_is_named(caplog: pytest.LogCaptureFixture) -> None:
    error = TokenResponseInvalid("the ID token")
    error.__cause__ = WrongNonce("nonce")
    assert line_of(caplog, error)["about"]["cause"] == "WrongNonce"


HOSTILE = {
    "query": {"query": "code=hush-code&state=hush-state&access_token=hush"},
    "authorization": {"headers": {"Authorization": f"Bearer {TOKEN}"}},
    "cookie": {"headers": {"Cookie": "session-8000=hush"}},
    "referer": {"headers": {"Referer": "https://id.example/?code=hush"}},
    "no-client": {"client": None},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_no_token_code_or_cookie_is_in_the_line(caplog: pytest.LogCaptureFixture, changes: dict[str, Any]) -> None:
    line = line_of(caplog, NotSignedIn("no credentials"), "/auth", **changes)
    assert "hush" not in json.dumps(line)


@pytest.mark.parametrize(
    "value",
    ['\n{"level": "INFO"}', "\r\n", "\x1b[2J", "%s %d %(x)s", '"}', "\u2028", "\ud800", "x" * 100_000, {"a": object()}],
    ids=lambda value: repr(value)[:20],
)
def test_a_value_from_outside_stays_inside_the_line(caplog: pytest.LogCaptureFixture, value: object) -> None:
    path = f"/{value}".encode("utf-8", "replace").decode()
    line = line_of(caplog, UnknownKey("kid", actual=value, expected=[]), path)
    assert (line["level"], line["about"]["error"]) == ("WARNING", "UnknownKey")
    assert len(json.dumps(line)) < 2000
