"""A person in a real browser lets a program act as them; another site's page neither shows nor answers the question."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from gradio_client import Client
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADA, Elsewhere, Enter
from tests.support.app_server import AppServer
from tests.support.program import Program

ROOT = Path(__file__).parents[2]
QUESTION = "Let a program act as you?"
WEB_PAGE = """
async app => {
  const base64url = bytes =>
    btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const read = async (url, options = { headers: { "MCP-Protocol-Version": "2025-11-25" } }) =>
    (await fetch(url, options)).json();
  const { authorization_servers: [issuer] } = await read(`${app}/.well-known/oauth-protected-resource`);
  const server = await read(`${issuer}/.well-known/oauth-authorization-server`);
  const redirect_uri = `${location.origin}/page`;
  const { client_id } = await read(server.registration_endpoint, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ client_name: "Inspector", redirect_uris: [redirect_uri] }),
  });
  const code_verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code_verifier));
  const { token_endpoint } = server;
  sessionStorage.setItem("kept", JSON.stringify({ client_id, code_verifier, redirect_uri, token_endpoint }));
  location = `${server.authorization_endpoint}?` + new URLSearchParams({
    response_type: "code", client_id, redirect_uri, state: "x",
    code_challenge: base64url(new Uint8Array(hash)), code_challenge_method: "S256",
  });
}
"""
BACK = """
async () => {
  const { token_endpoint, ...kept } = JSON.parse(sessionStorage.getItem("kept"));
  const code = new URLSearchParams(location.search).get("code");
  const body = new URLSearchParams({ grant_type: "authorization_code", code, ...kept });
  return await (await fetch(token_endpoint, { method: "POST", body })).json();
}
"""
READ = """
url => fetch(url).then(answer => answer.text(), () => "hidden")
"""


@pytest.fixture(scope="module")
def open_house() -> Iterator[AppServer]:
    with AppServer({}, mcp_server=True) as server:
        yield server


@pytest.fixture
def program(open_house: AppServer) -> Iterator[Program]:
    with Program(open_house, redirect_uris=[f"http://localhost:{open_house.port}/elsewhere"]) as program:
        program.redirect_uri = f"http://localhost:{open_house.port}/elsewhere"
        yield program


def asked(tab: Page) -> None:
    expect(tab.get_by_role("heading", name=QUESTION)).to_be_visible()


def agree(tab: Page) -> None:
    asked(tab)
    tab.get_by_role("button", name="Agree", exact=True).click()


@pytest.fixture
def web_page(elsewhere: Elsewhere) -> str:
    """The address of an empty page on another site."""
    return elsewhere.url.replace("127.0.0.1", "localhost") + "/page"


# -- another site's page ----------------------------------------------------------------------------------------------


def test_another_sites_page_does_not_show_it_in_a_frame(enter: Enter, open_house: AppServer, program: Program) -> None:
    """Else it could put the button under a click of the person's (RFC 9700 section 4.16)."""
    person = enter(open_house, is_attacked=True)
    person.enters()
    address = open_house.url + program.request()
    tab = person.visits_another_site(f"<iframe src='{address}' name='framed'></iframe>")
    tab.wait_for_load_state("networkidle")
    (frame,) = tab.main_frame.child_frames
    assert frame.url.startswith("chrome-error:")
    tab.goto(address)
    asked(tab)  # which it does when it is the page itself


def test_a_page_of_this_very_app_does_not_show_it_in_a_frame(
    enter: Enter, open_house: AppServer, program: Program
) -> None:
    """What somebody's Blocks show may be another person's doing."""
    person = enter(open_house, is_attacked=True)
    tab = person.enters()
    address = open_house.url + program.request()
    tab.evaluate("url => document.body.append(Object.assign(document.createElement('iframe'), { src: url }))", address)
    tab.wait_for_load_state("networkidle")
    assert QUESTION not in tab.frames[-1].content()


