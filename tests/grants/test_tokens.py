"""Codes and tokens against clients that are up to something (RFC 9700 section 4, RFC 6749 section 10).

By name, of the checks that the OpenID Foundation's suite makes of any OAuth 2.1 server: codereuse,
codereuse-30seconds, ensure-redirect-uri-in-token-request, ensure-code-is-bound-to-client, pkce-verifier-missing,
pkce-verifier-wrong, refresh-token, refresh-token-of-another-client, refresh-token-rotation-reuse.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

import httpx2
import pytest

from tests.support.app_server import AppServer, Browser
from tests.support.clock import Clock
from tests.support.program import CALLBACK, NAME, Program
from tests.support.settings import KEY


def error_of(answer: httpx2.Response) -> str:
    """The error of a refusal, which no cache keeps and which hands out nothing."""
    assert answer.status_code in (400, 401), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.json()
    return str(answer.json()["error"])


def lives(program: Program, token: str) -> bool:
    answer = program.call(token)
    assert answer.status_code in (200, 401)
    if answer.status_code == 401:
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    return answer.status_code == 200


# -- codes ------------------------------------------------------------------------------------------------------------

REDEEMED = {
    "no verifier": ({"code_verifier": None}, "invalid_request"),
    "an empty verifier": ({"code_verifier": ""}, "invalid_request"),
    "another verifier": ({"code_verifier": "v" * 64}, "invalid_grant"),
    "a verifier that is none": ({"code_verifier": "short"}, "invalid_request"),
    "no redirect URI": ({"redirect_uri": None}, "invalid_grant"),
    "another redirect URI": ({"redirect_uri": "https://evil.example/cb"}, "invalid_grant"),
    "another port": ({"redirect_uri": CALLBACK.replace("51234", "51235")}, "invalid_grant"),
    "no code": ({"code": None}, "invalid_request"),
    "a code that is none": ({"code": "code-x"}, "invalid_grant"),
    "no client id": ({"client_id": None}, "invalid_client"),
    "a client id that is none": ({"client_id": "nobody"}, "invalid_client"),
    "an address for a client id": ({"client_id": "https://evil.example/client.json"}, "invalid_grant"),
    "a secret": ({"client_secret": "guess"}, "invalid_client"),
    "another app's resource": ({"resource": "https://evil.example/"}, "invalid_target"),
    "no grant type": ({"grant_type": None}, "invalid_request"),
    "a grant type that is none": ({"grant_type": "password"}, "unsupported_grant_type"),
    "client credentials": ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
    "the code as a refresh token": ({"grant_type": "refresh_token"}, "invalid_request"),
}


@pytest.mark.parametrize(("changes", "error"), REDEEMED.values(), ids=REDEEMED)
def test_a_code_is_redeemed_by_whom_it_is_for_alone(
    program: Program, ada: Browser, changes: dict[str, str | None], error: str
) -> None:
    """RFC 6749 sections 4.1.3 and 5.2, RFC 7636 section 4.6."""
    assert error_of(program.redeem(program.code(ada), **changes)) == error


def test_a_code_of_one_program_is_nothing_to_another(open_app: AppServer, program: Program, ada: Browser) -> None:
    """Code injection (RFC 9700 section 4.5); and the one whose it is loses nothing by it."""
    code = program.code(ada)
    with Program(open_app) as thief:
        thief.verifier = program.verifier
        assert error_of(thief.redeem(code)) == "invalid_grant"
    assert program.redeem(code).status_code == 200


@pytest.mark.parametrize("after", [0, 30, 59])
def test_a_code_that_is_used_again_ends_what_it_gave(program: Program, ada: Browser, clock: Clock, after: int) -> None:
    """RFC 6749 section 4.1.2."""
    code = program.code(ada)
    tokens = program.redeem(code).json()
    assert lives(program, tokens["access_token"])
    clock.advance(after)
    assert error_of(program.redeem(code)) == "invalid_grant"
    assert not lives(program, tokens["access_token"])
    assert error_of(program.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_code_is_used_up_by_a_wrong_verifier(program: Program, ada: Browser) -> None:
    """Who has only seen the code may try once."""
    code = program.code(ada)
    assert error_of(program.redeem(code, code_verifier="v" * 64)) == "invalid_grant"
    assert error_of(program.redeem(code)) == "invalid_grant"


def test_a_code_lives_for_a_minute(program: Program, ada: Browser, clock: Clock) -> None:
    code = program.code(ada)
    clock.advance(60)
    assert error_of(program.redeem(code)) == "invalid_grant"


def test_a_code_is_bound_to_the_resource_that_was_agreed_to(program: Program, ada: Browser) -> None:
    """RFC 8707 section 2.2; the last slash makes no difference."""
    mcp = f"{program.app.url}/gradio/gradio_api/mcp"
    code = program.code(ada, resource=mcp)
    assert error_of(program.redeem(code, resource=f"{program.app.url}/")) == "invalid_target"
    tokens = program.redeem(program.code(ada, resource=mcp), resource=f"{mcp}/").json()
    assert error_of(program.refresh(tokens["refresh_token"], resource="https://evil.example/")) == "invalid_target"
    assert program.refresh(tokens["refresh_token"], resource=mcp).status_code == 200


@pytest.mark.parametrize("body", [b"%", b"\xff\xfe=\x00", b"a=b&a=c", b"grant_type=refresh_token&grant_type=x"])
def test_a_body_that_is_no_form_is_an_error_of_the_client(program: Program, body: bytes) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert error_of(program.http.post("/oauth/token", content=body, headers=form)) in (
        "invalid_request",
        "unsupported_grant_type",
    )


@pytest.mark.parametrize("credentials", ["Basic %%%", "Basic //79", "Basic Og==", "Bearer x.y.z"])
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_credentials_that_no_program_has_are_an_error(program: Program, path: str, credentials: str) -> None:
    """RFC 6749 section 5.2: who tries them is told so by the status too."""
    form = {"grant_type": "refresh_token", "token": "x"}
    answer = program.http.post(path, data=form, headers={"Authorization": credentials})
    assert (answer.status_code, error_of(answer)) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert program.http.post(path, data=form).status_code == 400


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/register", "/oauth/revoke"])
def test_a_body_is_bounded(program: Program, path: str) -> None:
    """And what a program is told is JSON, also where it takes pages, as Java's clients say by themselves."""
    java = {"Accept": "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"}
    answer = program.http.post(path, data={"code": "x" * 17_000}, headers=java)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/json")
    assert answer.json()["error"]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/register", "/oauth/revoke"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_none(program: Program, path: str, method: str) -> None:
    answer = program.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/register", "/oauth/revoke"])
