from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from auth.errors import (
    BadSignature,
    ClaimMalformed,
    ClaimMissing,
    TokenExpired,
    TokenInvalid,
    TokenNotYetValid,
    UnknownKey,
    WrongAudience,
    WrongClient,
    WrongIssuer,
    WrongTokenUse,
)
from auth.identity import Identity
from auth.programs import verifier as cognito
from auth.programs.verifier import CognitoVerifier, cognito_verifier
from auth.providers import pool_issuers
from auth.settings import Settings
from tests.support.clock import NOW, Clock
from tests.support.forge import (
    CLIENT_ID,
    HEADER,
    ID_TOKEN,
    ISSUER,
    KID,
    NEIGHBOUR,
    PERSON,
    PROGRAM,
    UPDATED_ISSUER,
    jwk,
    key,
    loaded,
    pool_jwks,
    token,
    verifier,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> CognitoVerifier:
    return verifier(now=clock)


# -- whom a token names -----------------------------------------------------------------------------------------------


def test_a_token_with_a_username_names_a_person(tokens: CognitoVerifier) -> None:
    assert tokens.verify_now(token()) == Identity(
        username="ada",
        issuer=ISSUER,
        subject="a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
        kind="person",
        expires_at=NOW + 3600,
        scopes=("aws.cognito.signin.user.admin", "openid", "profile"),
        groups=("admin", "readers"),
    )


def test_a_token_without_a_username_names_a_program_by_its_client(tokens: CognitoVerifier) -> None:
    assert tokens.verify_now(token(PROGRAM)) == Identity(
        username=CLIENT_ID,
        issuer=ISSUER,
        subject=CLIENT_ID,
        kind="program",
        expires_at=NOW + 3600,
        scopes=("local/read", "local/write"),
    )


@pytest.mark.parametrize(("claim", "shown"), [("Ada", "Ada"), (1, None), (None, None), (["Ada"], None), ({}, None)])
def test_a_name_and_an_email_are_shown_if_they_are_text(tokens: CognitoVerifier, claim: Any, shown: str | None) -> None:
    identity = tokens.verify_now(token({**PERSON, "name": claim, "email": claim}))

    assert (identity.name, identity.email) == (shown, shown)


def test_a_token_without_scopes_has_none(tokens: CognitoVerifier) -> None:
    assert tokens.verify_now(token({**PERSON, "scope": ""})).scopes == ()


def test_an_identity_ends_with_the_second_in_which_its_token_does(tokens: CognitoVerifier) -> None:
    assert tokens.verify_now(token({**PERSON, "exp": NOW + 9.9})).expires_at == NOW + 9


# -- what an error says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "leaf", "line"),
    [
        ({"iss": NEIGHBOUR}, WrongIssuer, f"iss; expected ['{ISSUER}', '{UPDATED_ISSUER}'], got '{NEIGHBOUR}'"[:120]),
        ({"token_use": "id"}, WrongTokenUse, "token_use; expected ['access'], got 'id'"),
        ({"client_id": "x"}, WrongClient, f"client_id; expected ['{CLIENT_ID}'], got 'x'"),
        ({"aud": "x"}, WrongAudience, "aud; expected ['https://api.example.com'], got ['x']"),
        ({"exp": NOW - 1}, TokenExpired, f"exp; expected 'later than {NOW}', got {NOW - 1}.0"),
        ({"nbf": NOW + 61}, TokenNotYetValid, f"nbf; expected 'at most {NOW + 60}', got {NOW + 61}.0"),
        ({"iat": NOW + 61}, TokenNotYetValid, f"iat; expected 'at most {NOW + 60}', got {NOW + 61}.0"),
        ({"sub": 1}, ClaimMalformed, "Expected `str`, got `int` - at `$.sub`"),
        ({"cognito:groups": [1]}, ClaimMalformed, "Expected `str`, got `int` - at `$.cognito:groups[0]`"),
    ],
)
def test_an_error_says_what_came_and_what_was_expected(
    changes: dict[str, Any], leaf: type[TokenInvalid], line: str
) -> None:
    with pytest.raises(leaf) as caught:
        verifier(audiences=["https://api.example.com"]).verify_now(token({**PERSON, **changes}))
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize("member", ["alg", "typ", "kid"])
def test_a_header_member_of_a_wrong_type_is_told_by_its_type(tokens: CognitoVerifier, member: str) -> None:
    with pytest.raises(TokenInvalid, match=r"got 'list'$"):
        tokens.verify_now(token(header={**HEADER, member: [["RS256"]]}))


