"""Every route that Gradio has is judged, and what is judged to be closed answers nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from gradio.routes import App
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.types import Scope

from tests.isolation.support import signed_in
from tests.support.app_server import AppServer, Browser
from tests.support.asgi import http_scope
from tests.support.provider import Provider
from ui.isolation.gradio_hooks import shorten_search
from ui.isolation.routes import JUDGED, Judge, Verdict, leaves

LISTED = {
    route: verdict
    for verdict, routes in JUDGED.items()
    for route in map(" ".join, zip(*[iter(routes.split())] * 2, strict=True))
}


def mounted(blocks: gr.Blocks, monkeypatch: pytest.MonkeyPatch, *, profiling: bool = False) -> App:
    monkeypatch.setattr("gradio.profiling.PROFILING_ENABLED", profiling)
    app = FastAPI()
    gr.mount_gradio_app(app, blocks, "/gradio", mcp_server=True, run_history=True, ssr_mode=False)
    (found,) = (route.app for route in app.routes if isinstance(route, Mount))
    assert isinstance(found, App)
    return found


@pytest.mark.anyio  # Gradio would open a loop of its own, and leave it open
async def test_every_route_that_gradio_has_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is new is named here. It is closed until somebody puts it on the list of `ui/isolation/routes.py`."""
    with gr.Blocks() as blocks:
        gr.Button().click(lambda: None)
    found = set(leaves(mounted(blocks, monkeypatch, profiling=True).routes))
    assert sorted(found - LISTED.keys()) == []
    gone = {route for route in LISTED.keys() - found if LISTED[route] is not Verdict.SPACE}
    assert sorted(gone) == [], "judged, and Gradio has it no more"


@pytest.mark.anyio
async def test_a_route_that_nobody_has_judged_is_found_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with gr.Blocks() as blocks:
        gr.Textbox()
    app = mounted(blocks, monkeypatch)
    app.add_api_route("/gradio_api/brand-new/{thing}", lambda: None, methods=["GET", "PATCH"])
    app.mount("/gradio_api/mounted", FastAPI(openapi_url=None))
    new = {"GET /gradio_api/brand-new/{thing}", "PATCH /gradio_api/brand-new/{thing}", "ANY /gradio_api/mounted/"}
    assert set(leaves(app.routes)) - LISTED.keys() >= new
    assert Judge([], in_space=False).verdict("GET", "/gradio_api/brand-new/x") == (Verdict.CLOSED, None)


@pytest.mark.filterwarnings("ignore:SSR mode")  # which is off
@pytest.mark.anyio
async def test_the_order_of_routes_that_is_searched_faster_hides_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers an address is what answers it in Gradio's own order."""
    with gr.Blocks() as blocks:
        gr.Textbox()
    with blocks.route("Another", "x"):
        gr.Textbox()
    app = mounted(blocks, monkeypatch)
    asked = [
        (method, re.sub(r"{[^}]+}", value, path))
        for method, path in (leaf.split(" ") for leaf in leaves(app.routes))
        for value in ("x", "x/y", "")
    ]

    async def silent(*sent: object) -> Any:
        return {"type": "http.disconnect"}

    async def answering() -> list[tuple[str, str, str]]:
        answered: list[tuple[str, str, str]] = []

        async def handle(route: Route | Mount, scope: Scope, *rest: Any) -> None:
            answered.append((scope["method"], scope["path"], route.path))

        for kind in (Route, APIRoute, Mount):
            monkeypatch.setattr(kind, "handle", handle)
        for method, path in asked:
            with suppress(HTTPException):  # nothing answers
                await app.router(http_scope(path, method=method, app=app), silent, silent)
        return answered

    before = await answering()
    shorten_search(app)
    assert await answering() == before
    assert len({route for _, _, route in before}) > 50


def test_no_route_is_judged_twice() -> None:
    routes = [route for text in JUDGED.values() for route in map(" ".join, zip(*[iter(text.split())] * 2, strict=True))]
    assert len(routes) == len(set(routes))


def path_of(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    return "GET" if method == "ANY" else method, re.sub(r"\{[^}]*\}", "x", path)


@pytest.mark.parametrize("route", [route for route, verdict in LISTED.items() if verdict is not Verdict.CLOSED])
def test_what_is_open_is_told_from_what_is_closed(route: str) -> None:
    method, path = path_of(route)
    path = path.replace("/pwa_icon/x", "/pwa_icon/192")
    verdict, _ = Judge([], in_space=True).verdict(method, path)
    assert verdict is LISTED[route]


NARROW = {
    "an icon of any size": "/pwa_icon/100000",
    "a size that goes on": "/pwa_icon/192/x",
    "MCP below MCP": "/gradio_api/mcp/x/gradio_api/mcp",
    "an address below a file of the theme": "/gradio_api/theme.css/x",
    "a page that is none": "/second",
    "a path that only begins so": "/gradio_api/queue/join/x",
    "a path that only ends so": "/x/gradio_api/queue/data",
    "in capitals": "/GRADIO_API/queue/data",
    "Hugging Face's sign-in, outside of a Space": "/login/huggingface",
}


@pytest.mark.parametrize("path", NARROW.values(), ids=NARROW)
def test_what_no_route_has_is_closed(path: str) -> None:
    assert Judge([], in_space=False).verdict("GET", path) == (Verdict.CLOSED, None)


def test_the_pages_of_the_blocks_are_open() -> None:
    judge = Judge(["", "second"], in_space=False)
    assert judge.verdict("GET", "/second")[0] is Verdict.PAGE
    assert judge.verdict("POST", "/second")[0] is Verdict.CLOSED


# -- in the running app -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def person(providers: Mapping[str, Provider]) -> Iterator[Browser]:
    with AppServer(providers, mcp_server=True) as server, signed_in(server) as browser:
        yield browser


CLOSED = [route for route, verdict in LISTED.items() if verdict in (Verdict.CLOSED, Verdict.SPACE, Verdict.LINK)]


@pytest.mark.parametrize("route", CLOSED)
def test_what_is_closed_answers_nobody(person: Browser, route: str) -> None:
    method, path = path_of(route)
    answer = person.request(method, f"/gradio{path}", headers={"Sec-Fetch-Site": "same-origin", "Accept": "*/*"})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/queue/status"])
def test_what_is_open_answers_who_is_in(person: Browser, path: str) -> None:
    assert person.get(f"/gradio{path}").status_code == 200
