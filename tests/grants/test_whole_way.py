"""From nothing but the address to a call as the person, and on: registration, consent, tokens, renewal."""

from __future__ import annotations

import pytest

from tests.support.app_server import AppServer, Browser
from tests.support.program import NAME, Program


def test_a_program_acts_as_the_person_who_agreed(open_app: AppServer, program: Program, ada: Browser) -> None:
    tokens = program.tokens(ada)
    me = program.call(tokens["access_token"]).json()
    session = ada.person
    assert session["client"] is None
    assert me["client"] == NAME
    assert {**me, "client": None, "expires_at": 0} == {**session, "expires_at": 0}
    assert program.call(tokens["access_token"], "/secure").json() is True
    assert program.call(tokens["access_token"], "/gradio/config").status_code == 200
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 600
    renewed = program.refresh(tokens["refresh_token"]).json()
    assert program.call(renewed["access_token"]).json()["client"] == NAME


def test_who_is_not_signed_in_signs_in_on_the_way(open_app: AppServer, program: Program) -> None:
    with open_app.browser() as browser:
        tokens = program.tokens(browser)
    assert program.call(tokens["access_token"]).json()["client"] == NAME


@pytest.mark.parametrize("path", ["/gradio/gradio_api/mcp", "/gradio/gradio_api/mcp/"])
def test_the_mcp_address_works_with_and_without_its_last_slash(program: Program, ada: Browser, path: str) -> None:
    token = program.tokens(ada, resource=program.app.url + path)["access_token"]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    assert "greet" in program.http.post(path, json=call, headers=accept).text
    assert program.http.post(path, json=call).status_code == 401
