"""A logout token that is wrong in one way ends nothing; a sound one ends what it names, once."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from auth.people.logout_token import EVENT
from auth.routes.backchannel import BODY_SECONDS
from tests.support.app_server import AppServer, Browser
from tests.support.forge import KEY_OF, compact, signing_key
from tests.support.provider import CLIENT_ID, Change, Provider, but, instead, signs, without

pytestmark = [
    # joserfc warns of what it finds weak; that a weak key is refused is tested here.
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning"),
]

RSA = KEY_OF["RS256"]
FORM = "application/x-www-form-urlencoded"
HOUR = 3600
numbers = itertools.count()


@pytest.fixture(scope="module")
def acme() -> Iterator[Provider]:
    """It publishes keys for more algorithms than it announces, and announces some that are never accepted."""
    with Provider(metadata={"id_token_signing_alg_values_supported": ["RS256", "PS256", "HS256", "none"]}) as provider:
        yield provider


@pytest.fixture(scope="module")
def other() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def app(acme: Provider, other: Provider) -> Iterator[AppServer]:
    with AppServer({"acme": acme, "other": other}) as server:
        yield server


def right(what: Any) -> Any:
    return what


def logout_token(
    issuer: str, *, header: Change = right, claims: Change = right, key: Change = right, **about: object
) -> str:
    """A sound logout token about a `sub`, a `sid` or both, but for what is changed."""
    now = int(time.time())
    sound = {
        "iss": issuer,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 120,
        "jti": f"token-{next(numbers)}",
        "events": {EVENT: {}},
        **about,
    }
    changed = claims(sound)
    payload = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
    return compact(header({"alg": "RS256", "kid": RSA.kid, "typ": "logout+jwt"}), payload, key(RSA))


def post(app: AppServer, token: str, *, provider: str = "acme", **more: str) -> httpx2.Response:
    """As a provider does."""
    url = f"{app.url}/auth/{provider}/backchannel-logout"
    return httpx2.post(url, data={"logout_token": token, **more}, verify=False)


@contextmanager
def enter(app: AppServer, provider: Provider, *, name: str = "acme", **claims: object) -> Iterator[Browser]:
    """Somebody signed in, of whom the ID token says this."""
    with app.browser() as browser:
        with provider.signing_in(**claims):
            browser.sign_in(name)
        assert browser.who() is not None
        yield browser


def assert_refused(response: httpx2.Response) -> None:
    assert response.status_code == 400
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body["error"] == "invalid_request"
    assert body["error_description"]


@dataclass(frozen=True)
class Fault:
    """Where a token is wrong, and how."""

    name: str
    header: Change = right
    claims: Change = right
    key: Change = right
    expected: int = field(default=400, kw_only=True)


def claims(name: str, change: Change) -> Fault:
    return Fault(name, claims=change)


def wrong(name: str, **values: object) -> Fault:
    return claims(name, but(**values))


NOW = int(time.time())
PLAN = [
    Fault("rp-backchannel-rpinitlogout", expected=200),
    Fault("alg-none", header=but(alg="none")),
    Fault("wrong-alg", **signs("ES256")),
    Fault("another-alg-that-is-announced", **signs("PS256"), expected=200),
    claims("no-event", without("events")),
    wrong("wrong-event", events={f"{EVENT}s": {}}),
    wrong("with-nonce", nonce="a-nonce"),
    wrong("wrong-aud", aud="somebody-else"),
    wrong("wrong-iss", iss="https://accounts.example.com"),
]
"""The modules of the OpenID Foundation's plan for back-channel logout of relying parties."""
FAULTS = [
    # signature
    Fault("HS256 with the public key as its secret", header=but(alg="HS256"), key=instead(RSA.as_pem(private=False))),
    Fault("signed by a key that is not published", key=instead(signing_key("RSA", "stranger"))),
    Fault("an unknown kid", header=but(kid="nobody's")),
    Fault("a kid that is no string", header=but(kid=["rsa"])),
    Fault("no kid where there are several keys", header=without("kid")),
    Fault("the key in the header", header=but(jwk=signing_key("RSA", "stranger").as_dict(private=False))),
    Fault("alg in small letters", header=but(alg="rs256")),
    Fault("no alg", header=without("alg")),
    Fault("crit", header=but(crit=["exp"])),
    # typ
    Fault("typ of an access token", header=but(typ="at+jwt")),
    Fault("typ of a security event token", header=but(typ="secevent+jwt")),
    Fault("typ that is no string", header=but(typ=["logout+jwt"])),
    Fault("typ that is empty", header=but(typ="")),
    # iss, aud
    claims("no iss", without("iss")),
    claims("iss with a slash more", lambda sound: {**sound, "iss": f"{sound['iss']}/"}),
    wrong("iss as a list", iss=["https://accounts.example.com"]),
    claims("no aud", without("aud")),
    wrong("an empty aud", aud=[]),
    wrong("a second aud without azp", aud=[CLIENT_ID, "another"]),
    wrong("a foreign azp", azp="another"),
    # times
    claims("no iat", without("iat")),
    wrong("iat in an hour", iat=NOW + HOUR),
    wrong("iat as text", iat=str(NOW)),
    wrong("iat as true", iat=True),
    claims("no exp", without("exp")),
    wrong("exp a second ago", exp=NOW - 1),
    wrong("exp as text", exp=str(NOW + HOUR)),
    wrong("exp without end", exp=1e999),
    wrong("exp that is no number", exp=float("nan")),
    wrong("exp in a week", exp=NOW + 7 * 24 * HOUR),
    wrong("nbf in an hour", nbf=NOW + HOUR),
    # sub, sid
    claims("neither sub nor sid", without("sub")),
    wrong("an empty sub", sub=""),
    wrong("sub as a number", sub=17),
    wrong("sub as null", sub=None),
    wrong("sub as a list", sub=["alice-1"]),
    wrong("an empty sid", sid=""),
    wrong("sid as a number", sid=17),
    wrong("sid as null", sid=None),
    wrong("a sid without end", sid="x" * 2000),
    # events
    wrong("events as a list", events=[EVENT]),
    wrong("events as text", events=EVENT),
    wrong("no event at all", events={}),
    wrong("the event as text", events={EVENT: "yes"}),
    wrong("the event as null", events={EVENT: None}),
    # nonce, jti
    wrong("nonce as null", nonce=None),
    claims("no jti", without("jti")),
    wrong("an empty jti", jti=""),
    wrong("jti as a number", jti=17),
    wrong("a jti without end", jti="x" * 2000),
    # shape
    claims("claims that are a list", instead(b"[]")),
    claims("claims that are no JSON", instead(b"{")),
    claims("claims that are nested without end", instead(b'{"a":' * 2000 + b"1" + b"}" * 2000)),
]


