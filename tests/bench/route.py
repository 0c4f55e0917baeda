"""What the Bearer check adds to a FastAPI route: time of the route with it, as a multiple of the same without.

    python -m tests.bench.route

In process: no network, one core, CPU time, every contender in every round, the median over the rounds. Each runs behind
the same session middleware, and is asked with the same token, which was verified before where anybody remembers that.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import jwt as pyjwt
from fastapi import Depends, FastAPI
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Scope

from auth.gate.authentication import Authentication
from auth.gate.dependencies import require_identity
from auth.identity import Identity, identity_of
from auth.sessions.revocations import MemoryRevocations
from tests.support.forge import CLIENT_ID, ISSUER, PERSON, POOL, pool_jwks, pool_keys, token, verifier
from tests.support.settings import session_cookie_of, sessions_of, sound_settings

REQUESTS = 300
ROUNDS = 31
GOALS = {"identity read from the request": 1.05, "Depends(require_identity)": 1.25}
SETTINGS = sound_settings(providers=())

Route = Callable[..., Any]


def made_token() -> str:
    now = int(time.time())
    return token({**PERSON, "iat": now, "auth_time": now, "exp": now + 3600})


def behind_sessions(route: Route, *, checked: bool) -> ASGIApp:
    """The route in the layers it runs in; `checked` puts the check between them."""
    app = FastAPI(openapi_url=None)
    app.get("/")(route)
    if checked:
        sessions = sessions_of(SETTINGS, MemoryRevocations())
        known = verifier(pool_keys(), now=time.time)
        return Authentication(
            app,
            base_url=SETTINGS.base_url,
            sessions=sessions,
            verifier=known,
            grants=None,
            session_cookie=partial(session_cookie_of, SETTINGS),
        )
    return session_cookie_of(SETTINGS, app)


async def unchecked(request: Request) -> dict[str, str]:
    return {"username": "ada"}


async def from_request(request: Request) -> dict[str, str]:
    return {"username": identity_of(request).username}


async def through_depends(identity: Annotated[Identity, Depends(require_identity)]) -> dict[str, str]:
    return {"username": identity.username}


def through(dependency: Any) -> Route:
    async def route(claims: Any = dependency) -> dict[str, str]:
        return {"username": claims["username"]}

    return route


def fastapi_cognito() -> Callable[..., Any]:
    from fastapi_cognito import CognitoAuth, CognitoSettings

    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(pool_jwks(), file)
    pool = {"region": "eu-west-1", "userpool_id": POOL, "app_client_id": CLIENT_ID, "jwks_url": file.name}
    settings = {"check_expiration": True, "jwt_header_name": "Authorization", "jwt_header_prefix": "Bearer"}
    auth = CognitoAuth(settings=CognitoSettings(**settings, userpools={"pool": pool}), custom_model=dict)
    required: Callable[..., Any] = auth.auth_required
    return required


def pyjwkclient() -> Callable[..., Any]:
    """As in many a tutorial: the client that fetches keys, which waits, in a dependency that may."""
    client = pyjwt.PyJWKClient(f"{ISSUER}/.well-known/jwks.json")
    client.fetch_data = pool_jwks  # type: ignore[method-assign]
    bearer = Depends(HTTPBearer())

    def claims(credentials: HTTPAuthorizationCredentials = bearer) -> dict[str, Any]:
        key = client.get_signing_key_from_jwt(credentials.credentials)
        found = pyjwt.decode(credentials.credentials, key, ["RS256"], issuer=ISSUER)
        assert found["client_id"] == CLIENT_ID and found["token_use"] == "access"
        return found

    return claims


def contenders() -> dict[str, ASGIApp]:
    found = {
        "without the check": behind_sessions(unchecked, checked=False),
        "identity read from the request": behind_sessions(from_request, checked=True),
        "Depends(require_identity)": behind_sessions(through_depends, checked=True),
    }
    for name, make in {"pyjwt": pyjwkclient, "fastapi-cognito": fastapi_cognito}.items():
        try:
            found[f"{name} {version(name)}"] = behind_sessions(through(Depends(make())), checked=False)
        except ImportError as error:
            print(f"{name} is left out: {error}")
    return found


async def ask(app: ASGIApp, headers: list[tuple[bytes, bytes]], times: int) -> bytes:
    """The body of the last of so many answers."""
    body = b""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal body
        body = message.get("body", b"")

    for _ in range(times):
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "state": {},
        }
        await app(scope, receive, send)
    return body


async def measure(apps: dict[str, ASGIApp]) -> dict[str, tuple[float, float]]:
    """Microseconds for a request, and time as a multiple of the first contender's."""
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"curl/8.5.0"),
        (b"accept", b"*/*"),
        (b"authorization", f"Bearer {made_token()}".encode()),
    ]
    seconds: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS + 1):
        for name, app in apps.items():
            start = time.process_time()
            body = await ask(app, headers, REQUESTS)
            seconds[name].append(time.process_time() - start)
            assert json.loads(body) == {"username": "ada"}, (name, body)
    limit, *_ = seconds.values()
    return {
        name: (
            statistics.median(taken[1:]) / REQUESTS * 1e6,
            statistics.median(other / one for one, other in zip(limit[1:], taken[1:], strict=True)),
        )
        for name, taken in seconds.items()
    }


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    print(f"{REQUESTS} requests, {ROUNDS} rounds\n")
    print(f"{'':32} {'us':>8} {'ratio':>8}  to reach")
    for name, (microseconds, ratio) in asyncio.run(measure(contenders())).items():
        print(f"{name:32} {microseconds:8.2f} {ratio:8.2f}  {GOALS.get(name, '')}")


if __name__ == "__main__":
    main()
