"""The local issuer of tokens in Cognito's shape, driven over HTTP as curl would."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount

from auth.local.cognito import LocalCognito
from auth.settings import UserPool

BASE = "http://127.0.0.1:8000"
ISSUER = f"{BASE}/local/local_pool"
CREDENTIALS = ("local-program", "local-secret")
PROGRAM = {"grant_type": "client_credentials"}
PERSON = {"grant_type": "password", "username": "ada", "password": "any"}

pytestmark = pytest.mark.anyio


@dataclass
class World:
    """The issuer and somebody who uses it. `now` is its clock."""

    http: httpx2.AsyncClient = field(init=False)
    pool: LocalCognito = field(init=False)
    now: float = 1_700_000_000.75

    def start(self, scopes: tuple[str, ...] = ()) -> LocalCognito:
        self.pool = LocalCognito(
            base_url=BASE, scopes=scopes, audiences=("https://api.example.com",), now=lambda: self.now
        )
        app = Starlette(routes=[Mount("/local", routes=self.pool.routes)])
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE)
        return self.pool

    async def ask(self, form: dict[str, str], auth: Any = CREDENTIALS) -> httpx2.Response:
        return await self.http.post("/local/oauth2/token", data=form, auth=auth)

    async def claims(self, form: dict[str, str], name: str = "access_token") -> dict[str, Any]:
        answer = await self.ask(form)
        assert answer.status_code == 200, answer.text
        keys = KeySet.import_key_set((await self.http.get(self.pool.jwks_url)).json())
        token = jwt.decode(answer.json()[name], keys, algorithms=["RS256"])
        assert set(token.header) == {"alg", "kid"}, "Cognito's tokens have no typ"
        return token.claims


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.start()
    yield world
    await world.http.aclose()


# -- what the tokens say ----------------------------------------------------------------------------------------------


async def test_a_program_gets_cognitos_machine_token(world: World) -> None:
    claims = await world.claims(PROGRAM)
    assert UUID(claims.pop("jti"))
    assert claims == {
        "sub": "local-program",
        "token_use": "access",
        "scope": "local/read",
        "auth_time": 1_700_000_000,
        "iss": ISSUER,
        "exp": 1_700_003_600,
        "iat": 1_700_000_000,
        "version": 2,
        "client_id": "local-program",
    }


async def test_a_person_gets_cognitos_access_token(world: World) -> None:
    claims = await world.claims(PERSON)
    assert all(UUID(claims.pop(name)) for name in ("jti", "origin_jti", "event_id", "sub"))
    assert claims == {
        "cognito:groups": ["local"],
        "iss": ISSUER,
        "version": 2,
        "client_id": "local-program",
        "token_use": "access",
        "scope": "aws.cognito.signin.user.admin",
        "auth_time": 1_700_000_000,
        "exp": 1_700_003_600,
        "iat": 1_700_000_000,
        "username": "ada",
    }


async def test_a_person_gets_cognitos_id_token(world: World) -> None:
    claims = await world.claims(PERSON, "id_token")
    assert all(UUID(claims.pop(name)) for name in ("jti", "origin_jti", "event_id", "sub"))
    assert claims == {
        "cognito:groups": ["local"],
        "email_verified": True,
        "iss": ISSUER,
        "cognito:username": "ada",
        "aud": "local-program",
        "token_use": "id",
        "auth_time": 1_700_000_000,
        "exp": 1_700_003_600,
        "iat": 1_700_000_000,
        "email": "ada@example.com",
    }


async def test_both_tokens_of_a_person_belong_together(world: World) -> None:
    answer = (await world.ask(PERSON)).json()
    keys = KeySet.import_key_set((await world.http.get(world.pool.jwks_url)).json())
    access, identity = (jwt.decode(answer[it], keys).claims for it in ("access_token", "id_token"))
    assert {name for name in access if access[name] == identity.get(name)} == {
        *("sub", "cognito:groups", "iss", "origin_jti", "event_id", "auth_time", "exp", "iat")
    }


@pytest.mark.parametrize("username", ["ada", "ada@example.com", "Zoë.山田", "a" * 128])
async def test_a_username_is_the_same_subject_after_a_restart(world: World, username: str) -> None:
    form = {**PERSON, "username": username}
    before = await world.claims(form)
    world.start()
    assert (await world.claims(form))["sub"] == before["sub"]
    assert before["username"] == username
    assert (await world.claims({**PERSON, "username": "another"}))["sub"] != before["sub"]


async def test_an_address_as_username_is_the_address(world: World) -> None:
    assert (await world.claims({**PERSON, "username": "ada@acme.test"}, "id_token"))["email"] == "ada@acme.test"


async def test_no_two_tokens_are_the_same(world: World) -> None:
    tokens = [(await world.ask(form)).json()["access_token"] for form in (PROGRAM, PROGRAM, PERSON, PERSON)]
    assert len(set(tokens)) == 4


# -- keys and metadata ------------------------------------------------------------------------------------------------


async def test_access_and_id_tokens_are_signed_by_different_published_keys(world: World) -> None:
    document: Any = (await world.http.get(f"{ISSUER}/.well-known/jwks.json")).json()
    first, second = (KeySet.import_key_set({"keys": [key]}) for key in document["keys"])
    answer = (await world.ask(PERSON)).json()
    assert jwt.decode(answer["access_token"], first, algorithms=["RS256"])
    assert jwt.decode(answer["id_token"], second, algorithms=["RS256"])
    forged: Any = {"keys": [{**document["keys"][1], "kid": document["keys"][0]["kid"]}]}
    with pytest.raises(BadSignatureError):
        jwt.decode(answer["access_token"], KeySet.import_key_set(forged), algorithms=["RS256"])


async def test_the_keys_look_like_cognitos_and_are_public(world: World) -> None:
    for key in (await world.http.get(world.pool.jwks_url)).json()["keys"]:
        assert set(key) == {"alg", "e", "kid", "kty", "n", "use"}
        assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", key["kid"])


async def test_the_metadata_leads_to_keys_and_tokens(world: World) -> None:
    document = (await world.http.get(f"{ISSUER}/.well-known/openid-configuration")).json()
    assert document["issuer"] == ISSUER
    assert (await world.http.get(document["jwks_uri"])).status_code == 200
    client = AsyncOAuth2Client(*CREDENTIALS, transport=world.http._transport)
    token = await client.fetch_token(document["token_endpoint"], grant_type="client_credentials")
    assert set(token) - {"expires_at"} == {"access_token", "expires_in", "token_type"}


async def test_an_app_is_told_all_it_needs_to_accept_the_tokens(world: World) -> None:
    assert world.pool.user_pool == UserPool(
        key_urls={ISSUER: f"{ISSUER}/.well-known/jwks.json"},
        client_ids=("local-program",),
        audiences=("https://api.example.com",),
    )


# -- how they are asked for -------------------------------------------------------------------------------------------


async def test_the_client_may_prove_itself_in_the_form(world: World) -> None:
    form = {**PROGRAM, "client_id": "local-program", "client_secret": "local-secret"}
    answer = await world.ask(form, auth=None)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["expires_in"] == 3600
    assert answer.json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("asked", "given"),
    [({}, "app/read app/write"), ({"scope": "app/write"}, "app/write"), ({"scope": " "}, "app/read app/write")],
    ids=str,
)
async def test_a_program_gets_the_scopes_that_it_asks_for_or_all_there_are(
    world: World, asked: dict[str, str], given: str
) -> None:
    world.start(("app/read", "app/write"))
    assert (await world.claims({**PROGRAM, **asked}))["scope"] == given


REFUSED: dict[str, tuple[dict[str, str], tuple[str, str] | None, int, str]] = {
    "nobody": (PROGRAM, None, 401, "invalid_client"),
    "wrong secret": (PROGRAM, ("local-program", "x"), 401, "invalid_client"),
    "no secret": (PROGRAM, ("local-program", ""), 401, "invalid_client"),
    "secret of other characters": (PROGRAM, ("local-program", "é"), 401, "invalid_client"),
    "unknown client": (PROGRAM, ("another", "local-secret"), 401, "invalid_client"),
    "a person for an unproved client": (PERSON, ("local-program", "x"), 401, "invalid_client"),
    "a scope there is not": ({**PROGRAM, "scope": "local/read local/write"}, CREDENTIALS, 400, "invalid_scope"),
    "no grant_type": ({}, CREDENTIALS, 400, "invalid_request"),
    "another grant_type": ({"grant_type": "authorization_code"}, CREDENTIALS, 400, "unsupported_grant_type"),
    "no username": ({"grant_type": "password", "password": "any"}, CREDENTIALS, 400, "invalid_request"),
    "no password": ({"grant_type": "password", "username": "ada"}, CREDENTIALS, 400, "invalid_request"),
    "empty username": ({**PERSON, "username": ""}, CREDENTIALS, 400, "invalid_request"),
    "username with a space": ({**PERSON, "username": "a da"}, CREDENTIALS, 400, "invalid_request"),
    "username with a control character": ({**PERSON, "username": "a\x00"}, CREDENTIALS, 400, "invalid_request"),
    "username too long": ({**PERSON, "username": "a" * 129}, CREDENTIALS, 400, "invalid_request"),
}


@pytest.mark.parametrize(("form", "auth", "status", "error"), REFUSED.values(), ids=REFUSED)
async def test_a_request_with_one_fault_gets_no_token(
    world: World, form: dict[str, str], auth: tuple[str, str] | None, status: int, error: str
) -> None:
    answer = await world.ask(form, auth)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "access_token" not in answer.json()


async def test_a_parameter_must_not_be_there_twice(world: World) -> None:
    body = "grant_type=password&username=ada&username=bob&password=any"
    answer = await world.http.post("/local/oauth2/token", content=body, auth=CREDENTIALS)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_token_is_never_given_for_an_address_alone(world: World) -> None:
    answer = await world.http.get("/local/oauth2/token", params=PROGRAM, auth=CREDENTIALS)
    assert answer.status_code == 405


async def test_keys_are_made_once_and_when_they_are_needed(world: World) -> None:
    assert "keys" not in vars(world.pool)
    first = (await world.http.get(world.pool.jwks_url)).json()
    assert (await world.http.get(world.pool.jwks_url)).json() == first
