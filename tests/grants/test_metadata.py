"""What a client finds from nothing but an address (RFC 8414, RFC 9728, MCP authorization 2025-11-25).

By name, of the checks that the OpenID Foundation's suite makes of any OAuth 2.1 server:
discovery-endpoint-verification.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import httpx
import httpx2
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from mcp.client.auth.utils import extract_resource_metadata_from_www_auth

from tests.support.app_server import AppServer, Browser
from tests.support.provider import Provider

MCP = "/gradio/gradio_api/mcp"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
RESOURCE = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def prefixed(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """Behind a proxy, under a path."""
    with AppServer(providers, mcp_server=True, public_url="https://example.com/app") as server:
        yield server


@pytest.fixture(params=["at the root", "under a prefix"])
def server(request: pytest.FixtureRequest, open_app: AppServer) -> AppServer:
    if request.param == "at the root":
        return open_app
    prefixed: AppServer = request.getfixturevalue("prefixed")
    return prefixed


def get(server: AppServer, address: str, **headers: str) -> httpx2.Response:
    """An absolute address, as a client outside asks for it."""
    with Browser(server) as client:
        return client.get(address, headers={"Accept": "application/json", "Sec-Fetch-Mode": "cors", **headers})


def origin(server: AppServer) -> str:
    url = urlsplit(server.url)
    return f"{url.scheme}://{url.netloc}"


def test_the_authorization_server_describes_itself(server: AppServer) -> None:
    """RFC 8414 section 2; MCP authorization: PKCE has to be announced, or clients do not go on."""
    path = urlsplit(server.url).path
    said = get(server, f"{origin(server)}{AUTHORIZATION_SERVER}{path}").json()
    AuthorizationServerMetadata(said)
    assert said["issuer"] == server.url
    for name in ("authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"):
        assert said[name].startswith(f"{server.url}/oauth/")
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["response_types_supported"] == ["code"]
    assert said["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert said["authorization_response_iss_parameter_supported"] is True
    assert said["client_id_metadata_document_supported"] is True


def test_it_does_so_wherever_clients_look(server: AppServer) -> None:
    """RFC 8414 sections 3.1 and 5: inserted before the path, and after it as OpenID Connect Discovery has it."""
    path = urlsplit(server.url).path
    looked_at = [AUTHORIZATION_SERVER + path, OPENID + path, path + OPENID, path + AUTHORIZATION_SERVER]
    for place in looked_at:
        said = get(server, origin(server) + place)
        assert (said.status_code, said.json()["issuer"]) == (200, server.url), place
    for place in (OPENID + path, path + OPENID):
        said = get(server, origin(server) + place).json()
        assert get(server, said["jwks_uri"]).json() == {"keys": []}
        assert said["subject_types_supported"] and said["id_token_signing_alg_values_supported"]


@pytest.mark.parametrize("called", [MCP, f"{MCP}/", f"{MCP}/sse"])
def test_each_address_that_clients_call_is_a_resource_of_its_own(server: AppServer, called: str) -> None:
    """RFC 9728 sections 3.3 and 5.1: `resource` is what was called, letter by letter."""
    refused = get(server, server.url + called)
    assert refused.status_code == 401
    (address,) = refused.headers["www-authenticate"].removeprefix('Bearer resource_metadata="').rsplit('"', 1)[:1]
    prefix = urlsplit(server.url).path
    for place in (address, f"{origin(server)}{RESOURCE}{prefix}{called}"):
        said = get(server, place).json()
        assert said["resource"] == server.url + called
        assert said["authorization_servers"][0] == server.url


@pytest.mark.parametrize("called", ["/user/me", "/gradio/config", "/gradio/gradio_api/queue/join"])
def test_all_the_rest_is_one_resource(server: AppServer, called: str) -> None:
    refused = get(server, server.url + called)
    address = refused.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    assert address == f"{server.url}{RESOURCE}"
    prefix = urlsplit(server.url).path
    for place in (address, f"{origin(server)}{RESOURCE}{prefix}", f"{origin(server)}{RESOURCE}{prefix}/"):
        assert get(server, place).json()["resource"] == f"{server.url}/"


@pytest.mark.parametrize("path", ["/other", f"{MCP}/x", f"{MCP}x", "//evil.example", "/.."])
def test_there_are_no_others(server: AppServer, path: str) -> None:
    assert get(server, f"{server.url}{RESOURCE}{path}").status_code == 404


def test_the_official_clients_way_of_reading_finds_it(open_app: AppServer) -> None:
    refused = get(open_app, open_app.url + MCP)
    found = extract_resource_metadata_from_www_auth(httpx.Response(401, headers=dict(refused.headers)))
    assert found == f"{open_app.url}{RESOURCE}{MCP}"


def test_this_app_stands_before_the_issuer_of_programs(open_app: AppServer) -> None:
    said = get(open_app, f"{open_app.url}{RESOURCE}").json()
    assert said["authorization_servers"][0] == open_app.url
    assert len(said["authorization_servers"]) == 2
    assert "scopes_supported" not in said
