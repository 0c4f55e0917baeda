"""The local OpenID provider, driven over HTTP as a relying party and a browser would."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2 import rfc9207
from authlib.oidc import rpinitiated
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount

from auth.errors import AuthError
from auth.local.provider import CODE_SECONDS, KEY_SECONDS, TOKEN_SECONDS, LocalProvider
from auth.settings import Settings
from auth.web.answers import Answers
from tests.support.asgi import made_pages

BASE = "http://127.0.0.1:8000"
ISSUER = f"{BASE}/local"
VERIFIER = "a-code-verifier-that-is-long-enough-for-rfc-7636"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "local-app",
    "redirect_uri": f"{BASE}/auth/local",
    "scope": "openid email profile",
    "state": "the state & more",
    "nonce": "the nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
ADA = {"person": "ada@example.com"}
BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
ABSENT = object()

pytestmark = pytest.mark.anyio


def changed(right: Mapping[str, str], changes: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in {**right, **changes}.items() if value is not ABSENT}


@dataclass
class World:
    """The provider and somebody who uses it. `now` is its clock."""

    http: httpx2.AsyncClient = field(init=False)
    provider: LocalProvider = field(init=False)
    now: float = 1_700_000_000.0

    def start(self, **settings: Any) -> LocalProvider:
        made = Settings(_env_file=None, **settings)  # type: ignore[call-arg]
        pages = made_pages(made)
        answers = Answers(made.site, pages, resources=None)
        self.provider = LocalProvider(
            base=made.base_url, pages=pages, allowed_domains=made.allowed_domains, now=lambda: self.now
        )
        app = Starlette(
            routes=[Mount("/local", routes=self.provider.routes)],
            exception_handlers={AuthError: lambda request, error: answers.to(error, request.scope)},
        )
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=urljoin(made.base_url, "/"))
        return self.provider

    @property
    def secret(self) -> str:
        return self.provider.provider.client_secret.get_secret_value()

    def client(self, **options: Any) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            "local-app",
            self.secret,
            scope="openid email profile",
            redirect_uri=ASKED["redirect_uri"],
            code_challenge_method="S256",
            transport=self.http._transport,
            **options,
        )

    async def chooser(self, **changes: Any) -> httpx2.Response:
        query = urlencode(changed(ASKED, changes))
        return await self.http.get(f"/local/authorize?{query}", headers={"Accept": "text/html"})

    async def choose(
        self, chosen: Mapping[str, str] = ADA, headers: Mapping[str, str] = BROWSER, **changes: Any
    ) -> httpx2.Response:
        query = urlencode(changed(ASKED, changes))
        return await self.http.post(f"/local/choose?{query}", data=dict(chosen), headers=dict(headers))

    async def code(self, chosen: Mapping[str, str] = ADA, **changes: Any) -> str:
        return callback(await self.choose(chosen, **changes))["code"]

    async def redeem(self, code: str, /, **changes: Any) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": ASKED["redirect_uri"],
            "code_verifier": VERIFIER,
        }
        return await self.http.post("/local/token", data=changed(form, changes), auth=("local-app", self.secret))

    async def tokens(self, **changes: Any) -> dict[str, str]:
        answer = await self.redeem(await self.code(**changes))
        assert answer.status_code == 200, answer.text
        document: dict[str, str] = answer.json()
        return document

    async def userinfo(self, token: str, scheme: str = "Bearer") -> httpx2.Response:
        return await self.http.get("/local/userinfo", headers={b"Authorization": f"{scheme} {token}".encode()})

    async def kids(self) -> list[str]:
        return [key["kid"] for key in (await self.http.get("/local/jwks.json")).json()["keys"]]

    async def claims(self, id_token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of an ID token that one of the published keys has signed."""
        keys = KeySet.import_key_set((await self.http.get("/local/jwks.json")).json())
        token = jwt.decode(id_token, keys, algorithms=["RS256"])
        return token.header, token.claims


def callback(answer: httpx2.Response) -> dict[str, str]:
    """The parameters that a redirect to the relying party carries."""
    assert answer.status_code == 303, answer.text
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == ASKED["redirect_uri"]
    return dict(parse_qsl(location.query))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.start()
    yield world
    await world.http.aclose()


