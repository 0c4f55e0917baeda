"""When a logout token is in time, by whom it may be signed, and what is remembered of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc.jwk import Key

from auth.errors import (
    KeysUnavailable,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenNotYetValid,
    UnknownKey,
    WrongAlgorithm,
)
from auth.keys.key_set import JwksCache
from auth.people.id_token import signing_key
from auth.people.logout_token import EVENT, LONGEST_SECONDS, Logout, verify_logout_token
from auth.settings import CLOCK_SKEW
from auth.web.fetch import FetchFailed
from tests.support.clock import NOW, Clock
from tests.support.forge import KEY_OF, compact
from tests.support.forge import signing_key as private_key

pytestmark = pytest.mark.anyio

ISSUER = "https://id.acme.example"


class Issuer:
    """A provider's published keys, and one way to ask about a token that it signed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.published: list[Any] = [KEY_OF["RS256"]]
        self.reachable = True
        self.keys: JwksCache[Key] = JwksCache(f"{ISSUER}/jwks", fetch=self.fetch, parse=signing_key, now=self.clock)

    async def fetch(self, url: str) -> dict[str, Any]:
        if not self.reachable:
            raise FetchFailed("cannot be reached")
        return {"keys": [{**key.as_dict(private=False), "use": "sig"} for key in self.published]}

    async def verify(
        self, *, header: Mapping[str, object] = {}, algorithms: tuple[str, ...] = ("RS256",), **claims: object
    ) -> Logout:
        sound = {
            "iss": ISSUER,
            "aud": "the-app",
            "iat": self.clock(),
            "exp": self.clock() + 120,
            "jti": "token-1",
            "events": {EVENT: {}},
            "sub": "alice",
            **claims,
        }
        about = {"alg": "RS256", "kid": KEY_OF["RS256"].kid, "typ": "logout+jwt", **header}
        key = next((key for key in (*KEY_OF.values(), private_key("RSA", "next")) if key.kid == about["kid"]), None)
        return await verify_logout_token(
            compact(about, json.dumps(sound).encode(), key),
            keys=self.keys,
            issuer=ISSUER,
            client_id="the-app",
            algorithms=algorithms,
            now=self.clock,
        )


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


async def test_what_a_sound_token_says_is_handed_out(issuer: Issuer) -> None:
    said = await issuer.verify(sid="s-1")
    assert said == Logout(subject="alice", sid="s-1", jti="token-1", expires_at=NOW + 120)
    assert (await issuer.verify(jti="j")).sid is None


async def test_iat_may_be_ahead_by_as_much_as_clocks_differ_and_no_more(issuer: Issuer) -> None:
    assert await issuer.verify(iat=NOW + CLOCK_SKEW)
    with pytest.raises(TokenNotYetValid):
        await issuer.verify(iat=NOW + CLOCK_SKEW + 1)


async def test_exp_is_the_moment_from_which_on_a_token_is_refused(issuer: Issuer) -> None:
    assert await issuer.verify(exp=NOW + 0.5)
    with pytest.raises(TokenExpired):
        await issuer.verify(exp=NOW)


async def test_exp_is_no_further_ahead_than_a_jti_is_remembered(issuer: Issuer) -> None:
    assert await issuer.verify(exp=NOW + LONGEST_SECONDS)
    with pytest.raises(TokenInvalid):
        await issuer.verify(exp=NOW + LONGEST_SECONDS + 1)


@pytest.mark.parametrize("algorithm", ["RS256", "PS512"])
async def test_only_the_algorithm_that_is_used_is_accepted(issuer: Issuer, algorithm: str) -> None:
    assert await issuer.verify(header={"alg": algorithm}, algorithms=(algorithm,))
    with pytest.raises(WrongAlgorithm):
        await issuer.verify(header={"alg": algorithm}, algorithms=("ES256", "none", "HS256"))


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_what_is_no_signature_of_the_provider_alone_is_refused_though_it_be_listed(
    issuer: Issuer, algorithm: str
) -> None:
    with pytest.raises(TokenInvalid):
        await issuer.verify(header={"alg": algorithm}, algorithms=(algorithm,))


async def test_a_new_key_is_asked_for_at_its_first_use(issuer: Issuer) -> None:
    await issuer.verify()
    issuer.published.append(private_key("RSA", "next"))
    issuer.clock.advance(60)
    assert await issuer.verify(header={"kid": "next"})


async def test_a_key_that_is_not_published_and_keys_that_cannot_be_had_are_told_apart(issuer: Issuer) -> None:
    await issuer.verify()
    with pytest.raises(UnknownKey):
        await issuer.verify(header={"kid": "next"})
    unreachable = Issuer()
    unreachable.reachable = False
    with pytest.raises(KeysUnavailable):
        await unreachable.verify()


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "é.b.c", "x" * 16_385])
async def test_what_is_no_token_is_malformed(issuer: Issuer, token: str) -> None:
    with pytest.raises(TokenMalformed):
        await verify_logout_token(
            token, keys=issuer.keys, issuer=ISSUER, client_id="the-app", algorithms=("RS256",), now=issuer.clock
        )
