"""Dynamic registration (RFC 7591): nothing is kept, so the client id is the registration."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import httpx2
import pytest

from auth import Auth
from tests.support.app_server import AppServer, Browser
from tests.support.program import CALLBACK, Program, consent_page
from tests.support.settings import KEY, sound_settings

VS_CODE = {
    "client_name": "Visual Studio Code",
    "client_uri": "https://code.visualstudio.com",
    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    "response_types": ["code"],
    "redirect_uris": [
        "https://insiders.vscode.dev/redirect",
        "https://vscode.dev/redirect",
        "http://127.0.0.1/",
        "http://127.0.0.1:33418/",
    ],
    "token_endpoint_auth_method": "none",
    "application_type": "native",
}


def register(app: AppServer, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    address = f"http://127.0.0.1:{app.port}/oauth/register"
    return httpx2.post(address, content=content, headers={"Content-Type": "application/json"} | headers)


def test_a_registration_is_answered_with_what_was_kept(open_app: AppServer) -> None:
    """RFC 7591 section 3.2.1."""
    answer = register(open_app, VS_CODE)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    said = answer.json()
    assert said["redirect_uris"] == VS_CODE["redirect_uris"]
    assert said["client_name"] == "Visual Studio Code"
    assert said["token_endpoint_auth_method"] == "none" and "client_secret" not in said
    assert said["grant_types"] == ["authorization_code", "refresh_token"]
    assert len(said["client_id"]) < 600


def test_the_same_registration_is_another_program_each_time(open_app: AppServer) -> None:
    assert register(open_app, VS_CODE).json()["client_id"] != register(open_app, VS_CODE).json()["client_id"]


def test_an_address_that_is_refused_is_left_out_and_the_others_stay(open_app: AppServer) -> None:
    wanted = ["https://client.example/cb", "javascript:alert(1)", "http://client.example/cb", 7, "cursor://x/cb"]
    said = register(open_app, {"redirect_uris": wanted}).json()
    assert said["redirect_uris"] == ["https://client.example/cb", "cursor://x/cb"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt", None])
def test_every_program_is_a_public_client(open_app: AppServer, method: str | None) -> None:
    """RFC 7591 section 3.2.1: the server may replace what was asked for, and says so."""
    assert (
        register(open_app, {**VS_CODE, "token_endpoint_auth_method": method}).json()["token_endpoint_auth_method"]
        == "none"
    )


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "invalid_client_metadata"),
        (b"{", "invalid_client_metadata"),
        (b"\xff", "invalid_client_metadata"),
        (b"redirect_uris=https://client.example/cb", "invalid_client_metadata"),
        (b"[" * 5000, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://client.example/"], "x": ' + b"[" * 5000, "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://client.example/"], "x": NaN}', "invalid_client_metadata"),
        (b'{"redirect_uris": ["https://client.example/"], "client_name": "\\ud800"}', "invalid_client_metadata"),
        ("{}".encode("utf-16"), "invalid_client_metadata"),
        ([], "invalid_client_metadata"),
        ({}, "invalid_client_metadata"),
        ({"redirect_uris": CALLBACK}, "invalid_client_metadata"),
        ({"redirect_uris": None}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "client_name": 7}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "client_name": {"en": "x"}}, "invalid_client_metadata"),
        ({"redirect_uris": {CALLBACK: True}}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "grant_types": [None]}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "grant_types": []}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"redirect_uris": [CALLBACK], "response_types": ["token"]}, "invalid_client_metadata"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://client.example/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)", "data:x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [7, None, {}, [CALLBACK]]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://client.example/{n}" for n in range(21)]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"https://client.example/{n}{'x' * 400}" for n in range(9)]}, "invalid_redirect_uri"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_in_the_words_of_the_rfc(open_app: AppServer, body: Any, error: str) -> None:
    """RFC 7591 section 3.2.2."""
    answer = register(open_app, body)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"]


def test_a_registration_is_bounded(open_app: AppServer) -> None:
    assert register(open_app, {**VS_CODE, "contacts": ["x" * 17_000]}).status_code == 413


def test_a_flood_of_registrations_is_kept_nowhere() -> None:
    programs = Auth(sound_settings(people_tokens=True)).programs
    assert programs
    programs.registered(VS_CODE)
    tracemalloc.start()
    for _ in range(2000):
        programs.registered(VS_CODE)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>Bold</b>", "&lt;b&gt;Bold&lt;/b&gt;"),
        ("Claude\u202eedualC", "Claude edualC"),
        ("two\nlines\x00", "two lines"),
        ("x" * 500, "x" * 60),
        ("", "127.0.0.1:51234"),
        (" \u200b ", "127.0.0.1:51234"),
        (None, "127.0.0.1:51234"),
    ],
)
def test_a_name_is_text_of_one_line(open_app: AppServer, ada: Browser, name: str | None, shown: str) -> None:
    with Program(open_app, client_name=name) as program:
        assert f'<bdi class="program">{shown}</bdi>' in consent_page(ada, program.request()).text


def test_a_client_id_with_one_letter_changed_is_none(open_app: AppServer, ada: Browser, program: Program) -> None:
    changed = program.client_id[:-5] + ("A" if program.client_id[-5] != "A" else "B") + program.client_id[-4:]
    page = consent_page(ada, program.request(client_id=changed))
    assert page.status_code == 400 and "Please connect anew" in page.text
    assert program.refresh("x", client_id=changed).json()["error"] == "invalid_client"


def test_a_client_id_outlives_a_restart_even_where_the_key_does_not() -> None:
    """On one's own machine, where no key is configured."""
    with AppServer({}, mcp_server=True, secret_key="") as first, Program(first) as program:
        port = first.port
        client_id = program.client_id
    with AppServer({}, mcp_server=True, secret_key="", public_url=f"http://127.0.0.1:{port}") as second:
        answer = httpx2.get(
            f"http://127.0.0.1:{second.port}" + program.request(client_id=client_id),
            headers={"Accept": "text/html", "Host": f"127.0.0.1:{port}"},
        )
    assert answer.status_code == 303 and "/login-demo/" in answer.headers["location"]


def test_where_it_cannot_the_person_is_told_to_connect_anew(open_app: AppServer, ada: Browser) -> None:
    elsewhere = {"public_url": "https://app.example.com", "secret_key": KEY[::-1], "mcp_server": True}
    with AppServer(open_app.providers, **elsewhere) as app, Program(app) as program:
        request = program.request()
    page = ada.get(request)
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert "connect anew" in page.text
    said = ada.get(request, headers={"Accept": "application/json"}).json()
    assert said["error"] == "invalid_client"


def test_two_apps_with_the_same_key_do_not_know_each_others_programs(open_app: AppServer, ada: Browser) -> None:
    with AppServer(open_app.providers, mcp_server=True) as app, Program(app) as program:
        assert "Please connect anew" in ada.get(program.request()).text