# -- the whole way ----------------------------------------------------------------------------------------------------


async def test_the_metadata_is_where_discovery_looks_and_passes_authlibs_own_validation(world: World) -> None:
    document = (await world.http.get(get_well_known_url(ISSUER, external=True))).json()
    OpenIDProviderMetadata(document).validate([rpinitiated.OpenIDProviderMetadata, rfc9207.AuthorizationServerMetadata])
    assert document["issuer"] == ISSUER == world.provider.provider.issuer
    assert {document[f"{name}_endpoint"] for name in ("authorization", "token", "userinfo", "end_session")} == {
        f"{ISSUER}/{path}" for path in ("authorize", "token", "userinfo", "logout")
    }


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_authlibs_client_signs_a_person_in(world: World, method: str) -> None:
    client = world.client(token_endpoint_auth_method=method)
    url, state = client.create_authorization_url(f"{ISSUER}/authorize", nonce="n-1", code_verifier=VERIFIER)
    page = await world.http.get(url)
    action = html.unescape(re.search(r'<form method="post" action="([^"]*)"', page.text)[1])  # type: ignore[index]
    answer = await world.http.post(action, data=ADA, headers=BROWSER)
    assert callback(answer)["iss"] == ISSUER
    token = await client.fetch_token(
        f"{ISSUER}/token", authorization_response=answer.headers["location"], state=state, code_verifier=VERIFIER
    )
    userinfo = (await client.get(f"{ISSUER}/userinfo")).json()
    _, claims = await world.claims(token["id_token"])
    assert claims["nonce"] == "n-1"
    assert userinfo == {
        "sub": claims["sub"],
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "email_verified": True,
    }


async def test_the_id_token_says_who_and_nothing_about_them(world: World) -> None:
    tokens = await world.tokens()
    header, claims = await world.claims(tokens["id_token"])
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert header == {"typ": "JWT", "alg": "RS256", "kid": (await world.kids())[0]}
    assert claims == {
        "iss": ISSUER,
        "aud": "local-app",
        "sub": claims["sub"],
        "iat": int(world.now),
        "exp": int(world.now) + TOKEN_SECONDS,
        "auth_time": int(world.now),
        "nonce": "the nonce",
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


async def test_the_token_response_is_as_rfc_6749_wants_it(world: World) -> None:
    answer = await world.redeem(await world.code())
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == TOKEN_SECONDS


async def test_the_callback_carries_code_state_and_issuer(world: World) -> None:
    params = callback(await world.choose())
    assert set(params) == {"code", "state", "iss"}
    assert params["state"] == ASKED["state"]
    assert params["iss"] == ISSUER


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("openid", {"sub"}),
        ("openid email", {"sub", "email", "email_verified"}),
        ("profile openid", {"sub", "name"}),
        ("openid telepathy", {"sub"}),
    ],
)
async def test_userinfo_tells_what_the_scope_asks_for(world: World, scope: str, names: set[str]) -> None:
    tokens = await world.tokens(scope=scope)
    assert set((await world.userinfo(tokens["access_token"])).json()) == names


async def test_a_person_is_the_same_subject_after_a_restart_and_another_person_is_not(world: World) -> None:
    async def subject(person: str) -> str:
        tokens = await world.tokens(chosen={"person": person})
        return str((await world.claims(tokens["id_token"]))[1]["sub"])

    before = await subject("ada@example.com"), await subject("zoe@example.com")
    world.start()
    assert (await subject("ada@example.com"), await subject("zoe@example.com")) == before
    assert before[0] != before[1]


async def test_the_address_may_have_a_path_and_any_loopback_name(world: World) -> None:
    issuer = f"{world.start(public_url='http://app.localhost:8000/app').base}/local"
    asked = {**ASKED, "redirect_uri": "http://app.localhost:8000/app/auth/local"}
    page = await world.http.get("/local/authorize", params=asked)
    assert f'action="{issuer}/choose?' in page.text
    answer = await world.choose(redirect_uri=asked["redirect_uri"], headers={"Origin": "http://app.localhost:8000"})
    code = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["code"]
    tokens = (await world.redeem(code, redirect_uri=asked["redirect_uri"])).json()
    assert (await world.claims(tokens["id_token"]))[1]["iss"] == issuer


