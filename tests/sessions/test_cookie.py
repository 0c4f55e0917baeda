"""What a browser may send as its session cookie, and what a session cookie is allowed to be."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from itsdangerous import BadSignature, TimestampSigner

from auth.sessions.cookie import cookie_name
from tests.support.app_server import AppServer, Browser, agree
from tests.support.provider import Provider, without
from tests.support.settings import KEY, seal, unseal

NEXT_KEY = "Zw4hYr8NqK1dVx6TbJ3mPs9LgCf2UeA7"
OTHER_KEY = "pT5nBv9XcW2kQz7RjM4hLd8GsY3fUa6E"
PAGES = ("/", "/login-demo/", "/gradio/", "/login?provider=acme", "/auth/acme?code=c&state=s", "/logout?state=s")
HOUR = 3600


def unsigned(content: object) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


def signed(key: str, payload: str, **options: Any) -> str:
    """As the app signs, but with any key, over any text, or in another way of itsdangerous."""
    chosen: dict[str, Any] = {"salt": "session-cookie", "digest_method": hashlib.sha256, **options}
    return TimestampSigner(key, **chosen).sign(payload).decode()


def assert_nobody(app: AppServer, cookie: str) -> None:
    """It is worth as much as no cookie: nobody is signed in, nothing breaks, and a sign-in works."""
    header = {b"Cookie": f"{cookie_name(app.settings.site)}={cookie}".encode("latin-1", "replace")}
    with app.browser() as browser:
        asked = browser.get("/user/me", headers={b"Accept": b"*/*", b"Sec-Fetch-Mode": b"cors", **header})
        assert asked.status_code == 401
        for page in PAGES:
            assert browser.get(page, headers=header).status_code < 500, page
        browser.cookies.clear()
        begun = browser.get("/login?provider=acme", headers=header)
        assert browser.come_back(agree(begun.headers["location"])).status_code == 303
        assert browser.who() is not None


# -- what the app has not signed ------------------------------------------------------------------------------------

GARBAGE = {
    "empty": "",
    "null": "null",
    "word": "garbage",
    "dots": "....",
    "json": '{"person":{}}',
    "quoted": '"garbage"',
    "open-quote": '"',
    "backslashes": "\\\\\\",
    "escapes": "%00%0d%0a%ff",
    "commas": "a,b,c",
    "equals": "====",
    "not-ascii": "sessión",
    "tab": "a\tb",
    "unsigned": unsigned({"person": {"subject": "alice-1"}}),
    "none-key": signed("", unsigned({"person": {}})),
    "another-key": signed(OTHER_KEY, unsigned({"person": {}})),
    "long": "x" * 8_000,
    "long-and-signed-by-another-key": signed(OTHER_KEY, "A" * 30_000),
    "many-dots": "." * 8_000,
}


@pytest.mark.parametrize("cookie", GARBAGE.values(), ids=GARBAGE)
def test_a_cookie_of_garbage_is_no_session(app: AppServer, cookie: str) -> None:
    assert_nobody(app, cookie)


@pytest.mark.parametrize("octet", ["\x01", "\x7f"])
def test_a_cookie_that_no_header_may_hold_is_refused_by_the_server(app: AppServer, octet: str) -> None:
    with app.browser() as browser:
        header = {"Cookie": f"{cookie_name(app.settings)}=a{octet}b"}
        assert browser.get("/user/me", headers=header).status_code == 400
        assert browser.sign_in().status_code == 303


def altered(cookie: str) -> dict[str, str]:
    """An authentic cookie, changed in one way."""
    payload, stamp, signature = cookie.rsplit(".", 2)
    person = json.loads(base64.b64decode(payload))
    other = unsigned({"person": {**person["person"], "subject": "bob-1"}})
    return {
        "cut by one": cookie[:-1],
        "cut in half": cookie[: len(cookie) // 2],
        "one more": f"{cookie}A",
        "no signature": f"{payload}.{stamp}.",
        "no stamp": f"{payload}.{signature}",
        "payload alone": payload,
        "first bit": ("f" if payload[0] == "e" else "e") + cookie[1:],
        "another stamp": f"{payload}.{stamp[:-1]}{'A' if stamp[-1] != 'A' else 'B'}.{signature}",
        "another person": f"{other}.{stamp}.{signature}",
        "signed by another key": signed(OTHER_KEY, payload),
        "signed for another use": signed(KEY, payload, salt="itsdangerous.Signer"),
        "signed with SHA-1": signed(KEY, payload, digest_method=hashlib.sha1),
        "in upper case": cookie.upper(),
        "twice over": f"{cookie}.{stamp}.{signature}",
    }


def test_an_authentic_cookie_changed_in_one_way_is_no_session(app: AppServer, browser: Browser) -> None:
    browser.sign_in()
    for how, cookie in altered(browser.cookie).items():
        with app.browser() as other:
            other.cookie = cookie
            assert other.who() is None, how
    assert browser.who() is not None


def test_one_persons_cookie_under_anothers_signature_is_no_session(app: AppServer, acme: Provider) -> None:
    with app.browser() as alice, app.browser() as bob:
        alice.sign_in()
        with acme.signing_in(sub="bob-1", name="Bob"):
            bob.sign_in()
        mixed = f"{alice.cookie.rsplit('.', 2)[0]}.{bob.cookie.split('.', 1)[1]}"
        bob.cookie = mixed
        assert bob.who() is None
        assert alice.person["subject"] == "alice-1"


def test_two_cookies_of_the_name_break_nothing(app: AppServer, browser: Browser) -> None:
    browser.sign_in()
    name, own = cookie_name(app.settings.site), browser.cookie
    with app.browser() as other:
        for pair in (f"{name}={own}; {name}=garbage", f"{name}=garbage; {name}={own}"):
            headers = {"Cookie": pair, "Accept": "application/json", "Sec-Fetch-Mode": "cors"}
            assert other.get("/user/me", headers=headers).status_code in (200, 401)


def test_a_cookie_as_large_as_a_request_may_be_breaks_nothing(app: AppServer, browser: Browser) -> None:
    for size in (16_000, 60_000, 200_000):
        header = {"Cookie": f"{cookie_name(app.settings.site)}={'x' * size}"}
        assert browser.get("/user/me", headers=header).status_code in (303, 400, 401, 431)
    assert browser.get("/healthz").status_code == 200


# -- what the app has signed, and is of another shape ---------------------------------------------------------------

SHAPES: list[object] = [
    None,
    True,
    0,
    1.5,
    "person",
    [],
    ["person"],
    [[]],
    {},
    {"person": None},
    {"person": True},
    {"person": 1},
    {"person": "alice-1"},
    {"person": []},
    {"person": [{}]},
    {"person": {}},
    {"person": {"subject": "alice-1"}},
    {"begun": None},
    {"begun": 1},
    {"begun": "s"},
    {"begun": []},
    {"begun": ["s"]},
    {"begun": {"s": None}},
    {"begun": {"s": 1}},
    {"begun": {"s": "text"}},
    {"begun": {"s": []}},
    {"begun": {"s": {}}},
    {"begun": {"s": ["acme"]}},
    {"begun": {"s": [1, 2, 3, 4]}},
    {"begun": {"s": ["acme", "now", "v" * 43, "/"]}},
    {"begun": {"s": ["acme", math.nan, "v" * 43, "/"]}},
    {"begun": {"s": ["acme", math.inf, "v" * 43, "/"]}},
    {"begun": {"s": ["acme", 0, "v" * 43, "/"]}},
    {"begun": {"s": ["nobody", 0, "v" * 43, "/"]}},
    {"begun": {"s": ["acme", 0, ["v" * 43], "/"]}},
    {"begun": {"s": ["acme", 0, "v" * 43, 7]}},
    {"begun": {"s": ["acme", 0, "v" * 43, "/", "more"]}},
    {"begun": {"s": {"provider": "acme"}}},
    {"begun": {"s": {"0": "acme"}}},
    {"left": None},
    {"left": 1},
    {"left": ["s"]},
    {"left": {"s": "s"}},
    {"left": "ü"},
    {"unknown": {"to": ["this", "app"]}},
]


@pytest.mark.parametrize("content", SHAPES, ids=json.dumps)
def test_an_authentic_cookie_of_another_shape_is_no_session(app: AppServer, content: object) -> None:
    assert_nobody(app, seal(app.settings, content))


PAYLOADS = {
    "not-base64": "{}",
    "not-padded": "e30",
    "not-json": base64.b64encode(b"{person").decode(),
    "not-utf-8": base64.b64encode(b'{"person":"\xff"}').decode(),
    "utf-16": base64.b64encode("{}".encode("utf-16")).decode(),
    "nothing": "",
    "number-beyond": base64.b64encode(b'{"person":1e999}').decode(),
    "digits": base64.b64encode(b'{"person":' + b"9" * 5_000 + b"}").decode(),
    "deep": base64.b64encode(b'{"person":' + b"[" * 10_000 + b"]" * 10_000 + b"}").decode(),
    "member-twice": base64.b64encode(b'{"person":{},"person":[]}').decode(),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_an_authentic_cookie_that_cannot_be_read_is_no_session(app: AppServer, payload: str) -> None:
    assert_nobody(app, signed(KEY, payload))


WRONG = [None, True, False, 0, -1, 1.5, math.nan, math.inf, -math.inf, 1e308, "", "x", [], ["x"], {}, {"x": 1}]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_a_field_of_another_type_is_never_a_fault_nor_shown(app: AppServer, browser: Browser, value: object) -> None:
    browser.sign_in()
    session = browser.session
    right = session["person"]
    for name in right:
        browser.session = {**session, "person": {**right, "id": secrets.token_urlsafe(16), name: value}}
        person = browser.who()  # fails by itself on anything but 200 and 401
        if person:
            assert type(value) in (type(right[name]), type(None), int), f"{name}={value!r} was believed"
            assert all(part is None or isinstance(part, str | int | list) for part in person.values())
        for page in PAGES:
            assert browser.get(page).status_code < 500, f"{page} with {name}={value!r}"


@pytest.mark.parametrize("name", ["id", "provider", "subject", "begun", "seen"])
def test_a_field_that_is_missing_makes_it_no_session(browser: Browser, name: str) -> None:
    browser.sign_in()
    session = browser.session
    browser.session = {**session, "person": without(name)(session["person"])}
    assert browser.who() is None


# -- how long it lives ----------------------------------------------------------------------------------------------


def with_ages(browser: Browser, *, begun: float, seen: float) -> None:
    """A session that began, and was last seen, so many seconds ago; under a new id, for the app remembers by id."""
    now = time.time()
    session = browser.session
    times = {"id": secrets.token_urlsafe(16), "begun": now - begun, "seen": now - seen}
    browser.session = {**session, "person": {**session["person"], **times}}


@pytest.mark.parametrize(
    ("begun", "seen", "stands"),
    [
        pytest.param(0, 0, True, id="new"),
        pytest.param(7.9 * HOUR, 60, True, id="old-and-in-use"),
        pytest.param(8 * HOUR + 1, 60, False, id="older-than-a-session-lasts"),
        pytest.param(2 * HOUR, 59 * 60, True, id="away-for-almost-an-hour"),
        pytest.param(2 * HOUR, 61 * 60, False, id="away-for-more-than-an-hour"),
        pytest.param(-HOUR, 0, False, id="begun-in-the-future"),
        pytest.param(9 * HOUR, -9 * HOUR, False, id="seen-in-the-future"),
        pytest.param(0, -HOUR * 1000, True, id="seen-in-the-far-future-and-new"),
        pytest.param(1e12, 0, False, id="begun-before-time"),
        pytest.param(-1e12, 0, False, id="begun-after-time"),
    ],
)
def test_a_session_ends_by_age_and_by_idleness(browser: Browser, begun: float, seen: float, stands: bool) -> None:
    browser.sign_in()
    with_ages(browser, begun=begun, seen=seen)
    assert (browser.who() is not None) is stands


def test_being_used_keeps_a_session_and_does_not_make_it_younger(browser: Browser) -> None:
    browser.sign_in()
    with_ages(browser, begun=2 * HOUR, seen=30 * 60)
    before = browser.session["person"]
    browser.who()
    after = browser.session["person"]
    assert after["seen"] > time.time() - 60
    assert after["begun"] == before["begun"]


def test_a_session_that_has_ended_says_so_where_one_signs_in(browser: Browser) -> None:
    browser.sign_in()
    with_ages(browser, begun=2 * HOUR, seen=61 * 60)
    sent_to = urlsplit(browser.get("/gradio/?a=1").headers["location"])
    assert sent_to.path == "/login-demo/"
    assert parse_qs(sent_to.query) == {"next": ["/gradio/?a=1"], "reason": ["session_idle"]}


def test_a_cookie_signed_longer_ago_than_a_session_lasts_is_refused(app: AppServer, browser: Browser) -> None:
    browser.sign_in()

    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time() - 9 * HOUR)

    signer = Earlier(KEY, salt="session-cookie", digest_method=hashlib.sha256)
    browser.cookie = signer.sign(unsigned(browser.session)).decode()
    assert browser.who() is None


# -- signing out ----------------------------------------------------------------------------------------------------


def test_a_cookie_copied_before_sign_out_is_refused_after_it(app: AppServer, browser: Browser) -> None:
    browser.sign_in()
    with app.browser() as copy:
        copy.cookie = browser.cookie
        assert copy.who() is not None
        answer = browser.sign_out()
        assert answer.status_code in (200, 303)
        assert answer.headers["clear-site-data"] == '"cache", "storage"'
        assert browser.who() is None
        assert copy.who() is None
        assert copy.get("/gradio/").status_code == 303
        assert copy.fetch("/gradio/config").status_code == 401


def test_signing_out_everywhere_ends_the_sessions_of_this_person_alone(app: AppServer, acme: Provider) -> None:
    with app.browser() as here, app.browser() as there, app.browser() as bob, app.browser() as late:
        with acme.signing_in(sub="carol-1", name="Carol"):
            here.sign_in()
            there.sign_in()
            with acme.signing_in(sub="bob-2", name="Bob"):
                bob.sign_in()
            here.sign_out(everywhere="1")
            late.sign_in()
        assert here.who() is None
        assert there.who() is None
        assert bob.person["subject"] == "bob-2"
        assert late.person["subject"] == "carol-1", "the next session is not among those that were ended"


def test_signing_out_ends_this_session_alone(app: AppServer) -> None:
    with app.browser() as here, app.browser() as there:
        here.sign_in()
        there.sign_in()
        here.sign_out()
        assert there.who() is not None


def test_a_session_that_a_new_sign_in_took_the_place_of_is_refused(app: AppServer, browser: Browser) -> None:
    browser.sign_in()
    with app.browser() as copy:
        copy.cookie = browser.cookie
        browser.sign_in()
        assert browser.who() is not None
        assert copy.who() is None


def test_each_sign_in_is_a_session_of_its_own(app: AppServer) -> None:
    with app.browser() as one, app.browser() as another:
        one.sign_in()
        another.sign_in()
        assert one.session["person"]["id"] != another.session["person"]["id"]


def test_a_sign_in_begun_before_sign_out_can_be_finished_after_it(browser: Browser) -> None:
    browser.sign_in()
    callback = agree(browser.begin())
    browser.sign_out()
    assert browser.come_back(callback).status_code == 303
    assert browser.who() is not None


ELSEWHERE = {
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "origin-elsewhere": {"Origin": "https://evil.example"},
    "origin-null": {"Origin": "null"},
    "origin-of-another-port": {"Origin": "http://127.0.0.1:1"},
    "referer-elsewhere": {"Referer": "https://evil.example/page"},
    "cross-site-with-our-origin": {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
}
ON_A_PAGE = {"Sec-Fetch-Site": "same-origin"}
"""What stands in a page of ours may be somebody else's."""
FETCHED = {
    "a picture": {**ON_A_PAGE, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    "a script": {**ON_A_PAGE, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "script"},
    "a frame": {**ON_A_PAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("headers", FETCHED.values(), ids=FETCHED)
def test_nothing_that_a_page_fetches_signs_anyone_out(browser: Browser, method: str, headers: dict[str, str]) -> None:
    browser.sign_in()
    assert "clear-site-data" not in browser.request(method, "/logout?everywhere=1", headers=headers).headers
    assert browser.who() is not None


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
@pytest.mark.parametrize("headers", ELSEWHERE.values(), ids=ELSEWHERE)
def test_another_site_cannot_sign_anyone_out(browser: Browser, method: str, headers: Mapping[str, str]) -> None:
    browser.sign_in()
    for query in ("", "?everywhere=1", "?everywhere=1&state=s"):
        response = browser.request(method, f"/logout{query}", headers=headers)
        assert response.status_code < 500
        assert "clear-site-data" not in response.headers
        assert browser.who() is not None, f"{method} /logout{query}"
    if method == "GET":
        page = browser.get("/logout?everywhere=1", headers=headers).text
        (action,) = re.findall(r'action="([^"]+)"', page)
        asked = browser.post(html.unescape(action), headers={"Sec-Fetch-Site": "same-origin"})
        assert asked.status_code in (200, 303)
        assert browser.who() is None


@pytest.mark.parametrize("state", ["s", "", "ü", "\x00", "s" * 5_000, "0", "None", "null"])
def test_a_return_from_a_sign_out_that_was_not_begun_ends_nothing(browser: Browser, state: str) -> None:
    browser.sign_in()
    for site in ("cross-site", "same-origin"):
        response = browser.get("/logout", params={"state": state}, headers={"Sec-Fetch-Site": site})
        assert response.status_code < 500
        assert browser.who() is not None


def test_signing_out_at_the_provider_too_comes_back_once(app: AppServer, browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    page = browser.sign_out()
    (leave,) = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page.text) if acme.base in link]
    params = {name: values[0] for name, values in parse_qs(urlsplit(leave).query).items()}
    assert urlsplit(params["post_logout_redirect_uri"])._replace(query="").geturl().startswith(app.url)
    assert params["client_id"] == acme.client_id or "id_token_hint" in params
    back = httpx2.get(leave, verify=False).headers["location"]
    assert browser.come_back(back).status_code == 303
    assert browser.come_back(back).status_code == 400, "the state is used up"


@pytest.mark.parametrize("change", ["state=another", "state=", ""])
def test_a_return_with_another_state_is_told_apart(browser: Browser, acme: Provider, change: str) -> None:
    """The OpenID Foundation's RP-initiated logout plan: no state, an invalid one."""
    browser.sign_in()
    page = browser.sign_out()
    (leave,) = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page.text) if acme.base in link]
    back = urlsplit(httpx2.get(leave, verify=False).headers["location"])._replace(query=change).geturl()
    response = browser.come_back(back)
    assert response.status_code < 500
    assert browser.who() is None


