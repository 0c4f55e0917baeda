"""A provider, or somebody between it and the browser, is wrong in one way at a time; whatever it is, nobody gets in."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from auth import errors
from auth.errors import (
    AuthError,
    BadSignature,
    CallbackMalformed,
    ClaimMalformed,
    ClaimMissing,
    ClientRefused,
    ConsentDenied,
    EmailUnverified,
    NotAllowed,
    ProviderMixedUp,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    SignInTimedOut,
    SignInUnknown,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenResponseInvalid,
    UnknownKey,
    UnknownProvider,
    WrongAlgorithm,
    WrongAudience,
    WrongHash,
    WrongIssuer,
    WrongNonce,
    WrongType,
)
from auth.people.provider import ANSWER_SECONDS
from tests.support.app_server import AppServer, Browser, agree, heading
from tests.support.clock import seconds_until
from tests.support.forge import KEY_OF, base64url, half_hash, signing_key
from tests.support.provider import (
    ALICE,
    CLIENT_ID,
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
    signs,
    without,
)

pytestmark = [
    # joserfc warns of what it finds weak; that a weak key is refused, and an old name accepted, is tested here.
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning"),
]

Caplog = pytest.LogCaptureFixture

HOUR = 3600
NOW = int(time.time())
RSA = KEY_OF["RS256"]
STRANGER = signing_key("RSA", "stranger")
MARKUP = "<script>alert(document.domain)</script>"
DEEP = b'{"a":' * 100_000
GZIP_BOMB = Reply(
    body=gzip.compress(b'{"padding": "' + b"x" * 50_000_000 + b'"}'),
    headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
)


# -- what every refusal has in common -------------------------------------------------------------------------------


def assert_refused(
    response: httpx2.Response,
    browser: Browser,
    caplog: Caplog,
    error: type[AuthError] | tuple[type[AuthError], ...] = SignInError,
    cause: type[AuthError] | None = None,
    secrets: Mapping[str, Provider] | None = None,
) -> None:
    """A page that a person can read and go on from, one line that an operator can use, and nobody signed in."""
    assert_page(response, error)
    logged = assert_logged(caplog, error, cause)
    for provider in (secrets or {}).values():
        for secret in (*provider.secrets, provider.client_secret):
            assert secret not in logged, "the log holds a secret"
    assert browser.who() is None


def assert_page(response: httpx2.Response, error: type[AuthError] | tuple[type[AuthError], ...]) -> None:
    assert 400 <= response.status_code < 600 and response.status_code != 500, heading(response)
    assert response.headers["content-type"].startswith("text/html")
    assert "no-store" in response.headers["cache-control"]
    assert "Traceback" not in response.text and MARKUP not in response.text
    assert re.search(r'href="[^"]*/login', response.text), "the page offers no other try"
    assert (response.status_code, heading(response)) in {(leaf.status, leaf.title) for leaf in leaves(error)}


def assert_logged(
    caplog: Caplog, error: type[AuthError] | tuple[type[AuthError], ...], cause: type[AuthError] | None
) -> str:
    """The one line.

    Returns:
        Everything that any logger was given, to be searched for what must not be there.
    """
    ours = [record for record in caplog.records if record.name.partition(".")[0] == "auth"]
    # Beside it may stand what the app found out by itself about the provider, and told nobody.
    (line,) = [record for record in ours if "error" in vars(record).get("about", ()) or record.exc_info]
    about: Mapping[str, Any] = vars(line)["about"]
    assert issubclass(getattr(errors, about["error"]), error), f"{about} {line.getMessage()}"
    if cause:
        assert issubclass(getattr(errors, about.get("cause", "AuthError")), cause), f"{about} {line.getMessage()}"
    assert len(line.getMessage()) < 1000
    assert line.getMessage().isprintable(), "whoever reads the log as text is misled by it"
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "uvicorn.access"))]
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in ours)


def leaves(error: type[AuthError] | tuple[type[AuthError], ...]) -> Iterator[type[AuthError]]:
    for base in error if isinstance(error, tuple) else (error,):
        yield base
        yield from leaves(tuple(base.__subclasses__()))


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: Caplog) -> None:
    caplog.set_level(logging.INFO)


def refuse(
    name: str,
    error: type[AuthError] | tuple[type[AuthError], ...] = TokenResponseInvalid,
    cause: type[AuthError] | None = None,
    **faults: Change,
) -> object:
    return pytest.param(faults, error, cause, id=name)


def accept(name: str, **faults: Change) -> object:
    return pytest.param(faults, id=name)


def token(name: str, cause: type[AuthError], **faults: Change) -> object:
    """A fault of the ID token; `cause` is the check that it fails."""
    return refuse(name, TokenResponseInvalid, cause, **faults)


def claim(name: str, cause: type[AuthError], **changes: object) -> object:
    return token(name, cause, claims=but(**changes))


def sealed(key: object, **header: object) -> dict[str, Change]:
    """Signed with another key, or under another header."""
    return {"key": instead(key), "header": but(**header)}


def part(number: int, change: Callable[[str], str]) -> Change:
    """Of the finished token, change the header (0), the payload (1) or the signature (2)."""

    def changed(whole: str) -> str:
        parts = whole.split(".")
        parts[number] = change(parts[number])
        return ".".join(parts)

    return changed


def flip(text: str) -> str:
    """One bit of the first byte."""
    return ("B" if text[0] == "A" else "A") + text[1:]


# -- the ID token ---------------------------------------------------------------------------------------------------

PUBLIC_PEM = RSA.as_pem(private=False)

SIGNATURES = [
    token("signed-by-another-key-under-the-right-kid", BadSignature, key=instead(STRANGER)),
    token("signed-by-a-key-that-is-not-published", UnknownKey, **sealed(STRANGER, kid="stranger")),
    token("kid-of-another-key-of-the-provider", TokenInvalid, **sealed(RSA, kid="p256")),
    token("kid-empty", TokenInvalid, header=but(kid="")),
    token("kid-number", TokenInvalid, header=but(kid=1)),
    token("kid-list", TokenInvalid, header=but(kid=["rsa"])),
    token("kid-object", TokenInvalid, header=but(kid={"rsa": 1})),
    token("kid-path", UnknownKey, header=but(kid="../../../../dev/null")),
    token("kid-missing-among-several-keys", TokenInvalid, header=without("kid")),
    token("signature-changed", BadSignature, id_token=part(2, flip)),
    token("signature-empty", TokenInvalid, id_token=part(2, lambda _: "")),
    token("signature-of-zeros", BadSignature, id_token=part(2, lambda _: "A" * 342)),
    token("payload-changed", TokenInvalid, id_token=part(1, flip)),
    token("payload-exchanged", BadSignature, id_token=part(1, lambda _: base64url(b'{"sub":"mallory"}'))),
    token("alg-none", WrongAlgorithm, header=but(alg="none")),
    token("alg-None", WrongAlgorithm, header=but(alg="None")),
    token("alg-NONE", WrongAlgorithm, header=but(alg="NONE")),
    token("alg-empty", WrongAlgorithm, header=but(alg="")),
    token("alg-null", TokenInvalid, header=but(alg=None)),
    token("alg-missing", TokenInvalid, header=without("alg")),
    token("alg-number", TokenInvalid, header=but(alg=256)),
    token("alg-list", TokenInvalid, header=but(alg=["RS256"])),
    token("alg-lower-case", WrongAlgorithm, header=but(alg="rs256")),
    token("alg-of-another-family", TokenInvalid, header=but(alg="ES256"), key=instead(KEY_OF["ES256"])),
    token("alg-of-another-family-by-the-same-key", BadSignature, id_token=lambda whole: re_headed(whole, alg="PS256")),
    token("HS256-with-the-client-secret", WrongAlgorithm, **sealed(CLIENT_SECRET.encode(), alg="HS256")),
    token("HS512-with-the-client-secret", WrongAlgorithm, **sealed(CLIENT_SECRET.encode(), alg="HS512")),
    token("HS256-with-the-public-key-as-PEM", WrongAlgorithm, **sealed(PUBLIC_PEM, alg="HS256")),
    token("HS256-with-the-public-key-as-PEM-stripped", WrongAlgorithm, **sealed(PUBLIC_PEM.strip(), alg="HS256")),
    token(
        "HS256-with-the-public-key-as-JSON",
        WrongAlgorithm,
        **sealed(json.dumps(RSA.as_dict(private=False)).encode(), alg="HS256"),
    ),
    token("HS256-with-nothing", WrongAlgorithm, **sealed(b"", alg="HS256")),
    token("key-in-the-header", TokenInvalid, **sealed(STRANGER, jwk=STRANGER.as_dict(private=False))),
    token("key-in-the-header-alone", TokenInvalid, key=instead(STRANGER), header=lambda header: embedded(header)),
    token("address-of-keys-in-the-header", TokenInvalid, **sealed(STRANGER, jku="http://127.0.0.1:1/jwks")),
    token("certificate-in-the-header", TokenInvalid, **sealed(STRANGER, x5c=["MIIB"])),
    token("critical-header-unknown", TokenInvalid, header=but(crit=["exp"], exp=NOW + HOUR)),
    token("critical-header-b64", TokenInvalid, header=but(crit=["b64"], b64=False)),
    token("typ-of-an-access-token", WrongType, header=but(typ="at+jwt")),
    token("typ-of-a-logout-token", WrongType, header=but(typ="logout+jwt")),
    token("typ-number", TokenInvalid, header=but(typ=1)),
]


def re_headed(whole: str, **changes: object) -> str:
    """The same payload and signature under another header."""
    header, payload, signature = whole.split(".")
    padded = header + "=" * (-len(header) % 4)
    changed = {**json.loads(base64.urlsafe_b64decode(padded)), **changes}
    return f"{base64url(json.dumps(changed).encode())}.{payload}.{signature}"


def embedded(header: Mapping[str, object]) -> dict[str, object]:
    return {"alg": header["alg"], "jwk": STRANGER.as_dict(private=False)}


FORMS = [
    token("empty", TokenInvalid, id_token=instead("")),
    token("not-a-token", TokenInvalid, id_token=instead("signed-in")),
    token("two-parts", TokenInvalid, id_token=lambda whole: whole.rpartition(".")[0]),
    token("four-parts", TokenInvalid, id_token=lambda whole: f"{whole}.AAAA"),
    token("five-parts", TokenInvalid, id_token=lambda whole: f"{whole}.AAAA.AAAA"),
    token("blank-before", TokenInvalid, id_token=lambda whole: f" {whole}"),
    token("newline-after", TokenInvalid, id_token=lambda whole: f"{whole}\n"),
    token("padded", TokenInvalid, id_token=lambda whole: f"{whole}="),
    token("header-not-json", TokenInvalid, id_token=part(0, lambda _: base64url(b"{alg:RS256}"))),
    token("header-list", TokenInvalid, id_token=part(0, lambda _: base64url(b'["RS256"]'))),
    token("header-null", TokenInvalid, id_token=part(0, lambda _: base64url(b"null"))),
    token("header-deep", TokenInvalid, id_token=part(0, lambda _: base64url(DEEP))),
    token("header-not-utf-8", TokenInvalid, id_token=part(0, lambda _: base64url(b'{"alg":"RS256","kid":"\xff"}'))),
    token("payload-not-json", TokenInvalid, claims=instead(b"{sub:alice}")),
    token("payload-list", TokenInvalid, claims=instead(b'[{"sub":"alice"}]')),
    token("payload-string", TokenInvalid, claims=instead(b'"alice"')),
    token("payload-null", TokenInvalid, claims=instead(b"null")),
    token("payload-empty", TokenInvalid, claims=instead(b"")),
    token("payload-deep", TokenInvalid, claims=instead(DEEP[:10_000])),
    token("payload-very-deep", TokenInvalid, claims=instead(DEEP)),
    token("payload-not-utf-8", TokenInvalid, claims=instead(b'{"sub":"\xff\xfe"}')),
    token("payload-huge", TokenInvalid, claims=but(padding="x" * 2_000_000)),
]

CLAIMS = [
    claim("iss-another", WrongIssuer, iss="https://accounts.example.com"),
    token("iss-with-a-slash-at-the-end", WrongIssuer, claims=lambda claims: {**claims, "iss": f"{claims['iss']}/"}),
    token("iss-in-upper-case", WrongIssuer, claims=lambda claims: {**claims, "iss": claims["iss"].upper()}),
    token("iss-without-scheme", WrongIssuer, claims=lambda claims: {**claims, "iss": claims["iss"][7:]}),
    token("iss-in-a-list", TokenInvalid, claims=lambda claims: {**claims, "iss": [claims["iss"]]}),
    claim("iss-number", TokenInvalid, iss=1),
    claim("iss-empty", TokenInvalid, iss=""),
    claim("iss-null", TokenInvalid, iss=None),
    token("iss-missing", TokenInvalid, claims=without("iss")),
    claim("aud-another", WrongAudience, aud="another-app"),
    claim("aud-beginning-with-ours", WrongAudience, aud=f"{CLIENT_ID}-2"),
    claim("aud-within-ours", WrongAudience, aud=CLIENT_ID[:-1]),
    claim("aud-in-upper-case", WrongAudience, aud=CLIENT_ID.upper()),
    claim("aud-empty-text", TokenInvalid, aud=""),
    claim("aud-empty-list", TokenInvalid, aud=[]),
    claim("aud-null", TokenInvalid, aud=None),
    claim("aud-number", TokenInvalid, aud=1),
    claim("aud-object", TokenInvalid, aud={CLIENT_ID: True}),
    claim("aud-list-in-a-list", TokenInvalid, aud=[[CLIENT_ID]]),
    token("aud-missing", TokenInvalid, claims=without("aud")),
    claim("aud-foreign-and-azp-ours", WrongAudience, aud="another-app", azp=CLIENT_ID),
    claim("aud-list-foreign-and-azp-ours", WrongAudience, aud=["another-app"], azp=CLIENT_ID),
    claim("aud-with-a-second-and-no-azp", WrongAudience, aud=[CLIENT_ID, "another-app"]),
    claim("aud-with-a-second-first-and-no-azp", WrongAudience, aud=["another-app", CLIENT_ID]),
    claim("aud-with-a-number-beside", TokenInvalid, aud=[CLIENT_ID, 1]),
    claim("azp-foreign", WrongAudience, azp="another-app"),
    claim("azp-foreign-with-a-second-audience", WrongAudience, aud=[CLIENT_ID, "another-app"], azp="another-app"),
    claim("azp-in-a-list", TokenInvalid, azp=[CLIENT_ID]),
    claim("azp-empty", TokenInvalid, azp=""),
    claim("azp-number", TokenInvalid, azp=1),
    claim("azp-null-with-a-second-audience", TokenInvalid, aud=[CLIENT_ID, "another-app"], azp=None),
    claim("exp-past", TokenExpired, exp=NOW - HOUR),
    claim("exp-past-by-five-minutes", TokenExpired, exp=NOW - 300),
    claim("exp-zero", TokenExpired, exp=0),
    claim("exp-negative", TokenExpired, exp=-1),
    claim("exp-text", TokenInvalid, exp=str(NOW + HOUR)),
    claim("exp-true", TokenInvalid, exp=True),
    claim("exp-null", TokenInvalid, exp=None),
    claim("exp-list", TokenInvalid, exp=[NOW + HOUR]),
    claim("exp-nan", TokenInvalid, exp=math.nan),
    claim("exp-infinite", TokenInvalid, exp=math.inf),
    token("exp-beyond-any-number", TokenInvalid, claims=lambda claims: beyond(claims, "exp")),
    token("exp-missing", TokenInvalid, claims=without("exp")),
    claim("iat-in-an-hour", TokenNotYetValid, iat=NOW + HOUR, exp=NOW + 2 * HOUR),
    claim("iat-text", ClaimMalformed, iat=str(NOW)),
    claim("iat-true", ClaimMalformed, iat=True),
    claim("iat-null", TokenInvalid, iat=None),
    claim("iat-nan", TokenInvalid, iat=math.nan),
    token("iat-missing", ClaimMissing, claims=without("iat")),
    claim("nbf-in-an-hour", TokenNotYetValid, nbf=NOW + HOUR, exp=NOW + 2 * HOUR),
    claim("nbf-null", TokenInvalid, nbf=None),
    claim("nbf-text", ClaimMalformed, nbf=str(NOW)),
    claim("nbf-true", ClaimMalformed, nbf=True),
    claim("nbf-list", ClaimMalformed, nbf=[NOW]),
    claim("nonce-another", WrongNonce, nonce="n" * 22),
    claim("nonce-empty", TokenInvalid, nonce=""),
    claim("nonce-null", TokenInvalid, nonce=None),
    claim("nonce-number", TokenInvalid, nonce=1),
    token("nonce-in-a-list", TokenInvalid, claims=lambda claims: {**claims, "nonce": [claims["nonce"]]}),
    token("nonce-cut", WrongNonce, claims=lambda claims: {**claims, "nonce": claims["nonce"][:-1]}),
    token("nonce-missing", TokenInvalid, claims=without("nonce")),
    claim("at-hash-of-another-token", WrongHash, at_hash=half_hash("another")),
    claim("at-hash-empty", TokenInvalid, at_hash=""),
    claim("at-hash-null", TokenInvalid, at_hash=None),
    claim("at-hash-number", TokenInvalid, at_hash=1),
    token("at-hash-in-a-list", TokenInvalid, claims=lambda claims: {**claims, "at_hash": [claims["at_hash"]]}),
    claim("sub-empty", TokenInvalid, sub=""),
    claim("sub-null", TokenInvalid, sub=None),
    claim("sub-number", TokenInvalid, sub=1),
    claim("sub-list", TokenInvalid, sub=["alice-1"]),
    claim("sub-object", TokenInvalid, sub={"id": "alice-1"}),
    claim("sub-true", TokenInvalid, sub=True),
    claim("sub-of-256-characters", TokenInvalid, sub="s" * 256),
    claim("sub-not-ascii", TokenInvalid, sub="ålice"),
    claim("sub-with-a-control-character", TokenInvalid, sub="alice\x00"),
    token("sub-missing", TokenInvalid, claims=without("sub")),
]


def beyond(claims: Mapping[str, object], name: str) -> bytes:
    """A number that no float holds, which a JSON parser may take for infinity."""
    return json.dumps({**claims, name: "beyond"}).replace('"beyond"', "1e999").encode()


@pytest.mark.parametrize(("faults", "error", "cause"), [*SIGNATURES, *FORMS, *CLAIMS])
def test_an_id_token_that_is_wrong_in_one_way_lets_nobody_in(
    browser: Browser,
    acme: Provider,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    faults: Mapping[str, Change],
    error: type[AuthError],
    cause: type[AuthError],
) -> None:
    with acme.faulty(**faults):
        response = browser.sign_in()
    assert_refused(response, browser, caplog, error, cause, providers)


def test_an_id_token_of_another_tab_lets_nobody_in(browser: Browser, acme: Provider, caplog: Caplog) -> None:
    other = dict(parse_qsl(urlsplit(browser.begin()).query))
    with acme.faulty(claims=but(nonce=other["nonce"])):
        response = browser.sign_in()
    assert_refused(response, browser, caplog, TokenResponseInvalid, WrongNonce)


# -- the token response ---------------------------------------------------------------------------------------------

NOT_SAID = (ProviderUnavailable, ProviderRefused, TokenResponseInvalid)
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
    refuse("not-json", NOT_SAID, userinfo=instead(Reply(body=b"name=Alice"))),
    refuse("html", NOT_SAID, userinfo=instead(HTML)),
    refuse("nothing", NOT_SAID, userinfo=instead(Reply())),
    refuse("list", NOT_SAID, userinfo=lambda answer: json_reply([answer])),
    refuse("list-of-pairs", NOT_SAID, userinfo=lambda answer: json_reply(list(answer.items()))),
    refuse("null", NOT_SAID, userinfo=instead(json_reply(None))),
    refuse("deep", NOT_SAID, userinfo=instead(Reply(body=DEEP))),
    refuse("500", NOT_SAID, userinfo=lambda answer: json_reply(answer, 500)),
    refuse("401", NOT_SAID, userinfo=lambda answer: json_reply(answer, 401)),
    refuse("403", NOT_SAID, userinfo=instead(json_reply({"error": "insufficient_scope"}, 403))),
    refuse("connection-closed", ProviderUnavailable, userinfo=instead(CLOSES)),
    refuse("elsewhere", NOT_SAID, userinfo=instead(Reply(status=302, headers={"Location": "/jwks"}))),
    refuse("compressed-50-megabytes", NOT_SAID, userinfo=instead(GZIP_BOMB)),
]


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


def test_huge_userinfo_is_not_read_to_its_end(
    browser: Browser, providers: Mapping[str, Provider], caplog: Caplog
) -> None:
    lean = providers["lean"]
    lean.cut_short.clear()
    with lean.faulty(userinfo=huge):
        response = browser.sign_in("lean")
    assert_refused(response, browser, caplog, NOT_SAID)
    assert seconds_until(lambda: lean.cut_short == ["userinfo"]) < 10


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


GUEST = "guest@elsewhere.example"


# -- who may enter --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def members(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """An app for people of example.com, and for one guest."""
    with AppServer(providers, allowed_domains="example.com", allowed_emails=GUEST) as app:
        yield app


ADMITTED = [
    pytest.param({"email_verified": True}, id="verified"),
    pytest.param({"email_verified": "true"}, id="verified-as-text"),
    pytest.param({"email": "Alice@Example.COM"}, id="in-another-case"),
    pytest.param({"email": GUEST}, id="listed-by-address"),
]

NOT_ADMITTED = [
    pytest.param({"email_verified": False}, EmailUnverified, id="unverified"),
    pytest.param({"email_verified": "false"}, EmailUnverified, id="unverified-as-text"),
    pytest.param({"email_verified": 1}, EmailUnverified, id="verified-1"),
    pytest.param({"email_verified": "1"}, EmailUnverified, id="verified-1-as-text"),
    pytest.param({"email_verified": "True"}, EmailUnverified, id="verified-True-as-text"),
    pytest.param({"email_verified": "yes"}, EmailUnverified, id="verified-yes"),
    pytest.param({"email_verified": [True]}, EmailUnverified, id="verified-in-a-list"),
    pytest.param({"email_verified": {"example.com": True}}, EmailUnverified, id="verified-in-an-object"),
    pytest.param({"email_verified": ""}, EmailUnverified, id="verified-empty"),
    pytest.param({"email_verified": None}, EmailUnverified, id="verified-missing"),
    pytest.param(
        {"email": "guest@elsewhere.example", "email_verified": False}, EmailUnverified, id="listed-unverified"
    ),
    pytest.param({"email": "other@elsewhere.example"}, NotAllowed, id="beside-the-one-listed"),
    pytest.param({"email": "alice@sub.example.com"}, NotAllowed, id="subdomain"),
    pytest.param({"email": "alice@notexample.com"}, NotAllowed, id="domain-ending-alike"),
    pytest.param({"email": "alice@example.com.evil.example"}, NotAllowed, id="domain-beginning-alike"),
    pytest.param({"email": "alice@example.com."}, NotAllowed, id="domain-with-a-dot"),
    pytest.param({"email": "alice@exаmple.com"}, NotAllowed, id="domain-in-other-letters"),  # noqa: RUF001
    pytest.param({"email": "alice@example.com@evil.example"}, NotAllowed, id="two-at-signs"),
    pytest.param({"email": "alice@evil.example@example.com"}, NotAllowed, id="two-at-signs-ours-last"),
    pytest.param({"email": "alice@evil.example, bob@example.com"}, NotAllowed, id="two-addresses"),
    pytest.param({"email": "alice@evil.example\n@example.com"}, NotAllowed, id="line-break"),
    pytest.param({"email": "alice@example.com\x00"}, NotAllowed, id="nul"),
    pytest.param({"email": "@example.com"}, NotAllowed, id="nobody-at"),
    pytest.param({"email": "example.com"}, NotAllowed, id="domain-alone"),
    pytest.param({"email": ""}, NotAllowed, id="empty"),
    pytest.param({"email": None}, NotAllowed, id="missing"),
    pytest.param({"email": ["alice@example.com"]}, NotAllowed, id="in-a-list"),
    pytest.param({"email": 1}, NotAllowed, id="number"),
]


@pytest.mark.parametrize("provider", ["acme", "lean"])
@pytest.mark.parametrize("claims", ADMITTED)
def test_a_verified_address_in_the_domain_lets_in(
    members: AppServer, providers: Mapping[str, Provider], claims: dict[str, object], provider: str
) -> None:
    with members.browser() as browser, providers[provider].signing_in(**claims):
        assert browser.sign_in(provider).status_code == 303
        assert browser.who() is not None


@pytest.mark.parametrize("provider", ["acme", "lean"])
@pytest.mark.parametrize(("claims", "error"), NOT_ADMITTED)
def test_any_other_address_is_told_that_it_may_not_enter(
    members: AppServer,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    claims: dict[str, object],
    error: type[AuthError],
    provider: str,
) -> None:
    with members.browser() as browser, providers[provider].signing_in(**claims):
        assert_refused(browser.sign_in(provider), browser, caplog, error)


def test_the_verification_of_one_address_does_not_count_for_another(
    members: AppServer, acme: Provider, caplog: Caplog
) -> None:
    """The ID token has an address and says nothing of it; userinfo has another one, verified."""
    faults = {"claims": without("email_verified", "name"), "userinfo": but(email="mallory@evil.example")}
    with members.browser() as browser, acme.faulty(**faults):
        assert_refused(browser.sign_in(), browser, caplog, EmailUnverified)
