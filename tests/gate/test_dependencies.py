from __future__ import annotations

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from auth.errors import AuthError
from auth.gate.dependencies import JWTAuthorizationCredentials, JWTBearer, require_identity
from auth.identity import Identity
from tests.support.asgi import Answer, ask, http_scope
from tests.support.clock import NOW, Clock
from tests.support.forge import HEADER, access_token
from tests.support.house import House

COOKIE = House().cookie()
TOKEN = access_token(scope="app/read app/write", username="ada", jti="one")


def app_of(*routers: APIRouter, clock: Clock | None = None) -> ASGIApp:
    """Routes in the layers they run in, and errors answered as the app answers them."""
    house = House(clock)
    app = FastAPI()

    @app.exception_handler(AuthError)
    async def refused(request: Request, error: AuthError) -> Response:
        return house.answers.to(error, request.scope)

    for router in routers:
        app.include_router(router)
    return house.around(app, gated=False)


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/programs", dependencies=[Depends(JWTBearer())])
    async def programs() -> bool:
        return True

    @router.get("/writers", dependencies=[Depends(JWTBearer(scopes=("app/read", "app/write")))])
    async def writers() -> bool:
        return True

    @router.get("/either")
    async def either(
        credentials: Annotated[JWTAuthorizationCredentials | None, Depends(JWTBearer(auto_error=False))],
    ) -> bool:
        return credentials is not None

    @router.get("/anybody")
    async def anybody(identity: Annotated[Identity, Depends(require_identity)]) -> str:
        return identity.username

    @router.get("/credentials")
    async def shown(credentials: Annotated[JWTAuthorizationCredentials, Depends(JWTBearer())]) -> dict[str, Any]:
        return {
            "scheme": credentials.scheme,
            "credentials": credentials.credentials,
            "header": credentials.header,
            "claims": credentials.claims,
            "username": credentials.identity.username,
            "scopes": credentials.identity.scopes,
        }

    return router


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def get(path: str, headers: dict[str, str]) -> Answer:
    return await ask(app_of(routes()), http_scope(path, headers=headers))


CALLS = {
    # path, headers, status, what the WWW-Authenticate header says
    "token": ("/programs", bearer(), 200, None),
    "token-of-a-program": ("/programs", bearer(access_token()), 200, None),
    "nobody": ("/programs", {}, 401, "Bearer"),
    "a-cookie-does-not-count": ("/programs", COOKIE, 401, "Bearer"),
    "basic": ("/programs", {"Authorization": "Basic YWRhOmFkYQ=="}, 401, "Bearer"),
    "bad-token": ("/programs", bearer("x"), 401, 'Bearer error="invalid_token"'),
    "bad-token-and-cookie": ("/programs", bearer("x") | COOKIE, 401, 'Bearer error="invalid_token"'),
    "expired-token": ("/programs", bearer(access_token(exp=int(NOW))), 401, 'Bearer error="invalid_token"'),
    "malformed": ("/programs", {"Authorization": "Bearer"}, 400, 'Bearer error="invalid_request"'),
    "all-scopes": ("/writers", bearer(), 200, None),
    "a-scope-missing": ("/writers", bearer(access_token(scope="app/read")), 403, 'Bearer error="insufficient_scope"'),
    "no-scopes": ("/writers", bearer(access_token()), 403, 'Bearer error="insufficient_scope"'),
    "person-by-cookie": ("/anybody", COOKIE, 200, None),
    "person-by-token": ("/anybody", bearer(), 200, None),
    "nobody-at-all": ("/anybody", {}, 401, "Bearer"),
    "either-without-token": ("/either", COOKIE, 200, None),
    "either-with-a-bad-token": ("/either", bearer("x") | COOKIE, 401, 'Bearer error="invalid_token"'),
    "either-malformed": ("/either", {"Authorization": "Bearer a b"} | COOKIE, 400, 'Bearer error="invalid_request"'),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("path", "headers", "status", "challenge"), CALLS.values(), ids=CALLS)
async def test_a_route_for_programs_lets_in_a_good_token_and_nothing_else(path, headers, status, challenge) -> None:
    answer = await get(path, headers)
    assert answer.status == status
    if challenge is None:
        assert "www-authenticate" not in answer.headers
    else:
        assert answer.headers["www-authenticate"].startswith(challenge)


@pytest.mark.anyio
async def test_a_handler_is_given_what_the_token_says() -> None:
    shown = (await get("/credentials", bearer())).json
    assert shown["scheme"] == "Bearer"
    assert shown["credentials"] == TOKEN
    assert shown["header"] == HEADER
    assert shown["claims"]["jti"] == "one"
    assert shown["claims"]["exp"] == NOW + 3600
    assert (shown["username"], shown["scopes"]) == ("ada", ["app/read", "app/write"])


@pytest.mark.anyio
async def test_a_handler_for_either_is_told_which_it_is() -> None:
    assert (await get("/either", bearer())).json is True
    assert (await get("/either", {})).json is False


class CountingClock(Clock):
    """Counts how often it was looked at: a verification looks at it, and reading what was verified does not."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return super().__call__()


@pytest.mark.anyio
async def test_a_route_and_its_router_may_both_ask_and_the_token_is_verified_once() -> None:
    looks = {}
    for number, guards in {"one": [JWTBearer()], "several": [JWTBearer(), JWTBearer(), JWTBearer(scopes=())]}.items():
        router = APIRouter(dependencies=[Depends(guard) for guard in guards])

        @router.get("/guarded", dependencies=[Depends(guard) for guard in guards])
        async def guarded() -> bool:
            return True

        clock = CountingClock()
        app = app_of(router, clock=clock)
        before = clock.looks
        assert (await ask(app, http_scope("/guarded", headers=bearer()))).json is True
        looks[number] = clock.looks - before
    assert looks["several"] == looks["one"] > 0


@pytest.mark.anyio
async def test_where_nobody_asks_who_is_calling_nobody_is_let_in() -> None:
    app = FastAPI()
    app.include_router(routes())
    with pytest.raises(AuthError):
        await ask(app, http_scope("/programs", headers=bearer()))


def test_the_api_description_has_the_scheme() -> None:
    app = FastAPI()
    app.include_router(routes())
    (scheme,) = app.openapi()["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    assert app.openapi()["paths"]["/programs"]["get"]["security"]