# -- how large it is ------------------------------------------------------------------------------------------------

LONGEST: Mapping[str, dict[str, Any]] = {
    "letters": {"sub": "s" * 255, "name": "n" * 1000, "email": f"{'e' * 64}@{'d' * 185}.org"},
    "emoji": {
        "sub": "s" * 255,
        "name": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200,
        "email": f"{'e' * 242}@example.com",
    },
    "not-ascii": {"sub": "1" * 21, "name": "ü" * 1000, "email": f"{'ü' * 100}@example.com"},
    "quotes": {"sub": '"' * 255, "name": '"' * 1000, "email": f'"{"x" * 60}"@example.com'},
    "backslashes": {"sub": "\\" * 255, "name": "\\" * 1000},
    "every-sign-of-a-sub": {"sub": "".join(map(chr, range(33, 127))) * 2, "name": "<" * 1000},
    "everything-else-too": {
        "sub": "s" * 255,
        "name": "n" * 1000,
        "picture": f"https://people.example.com/{'p' * 1500}",
        "sid": "i" * 1000,
        "groups": ["g" * 100] * 20,
        "address": {"formatted": "a" * 2000},
    },
}


def pair(app: AppServer, browser: Browser) -> str:
    """The cookie as it stands in a request."""
    return f"{cookie_name(app.settings.site)}={browser.cookie}"


