"""Signing in at LemonLDAP::NG, refusing there, leaving there, and a key of its that is replaced meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Enter, Peer
from tests.support.app_server import AppServer
from tests.support.clock import seconds_until
from tests.support.lemonldap import NAME, LemonLdap
from tests.support.servers import free_port


@pytest.fixture(scope="module")
def peer() -> Peer:
    return Peer("Lemon", f"http://localhost:{free_port()}")


@pytest.fixture(scope="module")
def server(peer: Peer) -> AppServer:
    return AppServer({"lemon": peer})


@pytest.fixture(scope="module")
def lemon(peer: Peer, server: AppServer) -> Iterator[LemonLdap]:
    with LemonLdap(server.url, client_secret=peer.client_secret, issuer=peer.issuer) as lemon, server:
        yield lemon


def identify(tab: Page) -> None:
    tab.locator("input[name=user]").fill(NAME)
    tab.locator("input[name=password]").fill(NAME)
    tab.get_by_role("button", name="Connect").click()


def test_people_refuse_sign_in_and_leave_there_too(enter: Enter, server: AppServer, lemon: LemonLdap) -> None:
    tab = enter(server, peers=[lemon.issuer]).opens("/login?provider=lemon&next=/user/me")
    identify(tab)
    tab.wait_for_load_state("networkidle")  # its script says which button is which
    tab.get_by_role("button", name="Refuse").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("You were not signed in")
    expect(tab.get_by_text("The provider says: consent not given")).to_be_visible()
    assert tab.request.get(f"{server.url}/user/me").status == 401

    tab.goto(f"{server.url}/login?provider=lemon&next=/user/me")
    tab.get_by_role("button", name="Accept").click()
    tab.wait_for_url(f"{server.url}/user/me")
    me = tab.request.get(f"{server.url}/user/me").json()
    assert (me["name"], me["email"], me["subject"]) == ("Doctor Who", "dwho@badwolf.org", NAME)
    assert me["issuer"] == lemon.issuer

    tab.goto(f"{server.url}/logout")
    # Here its version 2.16 keeps where the sign-in came from, and goes there in place of where it is asked to go.
    tab.context.clear_cookies(name="lemonldappdata")
    tab.get_by_role("link", name="Also sign out of Lemon").click()
    tab.wait_for_url(f"{server.url}/login-demo/")
    expect(tab.get_by_role("link", name="Sign in with Lemon")).to_be_visible()

    lemon.take_new_key()
    seconds_until(lambda: "key-2" in httpx2.get(f"{lemon.issuer}/oauth2/jwks").text, 30)
    tab.goto(f"{server.url}/login?provider=lemon&next=/user/me")
    expect(tab.locator("input[name=user]")).to_be_visible()  # it knows the person no more
    identify(tab)  # the app does not know its new key yet
    tab.wait_for_url(f"{server.url}/user/me")
