"""The authorization endpoint and its consent page, against programs and pages that are up to something.

By name, of the checks that the OpenID Foundation's suite makes of any OAuth 2.1 server: ensure-registered-redirect-uri,
ensure-redirect-uri-in-authorization-request, redirect-uri-with-query-is-kept, ensure-request-without-pkce-fails,
ensure-pkce-plain-is-refused, response-type-missing, response-type-token-is-refused, state-is-returned,
ensure-request-object-is-refused, user-rejects-authentication, ensure-request-with-unknown-parameter-succeeds,
ensure-request-with-acr-values-succeeds, ui-locales, login-hint, ensure-authorization-request-without-state-success.
"""

from __future__ import annotations

import base64
import zlib
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from auth.grants import AskedRequests
from auth.sessions import cookie_name
from tests.support.app_server import AppServer, Browser, heading
from tests.support.clock import Clock
from tests.support.program import (
    CALLBACK,
    FOLLOWED,
    OWN_PAGE,
    Program,
    answered,
    consent,
    consent_page,
    ticket,
)

# -- what goes nowhere ------------------------------------------------------------------------------------------------

NOWHERE = {
    "no client id": {"client_id": None},
    "a client id that is none": {"client_id": "no-such-client"},
    "an empty client id": {"client_id": ""},
    "no redirect URI": {"redirect_uri": None},
    "another host": {"redirect_uri": "https://evil.example/cb"},
    "another path": {"redirect_uri": "http://127.0.0.1:51234/other"},
    "a longer path": {"redirect_uri": CALLBACK + "/x"},
    "more in the query": {"redirect_uri": CALLBACK + "?next=https://evil.example"},
    "a fragment": {"redirect_uri": CALLBACK + "#x"},
    "the other name of loopback": {"redirect_uri": "http://localhost:51234/callback"},
    "credentials": {"redirect_uri": "http://evil@127.0.0.1:51234/callback"},
    "another scheme": {"redirect_uri": "https://127.0.0.1:51234/callback"},
    "markup": {"redirect_uri": '"><script>alert(1)</script>'},
    "javascript": {"redirect_uri": "javascript:alert(1)"},
}