@pytest.mark.parametrize("claims", LONGEST.values(), ids=LONGEST)
def test_the_longest_account_makes_a_cookie_below_1_kb(
    app: AppServer, browser: Browser, acme: Provider, claims: dict[str, object]
) -> None:
    with acme.signing_in(**claims):
        response = browser.sign_in()
    assert response.status_code == 303
    assert len(pair(app, browser)) < 1024
    person = browser.person
    assert person["subject"] == claims["sub"], "a person is issuer and subject, whole"
    assert person["username"]


def test_with_twenty_sign_ins_begun_it_stays_below_4_kb(app: AppServer, browser: Browser, acme: Provider) -> None:
    claims = LONGEST["everything-else-too"]
    with acme.signing_in(**claims):
        browser.sign_in()
        callbacks = []
        for number in range(20):
            wanted = f"/gradio/?tab={number}&q=".ljust(900, "a")
            response = browser.get("/login", params={"provider": "acme", "next": wanted})
            for cookie in response.headers.get_list("set-cookie"):
                assert len(cookie) < 4096, "browsers drop a larger one"
            callbacks.append(agree(response.headers["location"]))
        assert len(pair(app, browser)) < 4096
        latest = browser.come_back(callbacks[-1])
        assert latest.headers["location"].startswith(f"{app.url}/gradio/?tab=19")
        oldest = browser.come_back(callbacks[0])
        assert oldest.status_code in (303, 400)
        assert oldest.status_code == 303 or "<h1>" in oldest.text
        assert browser.person["subject"] == claims["sub"]