def test_a_body_without_an_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, open_app: AppServer, path: str
) -> None:
    monkeypatch.setattr("auth.oauth.server.BODY_SECONDS", 0.05)
    address = ("127.0.0.1", open_app.port)
    with socket.create_connection(address, timeout=30) as program:
        head = [f"POST {path} HTTP/1.1", "Host: {}:{}".format(*address), "Connection: close", "Content-Length: 9"]
        program.sendall("\r\n".join([*head, "", "x"]).encode())
        answer = b"".join(iter(partial(program.recv, 65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert '"invalid_request"' in answer


# -- access tokens ----------------------------------------------------------------------------------------------------


def test_a_token_lives_for_ten_minutes(program: Program, ada: Browser, clock: Clock) -> None:
    token = program.tokens(ada)["access_token"]
    clock.advance(599)
    assert lives(program, token)
    clock.advance(1)
    assert not lives(program, token)


FORGED: dict[str, Callable[[dict[str, str]], str]] = {
    "one letter": lambda tokens: tokens["access_token"][:-9] + "AAAA" + tokens["access_token"][-5:],
    "its prefix alone": lambda tokens: "person-token-",
    "no JSON inside": lambda tokens: "person-token-" + "A" * 64,
    "the refresh token": lambda tokens: tokens["refresh_token"],
    "the refresh token's inside": lambda tokens: "person-token-" + tokens["refresh_token"].removeprefix("refresh-"),
    "an unsigned one": lambda tokens: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZS0xIn0.",
    "two": lambda tokens: tokens["access_token"] + " " + tokens["access_token"],
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_opens_nothing(program: Program, ada: Browser, forge: Callable[[dict[str, str]], str]) -> None:
    answer = program.call(forge(program.tokens(ada)))
    assert answer.status_code in (400, 401)
    assert "error=" in answer.headers["www-authenticate"]


def test_an_access_token_is_no_refresh_token_and_a_code_is_neither(program: Program, ada: Browser) -> None:
    tokens, code = program.tokens(ada), program.code(ada)
    for stray in (tokens["access_token"], code, code.replace("code-", "refresh-")):
        assert error_of(program.refresh(stray)) == "invalid_grant"
    assert not lives(program, code.replace("code-", "person-token-"))


def test_a_token_of_another_app_is_refused(open_app: AppServer, program: Program, ada: Browser) -> None:
    """Token passthrough, of the MCP security page: with the same key and the same people, too."""
    with AppServer(open_app.providers, mcp_server=True, secret_key=KEY) as other, Program(other) as theirs:
        with other.browser() as browser:
            token = theirs.tokens(browser)["access_token"]
        assert lives(theirs, token)
        assert not lives(program, token)
        assert not lives(theirs, program.tokens(ada)["access_token"])


def test_an_app_that_lets_nobody_connect_takes_none(open_app: AppServer, program: Program, ada: Browser) -> None:
    token = program.tokens(ada)["access_token"]
    with AppServer(open_app.providers, mcp_server=True, people_tokens=False) as closed:
        http = httpx2.Client(base_url=closed.url)
        with http:
            assert http.get("/user/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
            for path in ("/oauth/authorize", "/.well-known/oauth-authorization-server"):
                assert http.get(path).status_code == 404
            for path in ("/oauth/token", "/oauth/register", "/oauth/revoke", "/oauth/end-all"):
                assert http.post(path).status_code == 404


def test_scopes_that_cognito_tokens_need_are_no_business_of_people(open_app: AppServer) -> None:
    with (
        AppServer(open_app.providers, mcp_server=True, api_scopes=("tools/call",)) as app,
        Program(app) as program,
        app.browser() as browser,
    ):
        tokens = program.tokens(browser)
        assert tokens["scope"] == "tools/call"
        assert program.call(tokens["access_token"], "/secure").json() is True
        assert program.call(tokens["access_token"], "/gradio/config").status_code == 200
        assert program.refresh(tokens["refresh_token"], scope="tools/call").status_code == 200


# -- refresh tokens ---------------------------------------------------------------------------------------------------


def test_a_refresh_token_is_turned_at_each_use(program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    seen = {tokens["refresh_token"]}
    for _ in range(5):
        tokens = program.refresh(tokens["refresh_token"]).json()
        assert program.call(tokens["access_token"]).json()["client"] == NAME
        assert tokens["refresh_token"] not in seen
        seen.add(tokens["refresh_token"])


def test_a_used_refresh_token_gets_the_same_again_for_a_minute(program: Program, ada: Browser, clock: Clock) -> None:
    """Several processes of one program refresh at once."""
    first = program.tokens(ada)["refresh_token"]
    tokens = program.refresh(first).json()
    for seconds in (0, 1, 58):
        clock.advance(seconds)
        again = program.refresh(first).json()
        assert {**again, "expires_in": 0} == {**tokens, "expires_in": 0}
    assert lives(program, tokens["access_token"])


def test_it_gets_them_too_when_its_successor_is_in_use(program: Program, ada: Browser) -> None:
    first = program.tokens(ada)["refresh_token"]
    second = program.refresh(first).json()["refresh_token"]
    third = program.refresh(second).json()["refresh_token"]
    assert program.refresh(first).json()["refresh_token"] == second
    assert program.refresh(second).json()["refresh_token"] == third


@pytest.mark.parametrize("successor_used", [False, True], ids=["unused", "used"])
def test_later_it_ends_the_family(program: Program, ada: Browser, clock: Clock, successor_used: bool) -> None:
    """RFC 9700 section 4.14.2: one of two who had it is a thief."""
    first = program.tokens(ada)["refresh_token"]
    tokens = program.refresh(first).json()
    if successor_used:
        tokens = program.refresh(tokens["refresh_token"]).json()
    clock.advance(60)
    assert lives(program, tokens["access_token"])
    assert error_of(program.refresh(first)) == "invalid_grant"
    assert not lives(program, tokens["access_token"])
    assert error_of(program.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_to_ask_again_and_again_makes_the_minute_no_longer(program: Program, ada: Browser, clock: Clock) -> None:
    first = program.tokens(ada)["refresh_token"]
    program.refresh(first)
    for _ in range(3):
        clock.advance(19)
        assert program.refresh(first).status_code == 200
    clock.advance(19)
    assert error_of(program.refresh(first)) == "invalid_grant"


def test_the_end_of_one_family_is_not_that_of_another(program: Program, ada: Browser, clock: Clock) -> None:
    first, other = program.tokens(ada), program.tokens(ada)
    program.refresh(first["refresh_token"])
    clock.advance(60)
    assert error_of(program.refresh(first["refresh_token"])) == "invalid_grant"
    assert lives(program, other["access_token"])


def test_a_refresh_token_is_nothing_to_another_program(open_app: AppServer, program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    with Program(open_app) as thief:
        assert error_of(thief.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert program.refresh(tokens["refresh_token"]).status_code == 200


def test_who_renews_all_the_time_is_told_to_wait(program: Program, ada: Browser) -> None:
    """Or what has to be remembered would be as much as they like."""
    token = program.tokens(ada)["refresh_token"]
    answers = []
    for _ in range(80):
        answer = program.refresh(token)
        answers.append(answer.status_code)
        token = answer.json().get("refresh_token", token)
    assert answers[:50] == [200] * 50
    assert answers[-1] == 429
    assert "retry-after" in answer.headers


# -- revocation (RFC 7009) --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "unheard-of"])
def test_a_program_may_give_up_what_it_was_granted(program: Program, ada: Browser, which: str, hint: str) -> None:
    tokens = program.tokens(ada)
    answer = program.revoke(tokens[which], token_type_hint=hint)
    assert (answer.status_code, answer.json()) == (200, {})
    assert not lives(program, tokens["access_token"])
    assert error_of(program.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_to_give_up_what_is_none_is_no_error(program: Program) -> None:
    """Section 2.2."""
    assert program.revoke("person-token-unheard-of").status_code == 200


def test_nobody_gives_up_what_is_another_programs(open_app: AppServer, program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    with Program(open_app) as other:
        assert error_of(other.revoke(tokens["access_token"])) == "invalid_grant"
    assert error_of(program.revoke(tokens["access_token"], client_id="nobody")) == "invalid_client"
    assert error_of(program.revoke("")) == "invalid_request"
    assert lives(program, tokens["access_token"])