# -- the chooser ------------------------------------------------------------------------------------------------------


async def test_every_person_on_the_page_can_be_chosen_and_is_who_the_page_says(world: World) -> None:
    page = (await world.chooser()).text
    buttons = [html.unescape(value) for value in re.findall(r'name="person" value="([^"]*)"', page)]
    people = [
        (await world.userinfo((await world.tokens(chosen={"person": it}))["access_token"])).json() for it in buttons
    ]
    assert [person["email"] for person in people] == buttons
    assert len({person["sub"] for person in people}) == len(people) == 6
    assert sum("name" not in person for person in people) == 1
    assert sum(not person["email_verified"] for person in people) == 1
    assert [email for email in buttons if not email.endswith("@example.com")] == ["olga@example.org"]
    assert any(len(person.get("name", "")) > 80 for person in people)
    assert any(not person.get("name", "a").isascii() for person in people)


async def test_the_page_says_what_it_is_for_and_needs_nothing_from_elsewhere(world: World) -> None:
    answer = await world.chooser()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "For development only" in answer.text
    assert "<script" not in answer.text
    assert " on" not in " ".join(re.findall(r"<[^>]* on\w+=", answer.text))
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)


async def test_a_name_is_text_and_never_markup(world: World) -> None:
    page = (await world.chooser(state='"><script>alert(1)</script>')).text
    assert "&lt;花子&gt;" in page
    assert "<script" not in page
    assert "<花子>" not in page


async def test_the_page_carries_the_request_along_unchanged(world: World) -> None:
    page = await world.chooser(state="ü &=+ %2B?#", extra="x")
    actions = {html.unescape(it) for it in re.findall(r'action="([^"]*)"', page.text)}
    assert len(actions) == 1
    assert dict(parse_qsl(urlsplit(actions.pop()).query)) == {**ASKED, "state": "ü &=+ %2B?#", "extra": "x"}


async def test_a_request_may_come_by_post_from_the_relying_party(world: World) -> None:
    answer = await world.http.post("/local/authorize", data=ASKED, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert f"{ISSUER}/choose?{html.escape(urlencode(ASKED))}" in answer.text


async def test_the_people_live_in_the_allowed_domain_and_one_outside_all_of_them(world: World) -> None:
    world.start(allowed_domains=("acme.test", "example.org"))
    page = (await world.chooser()).text
    assert 'value="ada@acme.test"' in page
    assert 'value="olga@example.net"' in page


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"email": "new@example.com", "name": ""}, {"email": "new@example.com"}),
        ({"email": " new@example.com "}, {"email": "new@example.com"}),
        ({"email": "new@example.com", "name": " N.\t N. "}, {"email": "new@example.com", "name": "N. N."}),
        ({"email": "new@example.com", "name": "x" * 300}, {"email": "new@example.com", "name": "x" * 200}),
        ({"email": "ada@example.com", "name": "Another Ada"}, {"email": "ada@example.com", "name": "Another Ada"}),
    ],
)
async def test_anybody_else_can_be_named(world: World, chosen: dict[str, str], told: dict[str, str]) -> None:
    tokens = await world.tokens(chosen=chosen)
    userinfo = (await world.userinfo(tokens["access_token"])).json()
    assert userinfo == {"sub": userinfo["sub"], "email_verified": True, **told}


async def test_the_same_address_in_other_letters_is_the_same_subject(world: World) -> None:
    tokens = [await world.tokens(chosen={"email": it}) for it in ("ADA@Example.com", "ada@example.com")]
    first, second = [(await world.claims(it["id_token"]))[1]["sub"] for it in tokens]
    assert first == second