def test_twenty_tabs_can_sign_in_at_once(app: AppServer, browser: Browser) -> None:
    callbacks = [agree(browser.begin(next="/gradio/")) for _ in range(20)]
    assert len(pair(app, browser)) < 4096
    assert [browser.come_back(callback).status_code for callback in callbacks] == [303] * 20


def test_sign_ins_begun_and_never_finished_do_not_pile_up(app: AppServer, browser: Browser) -> None:
    for _ in range(60):
        callback = agree(browser.begin(next="/gradio/"))
    assert len(pair(app, browser)) < 4096
    assert browser.come_back(callback).status_code == 303


def test_the_cookie_holds_nothing_that_opens_anything_else(browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    held = json.dumps(browser.session)
    for secret in (*acme.secrets, acme.client_secret):
        assert secret not in held


def test_a_cookie_is_set_only_when_there_is_something_to_keep(browser: Browser) -> None:
    for path in ("/", "/login-demo/", "/healthz", "/gradio/", "/user/me", "/logout", "/auth/acme", "/nowhere"):
        assert "set-cookie" not in browser.get(path).headers, path
    browser.sign_in()
    for _ in range(3):
        assert "set-cookie" not in browser.fetch("/user/me").headers


# -- how it is set --------------------------------------------------------------------------------------------------


def session_cookie(response: httpx2.Response, name: str) -> str:
    """The header that sets it. Beside it a sign-in may set what `/logout` alone is sent."""
    (header,) = [value for value in response.headers.get_list("set-cookie") if value.startswith(f"{name}=")]
    return header


def cookie_set(app: AppServer) -> tuple[str, Mapping[str, object]]:
    """Name and attributes of the session cookie that a sign-in sets; it goes all the way in the app's own address."""
    with app.browser() as browser:
        browser.sign_in()
        assert browser.who() is not None
        session = cookie_name(app.settings.site)
        ((name, morsel),) = SimpleCookie(session_cookie(browser.sign_in(), session)).items()
    return name, {attribute: value for attribute, value in morsel.items() if value}


def test_over_http_it_is_for_this_host_alone_and_no_script(app: AppServer) -> None:
    name, attributes = cookie_set(app)
    assert name == cookie_name(app.settings.site)
    assert attributes == {"path": "/", "max-age": str(8 * HOUR), "httponly": True, "samesite": "lax"}


@pytest.fixture(scope="module")
def over_https(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, public_url="https://app.example.com") as server:
        yield server


def test_over_https_it_is_secure_and_cannot_come_from_elsewhere(over_https: AppServer) -> None:
    name, attributes = cookie_set(over_https)
    assert name.startswith("__Host-")
    assert attributes == {
        "path": "/",
        "max-age": str(8 * HOUR),
        "httponly": True,
        "samesite": "lax",
        "secure": True,
    }


def test_over_https_addresses_are_the_public_ones(over_https: AppServer, acme: Provider) -> None:
    with over_https.browser() as browser:
        response = browser.sign_in(next="/gradio/?a=1")
    assert acme.last("authorize").params["redirect_uri"] == "https://app.example.com/auth/acme"
    assert response.headers["location"] == "https://app.example.com/gradio/?a=1"


def test_inside_a_frame_it_is_secure_and_partitioned(providers: Mapping[str, Provider]) -> None:
    framed = AppServer(providers, public_url="https://app.example.com/in/here", cookie_samesite="none")
    with framed, framed.browser() as browser:
        header = session_cookie(browser.sign_in(), cookie_name(framed.settings.site)).lower()
        assert browser.who() is not None
    attributes = {part.strip() for part in header.split(";")[1:]}
    assert attributes == {"path=/", f"max-age={8 * HOUR}", "httponly", "samesite=none", "secure", "partitioned"}
    assert header.startswith("__host-")


# -- the key --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rotated(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, secret_key=NEXT_KEY, secret_key_fallbacks=f"{KEY},{OTHER_KEY}") as server:
        yield server


@pytest.mark.parametrize("key", [NEXT_KEY, KEY, OTHER_KEY], ids=["new", "fallback", "older-fallback"])
def test_a_session_under_a_key_that_is_still_listed_stands(browser: Browser, rotated: AppServer, key: str) -> None:
    browser.sign_in()
    with rotated.browser() as later:
        later.cookie = signed(key, unsigned(browser.session))
        assert later.person["subject"] == "alice-1"


def test_what_is_written_is_signed_by_the_new_key(browser: Browser, rotated: AppServer) -> None:
    browser.sign_in()
    with rotated.browser() as later:
        later.cookie = browser.cookie
        later.begin()
        payload = later.cookie.rsplit(".", 2)[0]
        assert later.cookie.split(".")[0] == payload
        fresh = TimestampSigner(NEXT_KEY, salt="session-cookie", digest_method=hashlib.sha256)
        assert fresh.unsign(later.cookie).decode() == payload
        assert unseal(rotated.settings, later.cookie)["person"]["subject"] == "alice-1"
        with pytest.raises(BadSignature):
            unseal_with_old_keys(later.cookie)


def unseal_with_old_keys(cookie: str) -> bytes:
    return TimestampSigner([OTHER_KEY, KEY], salt="session-cookie", digest_method=hashlib.sha256).unsign(cookie)


def test_a_session_under_a_key_that_is_no_longer_listed_is_none(app: AppServer, rotated: AppServer) -> None:
    with rotated.browser() as later, app.browser() as before:
        later.sign_in()
        before.cookie = later.cookie
        assert before.who() is None


def test_without_a_key_each_start_makes_its_own(providers: Mapping[str, Provider]) -> None:
    one, another = AppServer(providers, secret_key=""), AppServer(providers, secret_key="")
    with one, another, one.browser() as here, another.browser() as there:
        here.sign_in()
        assert here.who() is not None
        for cookie in (here.cookie, signed("", here.cookie.rsplit(".", 2)[0])):
            there.cookie = cookie
            assert there.who() is None


def test_the_session_of_an_app_configured_anew_must_be_proved_anew(
    browser: Browser, providers: Mapping[str, Provider]
) -> None:
    """Who may enter is looked at when a person signs in; a session from before it was narrowed is not carried over."""
    browser.sign_in()
    with AppServer(providers, allowed_emails="somebody@else.example") as narrowed, narrowed.browser() as later:
        later.cookie = browser.cookie
        assert later.who() is None