@pytest.mark.parametrize("fault", PLAN + FAULTS, ids=lambda fault: fault.name)
def test_a_faulty_logout_token_ends_nothing(app: AppServer, acme: Provider, fault: Fault) -> None:
    with enter(app, acme, sub="alice-1") as alice:
        response = post(
            app, logout_token(acme.issuer, sub="alice-1", header=fault.header, claims=fault.claims, key=fault.key)
        )
        if fault.expected == 200:
            assert response.status_code == 200
            assert response.headers["cache-control"] == "no-store"
            assert response.content == b""
            assert alice.who() is None
        else:
            assert_refused(response)
            assert alice.who() is not None


@pytest.mark.parametrize(
    "harmless",
    [
        Fault("typ in capitals", header=but(typ="LOGOUT+JWT")),
        Fault("typ with its prefix", header=but(typ="application/logout+jwt")),
        Fault("typ as of any JWT", header=but(typ="JWT")),
        Fault("no typ", header=without("typ")),
        wrong("aud as a list", aud=[CLIENT_ID]),
        wrong("a second aud, and azp", aud=[CLIENT_ID, "another"], azp=CLIENT_ID),
        wrong("a clock half a minute ahead", iat=NOW + 30),
        wrong("a claim that nobody knows", ignored_claim={"a": [1]}),
        wrong("another event too", events={EVENT: {"reason": "x"}, "https://example.com/event": {}}),
        wrong("a jti of half a character", jti="\ud800"),
    ],
    ids=lambda fault: fault.name,
)
def test_what_the_specification_leaves_open_is_no_fault(app: AppServer, acme: Provider, harmless: Fault) -> None:
    with enter(app, acme, sub="alice-1") as alice:
        token = logout_token(
            acme.issuer, sub="alice-1", header=harmless.header, claims=harmless.claims, key=harmless.key
        )
        assert post(app, token).status_code == 200
        assert alice.who() is None


