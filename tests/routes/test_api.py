"""Routes of one's own, guarded by what `auth` has for them, and the two that the app brings along."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security

import auth.assembly
from auth import Auth, Identity, JWTAuthorizationCredentials, JWTBearer, require_identity
from auth.errors import TokenUnwanted
from auth.keys.jwk import RS256Key
from auth.programs.verifier import CognitoVerifier
from auth.routes.api import api_routes
from auth.routes.login import login_routes
from tests.support.app_server import Browser
from tests.support.clock import NOW, Clock
from tests.support.forge import CLIENT_ID, COGNITO, ISSUER, PERSON, PROGRAM, pool_jwks, token
from tests.support.settings import ACME, signed_cookie, sound_settings

CLAIMS = {
    "text": "äöü ✓",
    "empty": "",
    "list": ["a", 1, None, ["b"]],
    "object": {"a": {"b": [1, 2]}},
    "number": 1.5,
    "large": 2**60,
    "yes": True,
    "nothing": None,
    "cognito:groups": ["admin", "readers"],
}


async def username(identity: Annotated[Identity, Depends(require_identity)]) -> str:
    return identity.username


def own_routes() -> APIRouter:
    """As an app has them: a router for programs with one below it, and a route for everybody with an identity."""
    reports = APIRouter(prefix="/reports", dependencies=[Depends(JWTBearer())])
    yearly = APIRouter(prefix="/yearly", dependencies=[Security(JWTBearer())])

    @reports.get("/")
    async def listed() -> list[str]:
        return ["yearly"]

    @reports.post("/")
    async def made(name: Annotated[str, Depends(username)]) -> str:
        return name

    @yearly.get("/{year}", dependencies=[Depends(JWTBearer())])
    async def of_year(year: int, found: Annotated[JWTAuthorizationCredentials, Depends(JWTBearer())]) -> dict[str, Any]:
        claims = deepcopy(found.claims)
        found.claims["sub"] = "somebody else"
        found.claims["cognito:groups"].append("owners")
        return claims

    reports.include_router(yearly)
    routes = APIRouter()
    routes.include_router(reports)

    @routes.get("/caller")
    async def caller(identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
        return identity

    @routes.get("/greeting")
    async def greeting(name: Annotated[str, Depends(username)]) -> str:
        return f"Hello, {name}"

    return routes


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Auth:
    async def fetch(_: object, url: str) -> dict[str, Any]:
        assert url.startswith("https://")
        return pool_jwks()

    monkeypatch.setattr(auth.assembly, "fetch_json", fetch)
    return Auth(sound_settings(**COGNITO), now=Clock())


def steps(parts: Auth) -> APIRouter:
    return login_routes(
        site=parts.site,
        pages=parts.pages,
        providers=parts.providers,
        sessions=parts.sessions,
        cookies=parts.step_cookies,
        admit=parts.admit,
        home=parts.home,
        now=parts.now,
    )


@pytest.fixture
def client(parts: Auth) -> httpx2.AsyncClient:
    app = FastAPI()
    parts.identify_callers(app)
    app.include_router(api_routes(scopes=parts.settings.api_scopes))
    app.include_router(own_routes())
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=parts.settings.base_url)


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """How often a token was looked at, and how often a signature was calculated."""
    counted = {"tokens": 0, "signatures": 0}
    verify_now, has_signed = CognitoVerifier.verify_now, RS256Key.has_signed

    def counting(self: CognitoVerifier, text: str, *first: Callable[[Identity], None]) -> Identity:
        counted["tokens"] += 1
        return verify_now(self, text, *first)

    def checking(self: RS256Key, digest: bytes, signature: bytes) -> bool:
        counted["signatures"] += 1
        return has_signed(self, digest, signature)

    monkeypatch.setattr(CognitoVerifier, "verify_now", counting)
    monkeypatch.setattr(RS256Key, "has_signed", checking)
    yield counted


def bearer(claims: Mapping[str, Any] = PERSON) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(claims)}"}


def cookie(parts: Auth) -> dict[str, str]:
    session: dict[str, Any] = {}
    parts.sessions.begin(session, ACME.name, {"sub": "ada-1", "name": "Ada"})
    return {"Cookie": signed_cookie(parts.settings, session)}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/reports/"), ("POST", "/reports/"), ("GET", "/reports/yearly/7")]
)
async def test_a_router_for_programs_takes_a_token_and_nothing_else(parts, client, method: str, path: str) -> None:
    assert (await client.request(method, path, headers=bearer())).status_code == 200
    for headers in ({}, cookie(parts), cookie(parts) | {"Authorization": "Bearer x"}):
        assert (await client.request(method, path, headers=headers)).status_code == 401


@pytest.mark.anyio
@pytest.mark.parametrize(("claims", "name"), [(PERSON, "ada"), (PROGRAM, CLIENT_ID)], ids=["person", "program"])
async def test_a_handler_is_handed_the_username(
    client: httpx2.AsyncClient, claims: Mapping[str, Any], name: str
) -> None:
    assert (await client.post("/reports/", headers=bearer(claims))).json() == name
    assert (await client.get("/greeting", headers=bearer(claims))).json() == f"Hello, {name}"


@pytest.mark.anyio
async def test_a_person_who_signed_in_is_one_too_where_both_may_come(parts: Auth, client: httpx2.AsyncClient) -> None:
    assert (await client.get("/greeting", headers=cookie(parts))).json() == "Hello, ada-1"
    assert (await client.get("/greeting")).status_code == 401


@pytest.mark.anyio
async def test_claims_of_every_type_come_as_they_are(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/reports/yearly/2024", headers=bearer({**PERSON, **CLAIMS}))
    assert answer.json() == {**PERSON, **CLAIMS}
    assert {name: type(answer.json()[name]) for name in CLAIMS} == {name: type(value) for name, value in CLAIMS.items()}


@pytest.mark.anyio
async def test_what_a_handler_does_to_the_claims_reaches_nobody_else(client: httpx2.AsyncClient) -> None:
    headers = bearer({**PERSON, **CLAIMS})
    first = await client.get("/reports/yearly/2024", headers=headers)
    assert (await client.get("/reports/yearly/2024", headers=headers)).json() == first.json()
    me = (await client.get("/user/me", headers=headers)).json()
    assert (me["subject"], me["groups"]) == (PERSON["sub"], ["admin", "readers"])


@pytest.mark.anyio
async def test_routers_and_a_route_and_a_handler_that_all_ask_cost_one_verification(
    client: httpx2.AsyncClient, verifications: dict[str, int]
) -> None:
    headers = bearer()
    await client.get("/greeting", headers=bearer(PROGRAM))  # loads the keys
    verifications |= {"tokens": 0, "signatures": 0}
    assert (await client.get("/reports/yearly/2024", headers=headers)).status_code == 200
    assert verifications == {"tokens": 1, "signatures": 1}
    assert (await client.get("/reports/yearly/2024", headers=headers)).status_code == 200
    assert verifications == {"tokens": 2, "signatures": 1}


@pytest.mark.anyio
async def test_who_is_calling_is_shown_with_every_member_there_is(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/user/me", headers=bearer())).json() == {
        "username": "ada",
        "name": None,
        "email": None,
        "picture": None,
        "issuer": ISSUER,
        "subject": PERSON["sub"],
        "kind": "person",
        "scopes": ["aws.cognito.signin.user.admin", "openid", "profile"],
        "groups": ["admin", "readers"],
        "client": None,
        "expires_at": NOW + 3600,
    }
    program = (await client.get("/user/me", headers=bearer(PROGRAM))).json()
    assert (program["kind"], program["username"]) == ("program", CLIENT_ID)


@pytest.mark.anyio
async def test_a_route_for_programs_says_so_to_who_is_signed_in(parts: Auth, client: httpx2.AsyncClient) -> None:
    """A page load is not sent to sign in: whoever has done that would be sent there for ever."""
    assert (await client.get("/secure", headers=bearer())).json() is True
    asked = await client.get("/secure", headers=cookie(parts))
    opened = await client.get("/secure", headers=cookie(parts) | {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    for answer in (asked, opened):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "it takes a Bearer token" in answer.text
    assert json.loads(asked.text)["error"] == "unauthenticated"
    assert opened.headers["content-type"].startswith("text/html")


@pytest.mark.anyio
async def test_an_identity_can_be_answered_and_shows_all_but_its_session_and_what_rules_go_by(parts, client) -> None:
    shown = (await client.get("/caller", headers=cookie(parts))).json()
    assert shown == (await client.get("/user/me", headers=cookie(parts))).json()
    assert shown.keys() == {*Identity.__struct_fields__} - {"session_id", "email_verified", "domain"}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/login", "/auth", "/auth/acme", "/logout", "/logout?everywhere=1"])
async def test_the_steps_of_people_take_no_token(parts, path: str) -> None:
    app = FastAPI()
    parts.identify_callers(app)
    app.include_router(steps(parts))
    asking = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=parts.settings.base_url)

    answer = await asking.get(path, headers=bearer() | cookie(parts))
    assert (answer.status_code, answer.json()["detail"]) == (400, TokenUnwanted.sentence)
    assert "set-cookie" not in answer.headers
    assert TokenUnwanted.sentence not in (await asking.get(path, headers=cookie(parts))).text


@pytest.mark.anyio
@pytest.mark.parametrize(("prefix", "cleared"), [("", '"cache", "storage"'), ("/app", None)])
async def test_signing_out_clears_what_the_browser_keeps_unless_other_apps_share_it(prefix: str, cleared: str) -> None:
    parts = Auth(sound_settings(public_url=f"https://apps.example.com{prefix}"))
    app = FastAPI()
    parts.identify_callers(app)
    app.include_router(steps(parts))
    asking = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=parts.settings.base_url)

    answer = await asking.get("/logout", headers=cookie(parts))
    assert (answer.status_code, answer.headers["location"]) == (303, f"https://apps.example.com{prefix}/")
    assert answer.headers.get("clear-site-data") == cleared


# -- what is kept of an answer, and asking for its head alone ---------------------------------------------------------

READABLE = ["/", "/gradio", "/login-demo", "/favicon.ico", "/healthz", "/readyz", "/user/me", "/docs", "/openapi.json"]
NOT_KEPT = ["/", "/user/me", "/docs", "/openapi.json", "/readyz", "/login-demo/"]
"""Answers that are one person's, or true for a moment."""