@pytest.mark.parametrize("answer", ["agree", "refuse"])
def test_another_sites_page_does_not_answer_it(
    enter: Enter, open_house: AppServer, program: Program, answer: str
) -> None:
    """Even one that knows what this very person's page would be answered with."""
    person = enter(open_house, is_attacked=True)
    tab = person.enters()
    tab.goto(open_house.url + program.request())
    asked(tab)
    shown = tab.locator("input[name=consent]").input_value()
    form = f"<input name=consent value='{shown}'><input name=answer value='{answer}'>"
    tab = person.visits_another_site(f"<form method=post action='{open_house.url}/oauth/authorize'>{form}</form>")
    tab.evaluate("document.forms[0].submit()")
    tab.wait_for_url(f"{open_house.url}/**")
    assert "code=" not in tab.url and "error=" not in tab.url
    tab.goto(open_house.url + program.request())  # the same page, answered by the person
    agree(tab)
    tab.wait_for_url("**/elsewhere?code=*")


def test_a_program_that_is_a_web_page_goes_the_whole_way(
    enter: Enter, open_house: AppServer, web_page: str, program: Program
) -> None:
    """By CORS, without cookies; and what is the person's alone it cannot read."""
    person = enter(open_house, peers=[web_page])
    tab = person.enters()
    tab.goto(web_page)
    for path in ("/user/me", "/oauth/authorize", "/gradio/config"):
        assert tab.evaluate(READ, open_house.url + path) == "hidden", path
    assert "authorization_servers" in tab.evaluate(READ, f"{open_house.url}/.well-known/oauth-protected-resource")
    tab.evaluate(WEB_PAGE, open_house.url)
    agree(tab)
    tab.wait_for_url(f"{web_page}?code=*")
    me = program.call(tab.evaluate(BACK)["access_token"]).json()
    assert (me["name"], me["client"]) == (ADA, "Inspector")


# -- from a shell to a notebook ---------------------------------------------------------------------------------------


class Shell:
    """`python app.py token`, as somebody types it; no browser opens by itself."""

    def __init__(self, server: AppServer, folder: Path) -> None:
        self._server = server
        self._line = [sys.executable, "app.py", "token", "--url", server.url]
        self._env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "BROWSER": "true"}
        self._env.pop("APPDATA", None)

    def run(self, *arguments: str, enter: Enter | None = None) -> str:
        """What it prints; `enter` brings who agrees in their browser, where one is needed."""
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*self._line, *arguments], cwd=ROOT, env=self._env, **streams) as running:
            assert running.stderr
            if enter:
                address = next(line for line in running.stderr if line.startswith("http")).strip()
                person = enter(self._server, peers=[dict(parse_qsl(urlsplit(address).query))["redirect_uri"]])
                person.tab.goto(address)
                person.chooses()
                agree(person.tab)
                expect(person.tab.get_by_text("You can close this tab")).to_be_visible()
            printed, complaints = running.communicate(timeout=60)
        assert (running.returncode, "" if enter else complaints) == (0, "")
        return str(printed)


def test_a_notebook_calls_as_the_person_until_they_forget_it(
    enter: Enter, open_house: AppServer, tmp_path: Path
) -> None:
    shell = Shell(open_house, tmp_path)
    token = shell.run(enter=enter).strip()
    assert shell.run().strip() == token

    said = json.loads(shell.run("--json"))
    assert (said["access_token"], said["token_type"], said["url"]) == (token, "Bearer", open_house.url)
    (kept,) = tmp_path.rglob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700

    kept.write_text(json.dumps({**json.loads(kept.read_text()), "expires_at": 0}))
    renewed = shell.run().strip()  # by itself: nobody is in front of a browser
    assert renewed != token
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    with_token = {"headers": {"Authorization": f"Bearer {renewed}"}, "verbose": False}
    client = Client(f"{open_house.url}/gradio/", **with_token)
    assert client.predict(api_name="/greet") == f"Hello, {ADA}"
    shell.run("--forget")
    assert not list(tmp_path.rglob("*.json"))
    with pytest.raises(Exception, match="credentials were not provided"):
        Client(f"{open_house.url}/gradio/", **with_token)
    client.close()