# -- what ends ----------------------------------------------------------------------------------------------------


def test_a_sub_ends_every_session_of_that_person_and_nobody_elses(
    app: AppServer, acme: Provider, other: Provider
) -> None:
    with (
        enter(app, acme, sub="bob", sid="b-1") as one,
        enter(app, acme, sub="bob") as two,
        enter(app, acme, sub="bobby") as neighbour,
        enter(app, other, name="other", sub="bob") as namesake,
    ):
        assert post(app, logout_token(acme.issuer, sub="bob")).status_code == 200
        assert (one.who(), two.who()) == (None, None)
        assert neighbour.who() and namesake.who()
        one.sign_in()
        assert one.who()


def test_a_sid_ends_that_session_alone(app: AppServer, acme: Provider, other: Provider) -> None:
    with (
        enter(app, acme, sub="carol", sid="c-1") as meant,
        enter(app, acme, sub="carol", sid="c-2") as elsewhere,
        enter(app, acme, sub="carol") as unnamed,
        enter(app, other, name="other", sub="carol", sid="c-1") as namesake,
    ):
        assert post(app, logout_token(acme.issuer, sid="c-1")).status_code == 200
        assert meant.who() is None
        assert elsewhere.who() and unnamed.who() and namesake.who()


def test_both_end_that_session_and_those_whose_sid_was_never_told(app: AppServer, acme: Provider) -> None:
    with (
        enter(app, acme, sub="dave", sid="d-1") as meant,
        enter(app, acme, sub="dave", sid="d-2") as elsewhere,
        enter(app, acme, sub="dave") as unnamed,
        enter(app, acme, sub="erin") as neighbour,
    ):
        assert post(app, logout_token(acme.issuer, sub="dave", sid="d-1")).status_code == 200
        assert (meant.who(), unnamed.who()) == (None, None)
        assert elsewhere.who() and neighbour.who()


def test_somebody_who_is_not_here_is_signed_out_as_well(app: AppServer, acme: Provider) -> None:
    assert post(app, logout_token(acme.issuer, sub="nobody we know")).status_code == 200


def test_a_token_of_one_provider_is_none_of_another(app: AppServer, acme: Provider, other: Provider) -> None:
    with enter(app, acme, sub="frank") as frank:
        assert_refused(post(app, logout_token(other.issuer, sub="frank")))
        assert_refused(post(app, logout_token(acme.issuer, sub="frank"), provider="other"))
        assert frank.who()


def test_a_token_that_was_used_ends_nothing_a_second_time(app: AppServer, acme: Provider, other: Provider) -> None:
    with enter(app, acme, sub="grace") as grace:
        token = logout_token(acme.issuer, sub="grace", claims=but(jti="once"))
        assert post(app, token).status_code == 200
        grace.sign_in()
        with acme.signing_in(sub="grace"):
            grace.sign_in()
        assert_refused(post(app, token))
        assert grace.who()
        # A jti is unique to its issuer.
        assert post(app, logout_token(other.issuer, sub="grace", claims=but(jti="once")), provider="other").is_success


def test_a_token_that_was_refused_is_not_used_up(app: AppServer, acme: Provider) -> None:
    with enter(app, acme, sub="heidi") as heidi:
        assert_refused(post(app, logout_token(acme.issuer, sub="heidi", claims=but(jti="again", nonce="x"))))
        assert post(app, logout_token(acme.issuer, sub="heidi", claims=but(jti="again"))).status_code == 200
        assert heidi.who() is None