@pytest.mark.parametrize("claim", ["iss", "token_use", "exp", "client_id", "sub"])
def test_a_claim_that_is_missing_is_named(tokens: CognitoVerifier, claim: str) -> None:
    with pytest.raises(ClaimMissing, match=f"^{claim} is missing$"):
        tokens.verify_now(token({name: value for name, value in PERSON.items() if name != claim}))


def test_an_id_token_is_told_that_it_is_no_api_credential(tokens: CognitoVerifier) -> None:
    with pytest.raises(WrongTokenUse) as caught:
        tokens.verify_now(token(ID_TOKEN))
    assert "ID token is no API credential" in caught.value.sentence


# -- rules that are set -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "leaf"),
    [({"exp": NOW}, TokenExpired), ({"nbf": NOW + 61}, TokenNotYetValid), ({"iat": NOW + 61}, TokenNotYetValid)],
)
def test_the_issuers_clock_may_be_a_minute_ahead_and_what_has_ended_has_ended(
    tokens: CognitoVerifier, changes: dict[str, int], leaf: type[TokenInvalid]
) -> None:
    ((name, beyond),) = changes.items()
    within = beyond + (1 if name == "exp" else -1)

    assert tokens.verify_now(token({**PERSON, name: within})).username == "ada"
    with pytest.raises(leaf):
        tokens.verify_now(token({**PERSON, name: beyond}))


def test_any_audience_is_accepted_where_none_is_set(tokens: CognitoVerifier) -> None:
    assert tokens.verify_now(token({**PERSON, "aud": "https://anything.example"})).username == "ada"


def test_each_issuer_has_its_own_keys() -> None:
    tokens = verifier()
    theirs = {**PERSON, "iss": UPDATED_ISSUER}
    updated, their_key = {**HEADER, "kid": "updated"}, key("the pool's updated issuer")

    assert tokens.verify_now(token(theirs, updated, private=their_key)).issuer == UPDATED_ISSUER
    with pytest.raises(UnknownKey):
        tokens.verify_now(token(PERSON, updated, private=their_key))


# -- tokens seen before -----------------------------------------------------------------------------------------------


def test_a_token_seen_before_is_not_verified_again_for_five_minutes(tokens: CognitoVerifier, clock: Clock) -> None:
    text = token()
    first = tokens.verify_now(text)

    clock.now += 299
    assert tokens.verify_now(text) is first
    clock.now += 1
    again = tokens.verify_now(text)
    assert again == first
    assert again is not first


def test_a_token_seen_before_is_refused_when_it_expires(tokens: CognitoVerifier, clock: Clock) -> None:
    text = token({**PERSON, "exp": NOW + 10})
    tokens.verify_now(text)
    clock.now += 9
    assert tokens.is_still_valid(text)

    clock.now += 1
    assert not tokens.is_still_valid(text)
    with pytest.raises(TokenExpired):
        tokens.verify_now(text)


def test_a_token_seen_before_is_checked_anew_when_the_clock_is_set_back(tokens: CognitoVerifier, clock: Clock) -> None:
    text = token()
    tokens.verify_now(text)

    clock.now -= 180
    with pytest.raises(TokenNotYetValid):
        tokens.verify_now(text)


def test_a_token_seen_before_with_another_signature_is_another_token(tokens: CognitoVerifier) -> None:
    text = token()
    tokens.verify_now(text)
    other = token(private=key("an intruder")).rpartition(".")[2]

    with pytest.raises(BadSignature):
        tokens.verify_now(f"{text.rpartition('.')[0]}.{other}")


def test_a_refusal_is_not_remembered(tokens: CognitoVerifier, clock: Clock) -> None:
    text = token({**PERSON, "nbf": NOW + 61})
    assert not tokens.is_still_valid(text)

    clock.now += 1
    assert tokens.is_still_valid(text)


def test_so_many_tokens_are_remembered_and_no_more(tokens: CognitoVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cognito, "REMEMBERED_TOKENS", 3)
    texts = [token({**PERSON, "jti": str(number)}) for number in range(7)]
    first = tokens.verify_now(texts[0])

    for text in texts[1:6]:
        tokens.verify_now(text)
        assert tokens.verify_now(texts[0]) is first
    tokens.verify_now(texts[6])
    assert tokens.verify_now(texts[0]) is not first


