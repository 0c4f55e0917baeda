"""What specifications leave open, and what providers make of it: it lets people in, or is said rightly."""

from __future__ import annotations

import gzip
import html
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from auth.providers import ProviderSettings
from tests.support.app_server import AppServer, Browser, agree, heading
from tests.support.forge import KEY_OF, compact, signing_key
from tests.support.provider import (
    CLIENT_ID,
    HANGS,
    Change,
    Provider,
    Reply,
    but,
    instead,
    json_reply,
    without,
)

RSA = KEY_OF["RS256"]
OPTIONAL = (
    *("scopes_supported", "prompt_values_supported", "end_session_endpoint", "userinfo_endpoint"),
    *("id_token_signing_alg_values_supported", "userinfo_signing_alg_values_supported"),
    *("token_endpoint_auth_methods_supported", "authorization_response_iss_parameter_supported"),
)
STRANGE_KEYS = [
    {"kty": "AKP", "alg": "ML-DSA-44", "kid": "rsa", "pub": "AA"},
    {"kty": "EC", "crv": "P-999", "kid": "p256", "x": "AA", "y": "AA"},
    {"kty": "RSA", "kid": "rsa", "x5c": ["MIIB"]},
    {"kty": ["RSA"], "kid": 7},
    *({**RSA.as_dict(private=False), "alg": alg, "kid": "other"} for alg in ("RS1", 7, ["RS256"])),
    *("a key", 7, None, []),
]
GROUPS = [f"team-{number:03}-{'with-a-long-name-' * 8}" for number in range(250)]