def test_an_id_token_is_no_logout_token(app: AppServer, acme: Provider) -> None:
    with enter(app, acme, sub="ivan") as ivan:
        id_token = next(secret for secret in reversed(acme.secrets) if secret.count(".") == 2)
        assert_refused(post(app, id_token))
        assert ivan.who()


# -- the request ------------------------------------------------------------------------------------------------------


def test_values_that_are_not_understood_are_ignored(app: AppServer, acme: Provider) -> None:
    assert post(app, logout_token(acme.issuer, sub="judy"), state="x", empty="").status_code == 200


@pytest.mark.parametrize("provider", ["nobody", "ACME", "acme%2f", "..", "google"])
def test_an_unknown_provider_is_not_found(app: AppServer, acme: Provider, provider: str) -> None:
    assert post(app, logout_token(acme.issuer, sub="judy"), provider=provider).status_code == 404


def test_only_post_is_answered(app: AppServer) -> None:
    assert httpx2.get(f"{app.url}/auth/acme/backchannel-logout").status_code == 405


BODIES: Mapping[str, tuple[str, bytes]] = {
    "nothing": (FORM, b""),
    "no token": (FORM, b"logout=1"),
    "an empty token": (FORM, b"logout_token="),
    "no JWS": (FORM, b"logout_token=a.b"),
    "two tokens": (FORM, b"logout_token=TOKEN&logout_token=TOKEN"),
    "JSON": ("application/json", b'{"logout_token": "TOKEN"}'),
    "a form of many parts": ("multipart/form-data; boundary=x", b"--x--"),
    "no type": ("", b"logout_token=TOKEN"),
    "no ASCII": (FORM, b"logout_token=TOKEN&a=\xff"),
    "a thousand values": (FORM, urlencode([(f"v{n}", "") for n in range(1000)]).encode() + b"&logout_token=TOKEN"),
    "a token of 20 KB": (FORM, b"logout_token=" + b"x" * 20_000),
    "5 MB": (FORM, b"logout_token=" + b"x" * 5_000_000),
}


@pytest.mark.parametrize("kind", BODIES)
def test_what_is_no_logout_request_is_refused(app: AppServer, acme: Provider, kind: str) -> None:
    content_type, body = BODIES[kind]
    with enter(app, acme, sub="alice-1") as alice:
        body = body.replace(b"TOKEN", logout_token(acme.issuer, sub="alice-1").encode())
        headers = {"Content-Type": content_type} if content_type else {}
        response = httpx2.post(f"{app.url}/auth/acme/backchannel-logout", content=body, headers=headers)
        assert_refused(response)
        assert alice.who()


def test_a_request_without_end_is_refused_as_soon_as_it_is_too_long(app: AppServer) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", app.port), timeout=20) as connection:
        connection.sendall(
            f"POST /auth/acme/backchannel-logout HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n"
            f"Content-Type: {FORM}\r\nContent-Length: 1000000000\r\n\r\nlogout_token={'x' * 50_000}".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - begun < BODY_SECONDS / 2


def test_a_request_that_breaks_off_is_no_fault_of_ours(
    app: AppServer, caplog: pytest.LogCaptureFixture, acme: Provider
) -> None:
    with socket.create_connection(("127.0.0.1", app.port)) as connection:
        connection.sendall(
            f"POST /auth/acme/backchannel-logout HTTP/1.1\r\nHost: 127.0.0.1:{app.port}\r\n"
            f"Content-Type: {FORM}\r\nContent-Length: 1000\r\n\r\nlogout_token=".encode()
        )
    deadline = time.monotonic() + 5
    while "did not come to its end" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "Traceback" not in caplog.text


def test_the_log_says_what_was_refused_and_holds_no_token(
    app: AppServer, acme: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    token = logout_token(acme.issuer, sub="kim", claims=but(nonce="x"))
    assert_refused(post(app, token))
    (record,) = [record for record in caplog.records if "back-channel" in record.getMessage()]
    assert vars(record)["about"]["error"] == "ClaimForbidden"
    assert token not in f"{record.getMessage()} {vars(record)}"