@pytest.mark.parametrize("path", [*READABLE, "/login-demo/", "/docs/assets/swagger-ui.css"])
def test_the_head_alone_may_be_asked_for(browser: Browser, path: str) -> None:
    browser.sign_in()
    got, head = browser.get(path), browser.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    varying = {"date", "content-security-policy", "set-cookie", "x-request-id"}
    assert {name: head.headers[name] for name in set(got.headers) - varying} == {
        name: got.headers[name] for name in set(got.headers) - varying
    }


@pytest.mark.anyio
async def test_so_it_may_of_a_route_for_programs(client: httpx2.AsyncClient) -> None:
    head = await client.head("/secure", headers=bearer())
    assert (head.status_code, head.headers["cache-control"]) == (200, "no-store")
    assert (await client.head("/secure")).status_code == 401


@pytest.mark.parametrize("path", NOT_KEPT)
def test_what_is_one_persons_is_kept_by_no_cache(browser: Browser, path: str) -> None:
    browser.sign_in()
    assert browser.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/favicon.ico", "/docs/assets/swagger-ui.css"])
def test_what_is_everybodys_is_kept_by_all_and_sets_no_cookie(browser: Browser, path: str) -> None:
    browser.sign_in()
    browser.session = {**browser.session, "person": {**browser.session["person"], "seen": time.time() - 120}}
    answer = browser.get(path)
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert "set-cookie" not in answer.headers
