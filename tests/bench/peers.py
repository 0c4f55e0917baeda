"""What this app is set beside, one server each: `python -m tests.bench.peers NAME PORT [plain]`.

`plain` serves on what `pip install gradio` or `pip install fastapi uvicorn` brings: h11, and asyncio's own loop.
"""

import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from itsdangerous import TimestampSigner
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import RedirectResponse, Response

from tests.support.forge import CLIENT_ID, ISSUER, POOL
from tests.support.settings import KEY

ADA: dict[str, Any] = {
    "username": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "picture": None,
    "issuer": "http://127.0.0.1:8000/local/oidc",
    "subject": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111",
    "kind": "person",
    "scopes": [],
    "groups": [],
    "client": None,
    "expires_at": 1800000000,
}


class User(BaseModel):
    """The members of `/user/me`."""

    username: str
    name: str | None
    email: str | None
    picture: str | None
    issuer: str
    subject: str
    kind: str
    scopes: list[str]
    groups: list[str]
    client: str | None
    expires_at: int


def bare() -> FastAPI:
    """Two routes that answer as this app's do, to anybody."""
    app = FastAPI()

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/user/me")
    async def me() -> User:
        return User(**ADA)

    return app


def pyjwkclient() -> FastAPI:
    """As in many a tutorial: PyJWT's client for keys, which waits for them, in a dependency that may."""
    import jwt

    client = jwt.PyJWKClient(os.environ["JWKS_URL"])
    app = FastAPI()
    bearer = HTTPBearer()

    def claims(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> dict[str, Any]:
        key = client.get_signing_key_from_jwt(credentials.credentials)
        found = jwt.decode(credentials.credentials, key, ["RS256"], issuer=ISSUER)
        assert found["client_id"] == CLIENT_ID and found["token_use"] == "access"
        return found

    @app.get("/user/me")
    async def me(claims: Annotated[dict[str, Any], Depends(claims)]) -> User:
        return User(**ADA | {"username": claims["username"]})

    return app


def cognito() -> FastAPI:
    """fastapi-cognito, as its README has it."""
    from fastapi_cognito import CognitoAuth, CognitoSettings

    pool = {"region": "eu-west-1", "userpool_id": POOL, "app_client_id": CLIENT_ID, "jwks_url": os.environ["JWKS_URL"]}
    settings = {"check_expiration": True, "jwt_header_name": "Authorization", "jwt_header_prefix": "Bearer"}
    required = CognitoAuth(settings=CognitoSettings(**settings, userpools={"pool": pool})).auth_required
    app = FastAPI()

    @app.get("/user/me")
    async def me(token: Annotated[Any, Depends(required)]) -> User:
        return User(**ADA | {"username": token.username})

    return app


def mounted() -> FastAPI:
    """Gradio's Blocks in a FastAPI app, as its guide has it."""
    import gradio as gr

    from tests.bench.blocks import demo

    return gr.mount_gradio_app(FastAPI(), demo, path="/gradio")


def provider() -> dict[str, Any]:
    """As it stands in the environment, for Authlib."""
    return {
        "server_metadata_url": os.environ.get("ISSUER", "") + "/.well-known/openid-configuration",
        "client_id": os.environ.get("CLIENT_ID"),
        "client_secret": os.environ.get("CLIENT_SECRET"),
        "client_kwargs": {"scope": "openid email profile", "code_challenge_method": "S256"},
    }


def guide() -> FastAPI:
    """The sign-in of Gradio's guide "Sharing your app", mended to start: FastAPI has no `app.route` any more."""
    import gradio as gr
    from authlib.integrations.starlette_client import OAuth

    from tests.bench.blocks import demo

    oauth = OAuth()
    oauth.register("acme", **provider())
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=KEY)

    def user_of(request: Request) -> str | None:
        user = request.session.get("user")
        return user["name"] if user else None

    @app.get("/login")
    async def login(request: Request) -> Response:
        return await oauth.acme.authorize_redirect(request, request.url_for("auth"))

    @app.get("/auth")
    async def auth(request: Request) -> Response:
        token = await oauth.acme.authorize_access_token(request)
        request.session["user"] = dict(token["userinfo"])
        return RedirectResponse("/gradio/")

    return gr.mount_gradio_app(app, demo, path="/gradio", auth_dependency=user_of)


def gradiologin() -> FastAPI:
    """As its README has it."""
    from gradiologin import mount_gradio_app, register

    from tests.bench.blocks import demo

    register(name="acme", **provider())
    app: FastAPI = mount_gradio_app(FastAPI(), demo, "/gradio", secret_key=KEY)
    return app


def guide_cookie() -> str:
    """What a browser sends that has signed in there, or with gradiologin."""
    content = b64encode(json.dumps({"user": {"name": ADA["name"], "email": ADA["email"]}}).encode())
    return f"session={TimestampSigner(KEY).sign(content).decode()}"


PEERS: dict[str, Callable[[], FastAPI]] = {
    "bare": bare,
    "mounted": mounted,
    "guide": guide,
    "gradiologin": gradiologin,
    "pyjwkclient": pyjwkclient,
    "fastapi-cognito": cognito,
}


def main() -> None:
    name, port, *plain = sys.argv[1:]
    if plain:  # uvicorn takes what is there to import
        sys.modules.update(uvloop=None, httptools=None)  # type: ignore[dict-item]
    if name == "launched":
        from tests.bench.blocks import demo

        demo.launch(server_port=int(port), quiet=True, ssr_mode=False)
    else:
        uvicorn.run(PEERS[name](), port=int(port))


if __name__ == "__main__":
    main()
