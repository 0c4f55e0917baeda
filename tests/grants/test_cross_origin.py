"""Programs that are web pages of another origin, such as the MCP Inspector: what they may read, and what not.

MCP authorization leaves them to the specifications that it builds on: a browser-based client needs metadata,
registration, tokens and revocation, and none of it by cookie; the authorization endpoint never (RFC 9700 section 2.6).
The SDKs' own servers open the same four. `tests/browser/test_consent.py` has such a page in a browser.
"""

from __future__ import annotations

import pytest

from tests.support.app_server import AppServer
from tests.support.program import Program

ORIGIN = {"Origin": "https://page.example"}
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, mcp-protocol-version",
}
MCP = "/gradio/gradio_api/mcp"
READABLE = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-protected-resource",
    f"/.well-known/oauth-protected-resource{MCP}",
    "/oauth/jwks.json",
]
CALLABLE = ["/oauth/register", "/oauth/token", "/oauth/revoke"]
CLOSED = ["/oauth/authorize", "/oauth/continue", "/oauth/end-all", "/user/me", "/login", "/logout", "/", MCP]


def shared(headers: object) -> list[str]:
    return [str(name) for name in headers if str(name).startswith("access-control-")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", READABLE + CALLABLE)
def test_a_browser_lets_a_page_ask_for_it(program: Program, path: str) -> None:
    answer = program.http.options(path, headers=ORIGIN | ASKED)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "mcp-protocol-version" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_may_read_what_describes_this_app(program: Program, path: str, method: str) -> None:
    answer = program.http.request(method, path, headers=ORIGIN)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", CALLABLE)
@pytest.mark.parametrize("size", [10, 17_000])
def test_a_page_may_read_errors_too(program: Program, path: str, size: int) -> None:
    """As a program does; a browser would hide them, and a program without an error cannot register anew."""
    answer = program.http.post(path, content=b"x" * size, headers=ORIGIN)
    assert answer.status_code == (400 if size == 10 else 413)
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", CLOSED)
def test_all_the_rest_stays_closed(open_app: AppServer, program: Program, path: str) -> None:
    for method, headers in (("OPTIONS", ORIGIN | ASKED), ("GET", ORIGIN), ("POST", ORIGIN)):
        assert not shared(program.http.request(method, path, headers=headers).headers), method
