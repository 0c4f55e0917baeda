"""A provider that is wrong in one way at a time lets nobody in; one that is unusual and sound is relied on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from auth.errors import (
    AuthError,
    ClientRefused,
    EmailUnknown,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    TokenResponseInvalid,
    UnknownKey,
)
from auth.people.provider import ANSWER_SECONDS
from tests.people.support import (
    DEEP,
    GZIP_BOMB,
    MARKUP,
    NOT_SAID,
    RSA,
    STRANGER,
    Caplog,
    assert_page,
    assert_refused,
    refuse,
)
from tests.support.app_server import AppServer, Browser, agree
from tests.support.clock import seconds_until
from tests.support.forge import base64url, signing_key
from tests.support.provider import (
    CLIENT_SECRET,
    CLOSES,
    DRIPS,
    HANGS,
    HTML,
    Change,
    Provider,
    Reply,
    but,
    huge,
    instead,
    json_reply,
    without,
)

pytestmark = [
    # joserfc warns of what it finds weak; that a weak key is refused, and an old name accepted, is tested here.
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning"),
]

# -- the token response ---------------------------------------------------------------------------------------------

"""Of an answer that is none, it does not matter under which of these heads it is shown."""

RESPONSES = [
    refuse("token-type-missing", token=without("token_type")),
    refuse("token-type-mac", token=but(token_type="mac")),
    refuse("token-type-dpop", token=but(token_type="DPoP")),
    refuse("token-type-empty", token=but(token_type="")),
    refuse("token-type-null", token=but(token_type=None)),
    refuse("token-type-number", token=but(token_type=1)),
    refuse("token-type-list", token=but(token_type=["Bearer"])),
    refuse("id-token-missing", token=without("id_token")),
    refuse("id-token-null", token=but(id_token=None)),
    refuse("id-token-number", token=but(id_token=1)),
    refuse("id-token-in-a-list", token=lambda answer: {**answer, "id_token": [answer["id_token"]]}),
    refuse("id-token-as-claims", token=but(id_token={"sub": "alice-1"})),
    # at_hash is optional, and would tell as well that the access token is not the right one.
    refuse("access-token-missing", token=without("access_token"), claims=without("at_hash")),
    refuse("access-token-empty", token=but(access_token=""), claims=without("at_hash")),
    refuse("access-token-null", token=but(access_token=None), claims=without("at_hash")),
    refuse("access-token-number", token=but(access_token=1), claims=without("at_hash")),
    refuse("access-token-list", token=but(access_token=["t"]), claims=without("at_hash")),
    refuse("html", NOT_SAID, token=instead(HTML)),
    refuse("html-said-to-be-json", NOT_SAID, token=instead(Reply(body=HTML.body))),
    refuse("html-500", ProviderUnavailable, token=instead(Reply(status=500, body=HTML.body, headers=HTML.headers))),
    refuse("json-500", NOT_SAID, token=lambda answer: json_reply(answer, 500)),
    refuse("json-404", NOT_SAID, token=lambda answer: json_reply(answer, 404)),
    refuse("unavailable-503", ProviderUnavailable, token=instead(Reply(status=503))),
    refuse("too-many-429", NOT_SAID, token=instead(Reply(status=429))),
    refuse("nothing", NOT_SAID, token=instead(Reply())),
    refuse("nothing-204", NOT_SAID, token=instead(Reply(status=204))),
    refuse("connection-closed", ProviderUnavailable, token=instead(CLOSES)),
    refuse("not-json", NOT_SAID, token=instead(Reply(body=b"access_token=a&token_type=bearer"))),
    refuse("list", NOT_SAID, token=lambda answer: json_reply([answer])),
    refuse("text", NOT_SAID, token=instead(json_reply("ok"))),
    refuse("number", NOT_SAID, token=instead(json_reply(1))),
    refuse("null", NOT_SAID, token=instead(json_reply(None))),
    refuse("empty-object", NOT_SAID, token=instead(json_reply({}))),
    refuse("not-utf-8", NOT_SAID, token=instead(Reply(body=b'{"access_token":"\xff"}'))),
    refuse("deep", NOT_SAID, token=instead(Reply(body=DEEP))),
    refuse("compressed-50-megabytes", NOT_SAID, token=instead(GZIP_BOMB)),
    refuse("said-to-be-compressed", NOT_SAID, token=instead(Reply(headers={"Content-Encoding": "gzip"}, body=b"{}"))),
    refuse("error-invalid-client", ClientRefused, token=instead(json_reply({"error": "invalid_client"}, 401))),
    refuse("error-invalid-client-400", ClientRefused, token=instead(json_reply({"error": "invalid_client"}, 400))),
    refuse("error-unauthorized", ClientRefused, token=instead(json_reply({"error": "unauthorized_client"}, 400))),
    refuse("error-invalid-grant", ProviderRefused, token=instead(json_reply({"error": "invalid_grant"}, 400))),
    refuse("error-with-status-200", ProviderRefused, token=instead(json_reply({"error": "bad_verification_code"}))),
    refuse("error-beside-tokens", SignInError, token=but(error="server_error")),
    refuse("error-number", SignInError, token=instead(json_reply({"error": 1}, 400))),
    refuse("error-object", SignInError, token=instead(json_reply({"error": {"code": "invalid_grant"}}, 400))),
    refuse("error-null", SignInError, token=instead(json_reply({"error": None}, 400))),
    refuse("error-markup", SignInError, token=instead(json_reply({"error": MARKUP, "error_description": MARKUP}, 400))),
    refuse("error-with-line-breaks", SignInError, token=instead(json_reply({"error": "a\r\nlevel=INFO\x1b[2J"}, 400))),
    refuse("error-long", SignInError, token=instead(json_reply({"error": "e" * 100_000}, 400))),
]


@pytest.mark.parametrize(("faults", "error", "cause"), RESPONSES)
def test_a_token_response_that_is_none_lets_nobody_in(
    browser: Browser,
    acme: Provider,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    faults: Mapping[str, Change],
    error: type[AuthError],
    cause: None,
) -> None:
    with acme.faulty(**faults):
        response = browser.sign_in()
    assert_refused(response, browser, caplog, error, cause, providers)


def test_a_wrong_client_secret_is_said_to_be_one(
    browser: Browser, acme: Provider, caplog: Caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acme, "client_secret", "another-secret-altogether")
    assert_refused(browser.sign_in(), browser, caplog, ClientRefused)


def test_a_huge_token_response_is_not_read_to_its_end(browser: Browser, acme: Provider, caplog: Caplog) -> None:
    acme.cut_short.clear()
    with acme.faulty(token=huge):
        response = browser.sign_in()
    assert_refused(response, browser, caplog, NOT_SAID)
    assert seconds_until(lambda: acme.cut_short == ["token"]) < 10


def test_a_token_endpoint_that_sends_elsewhere_is_not_followed(
    browser: Browser, acme: Provider, caplog: Caplog
) -> None:
    for status in (302, 307, 308):
        caplog.clear()
        moved = Reply(status=status, headers={"Location": f"{acme.base}/elsewhere"})
        with acme.faulty(token=instead(moved)):
            response = browser.sign_in()
        assert_refused(response, browser, caplog, NOT_SAID)
    assert acme.asked("elsewhere") == 0, "the client secret went elsewhere"


def test_a_provider_that_falls_silent_half_way_is_given_up(caplog: Caplog, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ANSWER_SECONDS <= 15
    monkeypatch.setattr("auth.people.provider.ANSWER_SECONDS", 1.0)

    def give_up(name: str) -> float:
        with app.browser() as browser:
            callback = agree(browser.begin(name))
            begun = time.monotonic()
            response = browser.come_back(callback)
            assert_page(response, ProviderUnavailable)
            assert browser.who() is None
            return time.monotonic() - begun

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        slow = {"hangs": Provider(token=instead(HANGS)), "drips": Provider(token=instead(DRIPS))}
        stands = {name: stack.enter_context(provider) for name, provider in slow.items()}
        app = stack.enter_context(AppServer(stands))
        assert max(pool.map(give_up, stands)) < 1 + 5
    assert sum(getattr(record, "about", {}).get("error") == "ProviderUnavailable" for record in caplog.records) == 2


# -- userinfo -------------------------------------------------------------------------------------------------------

USERINFO = [
    refuse("asked-with-a-line-break", NOT_SAID, token=but(access_token="t\r\nX: 1"), claims=without("at_hash")),
    refuse("sub-another", TokenResponseInvalid, userinfo=but(sub="mallory")),
    refuse("sub-missing", TokenResponseInvalid, userinfo=without("sub")),
    refuse("sub-empty", TokenResponseInvalid, userinfo=but(sub="")),
    refuse("sub-null", TokenResponseInvalid, userinfo=but(sub=None)),
    refuse("sub-in-a-list", TokenResponseInvalid, userinfo=but(sub=["alice-1"])),
    refuse("sub-in-upper-case", TokenResponseInvalid, userinfo=but(sub="ALICE-1")),
]
UNANSWERED: Mapping[str, Change] = {
    "not-json": instead(Reply(body=b"name=Alice")),
    "html": instead(HTML),
    "nothing": instead(Reply()),
    "list": lambda answer: json_reply([answer]),
    "list-of-pairs": lambda answer: json_reply(list(answer.items())),
    "null": instead(json_reply(None)),
    "deep": instead(Reply(body=DEEP)),
    "500": lambda answer: json_reply(answer, 500),
    "401": lambda answer: json_reply(answer, 401),
    "403": instead(json_reply({"error": "insufficient_scope"}, 403)),
    "connection-closed": instead(CLOSES),
    "elsewhere": instead(Reply(status=302, headers={"Location": "/jwks"})),
    "compressed-50-megabytes": instead(GZIP_BOMB),
}


@pytest.mark.parametrize(("faults", "error", "cause"), USERINFO)
def test_userinfo_that_cannot_be_believed_lets_nobody_in(
    browser: Browser,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    faults: Mapping[str, Change],
    error: type[AuthError],
    cause: None,
) -> None:
    with providers["lean"].faulty(**faults):
        response = browser.sign_in("lean")
    assert_refused(response, browser, caplog, error, cause, providers)


@pytest.mark.parametrize("name", UNANSWERED)
def test_userinfo_that_does_not_answer_costs_the_name_and_not_the_sign_in(
    browser: Browser, providers: Mapping[str, Provider], caplog: Caplog, name: str
) -> None:
    with providers["lean"].faulty(userinfo=UNANSWERED[name]):
        assert browser.sign_in("lean").status_code == 303
    person = browser.person
    assert (person["subject"], person["name"], person["email"]) == ("alice-1", None, None)
    assert any("userinfo" in record.getMessage() and record.levelname == "WARNING" for record in caplog.records)


def test_userinfo_that_does_not_answer_keeps_out_who_must_have_an_address(providers: Mapping[str, Provider]) -> None:
    lean = providers["lean"]
    with AppServer({"lean": lean}, allowed_domains=("example.com",)) as app, app.browser() as browser:
        with lean.faulty(userinfo=lambda answer: json_reply(answer, 403)):
            response = browser.sign_in("lean")
        assert_page(response, EmailUnknown)
        assert "did not say your e-mail address" in response.text
        assert browser.sign_in("lean").status_code == 303


def test_huge_userinfo_is_not_read_to_its_end(browser: Browser, providers: Mapping[str, Provider]) -> None:
    lean = providers["lean"]
    lean.cut_short.clear()
    with lean.faulty(userinfo=huge):
        assert browser.sign_in("lean").status_code == 303
    assert seconds_until(lambda: lean.cut_short == ["userinfo"]) < 10
    assert browser.person["name"] is None


# -- what a provider says of itself ---------------------------------------------------------------------------------

DISCOVERIES: Mapping[str, Change] = {
    "issuer_another": but(issuer="https://accounts.example.com"),
    "issuer_with_a_slash": lambda document: {**document, "issuer": f"{document['issuer']}/"},
    "issuer_in_upper_case": lambda document: {**document, "issuer": document["issuer"].upper()},
    "issuer_missing": without("issuer"),
    "issuer_number": but(issuer=1),
    "issuer_null": but(issuer=None),
    "authorization_missing": without("authorization_endpoint"),
    "authorization_script": but(authorization_endpoint="javascript:alert(1)"),
    "authorization_relative": but(authorization_endpoint="/authorize"),
    "authorization_http": but(authorization_endpoint="http://accounts.example.com/authorize"),
    "authorization_list": but(authorization_endpoint=["http://127.0.0.1:1/authorize"]),
    "token_missing": without("token_endpoint"),
    "token_http": but(token_endpoint="http://accounts.example.com/token"),
    "token_number": but(token_endpoint=1),
    "token_file": but(token_endpoint="file:///etc/passwd"),
    "jwks_missing": without("jwks_uri"),
    "jwks_http": but(jwks_uri="http://accounts.example.com/jwks"),
    "jwks_null": but(jwks_uri=None),
    "userinfo_http": but(userinfo_endpoint="http://accounts.example.com/userinfo"),
    "html": instead(HTML),
    "not_json": instead(Reply(body=b"issuer=acme")),
    "nothing": instead(Reply()),
    "a_list": lambda document: json_reply([document]),
    "a_null": instead(json_reply(None)),
    "empty": instead(json_reply({})),
    "deep": instead(Reply(body=DEEP)),
    "huge": huge,
    "compressed": instead(GZIP_BOMB),
    "answers_500": lambda document: json_reply(document, 500),
    "answers_404": lambda document: json_reply(document, 404),
    "elsewhere": instead(Reply(status=302, headers={"Location": "/.well-known/other"})),
    "closes": instead(CLOSES),
    "hangs": instead(HANGS),
}

KEYS: Mapping[str, Change] = {
    "keys_html": instead(HTML),
    "keys_not_json": instead(Reply(body=b"keys")),
    "keys_500": lambda document: json_reply(document, 500),
    "keys_closed": instead(CLOSES),
    "keys_elsewhere": instead(Reply(status=302, headers={"Location": "/jwks"})),
    "keys_huge": huge,
    "keys_deep": instead(Reply(body=DEEP)),
    "keys_missing": instead({}),
    "keys_null": instead({"keys": None}),
    "keys_object": lambda document: {"keys": {key["kid"]: key for key in document["keys"]}},
    "keys_none": instead({"keys": []}),
    "keys_of_others": instead({"keys": [{**STRANGER.as_dict(private=False), "use": "sig"}]}),
    "keys_of_others_with_our_kid": instead({"keys": [STRANGER.as_dict(private=False) | {"kid": "rsa"}]}),
    "keys_for_encryption": lambda document: {"keys": [{**key, "use": "enc"} for key in document["keys"]]},
    "keys_for_other_operations": lambda document: {
        "keys": [{**key, "key_ops": ["encrypt"]} for key in document["keys"]]
    },
    "keys_of_another_algorithm": lambda document: {"keys": [{**key, "alg": "RS512"} for key in document["keys"]]},
    "keys_symmetric": instead({"keys": [{"kty": "oct", "kid": "rsa", "k": base64url(CLIENT_SECRET.encode())}]}),
    "keys_without_modulus": instead({"keys": [{"kty": "RSA", "kid": "rsa", "e": "AQAB", "use": "sig"}]}),
}


@pytest.fixture(scope="module")
def faulty(request: pytest.FixtureRequest) -> Iterator[AppServer]:
    """An app that relies on many providers, each wrong in one way from the start, and on one that is right."""
    weak = signing_key("RSA-1024", "weak")
    with ExitStack() as stack:
        stands = {name: stack.enter_context(Provider(discovery=fault)) for name, fault in DISCOVERIES.items()}
        stands |= {name: stack.enter_context(Provider(jwks=fault)) for name, fault in KEYS.items()}
        stands["keys_of_1024_bits"] = stack.enter_context(Provider(keys=(weak,)))
        stands["sound"] = stack.enter_context(Provider())
        yield stack.enter_context(AppServer(stands))


@pytest.fixture
def visitor(faulty: AppServer) -> Iterator[Browser]:
    with faulty.browser() as client:
        yield client


@pytest.mark.parametrize("name", DISCOVERIES)
def test_a_provider_whose_metadata_cannot_be_used_costs_its_own_sign_in(
    visitor: Browser, caplog: Caplog, name: str
) -> None:
    response = visitor.get("/login", params={"provider": name})
    assert_refused(response, visitor, caplog, ProviderUnavailable)


@pytest.mark.parametrize("name", [*KEYS, "keys_of_1024_bits"])
def test_a_provider_whose_keys_cannot_be_used_lets_nobody_in(visitor: Browser, caplog: Caplog, name: str) -> None:
    assert_refused(visitor.sign_in(name), visitor, caplog, (ProviderUnavailable, TokenResponseInvalid))


def test_others_being_wrong_is_nothing_to_a_provider_that_is_right(visitor: Browser) -> None:
    assert visitor.sign_in("sound").status_code == 303
    assert visitor.who() is not None


@pytest.mark.parametrize("name", ["answers_500", "closes", "html"])
def test_a_provider_that_came_back_is_found_again(faulty: AppServer, visitor: Browser, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faulty.providers[name], "faults", {})
        deadline = time.monotonic() + 10
        while visitor.get("/login", params={"provider": name}).status_code != 303:
            assert time.monotonic() < deadline, "it is not found again"
            time.sleep(0.1)
        assert visitor.sign_in(name).status_code == 303
    assert visitor.who() is not None


def test_a_sign_in_while_the_provider_is_being_asked_waits_for_its_answer() -> None:
    is_up, is_asked = threading.Event(), threading.Event()

    def slow(document: dict[str, object]) -> object:
        if not is_up.is_set():
            return CLOSES
        is_asked.set()
        time.sleep(0.1)  # in the provider, which is slow to answer
        return document

    with Provider(discovery=slow) as provider, AppServer({"slow": provider}) as app, app.browser() as browser:
        is_up.set()
        assert is_asked.wait(10), "it is never asked again"
        assert browser.sign_in("slow").status_code == 303


def test_what_a_provider_said_before_it_went_down_is_enough_to_begin_with() -> None:
    with Provider() as provider, AppServer({"acme": provider}) as app, app.browser() as browser:
        deadline = time.monotonic() + 10
        while not provider.asked("jwks"):
            assert time.monotonic() < deadline, "nothing is fetched ahead of the first sign-in"
            time.sleep(0.01)
        with provider.faulty(discovery=instead(CLOSES), jwks=instead(CLOSES)):
            assert browser.sign_in().status_code == 303
        assert (provider.asked(".well-known/openid-configuration"), provider.asked("jwks")) == (1, 1)


# -- providers that are made in another way, and sound --------------------------------------------------------------

SOUND: Mapping[str, Callable[[], Provider]] = {
    "issuer_with_a_path": lambda: Provider(path="/realms/main"),
    "issuer_with_a_slash_at_its_end": lambda: Provider(path="/"),
    "post": lambda: Provider(auth_methods=("client_secret_post",)),
    "basic": lambda: Provider(auth_methods=("client_secret_basic",)),
    "basic_unsaid": lambda: Provider(
        auth_methods=("client_secret_basic",), discovery=without("token_endpoint_auth_methods_supported")
    ),
    "basic_with_signs": lambda: Provider(
        client_id="app:of/tests+1", client_secret="a:b/c+d e%20&=", auth_methods=("client_secret_basic",)
    ),
    "post_with_signs": lambda: Provider(
        client_id="app:of/tests+1", client_secret="a:b/c+d e%20&=", auth_methods=("client_secret_post",)
    ),
    "no_userinfo": lambda: Provider(lean=True, discovery=without("userinfo_endpoint")),
    "no_end_session": lambda: Provider(discovery=without("end_session_endpoint")),
    "one_key_without_kid": lambda: Provider(keys=(signing_key("RSA", None),), header=without("kid")),
    "one_key_and_a_token_without_kid": lambda: Provider(keys=(RSA,), header=without("kid")),
    "algorithms_unsaid": lambda: Provider(discovery=without("id_token_signing_alg_values_supported")),
    "keys_with_junk_between": lambda: Provider(
        jwks=lambda document: {
            "keys": [
                {"kty": "PQC", "kid": "new"},
                {"kty": "RSA", "kid": "broken"},
                "text",
                None,
                {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
                *[{**key, "x5t": "thumb", "key_ops": ["verify"]} for key in document["keys"]],
            ]
        }
    ),
    "keys_without_use": lambda: Provider(
        jwks=lambda document: {"keys": [without("use")(key) for key in document["keys"]]}
    ),
    "encryption_key_of_the_same_kid": lambda: Provider(
        jwks=lambda document: {
            "keys": [*document["keys"], {**STRANGER.as_dict(private=False), "kid": "rsa", "use": "enc"}]
        }
    ),
    "metadata_with_more": lambda: Provider(metadata={"claims_supported": ["sub"], "x": {"y": [1]}, "mtls": None}),
    "authorization_with_a_query": lambda: Provider(
        discovery=lambda document: {
            **document,
            "authorization_endpoint": f"{document['authorization_endpoint']}?tenant=1",
        }
    ),
}


@pytest.fixture(scope="module")
def varied() -> Iterator[AppServer]:
    with ExitStack() as stack:
        stands = {name: stack.enter_context(make()) for name, make in SOUND.items()}
        for name in ("rotating", "rotating_without_kid", "withdrawing"):
            stands[name] = stack.enter_context(Provider(keys=(signing_key("RSA", "old"),)))
        stands["several"] = stack.enter_context(
            Provider(keys=(signing_key("RSA", "one"), signing_key("RSA", "two")), header=without("kid"))
        )
        yield stack.enter_context(AppServer(stands))


@pytest.mark.parametrize("name", SOUND)
def test_a_provider_that_is_unusual_and_right_is_relied_on(varied: AppServer, name: str) -> None:
    with varied.browser() as browser:
        response = browser.sign_in(name)
        assert response.status_code == 303
        assert browser.person["issuer"] == varied.providers[name].issuer


def test_a_query_of_the_authorization_endpoint_is_kept(varied: AppServer) -> None:
    with varied.browser() as browser:
        browser.sign_in("authorization_with_a_query")
    assert varied.providers["authorization_with_a_query"].last("authorize").params["tenant"] == "1"


def test_a_key_that_the_provider_begins_to_use_is_accepted_at_once(varied: AppServer) -> None:
    provider = varied.providers["rotating"]
    with varied.browser() as browser:
        assert browser.sign_in("rotating").status_code == 303
        provider.keys = (signing_key("RSA", "new"), signing_key("RSA", "old"))
        asked = provider.asked("jwks")
        assert browser.sign_in("rotating").status_code == 303
        assert browser.sign_in("rotating").status_code == 303
        assert provider.asked("jwks") == asked + 1


def test_a_key_that_the_provider_withdrew_is_refused_once_that_is_known(varied: AppServer, caplog: Caplog) -> None:
    provider = varied.providers["withdrawing"]
    old = signing_key("RSA", "old")
    with varied.browser() as browser:
        assert browser.sign_in("withdrawing").status_code == 303
        provider.keys = (signing_key("RSA", "new"),)
        assert browser.sign_in("withdrawing").status_code == 303
        browser.cookies.clear()
        with provider.faulty(key=instead(old), header=but(kid="old")):
            response = browser.sign_in("withdrawing")
        assert_refused(response, browser, caplog, TokenResponseInvalid, UnknownKey)


def test_the_only_key_is_exchanged_and_tokens_name_none(varied: AppServer) -> None:
    provider = varied.providers["rotating_without_kid"]
    provider.faults = {"header": without("kid")}
    with varied.browser() as browser:
        assert browser.sign_in("rotating_without_kid").status_code == 303
        provider.keys = (signing_key("RSA", "new"),)
        assert browser.sign_in("rotating_without_kid").status_code == 303


def test_a_token_without_kid_is_refused_where_there_are_several_keys(varied: AppServer, caplog: Caplog) -> None:
    with varied.browser() as browser:
        assert_refused(browser.sign_in("several"), browser, caplog, TokenResponseInvalid, UnknownKey)
