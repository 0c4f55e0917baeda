"""The way of a sign-in through the browser, wrong in one way at a time and right in many."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from auth.errors import (
    AuthError,
    CallbackMalformed,
    ClientRefused,
    ConsentDenied,
    ProviderMixedUp,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    SignInTimedOut,
    SignInUnknown,
    TokenResponseInvalid,
    UnknownProvider,
)
from tests.people.support import (
    HOUR,
    MARKUP,
    NOW,
    Caplog,
    accept,
    assert_logged,
    assert_page,
    assert_refused,
    refuse,
)
from tests.support.app_server import AppServer, Browser, agree
from tests.support.forge import KEY_OF
from tests.support.provider import (
    ALICE,
    CLIENT_ID,
    CLOSES,
    Change,
    Provider,
    but,
    instead,
    signs,
    without,
)

pytestmark = [
    # joserfc warns of what it finds weak; that a weak key is refused, and an old name accepted, is tested here.
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning"),
]

# -- the callback itself --------------------------------------------------------------------------------------------

Pairs = list[tuple[str, object]]


def having(**params: object) -> Change:
    """These parameters, in place of those of the same name."""
    return lambda pairs: [(name, value) for name, value in pairs if name not in params] + list(params.items())


def lacking(*names: str) -> Change:
    return lambda pairs: [(name, value) for name, value in pairs if name not in names]


def twice(name: str, second: object = None) -> Change:
    """The parameter once more, with the same value or another."""
    return lambda pairs: [*pairs, (name, dict(pairs)[name] if second is None else second)]


def changing(name: str, change: Callable[[str], str]) -> Change:
    return lambda pairs: having(**{name: change(dict(pairs)[name])})(pairs)


def both(first: Change, second: Change) -> Change:
    return lambda pairs: second(first(pairs))


def failed(error: object, **params: object) -> Change:
    """An error response (RFC 6749 section 4.1.2.1) instead of a code."""
    return both(lacking("code"), having(error=error, **params))


CALLBACKS = [
    refuse("no-code", CallbackMalformed, callback=lacking("code")),
    refuse("code-empty", CallbackMalformed, callback=having(code="")),
    refuse("code-unknown", ProviderRefused, callback=having(code="guessed")),
    refuse("code-long", SignInError, callback=having(code="c" * 20_000)),
    refuse("code-with-line-breaks", SignInError, callback=having(code="c\r\nX-Evil: 1")),
    refuse("code-twice", CallbackMalformed, callback=twice("code")),
    refuse("code-and-another", CallbackMalformed, callback=twice("code", "another")),
    refuse("no-state", (SignInUnknown, CallbackMalformed), callback=lacking("state")),
    refuse("state-empty", (SignInUnknown, CallbackMalformed), callback=having(state="")),
    refuse("state-unknown", SignInUnknown, callback=having(state="s" * 22)),
    refuse(
        "state-in-upper-case", SignInUnknown, callback=lambda pairs: having(state=dict(pairs)["state"].upper())(pairs)
    ),
    refuse("state-cut", SignInUnknown, callback=lambda pairs: having(state=dict(pairs)["state"][:-1])(pairs)),
    refuse("state-long", SignInUnknown, callback=having(state="s" * 20_000)),
    refuse("state-not-utf-8", SignInUnknown, callback=having(state=b"\xff\xfe")),
    refuse("state-with-nul", SignInUnknown, callback=having(state="\x00")),
    refuse("state-named-like-a-method", SignInUnknown, callback=having(state="__class__")),
    refuse("state-twice", CallbackMalformed, callback=twice("state")),
    refuse("state-and-another", CallbackMalformed, callback=twice("state", "s" * 22)),
    refuse("nothing-at-all", (SignInUnknown, CallbackMalformed), callback=instead([])),
    refuse("iss-of-another", ProviderMixedUp, callback=having(iss="https://accounts.example.com")),
    refuse("iss-with-a-slash", ProviderMixedUp, callback=changing("iss", lambda issuer: f"{issuer}/")),
    refuse("iss-empty", ProviderMixedUp, callback=having(iss="")),
    refuse("iss-missing", ProviderMixedUp, callback=lacking("iss")),
    refuse("iss-twice", CallbackMalformed, callback=twice("iss")),
    refuse("iss-and-another", CallbackMalformed, callback=twice("iss", "https://accounts.example.com")),
    refuse("iss-of-another-with-an-error", ProviderMixedUp, callback=failed("access_denied", iss="https://x.example")),
    refuse("denied", ConsentDenied, callback=failed("access_denied")),
    refuse("denied-and-a-code", SignInError, callback=having(error="access_denied")),
    refuse("denied-twice", CallbackMalformed, callback=lambda pairs: twice("error")(failed("access_denied")(pairs))),
    refuse(
        "denied-without-state", SignInError, callback=lambda pairs: lacking("state")(failed("access_denied")(pairs))
    ),
    refuse("error-server", ProviderRefused, callback=failed("server_error")),
    refuse("error-busy", ProviderUnavailable, callback=failed("temporarily_unavailable")),
    refuse("error-client", ClientRefused, callback=failed("unauthorized_client")),
    refuse("error-scope", ProviderRefused, callback=failed("invalid_scope")),
    refuse("error-login-required", ProviderRefused, callback=failed("login_required")),
    refuse("error-and-a-code", SignInError, callback=having(error="server_error")),
    refuse("error-empty", SignInError, callback=failed("")),
    refuse("error-empty-and-a-code", SignInError, callback=having(error="")),
    refuse("error-markup", ProviderRefused, callback=failed(MARKUP)),
    refuse("error-long", ProviderRefused, callback=failed("e" * 20_000)),
    refuse("error-with-line-breaks", ProviderRefused, callback=failed("a\r\nlevel=INFO\x1b[2J")),
    refuse("error-description-markup", ProviderRefused, callback=failed("server_error", error_description=MARKUP)),
    refuse(
        "error-description-quoted-markup",
        ProviderRefused,
        callback=failed("server_error", error_description=f'">{MARKUP}', error_uri=f"javascript:'{MARKUP}'"),
    ),
]


@pytest.mark.parametrize(("faults", "error", "cause"), CALLBACKS)
def test_a_callback_that_is_wrong_in_one_way_lets_nobody_in(
    browser: Browser,
    acme: Provider,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    faults: Mapping[str, Change],
    error: type[AuthError],
    cause: None,
) -> None:
    with acme.faulty(**faults):
        callback = agree(browser.begin())
    response = browser.come_back(callback)
    assert_refused(response, browser, caplog, error, cause, providers)
    for name in ("state", "code"):
        for value in parse_qs(urlsplit(callback).query).get(name, []):
            assert len(value) < 20 or value not in "".join(f"{vars(r)}" for r in caplog.records if r.name == "auth")


def test_an_iss_that_was_not_announced_must_be_right_too(
    browser: Browser, providers: Mapping[str, Provider], caplog: Caplog
) -> None:
    with providers["quiet"].faulty(callback=having(iss="https://accounts.example.com")):
        response = browser.sign_in("quiet")
    assert_refused(response, browser, caplog, ProviderMixedUp)


def test_a_callback_of_another_browser_lets_nobody_in(app: AppServer, browser: Browser, caplog: Caplog) -> None:
    with app.browser() as attacker:
        planted = agree(attacker.begin())
    assert_refused(browser.come_back(planted), browser, caplog, SignInUnknown)


def test_a_code_of_another_browser_lets_nobody_in(app: AppServer, browser: Browser, caplog: Caplog) -> None:
    with app.browser() as victim:
        stolen = dict(parse_qsl(urlsplit(agree(victim.begin())).query))
    own = agree(browser.begin())
    response = browser.come_back(own.replace(dict(parse_qsl(urlsplit(own).query))["code"], stolen["code"]))
    assert_refused(response, browser, caplog, ProviderRefused)


def test_a_sign_in_begun_with_one_provider_cannot_end_at_another(browser: Browser, caplog: Caplog) -> None:
    callback = agree(browser.begin("acme"))
    assert_refused(browser.come_back(callback.replace("/auth/acme", "/auth/lean")), browser, caplog, SignInUnknown)


def test_cookies_cleared_half_way_end_in_a_page(browser: Browser, caplog: Caplog) -> None:
    callback = agree(browser.begin())
    browser.cookies.clear()
    assert_refused(browser.come_back(callback), browser, caplog, SignInUnknown)


def test_a_sign_in_that_took_too_long_ends_in_a_page(browser: Browser, caplog: Caplog) -> None:
    callback = agree(browser.begin())
    browser.session = aged(browser.session, seconds=HOUR)
    assert_refused(browser.come_back(callback), browser, caplog, SignInTimedOut)


def test_a_sign_in_that_took_some_minutes_is_fine(browser: Browser) -> None:
    callback = agree(browser.begin())
    browser.session = aged(browser.session, seconds=600)
    assert browser.come_back(callback).status_code == 303
    assert browser.who() is not None


def aged(session: Mapping[str, Any], *, seconds: int) -> dict[str, object]:
    """The session as if every sign-in in it had begun so much earlier."""
    begun = {
        state: [part - seconds if isinstance(part, int | float) else part for part in sign_in]
        for state, sign_in in session["begun"].items()
    }
    return {**session, "begun": begun}


def test_reloading_the_callback_says_that_it_is_used_and_ends_nothing(browser: Browser, caplog: Caplog) -> None:
    callback = agree(browser.begin())
    assert browser.come_back(callback).status_code == 303
    caplog.clear()
    assert_page(browser.come_back(callback), SignInUnknown)
    assert_logged(caplog, SignInUnknown, None)
    assert browser.who() is not None


def test_a_callback_that_failed_cannot_be_tried_again(browser: Browser, acme: Provider, caplog: Caplog) -> None:
    callback = agree(browser.begin())
    with acme.faulty(token=instead(CLOSES)):
        assert_page(browser.come_back(callback), ProviderUnavailable)
    caplog.clear()
    assert_refused(browser.come_back(callback), browser, caplog, SignInUnknown)


def test_a_sign_in_that_fails_leaves_the_session_there_was(browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    with acme.signing_in(sub="bob-1", name="Bob"), acme.faulty(claims=but(nonce="n" * 22)):
        assert_page(browser.sign_in(), TokenResponseInvalid)
    assert browser.person["subject"] == "alice-1"


def test_two_tabs_sign_in_at_once(browser: Browser) -> None:
    first, second = agree(browser.begin(next="/gradio/?tab=1")), agree(browser.begin(next="/gradio/?tab=2"))
    for callback, wanted in ((second, "/gradio/?tab=2"), (first, "/gradio/?tab=1")):
        response = browser.come_back(callback)
        assert response.status_code == 303
        assert response.headers["location"].endswith(wanted)
        assert browser.who() is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_callback_answers_get_alone(browser: Browser, method: str) -> None:
    callback = agree(browser.begin())
    response = browser.request(method, callback)
    assert response.status_code == 405
    assert browser.who() is None
    assert browser.come_back(callback).status_code == 303, "it used up the sign-in"


@pytest.mark.parametrize("path", ["/auth/nobody", "/auth", "/login?provider=nobody", "/login?provider=", "/auth/ACME"])
def test_a_provider_that_is_not_configured_is_a_readable_404(browser: Browser, caplog: Caplog, path: str) -> None:
    response = browser.get(path, headers={"Sec-Fetch-Site": "cross-site"})
    if path == "/login?provider=":
        assert response.status_code == 303, "as if none was named"
        return
    assert_refused(response, browser, caplog, UnknownProvider)


# -- what must go on working ----------------------------------------------------------------------------------------

ACCEPTED = [
    *[accept(f"signed-with-{algorithm}", **signs(algorithm)) for algorithm in KEY_OF],
    accept("typ-missing", header=without("typ")),
    accept("typ-in-lower-case", header=but(typ="jwt")),
    accept("aud-in-a-list", claims=but(aud=[CLIENT_ID])),
    accept("aud-with-a-second-and-azp-ours", claims=but(aud=["another-app", CLIENT_ID], azp=CLIENT_ID)),
    accept("azp-ours", claims=but(azp=CLIENT_ID)),
    accept("at-hash-missing", claims=without("at_hash")),
    accept("nbf-past", claims=but(nbf=NOW - 60)),
    accept("times-with-fractions", claims=but(exp=NOW + HOUR + 0.5, iat=NOW + 0.25)),
    accept("issued-a-few-seconds-ahead-of-our-clock", claims=lambda claims: {**claims, "iat": claims["iat"] + 20}),
    accept("claims-of-every-type", claims=but(address={"country": "NL"}, groups=["a", 1], middle_name=None, age=7.5)),
    accept("token-type-in-lower-case", token=but(token_type="bearer")),
    accept("token-type-in-upper-case", token=but(token_type="BEARER")),
    accept("expires-in-missing", token=without("expires_in")),
    accept("expires-in-as-text", token=but(expires_in="3600")),
    accept("scope-missing", token=without("scope")),
    accept("refresh-token-too", token=but(refresh_token="r", session_state="s")),
    accept("callback-with-more", callback=having(scope="openid email", authuser="0", prompt="none", session_state="s")),
    accept("name-number", claims=but(name=42)),
    accept("name-object", claims=but(name={"given": "Alice"})),
    accept("picture-script", claims=but(picture="javascript:alert(1)")),
    accept("picture-number", claims=but(picture=1)),
    accept("email-list", claims=but(email=["alice@example.com"])),
    accept("sub-of-255-characters", claims=but(sub="s" * 255)),
    accept("sub-with-signs", claims=but(sub="auth0|5f1 ~/#?%&\"'<>")),
]


@pytest.mark.parametrize("faults", ACCEPTED)
def test_an_answer_that_is_unusual_and_right_is_accepted(
    browser: Browser, acme: Provider, faults: Mapping[str, Change]
) -> None:
    with acme.faulty(**faults):
        response = browser.sign_in()
    assert response.status_code == 303
    person = browser.person
    assert person["issuer"] == acme.issuer and person["kind"] == "person"
    assert person["username"] and all(
        person[name] is None or isinstance(person[name], str) for name in ("name", "email")
    )
    assert person["picture"] in (None, ALICE["picture"])


def test_the_identity_is_what_the_provider_says(browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    person = browser.person
    assert person.pop("expires_at") == pytest.approx(time.time() + 8 * HOUR, abs=60)
    assert person == {
        "username": "alice-1",
        "name": "Alice Example",
        "email": "alice@example.com",
        "picture": "https://people.example.com/alice.png",
        "issuer": acme.issuer,
        "subject": "alice-1",
        "kind": "person",
        "scopes": [],
        "groups": [],
        "client": None,
    }


def test_what_the_id_token_lacks_is_read_from_userinfo(browser: Browser, providers: Mapping[str, Provider]) -> None:
    browser.sign_in("lean")
    assert {name: browser.person[name] for name in ("subject", "name", "email", "picture")} == {
        "subject": "alice-1",
        "name": "Alice Example",
        "email": "alice@example.com",
        "picture": "https://people.example.com/alice.png",
    }


@pytest.mark.parametrize("missing", ["name", "email"])
def test_one_claim_missing_from_the_id_token_is_read_from_userinfo(
    browser: Browser, acme: Provider, missing: str
) -> None:
    with acme.faulty(claims=without(missing)):
        browser.sign_in()
    assert browser.person[missing] == ALICE[missing]


def test_userinfo_does_not_overrule_the_id_token(browser: Browser, acme: Provider) -> None:
    with acme.faulty(claims=without("email"), userinfo=but(name="Mallory", iss="https://evil.example", exp=0)):
        browser.sign_in()
    assert browser.person["name"] == "Alice Example"
    assert browser.person["issuer"] == acme.issuer


def test_userinfo_is_not_asked_when_nothing_is_missing(browser: Browser, acme: Provider) -> None:
    asked = acme.asked("userinfo")
    browser.sign_in()
    assert acme.asked("userinfo") == asked


def test_a_person_of_whom_nothing_is_said_has_a_username(browser: Browser, providers: Mapping[str, Provider]) -> None:
    with providers["lean"].signing_in(name=None, email=None, picture=None, email_verified=None):
        browser.sign_in("lean")
    assert browser.person["username"] == "alice-1"
    assert browser.person["name"] is None


def test_a_name_is_text_whatever_is_in_it(browser: Browser, acme: Provider) -> None:
    with acme.signing_in(name=f"{MARKUP} {{{{7*7}}}} ${{7*7}}"):
        browser.sign_in()
    assert browser.person["name"] == f"{MARKUP} {{{{7*7}}}} ${{7*7}}"
    assert MARKUP not in browser.get("/gradio/").text


def test_an_iss_that_was_not_announced_and_is_right_is_accepted(
    browser: Browser, providers: Mapping[str, Provider]
) -> None:
    quiet = providers["quiet"]
    with quiet.faulty(callback=having(iss=quiet.issuer)):
        assert browser.sign_in("quiet").status_code == 303
    assert browser.sign_in("quiet").status_code == 303, "none is right as well"


def test_the_authorization_request_has_what_protects_it(app: AppServer, browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    first = acme.last("authorize").params
    browser.sign_in()
    second = acme.last("authorize").params
    assert set(first["scope"].split()) == {"openid", "email", "profile"}
    assert first["redirect_uri"] == f"{app.url}/auth/acme"
    for fresh in ("state", "nonce", "code_challenge"):
        assert len(first[fresh]) >= 22 and first[fresh] != second[fresh]
    assert len({first["state"], first["nonce"], first["code_challenge"]}) == 3
    assert len(acme.last("token").params["code_verifier"]) >= 43


def test_the_code_is_redeemed_by_post_with_the_clients_own_credentials(browser: Browser, acme: Provider) -> None:
    browser.sign_in()
    exchange = acme.last("token")
    assert exchange.headers["authorization"].startswith("Basic ")
    assert "client_secret" not in exchange.params, "one way of authenticating, not two (RFC 6749 section 2.3)"