def test_so_many_headers_are_remembered_and_others_read(
    tokens: CognitoVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cognito, "REMEMBERED_HEADERS", 2)

    for number in range(4):
        assert tokens.verify_now(token(header={**HEADER, "x": number})).username == "ada"
    assert len(tokens._kids) == 2


def test_what_is_handed_out_cannot_be_changed(tokens: CognitoVerifier) -> None:
    identity = tokens.verify_now(token())

    with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
        identity.scopes = ("admin",)  # type: ignore[misc]
    assert isinstance(identity.scopes, tuple) and isinstance(identity.groups, tuple)


# -- from the settings ------------------------------------------------------------------------------------------------


async def no_fetch(url: str) -> dict[str, Any]:
    raise AssertionError("nothing is fetched before it is needed")


def configured(**settings: Any) -> CognitoVerifier | None:
    pool = Settings.model_validate(settings).user_pool
    return cognito_verifier(pool, fetch=no_fetch) if pool else None


def test_without_an_app_client_there_is_no_verifier() -> None:
    assert configured() is None


def test_a_pool_has_its_two_documented_issuers_each_with_its_own_keys() -> None:
    tokens = configured(cognito_region="eu-west-1", cognito_pool_id="eu-west-1_AbCdEf123", cognito_client_ids="a, b")

    assert tokens is not None
    assert {issuer: keys.url for issuer, keys in tokens.key_sets.items()} == {
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123": (
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123/.well-known/jwks.json"
        ),
        "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123": (
            "https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123/.well-known/jwks.json"
        ),
    }


@pytest.mark.parametrize("pool_id", ["us-east-1_aaaaaaaaa", "local_6qFnGfvD", "us-gov-west-1_x", "eu_Multi-2_Z9"])
def test_a_pool_id_of_any_form_is_taken_as_it_is(pool_id: str) -> None:
    assert [issuer.rpartition("/")[2] for issuer in pool_issuers("us-east-1", pool_id)] == [pool_id, pool_id]


def test_an_issuer_that_is_set_replaces_both() -> None:
    tokens = configured(
        cognito_issuer="http://127.0.0.1:9229/local_1",
        cognito_region="eu-west-1",
        cognito_pool_id="eu-west-1_AbCdEf123",
        cognito_client_ids="a",
    )

    assert tokens is not None
    ((issuer, keys),) = tokens.key_sets.items()
    assert (issuer, keys.url) == (
        "http://127.0.0.1:9229/local_1",
        "http://127.0.0.1:9229/local_1/.well-known/jwks.json",
    )


def test_a_key_address_that_is_set_is_one_set_for_every_issuer() -> None:
    tokens = configured(
        cognito_jwks_url="https://mirror.example/jwks.json",
        cognito_region="eu-west-1",
        cognito_pool_id="eu-west-1_AbCdEf123",
        cognito_client_ids="a",
    )

    assert tokens is not None
    first, second = tokens.key_sets.values()
    assert first is second
    assert first.url == "https://mirror.example/jwks.json"


@pytest.mark.anyio
async def test_the_clients_and_audiences_are_those_of_the_settings() -> None:
    async def fetch(url: str) -> dict[str, Any]:
        return pool_jwks()

    settings = Settings.model_validate(
        {"cognito_issuer": ISSUER, "cognito_client_ids": CLIENT_ID, "api_audience": "https://api.example.com"}
    )
    assert settings.user_pool is not None
    tokens = cognito_verifier(settings.user_pool, fetch=fetch, now=Clock())

    assert (await tokens.verify(token({**PERSON, "aud": ["https://api.example.com"]}))).username == "ada"
    with pytest.raises(WrongAudience):
        await tokens.verify(token({**PERSON, "aud": ["https://other.example.com"]}))
    with pytest.raises(WrongClient):
        await tokens.verify(token({**PERSON, "client_id": "another"}))
    with pytest.raises(TokenExpired):
        await tokens.verify(token({**PERSON, "exp": NOW}))


def test_a_set_that_holds_one_kid_twice_has_the_last() -> None:
    keys = loaded(ISSUER, {"keys": [jwk(KID, key("an older one")), *pool_jwks()["keys"]]})

    assert verifier(key_sets={ISSUER: keys}).is_still_valid(token())
