"""The local issuers are for this machine: what comes through a proxy on it is refused, by a real nginx too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.replicas.servers import PlainNginx
from tests.support.app_server import AppServer

TOKENS = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def server() -> Iterator[AppServer]:
    with AppServer({}) as server:
        yield server


def get_token(url: str, **options: Any) -> httpx2.Response:
    """As the README has it."""
    return httpx2.post(
        f"{url}/local/oauth2/token", data=TOKENS, auth=(CLIENT_ID, CLIENT_SECRET), trust_env=False, **options
    )


def sign_in(url: str, **headers: str) -> httpx2.Response:
    """The answer to the choice of a person, step by step as somebody would do it by hand."""
    with httpx2.Client(base_url=url, headers=headers, trust_env=False) as client:
        begun = urlsplit(client.get("/login").headers["location"])
        return client.post(f"/local/choose?{begun.query}", data={"person": "ada@example.com"})


SIGNS = {
    "x-forwarded-for": {"X-Forwarded-For": "203.0.113.9"},
    "x-forwarded-for-of-this-machine": {"X-Forwarded-For": "127.0.0.1"},
    "x-forwarded-host": {"X-Forwarded-Host": "app.example.com"},
    "x-forwarded-proto": {"X-Forwarded-Proto": "https"},
    "x-forwarded-server": {"X-Forwarded-Server": "proxy"},
    "forwarded": {"Forwarded": "for=203.0.113.9"},
    "via": {"Via": "1.1 proxy"},
    "x-real-ip": {"X-Real-IP": "203.0.113.9"},
    "cloudflare": {"CF-Connecting-IP": "203.0.113.9"},
    "origin": {"Origin": "https://app.example.com"},
    "referer": {"Referer": "https://app.example.com/login-demo/"},
    "origin-though-same-origin": {"Origin": "https://app.example.com", "Sec-Fetch-Site": "same-origin"},
}


@pytest.mark.parametrize("headers", SIGNS.values(), ids=SIGNS)
def test_what_shows_signs_of_a_proxy_gets_no_identity(server: AppServer, headers: dict[str, str]) -> None:
    chosen = sign_in(server.url, **headers)
    assert chosen.status_code == 403
    assert "location" not in chosen.headers
    token = get_token(server.url, headers=headers)
    assert (token.status_code, token.json()["error"]) == (403, "not_this_machine")


def test_the_sentence_says_why_and_what_to_set(server: AppServer) -> None:
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "X-Forwarded-For": "203.0.113.9"}
    page = httpx2.get(f"{server.url}/local/authorize", headers=headers, trust_env=False).text
    for words in ("For this machine only", "through a proxy", "PUBLIC_URL", "GOOGLE_CLIENT_ID"):
        assert words in page


HONEST = {
    "curl": {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
    "browser": {"Origin": "http://127.0.0.1:8000", "Referer": "http://127.0.0.1:8000/login-demo/"},
    "tunnel": {"Host": "localhost:8000"},
}


@pytest.mark.parametrize("headers", HONEST.values(), ids=HONEST)
def test_this_machine_comes_in_as_ever(server: AppServer, headers: dict[str, str]) -> None:
    port = str(server.port)
    here = {name: value.replace("8000", port) for name, value in headers.items()}
    assert sign_in(server.url, **here).headers["location"].startswith(f"{server.url}/auth/local?")
    assert "access_token" in get_token(server.url, headers=here).json()


# -- a proxy that says nothing ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proxied(server: AppServer) -> Iterator[str]:
    """The address of nginx with `proxy_pass` and nothing more, as many write it."""
    with PlainNginx(server.port) as nginx:
        yield f"http://127.0.0.1:{nginx.port}"


def test_a_plain_proxy_pass_lets_nobody_in(proxied: str) -> None:
    assert httpx2.get(f"{proxied}/healthz", trust_env=False).status_code == 200
    assert sign_in(proxied, Host="app.example.com").status_code == 403
    assert get_token(proxied, headers={"Host": "app.example.com"}).status_code == 403


def test_nor_does_one_that_speaks_the_newer_http_let_a_browser_in(server: AppServer) -> None:
    with PlainNginx(server.port, also="proxy_http_version 1.1;") as nginx:
        url = f"http://127.0.0.1:{nginx.port}"
        page = {"Host": "app.example.com", "Referer": "http://app.example.com/login-demo/"}
        assert sign_in(url, **page).status_code == 403


def test_a_proxy_that_passes_on_the_name_is_turned_away_at_the_door(server: AppServer) -> None:
    with PlainNginx(server.port, also="proxy_http_version 1.1; proxy_set_header Host $host;") as nginx:
        answer = httpx2.get(
            f"http://127.0.0.1:{nginx.port}/login", headers={"Host": "app.example.com"}, trust_env=False
        )
    assert answer.status_code == 421
    assert re.search(r"answers at http://127\.0\.0\.1:\d+ only", answer.text)
