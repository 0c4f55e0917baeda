"""An ID token that is wrong in one way at a time; whatever it is, nobody gets in."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import pytest

from auth.errors import (
    AuthError,
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    TokenResponseInvalid,
    UnknownKey,
    WrongAlgorithm,
    WrongAudience,
    WrongHash,
    WrongIssuer,
    WrongNonce,
    WrongType,
)
from tests.people.support import (
    DEEP,
    HOUR,
    NOW,
    RSA,
    STRANGER,
    Caplog,
    assert_refused,
    claim,
    flip,
    part,
    sealed,
    token,
)
from tests.support.app_server import Browser
from tests.support.forge import KEY_OF, base64url, half_hash
from tests.support.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    Change,
    Provider,
    but,
    instead,
    without,
)

pytestmark = [
    # joserfc warns of what it finds weak; that a weak key is refused, and an old name accepted, is tested here.
    pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning"),
    pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning"),
]

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