@pytest.mark.parametrize("changes", NOWHERE.values(), ids=NOWHERE)
@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "nobody"])
def test_nothing_is_redirected_to_an_address_that_was_not_registered(
    open_app: AppServer, program: Program, ada: Browser, changes: dict[str, str | None], signed_in: bool
) -> None:
    """RFC 6749 section 4.1.2.1, RFC 9700 section 4.1."""
    request = program.request(**changes)
    with open_app.browser() as nobody:
        page = (ada if signed_in else nobody).get(request, headers=FOLLOWED)
        assert (page.status_code, "location" in page.headers) == (400, False)
        assert heading(page) in ("Please connect anew", "This program cannot be connected")
        assert "<script>alert" not in page.text
    said = ada.get(request, headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors", **OWN_PAGE}).json()
    assert said["error"] in ("invalid_client", "invalid_request")


@pytest.mark.parametrize("twice", ["redirect_uri", "client_id", "state", "code_challenge"])
def test_a_parameter_that_is_there_twice_goes_nowhere(program: Program, ada: Browser, twice: str) -> None:
    """RFC 6749 section 3.1."""
    page = ada.get(f"{program.request()}&{twice}=https://evil.example/said-twice", headers=FOLLOWED)
    assert (page.status_code, "location" in page.headers) == (400, False)


# -- what the program is told -----------------------------------------------------------------------------------------

TOLD = {
    "no response type": ({"response_type": None}, "unsupported_response_type"),
    "the implicit grant": ({"response_type": "token"}, "unsupported_response_type"),
    "a hybrid": ({"response_type": "code token"}, "unsupported_response_type"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no challenge and no method": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "no method": ({"code_challenge_method": None}, "invalid_request"),
    "the plain method": ({"code_challenge_method": "plain"}, "invalid_request"),
    "the method in small letters": ({"code_challenge_method": "s256"}, "invalid_request"),
    "a short challenge": ({"code_challenge": "x"}, "invalid_request"),
    "a challenge with other characters": ({"code_challenge": "=" * 43}, "invalid_request"),
    "a request object": ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    "a request address": ({"request_uri": "https://evil.example/request"}, "request_uri_not_supported"),
    "the answer in the fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "the answer as a form": ({"response_mode": "form_post"}, "invalid_request"),
    "a scope that is none": ({"scope": 'a"b'}, "invalid_scope"),
    "another app's resource": ({"resource": "https://evil.example/mcp"}, "invalid_target"),
    "a resource with a fragment": ({"resource": "http://127.0.0.1/#x"}, "invalid_target"),
    "a resource that is no address": ({"resource": "mcp"}, "invalid_target"),
}


@pytest.mark.parametrize(("changes", "error"), TOLD.values(), ids=TOLD)
def test_a_program_is_told_what_is_wrong_with_what_it_asks(
    program: Program, ada: Browser, changes: dict[str, str | None], error: str
) -> None:
    """RFC 6749 section 4.1.2.1, RFC 8707 section 2, RFC 9207 section 2."""
    answer = ada.get(program.request(**changes), headers=FOLLOWED)
    assert answer.headers["location"].startswith(CALLBACK + "?")
    said = answered(answer)
    assert (said["error"], said["state"], said["iss"]) == (error, program.state, program.app.url)
    assert "code" not in said


@pytest.mark.parametrize(("changes", "error"), list(TOLD.values())[:3], ids=list(TOLD)[:3])
def test_nobody_is_redirected_before_they_have_signed_in(
    open_app: AppServer, program: Program, changes: dict[str, str | None], error: str
) -> None:
    """RFC 9700 section 4.11.2: or any link with this app's address would lead where its author likes."""
    with open_app.browser() as nobody:
        answer = nobody.get(program.request(**changes), headers=FOLLOWED)
        assert urlsplit(answer.headers["location"]).path == "/login-demo/"
        assert answered(consent_page(nobody, program.request(**changes)))["error"] == error


def test_two_faults_at_once_lead_nowhere(program: Program, ada: Browser) -> None:
    """Whichever is found first, an address that was not registered is never redirected to."""
    for nowhere in NOWHERE.values():
        for told, _ in TOLD.values():
            answer = ada.get(program.request(**{**told, **nowhere}), headers=FOLLOWED)
            assert (answer.status_code, "location" in answer.headers) == (400, False), {**told, **nowhere}


MORE_OR_LESS: dict[str, dict[str, str | None]] = {
    "an unknown parameter": {"extra": "foobar"},
    "what OpenID Connect has": {
        "acr_values": "1",
        "ui_locales": "fr",
        "login_hint": "ada",
        "claims": "{}",
        "nonce": "x",
    },
    "no state": {"state": None},
    "a state of other characters": {"state": "\u00e9\r\nSet-Cookie: x=1"},
}


@pytest.mark.parametrize("changes", MORE_OR_LESS.values(), ids=MORE_OR_LESS)
def test_a_request_may_say_more_or_less(program: Program, ada: Browser, changes: dict[str, str | None]) -> None:
    """RFC 6749 section 3.1: what is not known is ignored."""
    said = answered(consent(ada, program.request(**changes)))
    assert said["code"] and said.get("state") == ({"state": program.state} | changes)["state"]


def test_two_resources_of_this_app_may_be_asked_for(program: Program, ada: Browser) -> None:
    """RFC 8707 section 2: the one parameter that may be there more than once."""
    more = f"&resource={program.app.url}/&resource={program.app.url}/gradio/gradio_api/mcp"
    assert "code" in answered(consent(ada, program.request() + more))
    more += "&resource=https://evil.example/"
    assert answered(ada.get(program.request() + more, headers=FOLLOWED))["error"] == "invalid_target"


@pytest.mark.parametrize("scope", ["openid offline_access", "mcp:tools", None])
def test_a_scope_that_means_nothing_here_does_no_harm(program: Program, ada: Browser, scope: str | None) -> None:
    """RFC 6749 section 3.3: clients send what others taught them, and are told what they got."""
    assert program.tokens(ada, scope=scope)["scope"] == ""


@pytest.mark.parametrize("uri", ["https://client.example/cb?a=b&c", "myapp:///cb", "cursor://x/cb", CALLBACK])
def test_an_answer_goes_to_the_address_as_it_was_registered(open_app: AppServer, ada: Browser, uri: str) -> None:
    with Program(open_app, redirect_uris=[uri]) as program:
        answer = consent(ada, program.request(redirect_uri=uri))
        assert answer.headers["location"].startswith(uri + ("&code=" if "?" in uri else "?code="))
        assert (answered(answer)["state"], answered(answer)["iss"]) == (program.state, open_app.url)


def test_a_program_of_this_machine_may_take_any_port(program: Program, ada: Browser) -> None:
    """RFC 8252 section 7.3."""
    answer = consent(ada, program.request(redirect_uri="http://127.0.0.1:60001/callback"))
    assert answer.headers["location"].startswith("http://127.0.0.1:60001/callback?code=")


# -- the way through the sign-in --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1500, 4096])
def test_a_request_of_any_length_outlives_the_sign_in(open_app: AppServer, program: Program, length: int) -> None:
    state = "s" * (length - len(urlsplit(program.request(state="")).query))
    with open_app.browser() as browser:
        assert answered(consent(browser, program.request(state=state)))["state"] == state
        assert not [name for name in browser.cookies if name.startswith("asked")]


def test_a_longer_one_is_refused(program: Program, ada: Browser) -> None:
    assert ada.get(program.request(state="s" * 4096)).status_code == 400


def test_two_programs_may_ask_at_once(open_app: AppServer, program: Program) -> None:
    with open_app.browser() as browser, Program(open_app, client_name="Other") as other:
        second = browser.get(other.request(), headers=FOLLOWED).headers["location"]
        assert answered(consent(browser, program.request()))["state"] == program.state
        back = browser.get(dict(httpx2.URL(second).params)["next"], headers=FOLLOWED)
        assert "Other" in browser.get(back.headers["location"], headers=FOLLOWED).text


def test_many_requests_do_not_fill_the_browser(open_app: AppServer) -> None:
    with open_app.browser() as browser, Program(open_app) as program:
        for number in range(12):
            browser.get(program.request(state=f"{number}"), headers=FOLLOWED)
            assert len([name for name in browser.cookies if name.startswith("asked")]) <= 5


def test_a_request_is_kept_for_these_routes_alone(program: Program) -> None:
    kept, response = AskedRequests(path="/app/oauth", is_https=True), Response()
    query = urlsplit(program.request()).query.encode()
    kept.keep(Request({"type": "http", "headers": [], "query_string": query}), response)
    (name, _, attributes) = response.headers["set-cookie"].partition("=")
    assert name.startswith("__Secure-asked-")
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/app/oauth", "Max-Age=900"} <= set(attributes.split("; "))


SPOILED = {
    "no base64": "x",
    "other characters": "%C3%A9",
    "nothing compressed": base64.b64encode(b"client_id=x").decode(),
}


@pytest.mark.parametrize("content", SPOILED.values(), ids=SPOILED)
def test_a_kept_request_that_is_spoiled_is_a_page(ada: Browser, content: str) -> None:
    cookie = {"Cookie": f"asked-0a-0={content}; {cookie_name(ada.app.settings.site)}={ada.cookie}"}
    page = ada.get("/oauth/continue", params={"request": "0a"}, headers=FOLLOWED | cookie)
    assert (page.status_code, heading(page)) == (400, "This program cannot be connected")


def test_a_kept_request_unpacks_to_no_more_than_one_may_be_long(ada: Browser) -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(b"x" * 1_000_000)).decode()
    cookie = {"Cookie": f"asked-0a-0={bomb}"}
    answer = ada.get("/oauth/continue", params={"request": "0a"}, headers=FOLLOWED | cookie)
    assert len(answer.headers["location"]) < 2 * 4096


@pytest.mark.parametrize("name", ["", "0000", "x", "../.."])
def test_to_come_back_without_a_request_is_a_page(ada: Browser, name: str) -> None:
    page = ada.get("/oauth/continue", params={"request": name}, headers=FOLLOWED)
    assert (page.status_code, heading(page)) == (400, "This program cannot be connected")


def test_a_program_that_asks_itself_is_told_to_ask_a_person(program: Program) -> None:
    answer = program.http.get(program.request())
    assert answer.status_code == 401 and "resource_metadata" in answer.headers["www-authenticate"]


def test_a_token_does_not_agree_to_anything(program: Program, ada: Browser) -> None:
    """Else a program could connect others."""
    token = program.tokens(ada)["access_token"]
    assert program.call(token, program.request()).status_code == 400
    page = consent_page(ada, program.request())
    said = program.http.post(
        "/oauth/authorize",
        data={"consent": ticket(page), "answer": "agree"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert said.status_code == 400


# -- consent ----------------------------------------------------------------------------------------------------------


def test_the_page_says_who_asks_for_what_and_where_the_answer_goes(open_app: AppServer, ada: Browser) -> None:
    with Program(open_app, client_name="Claude", redirect_uris=["https://claude.ai/cb"]) as program:
        page = consent_page(ada, program.request(redirect_uri="https://claude.ai/cb")).text
    for words in ('<bdi class="program">Claude</bdi>', ">claude.ai</code>", "Alice Example", "whatever you can do"):
        assert words in page


def test_the_page_cannot_be_framed_and_its_answer_may_lead_elsewhere(program: Program, ada: Browser) -> None:
    page = consent_page(ada, program.request())
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and page.headers["x-frame-options"] == "DENY"
    assert "form-action" not in policy  # Chromium applies it to the redirect to the program too
    assert page.headers["cache-control"] == "no-store"


def test_a_person_may_refuse(program: Program, ada: Browser) -> None:
    said = answered(consent(ada, program.request(), say="refuse"))
    assert (said["error"], said["state"], said["iss"]) == ("access_denied", program.state, program.app.url)


@pytest.mark.parametrize("say", ["", "yes", "Agree"])
def test_what_is_no_agreement_is_a_refusal(program: Program, ada: Browser, say: str) -> None:
    assert answered(consent(ada, program.request(), say=say))["error"] == "access_denied"


FOREIGN = {
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "a sibling": {"Sec-Fetch-Site": "same-site"},
    "by its origin": {"Origin": "https://evil.example"},
    "an origin that is hidden": {"Origin": "null"},
    "by its referrer": {"Referer": "https://evil.example/"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_another_sites_page_cannot_answer(program: Program, ada: Browser, headers: dict[str, str]) -> None:
    answer = consent(ada, program.request(), headers=headers)
    assert "location" not in answer.headers and answer.status_code in (401, 403)


@pytest.mark.parametrize("consented", ["", "x", None], ids=["empty", "forged", "missing"])
def test_an_answer_needs_the_page(program: Program, ada: Browser, consented: str | None) -> None:
    form = {"answer": "agree", **({} if consented is None else {"consent": consented})}
    answer = ada.post(program.request(), data=form, headers=OWN_PAGE)
    assert (answer.status_code, heading(answer)) == (403, "Nothing was agreed to")


@pytest.mark.parametrize("twice", ["consent", "answer"])
def test_an_answer_that_says_two_things_is_none(program: Program, ada: Browser, twice: str) -> None:
    form = {"consent": ticket(consent_page(ada, program.request())), "answer": "agree"}
    answer = ada.post("/oauth/authorize", data={**form, twice: [form[twice], "refuse"]}, headers=OWN_PAGE)
    assert (answer.status_code, heading(answer)) == (400, "This program cannot be connected")


def test_the_page_that_one_person_was_shown_is_not_answered_by_another(
    open_app: AppServer, program: Program, ada: Browser
) -> None:
    """Else whoever attacks could have the person's browser send an answer that they prepared."""
    prepared = ticket(consent_page(ada, program.request()))
    with open_app.browser() as other:
        other.sign_in()
        form = {"consent": prepared, "answer": "agree"}
        assert other.post("/oauth/authorize", data=form, headers=OWN_PAGE).status_code == 403


def test_what_is_agreed_to_is_what_was_shown(open_app: AppServer, program: Program, ada: Browser) -> None:
    """Parameters of the answer's own address and body count for nothing."""
    with Program(open_app, client_name="Evil", redirect_uris=["https://evil.example/cb"]) as evil:
        shown = ticket(consent_page(ada, program.request()))
        form = {"consent": shown, "answer": "agree", "redirect_uri": "https://evil.example/cb"}
        answer = ada.post(evil.request(redirect_uri="https://evil.example/cb"), data=form, headers=OWN_PAGE)
    assert answer.headers["location"].startswith(CALLBACK)


def test_a_page_that_was_shown_long_ago_is_not_answered(program: Program, ada: Browser, clock: Clock) -> None:
    shown = ticket(consent_page(ada, program.request()))
    clock.advance(601)
    answer = ada.post("/oauth/authorize", data={"consent": shown, "answer": "agree"}, headers=OWN_PAGE)
    assert answer.status_code == 403


def test_who_has_signed_out_agrees_to_nothing(program: Program, ada: Browser) -> None:
    shown = ticket(consent_page(ada, program.request()))
    ada.sign_out()
    answer = ada.post("/oauth/authorize", data={"consent": shown, "answer": "agree"}, headers=OWN_PAGE)
    assert answer.status_code == 401


def test_a_person_is_asked_each_time(open_app: AppServer, program: Program, ada: Browser) -> None:
    """Never for a program that only looks the same (the confused deputy of the MCP security page), nor by `prompt`."""
    program.tokens(ada)
    for request in (program.request(), program.request(prompt="none")):
        assert ticket(consent_page(ada, request))
    with Program(open_app) as lookalike:
        assert ticket(consent_page(ada, lookalike.request()))


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_another_method_is_none(ada: Browser, method: str) -> None:
    assert getattr(ada, method)("/oauth/authorize").status_code == 405
