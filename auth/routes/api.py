"""The routes that programs call, and those that watch over the app."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from auth.gate import JWTBearer, require_identity
from auth.identity import Identity
from auth.urls import Site

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


def api_routes(*, scopes: tuple[str, ...]) -> APIRouter:
    """`/user/me` and `/secure`, which wants a token with all of `scopes`."""
    bearer = JWTBearer(scopes=scopes)
    shown = JWTBearer(auto_error=False)  # shows the scheme in OpenAPI; a session does as well
    router = APIRouter(responses=REFUSALS)
    user = APIRouter(prefix="/user", tags=["user"], dependencies=[Security(shown)])

    @user.get("/me", summary="Who am I?")
    async def me(identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
        return identity

    @router.get("/secure", summary="True for a Bearer token that has the scopes", dependencies=[Security(bearer)])
    async def secure() -> bool:
        return True

    router.include_router(user)
    return router


def health_routes(*, readiness: Callable[[], tuple[list[str], bool]]) -> APIRouter:
    """`/healthz` and `/readyz`.

    Args:
        readiness: what fails just now, one line each, and whether anybody can come in all the same.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz")
    async def ready() -> Response:
        problems, able = readiness()
        body = {"status": "ready" if able else "not ready", "problems": problems}
        return JSONResponse(body, 200 if able else 503, {"Cache-Control": "no-store"})

    return router


def docs_routes(app: FastAPI, *, site: Site) -> APIRouter:
    """`/docs` and `/openapi.json`, for callers with an identity; nothing is loaded from elsewhere."""
    router = APIRouter(include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=SWAGGER_FILES))

    @router.get("/docs", dependencies=[Depends(require_identity)])
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=f"{site.prefix}/openapi.json",
            title=f"{app.title} · API",
            swagger_js_url=f"{site.prefix}/docs/assets/swagger-ui-bundle.js",
            swagger_css_url=f"{site.prefix}/docs/assets/swagger-ui.css",
            swagger_favicon_url=f"{site.prefix}/favicon.ico",
        )

    @router.get("/openapi.json", dependencies=[Depends(require_identity)])
    async def openapi() -> JSONResponse:
        return JSONResponse({**app.openapi(), "servers": [{"url": site.base_url}]})

    return router