def packed(document: object) -> Reply:
    """gzip-encoded, whatever was asked for."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Reply(body=gzip.compress(json.dumps(document).encode()), headers=headers)


def signed(issuer: Provider, **changes: object) -> Change:
    """Userinfo as a signed JWT (OpenID Connect Core 5.3.2)."""

    def change(claims: Mapping[str, object]) -> Reply:
        payload = json.dumps({**claims, "iss": issuer.issuer, "aud": CLIENT_ID, **changes}).encode()
        token = compact({"alg": "RS256", "kid": RSA.kid}, payload, changes.get("key", RSA))
        return Reply(body=token.encode(), headers={"Content-Type": "application/jwt; charset=utf-8"})

    return change


def with_query(*names: str) -> Change:
    """Metadata whose endpoints have a query of their own, as Azure AD B2C has (RFC 6749 sections 3.1 and 3.2)."""
    return lambda document: {**document, **{name: f"{document[name]}?policy=B2C_1" for name in names}}


def same_key_thrice(document: Mapping[str, Any]) -> object:
    """One RSA key under one `kid`, listed once for each of its algorithms, and an EC key under the same `kid`."""
    keys = {key["kid"]: key for key in document["keys"]}
    rsa = keys.pop("rsa")
    return {"keys": [*({**rsa, "alg": alg} for alg in ("RS256", "RS384", "RS512")), {**keys["p256"], "kid": "rsa"}]}


SOUND: dict[str, Callable[[], Provider]] = {
    "expires_at_once": lambda: Provider(lean=True, token=but(expires_in=1)),
    "expires_within_a_minute": lambda: Provider(lean=True, token=but(expires_in=60)),
    "expires_in_a_fraction": lambda: Provider(lean=True, token=but(expires_in="3599.5")),
    "expires_some_time": lambda: Provider(lean=True, token=but(expires_in="soon", expires_at="later")),
    "one_key_three_times": lambda: Provider(jwks=same_key_thrice),
    "one_key_and_another_alg": lambda: Provider(jwks=same_key_thrice, header=but(alg="RS512")),
    "an_ec_key_of_the_same_kid": lambda: Provider(
        jwks=same_key_thrice, header=but(alg="ES256", kid="rsa"), key=instead(KEY_OF["ES256"])
    ),
    "post_alone": lambda: Provider(
        auth_methods=("client_secret_post",),
        metadata={"token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]},
    ),
    "basic_alone": lambda: Provider(
        auth_methods=("client_secret_basic",),
        metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]},
    ),
    "only_others_announced": lambda: Provider(metadata={"token_endpoint_auth_methods_supported": ["private_key_jwt"]}),
    "an_id_token_of_60_kb": lambda: Provider(claims=but(groups=GROUPS)),
    "metadata_gzipped": lambda: Provider(discovery=packed),
    "keys_gzipped": lambda: Provider(jwks=packed),
    "token_gzipped": lambda: Provider(token=packed),
    "userinfo_gzipped": lambda: Provider(lean=True, userinfo=packed),
    "metadata_with_nulls": lambda: Provider(
        metadata={"scopes_supported": None, "prompt_values_supported": None, "userinfo_endpoint": None}
    ),
    "metadata_with_nulls_alone": lambda: Provider(metadata=dict.fromkeys(OPTIONAL)),
    "metadata_with_nothing_in_it": lambda: Provider(metadata={"end_session_endpoint": "", "userinfo_endpoint": ""}),
    "endpoints_with_a_query": lambda: Provider(discovery=with_query("authorization_endpoint", "token_endpoint")),
    "algorithms_of_tomorrow": lambda: Provider(
        metadata={"id_token_signing_alg_values_supported": ["ML-DSA-44", "none", "RS256"]}
    ),
    "no_way_announced": lambda: Provider(metadata={"token_endpoint_auth_methods_supported": ["none"]}),
    "keys_with_nulls": lambda: Provider(
        jwks=lambda document: {
            "keys": [{**key, "use": None, "alg": None, "key_ops": None, "x5c": None} for key in document["keys"]]
        }
    ),
    "strange_keys_before": lambda: Provider(jwks=lambda document: {"keys": [*STRANGE_KEYS, *document["keys"]]}),
    "a_token_that_has_expired": lambda: Provider(lean=True, token=but(expires_in=-1)),
    "a_token_that_expires_in_words": lambda: Provider(lean=True, token=but(expires_in={}, expires_at=[])),
    "a_type_in_small_letters": lambda: Provider(token=but(token_type="bearer")),
    "a_type_in_capitals": lambda: Provider(token=but(token_type="BEARER")),
    "scopes_in_a_list": lambda: Provider(token=but(scope=["openid"], refresh_token=None)),
    "userinfo_as_text": lambda: Provider(
        lean=True,
        userinfo=lambda claims: Reply(body=json.dumps(claims).encode(), headers={"Content-Type": "text/plain"}),
    ),
    "userinfo_signed_and_no_more": lambda: Provider(
        lean=True,
        userinfo=lambda claims: Reply(
            body=compact({"alg": "RS256", "kid": RSA.kid}, json.dumps(claims).encode(), RSA).encode(),
            headers={"Content-Type": "application/jwt"},
        ),
    ),
}


@pytest.fixture(scope="module")
def stands() -> Iterator[dict[str, Provider]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(make()) for name, make in SOUND.items()}


@pytest.fixture(scope="module")
def sound(stands: dict[str, Provider]) -> Iterator[AppServer]:
    with AppServer(stands) as server:
        yield server


@pytest.mark.parametrize("name", SOUND)
def test_what_is_optional_keeps_nobody_out(sound: AppServer, name: str) -> None:
    with sound.browser() as browser:
        response = browser.sign_in(name)
        assert response.status_code == 303, heading(response)
        person = browser.person
        assert (person["name"], person["email"]) == ("Alice Example", "alice@example.com")


def test_the_way_that_was_accepted_at_the_token_endpoint_is_remembered(
    sound: AppServer, stands: dict[str, Provider]
) -> None:
    provider = stands["post_alone"]
    with sound.browser() as browser:
        browser.sign_in("post_alone")
        before = provider.asked("token")
        browser.sign_in("post_alone")
    assert provider.asked("token") == before + 1


def with_settings(provider: Provider, **changes: object) -> dict[str, Any]:
    """Settings of an app with this provider, some of its own changed."""
    one = provider.settings("acme")
    return {"providers": (ProviderSettings.model_validate({**one.model_dump(), **changes}),)}


def test_a_way_that_is_configured_is_the_only_one() -> None:
    with (
        Provider(auth_methods=("client_secret_post",)) as acme,
        AppServer({"acme": acme}, **with_settings(acme, token_auth_method="client_secret_basic")) as app,
        app.browser() as browser,
    ):
        assert heading(browser.sign_in()) == "The sign-in provider refused"
        assert acme.asked("token") == 1


# -- userinfo ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lean() -> Iterator[Provider]:
    with Provider(lean=True) as provider:
        yield provider


@pytest.fixture(scope="module")
def lean_app(lean: Provider) -> Iterator[AppServer]:
    with AppServer({"acme": lean}) as server:
        yield server


def test_userinfo_may_be_signed(lean: Provider, lean_app: AppServer) -> None:
    for changes in ({}, {"aud": [CLIENT_ID]}):
        with lean.faulty(userinfo=signed(lean, **changes)), lean_app.browser() as browser:
            assert browser.sign_in().status_code == 303
            assert browser.person["name"] == "Alice Example"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-app"},
        {"aud": ["another-app"]},
        {"aud": []},
        {"sub": "mallory"},
        {"key": signing_key("RSA", "stranger")},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_userinfo_that_is_signed_wrongly_is_refused(
    lean: Provider, lean_app: AppServer, changes: dict[str, Any]
) -> None:
    key = changes.get("key", RSA)
    more = {name: value for name, value in changes.items() if name != "key"}

    def change(claims: Mapping[str, object]) -> Reply:
        payload = json.dumps({**claims, "iss": lean.issuer, "aud": CLIENT_ID, **more}).encode()
        body = compact({"alg": "RS256", "kid": RSA.kid}, payload, key).encode()
        return Reply(body=body, headers={"Content-Type": "application/jwt"})

    with lean.faulty(userinfo=change), lean_app.browser() as browser:
        assert heading(browser.sign_in()) == "The sign-in provider's answer was refused"
        assert browser.who() is None


def test_userinfo_that_is_encrypted_is_done_without(lean: Provider, lean_app: AppServer) -> None:
    """OpenID Connect Core 5.3.2: whoever runs the app has registered a key that it has not."""
    reply = Reply(body=b"eyJhbGciOiJSU0EtT0FFUCJ9.AA.AA.AA.AA", headers={"Content-Type": "application/jwt"})
    with lean.faulty(userinfo=instead(reply)), lean_app.browser() as browser:
        assert browser.sign_in().status_code == 303
        assert (browser.person["subject"], browser.person["name"]) == ("alice-1", None)


def test_userinfo_that_hangs_is_waited_for_a_while_and_done_without(lean: Provider, lean_app: AppServer) -> None:
    with lean.faulty(userinfo=instead(HANGS)), lean_app.browser() as browser:
        begun = time.monotonic()
        assert browser.sign_in().status_code == 303
        assert time.monotonic() - begun < 12
        assert browser.person["subject"] == "alice-1"


# -- names ------------------------------------------------------------------------------------------------------------

NAMES = {
    "name": ({"name": "Alice Example", "nickname": "al"}, "Alice Example"),
    "given and family": (
        {"given_name": "Alice", "family_name": "Example", "preferred_username": "al"},
        "Alice Example",
    ),
    "given alone": ({"given_name": "Alice", "nickname": "al"}, "Alice"),
    "preferred username": ({"preferred_username": "alice", "nickname": "al"}, "alice"),
    "nickname": ({"nickname": "al"}, "al"),
    "an empty name": ({"name": " ", "given_name": "Alice", "family_name": "Example"}, "Alice Example"),
    "several lines": ({"name": "Alice\x00\n \u202eExample\u200b"}, "Alice Example"),
    "names of another type": ({"name": 7, "given_name": ["Alice"], "nickname": "al"}, "al"),
    "none": ({}, None),
}


@pytest.mark.parametrize("case", NAMES)
def test_people_are_called_what_comes_nearest_to_their_name(acme: Provider, app: AppServer, case: str) -> None:
    claims, name = NAMES[case]
    with acme.signing_in(**{"name": None, **claims}), app.browser() as browser:
        browser.sign_in()
        assert browser.person["name"] == name


# -- addresses --------------------------------------------------------------------------------------------------------


def test_an_address_and_what_is_said_of_it_come_from_one_source() -> None:
    """`email_verified` of the ID token says nothing of the address that userinfo has (OpenID Connect Core 5.1)."""
    with (
        Provider(lean=True, claims=but(email_verified=True)) as acme,
        AppServer({"acme": acme}, allowed_domains=("example.com",)) as app,
        app.browser() as browser,
    ):
        with acme.signing_in(email_verified=False):
            assert "has not verified your e-mail address" in browser.sign_in().text
        assert browser.who() is None
        assert browser.sign_in().status_code == 303


def test_a_provider_that_vouches_for_no_address_is_named_as_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    with (
        Provider() as acme,
        AppServer({"acme": acme}, allowed_domains=("example.com",)) as app,
        acme.signing_in(email_verified=None),
        app.browser() as browser,
    ):
        response = browser.sign_in()
    assert response.status_code == 403
    assert "does not vouch for your e-mail address" in response.text
    assert "ACME_TRUST_EMAIL" in caplog.text


@pytest.mark.parametrize("verified", [None, False])
def test_addresses_of_a_trusted_provider_count(verified: object) -> None:
    with (
        Provider() as acme,
        AppServer({"acme": acme}, allowed_domains=("example.com",), **with_settings(acme, trust_email=True)) as app,
        acme.signing_in(email_verified=verified),
        app.browser() as browser,
    ):
        assert browser.sign_in().status_code == (303 if verified is None else 403)


# -- refusals ---------------------------------------------------------------------------------------------------------


def failed(error: str, **params: str) -> Change:
    def change(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        kept = [(name, value) for name, value in pairs if name != "code"]
        return [*kept, ("error", error), *params.items()]

    return change


WORDS = "User is not assigned to the client application."


def test_what_the_provider_says_of_a_refusal_is_shown_and_logged(
    acme: Provider, app: AppServer, caplog: pytest.LogCaptureFixture
) -> None:
    with acme.faulty(callback=failed("access_denied", error_description=WORDS)), app.browser() as browser:
        response = browser.sign_in()
    assert response.status_code == 403
    assert f"The provider says: {WORDS}" in response.text
    assert "agree" not in response.text
    assert WORDS in caplog.text


@pytest.mark.parametrize(
    "error", ["access_denied", "consent_required", "user_cancelled_authorize", "user_cancelled_login"]
)
def test_to_refuse_at_the_provider_is_no_fault_of_its(acme: Provider, app: AppServer, error: str) -> None:
    with acme.faulty(callback=failed(error)), app.browser() as browser:
        response = browser.sign_in()
    assert (response.status_code, heading(response)) == (403, "You were not signed in")


@pytest.mark.parametrize("words", ["two\nlines", "x" * 201, "\u202egnol"], ids=["lines", "long", "turned round"])
def test_a_description_that_is_no_short_line_is_not_shown(acme: Provider, app: AppServer, words: str) -> None:
    with acme.faulty(callback=failed("access_denied", error_description=words)), app.browser() as browser:
        assert "The provider says" not in browser.sign_in().text


def test_a_description_is_text(acme: Provider, app: AppServer) -> None:
    with acme.faulty(callback=failed("server_error", error_description="<b>no</b>")), app.browser() as browser:
        response = browser.sign_in()
    assert "&lt;b&gt;no&lt;/b&gt;" in response.text and "<b>no" not in response.text


def test_a_provider_without_nonces_is_named_as_the_reason(acme: Provider, app: AppServer) -> None:
    with acme.faulty(claims=without("nonce")), app.browser() as browser:
        response = browser.sign_in()
    assert response.status_code == 502
    assert "it has no nonce" in response.text and "Trying again does not help" in response.text


# -- what is asked for ------------------------------------------------------------------------------------------------


def asked(browser: Browser, provider: str = "acme") -> dict[str, str]:
    return dict(parse_qsl(urlsplit(browser.begin(provider)).query))


@pytest.mark.parametrize(
    ("announced", "configured", "scope"),
    [
        (None, (), "openid email profile"),
        (["openid", "email", "name"], (), "openid email"),
        (["email"], (), "openid email"),
        (["openid"], "openid groups", "openid groups"),
    ],
)
def test_scopes_are_those_configured_or_the_usual_ones_that_are_announced(
    announced: object, configured: object, scope: str
) -> None:
    with (
        Provider(metadata={"scopes_supported": announced}) as acme,
        AppServer({"acme": acme}, **with_settings(acme, scopes=configured)) as app,
        app.browser() as browser,
    ):
        assert asked(browser)["scope"] == scope


@pytest.mark.parametrize(
    ("known", "prompt"),
    [(None, "select_account"), (["login", "select_account"], "select_account"), (["login"], "login")],
)
def test_another_account_is_asked_for_in_a_way_that_the_provider_knows(known: object, prompt: str) -> None:
    with (
        Provider(metadata={"prompt_values_supported": known}) as acme,
        AppServer({"acme": acme}, allowed_emails=("somebody@example.com",)) as app,
        app.browser() as browser,
    ):
        assert "prompt" not in asked(browser)
        assert browser.sign_in().status_code == 403
        assert asked(browser)["prompt"] == prompt


# -- blame ------------------------------------------------------------------------------------------------------------

MISCONFIGURED: dict[str, Callable[[], Provider]] = {
    "another issuer": lambda: Provider(metadata={"issuer": "https://login.example.com/{tenantid}/v2.0"}),
    "a slash too many": lambda: Provider(discovery=lambda document: {**document, "issuer": f"{document['issuer']}/"}),
    "no metadata there": lambda: Provider(discovery=lambda document: json_reply(document, 404)),
    "metadata without an endpoint": lambda: Provider(discovery=without("token_endpoint")),
    "an endpoint on http": lambda: Provider(metadata={"token_endpoint": "http://accounts.example.com/token"}),
}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_what_is_configured_wrongly_is_said_to_be_so(case: str, caplog: pytest.LogCaptureFixture) -> None:
    with MISCONFIGURED[case]() as acme, AppServer({"acme": acme}) as app, app.browser() as browser:
        response = browser.get("/login", params={"provider": "acme"})
        assert response.status_code == 502
        assert heading(response) == "Sign-in is not set up rightly"
        assert "Trying again does not help" in response.text
        assert "retry-after" not in response.headers
        ready = browser.get("/readyz")
        assert ready.status_code == 503
        (problem,) = [line for line in ready.json()["problems"] if line.startswith("acme: ")]
        if "issuer" in case or "slash" in case:
            assert acme.issuer in problem
            assert (
                repr(f"{acme.issuer}/" if "slash" in case else "https://login.example.com/{tenantid}/v2.0") in problem
            )
        assert problem.removeprefix("acme: ") in caplog.text


def test_an_issuer_that_is_given_as_the_address_of_its_metadata_is_said_to_be_wrong() -> None:
    with Provider() as acme:
        wrong = with_settings(acme, issuer=f"{acme.issuer}/.well-known/openid-configuration")
        with AppServer({"acme": acme}, **wrong) as app, app.browser() as browser:
            assert heading(browser.get("/login")) == "Sign-in is not set up rightly"
            assert browser.get("/readyz").status_code == 503


def test_a_fault_that_may_pass_is_said_to_be_one() -> None:
    with (
        Provider(discovery=lambda document: json_reply(document, 429)) as acme,
        AppServer({"acme": acme}) as app,
        app.browser() as browser,
    ):
        response = browser.get("/login")
        assert (response.status_code, heading(response)) == (503, "The sign-in provider does not answer")
        assert response.headers["retry-after"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/gradio", "/login-demo", "/favicon.ico"])
def test_head_is_answered_as_get_without_a_body(app: AppServer, path: str) -> None:
    with app.browser() as browser:
        get, head = browser.get(path), browser.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert head.headers.get("location") == get.headers.get("location")


# -- leaving ----------------------------------------------------------------------------------------------------------


def hint_cookies(response: Any) -> list[str]:
    return [
        value for value in response.headers.get_list("set-cookie") if value.startswith(("id-token=", "__Secure-id"))
    ]


def test_the_id_token_is_kept_for_signing_out_alone(acme: Provider, app: AppServer) -> None:
    with app.browser() as browser:
        response = browser.sign_in()
        (cookie,) = hint_cookies(response)
        value, *attributes = cookie.split("; ")
        assert {"Path=/logout", "HttpOnly", "SameSite=lax"} <= set(attributes)
        id_token = value.partition("~")[2]
        assert id_token.count(".") == 2
        browser.get("/user/me")
        left = browser.sign_out()
        assert f"id_token_hint={id_token}" in left.text
        assert "Max-Age=0" in hint_cookies(left)[0]
        assert "id_token_hint" not in browser.sign_out().text


def test_an_id_token_that_is_too_long_for_a_cookie_is_not_kept_nor_that_of_before(
    acme: Provider, app: AppServer
) -> None:
    with app.browser() as browser:
        browser.sign_in()
        with acme.faulty(claims=but(groups=GROUPS)):
            response = browser.sign_in()
        assert response.status_code == 303
        assert "Max-Age=0" in hint_cookies(response)[0]
        left = browser.sign_out()
        assert "end_session" in left.text and "id_token_hint" not in left.text


def test_an_address_to_leave_by_may_have_a_query() -> None:
    with (
        Provider(discovery=with_query("end_session_endpoint")) as acme,
        AppServer({"acme": acme}) as app,
        app.browser() as browser,
    ):
        browser.sign_in()
        (href,) = re.findall(r'href="([^"]*id_token_hint=[^"]*)"', browser.sign_out().text)
        query = dict(parse_qsl(urlsplit(html.unescape(href)).query))
        assert query.keys() == {"policy", "client_id", "id_token_hint", "post_logout_redirect_uri", "state"}


def test_an_id_token_of_another_provider_is_not_shown_to_this_one(app: AppServer) -> None:
    with app.browser() as browser:
        browser.sign_in("acme")
        browser.cookies.set("id-token", "quiet~a.b.c", domain="127.0.0.1", path="/logout")
        assert "a.b.c" not in browser.sign_out().text


def test_at_cognito_people_leave_by_its_own_parameters() -> None:
    """docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html"""
    with (
        Provider(discovery=without("end_session_endpoint")) as acme,
        AppServer({"acme": acme}, **with_settings(acme, logout="cognito")) as app,
        app.browser() as browser,
    ):
        assert not [value for value in hint_cookies(browser.sign_in()) if "Max-Age=0" not in value]
        (href,) = re.findall(r'href="([^"]*logout_uri=[^"]*)"', browser.sign_out().text)
        query = dict(parse_qsl(urlsplit(html.unescape(href)).query))
        assert query == {"client_id": CLIENT_ID, "logout_uri": f"{app.url}/"}


def test_where_no_way_out_is_wanted_none_is_offered() -> None:
    with (
        Provider() as acme,
        AppServer({"acme": acme}, **with_settings(acme, logout="none")) as app,
        app.browser() as browser,
    ):
        browser.sign_in()
        assert browser.sign_out().headers["location"] == f"{app.url}/"


# -- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tabs", "length"), [(6, 700), (6, 2048), (20, 500)])
def test_each_tab_comes_back_to_its_own_link(app: AppServer, tabs: int, length: int) -> None:
    links = [f"/gradio/?tab={number}&q=".ljust(length, "abcdefgh%20+,;:@!$()*~"[number]) for number in range(tabs)]
    with app.browser() as browser:
        begun = [browser.begin(next=link) for link in links]
        assert len(browser.cookie) < 4096
        for url, link in zip(begun, links, strict=True):
            assert browser.come_back(agree(url)).headers["location"] == app.url + link
        assert not [name for name in browser.cookies if name.startswith("next-")]


def test_more_links_than_a_server_takes_make_room_and_their_sign_ins_go_on(app: AppServer) -> None:
    links = [f"/gradio/?tab={number}&q=".ljust(2048, "x") for number in range(20)]
    with app.browser() as browser:
        begun = [browser.begin(next=link) for link in links]
        assert sum(len(value) for name, value in browser.cookies.items() if name.startswith("next-")) < 20_000
        assert browser.come_back(agree(begun[0])).headers["location"] == f"{app.url}/gradio/"
        assert browser.come_back(agree(begun[-1])).headers["location"] == app.url + links[-1]


def test_a_link_survives_a_sign_in_that_fails(acme: Provider, app: AppServer) -> None:
    link = "/gradio/?q=".ljust(2000, "y")
    with app.browser() as browser, acme.faulty(callback=failed("access_denied")):
        response = browser.sign_in(next=link)
        assert link.replace("=", "%3D").replace("?", "%3F") in response.text


@pytest.mark.parametrize("value", ["", "!!", "aHR0cHM6Ly9ldmlsLmV4YW1wbGU", "Ly9ldmlsLmV4YW1wbGU", "L2xvZ291dA"])
def test_a_link_that_somebody_put_into_the_cookie_leads_nowhere_else(app: AppServer, value: str) -> None:
    with app.browser() as browser:
        url = browser.begin(next="/gradio/?q=".ljust(100, "z"))
        (name,) = [name for name in browser.cookies if name.startswith("next-")]
        browser.cookies.delete(name)
        browser.cookies.set(name, value, domain="127.0.0.1", path="/auth")
        assert browser.come_back(agree(url)).headers["location"] == f"{app.url}/gradio/"


# -- a callback that is posted ----------------------------------------------------------------------------------------


def test_a_callback_that_is_posted_is_posted_once_more_from_here() -> None:
    with (
        Provider() as acme,
        AppServer({"acme": acme}, **with_settings(acme, response_mode="form_post")) as app,
        app.browser() as browser,
    ):
        url = browser.begin()
        assert dict(parse_qsl(urlsplit(url).query))["response_mode"] == "form_post"
        callback = urlsplit(agree(url))
        form = dict(parse_qsl(callback.query)) | {"user": '{"name": {"firstName": "<i>"}}'}
        from_there = {"Sec-Fetch-Site": "cross-site", "Origin": "https://appleid.apple.com"}
        with app.browser() as without_cookies:  # the browser keeps back those that are Lax
            page = without_cookies.post(callback.path, data=form, headers=from_there)
        assert page.status_code == 200
        assert "no-store" in page.headers["cache-control"]
        assert f'name="code" value="{form["code"]}"' in page.text
        assert "<i>" not in page.text
        assert browser.who() is None
        own = {"Sec-Fetch-Site": "same-origin", "Origin": app.url}
        assert browser.post(callback.path, data=form, headers=own).headers["location"] == f"{app.url}/gradio/"
        assert browser.person["name"] == "Alice Example"


def test_a_callback_is_posted_where_that_is_configured_and_nowhere_else(app: AppServer) -> None:
    with app.browser() as browser:
        assert browser.post("/auth/acme", data={"code": "x"}).status_code == 405


def test_a_posted_callback_that_is_none_is_refused() -> None:
    with (
        Provider() as acme,
        AppServer({"acme": acme}, **with_settings(acme, response_mode="form_post")) as app,
        app.browser() as browser,
    ):
        own = {"Sec-Fetch-Site": "same-origin"}
        for body in (b"\xff", b"&".join(b"a=1" for _ in range(60)), b"state=a&state=b", b""):
            assert browser.post("/auth/acme", content=body, headers=own).status_code == 400
        assert browser.post("/auth/acme", content=b"x" * 300_000, headers=own).status_code == 413
