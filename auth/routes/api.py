"""The routes that programs call, and those that watch over the app."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.openapi.docs import swagger_ui_default_parameters
from fastapi.routing import APIRoute
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from msgspec.json import encode
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from auth.content_policy import hash_of
from auth.gate import JWTBearer, require_identity
from auth.identity import Identity, identity_in
from auth.urls import Site
from auth.web import READ, TEMPLATES, Pages

SWAGGER_FILES = Path(fastapi_offline.__file__).parent / "static"


class Refusal(BaseModel):
    """What is wrong, in words and as a code."""

    detail: str
    error: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The Authorization header is malformed"},
    401: {"model": Refusal, "description": "No credentials, or credentials that are not valid"},
    403: {"model": Refusal, "description": "The token lacks a scope"},
    503: {"model": Refusal, "description": "The issuer's keys cannot be fetched just now"},
}


class OwnAnswerRoute(APIRoute):
    """FastAPI documents it, and leaves the rest to its function, which takes the request and makes the answer.

    Dependencies are documentation too.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def api_routes(*, scopes: tuple[str, ...]) -> APIRouter:
    """`/user/me` and `/secure`, which wants a token with all of `scopes`."""
    bearer = JWTBearer(scopes=scopes)
    shown = JWTBearer(auto_error=False)  # shows the scheme in OpenAPI; a session does as well
    router = APIRouter(responses=REFUSALS)

    async def me(request: Request) -> Response:
        content = encode(identity_in(request.scope).shown())
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})

    user: dict[str, Any] = {"route_class_override": OwnAnswerRoute, "response_model": Identity, "tags": ["user"]}
    user |= {"summary": "Who am I?", "dependencies": [Security(shown)]}
    router.add_api_route("/user/me", me, methods=["GET"], **user)
    router.add_api_route("/user/me", me, methods=["HEAD"], include_in_schema=False, **user)

    @router.head("/secure", include_in_schema=False, dependencies=[Security(bearer)])
    @router.get("/secure", summary="True for a Bearer token that has the scopes", dependencies=[Security(bearer)])
    async def secure(response: Response) -> bool:
        response.headers["Cache-Control"] = "no-store"
        return True

    return router


def health_routes(*, readiness: Callable[[], tuple[list[str], bool]]) -> list[BaseRoute]:
    """`/healthz` and `/readyz`.

    Args:
        readiness: what fails just now, one line each, and whether anybody can come in all the same.
    """
    alive = JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:
        problems, able = readiness()
        body = {"status": "ready" if able else "not ready", "problems": problems}
        return JSONResponse(body, 200 if able else 503, {"Cache-Control": "no-store"})

    return [Route("/healthz", alive, methods=READ), Route("/readyz", ready, methods=READ)]


def docs_routes(app: FastAPI, *, site: Site, pages: Pages) -> APIRouter:
    """`/docs` and `/openapi.json`, for callers with an identity; nothing is loaded from elsewhere."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(require_identity)])
    app.mount("/docs/assets", SwaggerFiles(directory=SWAGGER_FILES))
    chosen = {**swagger_ui_default_parameters, "url": f"{site.prefix}/openapi.json"}
    # Links inside of buttons, and code in colours that are too pale.
    options = htmlsafe_json_dumps({**chosen, "deepLinking": False, "syntaxHighlight": False})
    style, script = ((TEMPLATES / name).read_text("utf-8") for name in ("docs.css", "docs.js"))
    script += f"SwaggerUIBundle({options});"
    assets = f"{site.base_url}/docs/assets/"
    own_style, own_script = Markup(style), Markup(script)  # noqa: S704 - our own files, and JSON
    policy = pages.policy(
        {
            "script-src": f"{assets} {hash_of(script)}",
            "style-src": f"{assets} {hash_of(style)}",
            "img-src": "'self' data:",
            "connect-src": "'self'",
        }
    )

    @router.api_route("/docs", methods=READ)
    async def docs() -> Response:
        return pages.response("docs.html", policy=policy, style_of_docs=own_style, script=own_script)

    @router.api_route("/openapi.json", methods=READ)
    async def openapi() -> JSONResponse:
        document = {**app.openapi(), "servers": [{"url": site.base_url}]}
        return JSONResponse(document, headers={"Cache-Control": "no-store"})

    return router


class SwaggerFiles(StaticFiles):
    """Swagger UI's own, the same for everybody."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response
