"""The lines for a FastAPI app that there is, run as they stand, with a server and a provider."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from auth.errors import NotPermitted
from tests.support.app_server import Browser
from tests.support.provider import Provider
from tests.support.servers import ROOT, Server, free_port
from tests.support.settings import KEY, sound_settings

(LINES,) = re.findall(r"```python\n(.*?)```", (ROOT / "deploy" / "EXISTING_APP.md").read_text("utf-8"), re.DOTALL)
ALSO = """

with gr.Blocks() as kept:
    gr.Button().click(admins.only(lambda: "hush"), outputs=gr.Textbox(), api_name="kept")
gr.mount_gradio_app(app, kept, "/kept", app_kwargs={"middleware": [Middleware(auth.gate)]})
"""
OWN = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


@pytest.fixture(scope="module")
def existing(tmp_path_factory: pytest.TempPathFactory, acme: Provider) -> Iterator[Any]:
    folder, port = tmp_path_factory.mktemp("existing"), free_port()
    (folder / "existing.py").write_text(LINES + ALSO, "utf-8")
    env = {
        "PYTHONPATH": str(ROOT),
        "PORT": str(port),
        "SECRET_KEY": KEY,
        "PROVIDERS": "acme",
        "ACME_ISSUER": acme.issuer,
        "ACME_CLIENT_ID": acme.client_id,
        "ACME_CLIENT_SECRET": acme.client_secret,
    }
    command = [sys.executable, "-m", "uvicorn", "existing:app", "--port", str(port)]
    with Server(command, port=port, env=env, folder=folder):
        settings = sound_settings(port=port, providers=(acme.settings("acme"),))
        yield SimpleNamespace(url=settings.base_url, port=port, settings=settings)


@pytest.fixture
def browser(existing: Any) -> Iterator[Browser]:
    with Browser(existing) as browser:
        yield browser


def test_nothing_answers_a_stranger(existing: Any) -> None:
    with httpx2.Client(base_url=existing.url) as stranger:
        for path in ("/orders/", "/demo/", "/demo/config", "/demo/gradio_api/info", "/demo/gradio_api/startup-events"):
            assert stranger.get(path).status_code == 401, path
        assert stranger.delete("/orders/").status_code == 401
        call = {"data": [], "fn_index": 0, "session_hash": "x"}
        assert stranger.post("/demo/gradio_api/queue/join", json=call).status_code == 401
        assert stranger.get("/orders/", headers={"Authorization": "Bearer x"}).status_code == 401


def test_a_page_load_goes_to_sign_in_and_comes_back(browser: Browser, acme: Provider) -> None:
    sent = browser.get("/orders/?all=1")
    assert (sent.status_code, sent.headers["location"]) == (303, f"{browser.app.url}/login?next=/orders/%3Fall%3D1")
    assert browser.sign_in(next="/orders/?all=1").headers["location"] == f"{browser.app.url}/orders/?all=1"
    assert browser.get("/orders/").json() == "Orders of Alice Example"
    assert browser.sign_in().headers["location"] == f"{browser.app.url}/orders/"


def test_a_rule_guards_its_route_and_an_event_that_asks_it(browser: Browser, acme: Provider) -> None:
    for groups, is_admin in ((["admins"], True), (["else"], False)):
        with acme.signing_in(groups=groups):
            browser.sign_in()
        deleted = browser.delete("/orders/", headers=OWN)
        assert deleted.status_code == (200 if is_admin else 403)
        assert (NotPermitted.sentence in deleted.text) is not is_admin
        call = {"data": [], "fn_index": 0, "session_hash": "x"}
        greeted = browser.post("/demo/gradio_api/run/greet", json=call, headers=OWN).text
        assert ("Hello, Alice Example" in greeted, "For admins alone." in greeted) == (is_admin, not is_admin)
    assert browser.sign_out().status_code in (200, 303)
    assert browser.get("/demo/", headers=OWN).status_code in (303, 401)


def test_where_nothing_says_whose_event_is_running_a_kept_function_runs_for_nobody(browser, acme: Provider) -> None:
    with acme.signing_in(groups=["admins"]):
        browser.sign_in()
    for function in ("run/kept", "call/kept"):
        begun = browser.post(f"/kept/gradio_api/{function}", json={"data": []}, headers=OWN)
        answer = begun.text
        if "event_id" in begun.text:
            answer = browser.get(f"/kept/gradio_api/call/kept/{begun.json()['event_id']}", headers=OWN).text
        assert "error" in answer
        assert "hush" not in answer