@pytest.mark.parametrize(
    "email",
    ["", " ", "ada", "@", "ada@", "@example.com", "a da@example.com", "a@b@c", "a\0@example.com", "a" * 65 + "@b.c"],
)
async def test_what_is_no_address_is_asked_for_again_and_kept_on_the_page(world: World, email: str) -> None:
    answer = await world.choose({"email": email, "name": "<b>Ada"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="&lt;b&gt;Ada"' in answer.text
    again = html.unescape(re.search(r'action="([^"]*)"', answer.text)[1])  # type: ignore[index]
    assert (await world.http.post(again, data=ADA, headers=BROWSER)).status_code == 303


@pytest.mark.parametrize("chosen", [{}, {"person": "nobody@example.com"}, {"person": ""}])
async def test_a_choice_of_nobody_signs_nobody_in(world: World, chosen: dict[str, str]) -> None:
    assert (await world.choose(chosen)).status_code == 400


async def test_cancel_tells_the_relying_party(world: World) -> None:
    params = callback(await world.choose({"cancel": "1"}))
    assert params["error"] == "access_denied"
    assert params["state"] == ASKED["state"]
    assert params["iss"] == ISSUER
    assert "code" not in params


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8001"},
        {"Referer": "http://127.0.0.1:8000.evil.example/"},
    ],
    ids=str,
)
async def test_another_websites_page_cannot_choose(world: World, headers: dict[str, str]) -> None:
    answer = await world.choose(headers={"Accept": "text/html", **headers})
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert not world.provider.codes


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": BASE}], ids=str)
async def test_the_providers_own_page_can(world: World, headers: dict[str, str]) -> None:
    assert "code" in callback(await world.choose(headers=headers))


# -- authorization requests that are refused --------------------------------------------------------------------------

TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "no PKCE": ({"code_challenge": ABSENT, "code_challenge_method": ABSENT}, "invalid_request"),
    "no code_challenge": ({"code_challenge": ABSENT}, "invalid_request"),
    "no code_challenge_method, which means plain": ({"code_challenge_method": ABSENT}, "invalid_request"),
    "plain PKCE": ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
    "PKCE by another method": ({"code_challenge_method": "S512"}, "invalid_request"),
    "code_challenge too short": ({"code_challenge": "x" * 42}, "invalid_request"),
    "code_challenge of other characters": ({"code_challenge": "é" * 43}, "invalid_request"),
    "no nonce": ({"nonce": ABSENT}, "invalid_request"),
    "empty nonce": ({"nonce": ""}, "invalid_request"),
    "no scope": ({"scope": ABSENT}, "invalid_scope"),
    "scope without openid": ({"scope": "email profile"}, "invalid_scope"),
    "scope of other letters": ({"scope": "OpenID"}, "invalid_scope"),
    "no response_type": ({"response_type": ABSENT}, "unsupported_response_type"),
    "implicit": ({"response_type": "id_token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "request object": ({"request": "e30.e30."}, "request_not_supported"),
    "request object by reference": ({"request_uri": "https://evil.example/"}, "request_uri_not_supported"),
    "prompt=none, where somebody has to choose": ({"prompt": "none"}, "login_required"),
    "prompt of contradictions": ({"prompt": "none login"}, "invalid_request"),
}
NOT_TOLD: dict[str, dict[str, Any]] = {
    "no client_id": {"client_id": ABSENT},
    "unknown client": {"client_id": "another-app"},
    "client_id of other characters": {"client_id": "é"},
    "no redirect_uri": {"redirect_uri": ABSENT},
    "redirect_uri elsewhere": {"redirect_uri": "https://evil.example/auth/local"},
    "redirect_uri with more of a path": {"redirect_uri": f"{BASE}/auth/local/more"},
    "redirect_uri with a query": {"redirect_uri": f"{BASE}/auth/local?x=1"},
    "redirect_uri on another port": {"redirect_uri": "http://127.0.0.1:8001/auth/local"},
    "redirect_uri of another name": {"redirect_uri": "http://localhost:8000/auth/local"},
    "redirect_uri of other characters": {"redirect_uri": f"{BASE}/auth/löcal\r\n"},
    "response_type of other characters": {"response_type": "cöde\n"},
}


@pytest.mark.parametrize("step", ["chooser", "choose"])
@pytest.mark.parametrize(("changes", "error"), TOLD.values(), ids=TOLD)
async def test_the_relying_party_is_told_what_is_wrong(
    world: World, step: str, changes: dict[str, Any], error: str
) -> None:
    params = callback(await getattr(world, step)(**changes))
    assert params["error"] == error
    assert params["state"] == ASKED["state"]
    assert params["iss"] == ISSUER
    assert not world.provider.codes


@pytest.mark.parametrize("step", ["chooser", "choose"])
@pytest.mark.parametrize("changes", NOT_TOLD.values(), ids=NOT_TOLD)
async def test_nobody_is_sent_where_the_client_is_not_known_to_live(
    world: World, step: str, changes: dict[str, Any]
) -> None:
    answer = await getattr(world, step)(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<h1>" in answer.text
    assert not world.provider.codes


@pytest.mark.parametrize("name", ASKED)
async def test_a_parameter_must_not_be_there_twice(world: World, name: str) -> None:
    answer = await world.http.get(f"/local/authorize?{urlencode([*ASKED.items(), (name, ASKED[name])])}")
    assert answer.status_code == 400


async def test_the_callback_that_google_would_have_is_registered_too(world: World) -> None:
    answer = await world.choose(redirect_uri=f"{BASE}/auth")
    assert answer.headers["location"].startswith(f"{BASE}/auth?code=")


# -- token requests that are refused ----------------------------------------------------------------------------------

FORM_REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no code_verifier": ({"code_verifier": ABSENT}, "invalid_request"),
    "another code_verifier": ({"code_verifier": VERIFIER[::-1]}, "invalid_grant"),
    "the code_challenge for a verifier": ({"code_verifier": CHALLENGE}, "invalid_grant"),
    "code_verifier too short": ({"code_verifier": "x"}, "invalid_request"),
    "code_verifier of other characters": ({"code_verifier": "é" * 43}, "invalid_request"),
    "no redirect_uri": ({"redirect_uri": ABSENT}, "invalid_grant"),
    "the other redirect_uri": ({"redirect_uri": f"{BASE}/auth"}, "invalid_grant"),
    "no code": ({"code": ABSENT}, "invalid_request"),
    "another code": ({"code": "x"}, "invalid_grant"),
    "no grant_type": ({"grant_type": ABSENT}, "invalid_request"),
    "another grant_type": ({"grant_type": "password", "username": "ada", "password": "x"}, "unsupported_grant_type"),
    "grant_type of other characters": ({"grant_type": "é\n"}, "unsupported_grant_type"),
}
AUTH_REFUSED: dict[str, tuple[dict[str, str], dict[str, str], int, str]] = {
    "nobody": ({}, {}, 401, "invalid_client"),
    "wrong secret": ({"Authorization": "Basic bG9jYWwtYXBwOng="}, {}, 401, "invalid_client"),
    "no secret": ({"Authorization": "Basic bG9jYWwtYXBw"}, {}, 401, "invalid_client"),
    "secret of other characters": ({"Authorization": "Basic bG9jYWwtYXBwOsOp"}, {}, 401, "invalid_client"),
    "unknown client": ({"Authorization": "Basic eDp4"}, {}, 401, "invalid_client"),
    "another scheme": ({"Authorization": "Bearer bG9jYWwtYXBwOng="}, {}, 401, "invalid_client"),
    "no base64": ({"Authorization": "Basic %"}, {}, 401, "invalid_client"),
    "base64 of no UTF-8": ({"Authorization": "Basic /w=="}, {}, 400, "invalid_request"),
    "nothing to decode": ({"Authorization": "Basic  "}, {}, 400, "invalid_request"),
    "wrong secret in the form": ({}, {"client_id": "local-app", "client_secret": "x"}, 401, "invalid_client"),
    "no secret in the form": ({}, {"client_id": "local-app"}, 401, "invalid_client"),
    "unknown client in the form": ({}, {"client_id": "x", "client_secret": "x"}, 400, "invalid_client"),
}


@pytest.mark.parametrize(("changes", "error"), FORM_REFUSED.values(), ids=FORM_REFUSED)
async def test_a_token_request_with_one_fault_gets_nothing(world: World, changes: dict[str, Any], error: str) -> None:
    answer = await world.redeem(await world.code(), **changes)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert not world.provider.tokens


@pytest.mark.parametrize(("headers", "form", "status", "error"), AUTH_REFUSED.values(), ids=AUTH_REFUSED)
async def test_a_client_that_does_not_prove_who_it_is_gets_nothing(
    world: World, headers: dict[str, str], form: dict[str, str], status: int, error: str
) -> None:
    code = await world.code()
    right = {"grant_type": "authorization_code", "redirect_uri": ASKED["redirect_uri"], "code_verifier": VERIFIER}
    answer = await world.http.post("/local/token", data={**right, "code": code, **form}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert not world.provider.tokens
    assert (await world.redeem(code)).status_code == 200, "nor can it use up somebody's code"


async def test_a_code_lives_a_minute(world: World) -> None:
    early, late = await world.code(), await world.code()
    world.now += CODE_SECONDS - 1
    assert (await world.redeem(early)).status_code == 200
    world.now += 1
    assert (await world.redeem(late)).json()["error"] == "invalid_grant"


async def test_a_code_serves_once_and_used_again_it_ends_the_token_it_gave(world: World) -> None:
    other = (await world.tokens())["access_token"]
    code = await world.code()
    token = (await world.redeem(code)).json()["access_token"]
    assert (await world.userinfo(token)).status_code == 200
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert (await world.userinfo(token)).status_code == 401
    assert (await world.userinfo(other)).status_code == 200


async def test_a_code_tried_with_the_wrong_verifier_is_used_up(world: World) -> None:
    code = await world.code()
    assert (await world.redeem(code, code_verifier=VERIFIER[::-1])).status_code == 400
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


async def test_a_code_in_the_address_is_not_looked_at(world: World) -> None:
    form = {"grant_type": "authorization_code", "redirect_uri": ASKED["redirect_uri"], "code_verifier": VERIFIER}
    query = urlencode({**form, "code": await world.code()})
    answer = await world.http.post(f"/local/token?{query}", auth=("local-app", world.secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_long_body_is_not_read_to_its_end(world: World) -> None:
    for path in ("/local/token", "/local/authorize", "/local/logout", f"/local/choose?{urlencode(ASKED)}"):
        answer = await world.http.post(path, content=b"x" * 20_000, headers=BROWSER)
        assert answer.status_code == 413


# -- access tokens ----------------------------------------------------------------------------------------------------


async def test_an_access_token_ends_when_it_said_it_would(world: World) -> None:
    token = (await world.tokens())["access_token"]
    world.now += TOKEN_SECONDS - 1
    assert (await world.userinfo(token)).status_code == 200
    world.now += 1
    assert (await world.userinfo(token)).status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "", "Bearer Bearer"])
async def test_userinfo_wants_a_bearer_token(world: World, scheme: str) -> None:
    answer = await world.userinfo((await world.tokens())["access_token"], scheme)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize("token", ["", "x", "é"])
async def test_an_unknown_access_token_is_refused(world: World, token: str) -> None:
    assert (await world.userinfo(token)).status_code == 401
    assert (await world.http.get("/local/userinfo")).status_code == 401


async def test_an_id_token_is_no_access_token(world: World) -> None:
    assert (await world.userinfo((await world.tokens())["id_token"])).status_code == 401


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.local.provider.HELD_AT_MOST", 3)
    codes = [await world.code() for _ in range(5)]
    assert list(world.provider.codes) == codes[2:]
    tokens = [(await world.tokens())["access_token"] for _ in range(5)]
    assert list(world.provider.tokens) == tokens[2:]


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_the_next_key_is_published_before_it_signs(world: World) -> None:
    before = await world.kids()
    assert len(before) == len(set(before)) == 2
    world.now += KEY_SECONDS
    header, _ = await world.claims((await world.tokens())["id_token"])
    assert header["kid"] == before[1]


async def test_a_key_is_published_for_as_long_as_what_it_signed_is_valid(world: World) -> None:
    world.now = KEY_SECONDS * 1000.0 - 1
    token = (await world.tokens())["id_token"]
    kid = (await world.claims(token))[0]["kid"]
    world.now += TOKEN_SECONDS
    assert (await world.claims(token))[0]["kid"] == kid
    assert len(await world.kids()) == 3
    world.now += KEY_SECONDS
    assert kid not in await world.kids()
    assert len(await world.kids()) == 3


async def test_after_a_long_sleep_all_keys_are_new(world: World) -> None:
    before = await world.kids()
    world.now += KEY_SECONDS * 10
    assert not set(before) & set(await world.kids())


async def test_no_private_part_is_published(world: World) -> None:
    for key in (await world.http.get("/local/jwks.json")).json()["keys"]:
        assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


# -- signing out ------------------------------------------------------------------------------------------------------

BACK = {"client_id": "local-app", "post_logout_redirect_uri": f"{BASE}/logout", "state": "s & t"}


async def test_whoever_comes_without_an_id_token_is_asked_and_led_back_with_the_state(world: World) -> None:
    answer = await world.http.get("/local/logout", params=BACK)
    assert answer.status_code == 200
    assert "Sign out of the local provider?" in answer.text
    assert f'href="{BASE}/logout?state=s+%26+t"' in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_whoever_comes_with_an_id_token_is_led_back_at_once(world: World, method: str) -> None:
    params = {**BACK, "id_token_hint": (await world.tokens())["id_token"]}
    world.now += TOKEN_SECONDS * 2
    sent = {"params": params} if method == "GET" else {"data": params}
    answer = await world.http.request(method, "/local/logout", **sent)  # type: ignore[arg-type]
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{BASE}/logout?state=s+%26+t"


@pytest.mark.parametrize(
    "changes",
    [
        {"post_logout_redirect_uri": "https://evil.example/"},
        {"post_logout_redirect_uri": f"{BASE}/logout/"},
        {"post_logout_redirect_uri": ABSENT},
        {"client_id": "another-app"},
        {"client_id": ABSENT},
    ],
    ids=["another site", "another path", "no address", "another client", "no client"],
)
async def test_nobody_is_led_to_an_address_that_is_not_registered(world: World, changes: dict[str, Any]) -> None:
    answer = await world.http.get("/local/logout", params=changed(BACK, changes))
    assert answer.status_code == 200
    assert "You are signed out" in answer.text
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "hint", ["x", "é", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJSUzI1NiIsImtpZCI6IsOpIn0.e30.AA"]
)
async def test_an_id_token_that_is_not_from_here_leads_nowhere(world: World, hint: str) -> None:
    answer = await world.http.get(
        "/local/logout", params={**BACK, "id_token_hint": hint}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 400
    assert "<h1>" in answer.text
    assert BACK["state"] not in answer.text


# -- anything at all --------------------------------------------------------------------------------------------------

GARBAGE = [
    "\0",
    "é",
    "\r\nSet-Cookie: a=b",
    '"',
    "\\",
    "%",
    "\U0001d4b3",
    "\ud800",
    "{}",
    "[" * 2000,
    "x" * 8000,
    "$(id)",
    "\u202e",
]
ENDPOINTS: dict[str, dict[str, str]] = {
    "authorize": ASKED,
    "choose": {"person": "x", "email": "x", "name": "x", "cancel": "x"},
    "token": {"grant_type": "x", "code": "x", "code_verifier": "x", "client_id": "x", "client_secret": "x"},
    "logout": {**BACK, "id_token_hint": "x", "logout_hint": "x"},
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_garbage_never_makes_the_provider_stumble(world: World, endpoint: str) -> None:
    right = ENDPOINTS[endpoint]
    for name, text in product(right, GARBAGE):
        sent = urlencode(changed(right, {name: text}), errors="surrogatepass")
        headers = {
            **BROWSER,
            "Authorization": f"Basic {base64.b64encode(text.encode(errors='surrogatepass')).decode()}",
        }
        for method, query, body in product(("GET", "POST"), (sent, urlencode(ASKED)), (sent, "")):
            answer = await world.http.request(
                method, f"/local/{endpoint}?{query}", content=body, headers=headers if endpoint == "token" else BROWSER
            )
            assert answer.status_code < 500, (name, text)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"%", b"%zz=%zz", b"=&=&=", b"a" * 100, b'{"grant_type":"x"}', b"&" * 9000]
)
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"]
)
async def test_a_body_that_is_no_form_is_refused_in_words(world: World, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = await world.http.post("/local/token", content=body, headers=headers, auth=("local-app", world.secret))
    assert answer.status_code == 400
    assert answer.json()["error"] in ("unsupported_grant_type", "invalid_request")
