"""A program that a person connects, as OAuth clients are written: registration, a request, and what comes back."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from tests.support.app_server import Browser, Served, agree

CALLBACK = "http://127.0.0.1:51234/callback"
NAME = "Notebook"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
FOLLOWED = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


class Program:
    """One that goes to an app by loopback.

    Args:
        registration: members of the registration to change; None leaves one out.
    """

    def __init__(self, app: Served, /, **registration: Any) -> None:
        self.app = app
        self.http = self.at(app)
        self.redirect_uri = CALLBACK
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(12)
        self.registration = self.register(**registration)
        self.client_id = str(self.registration.get("client_id"))

    @staticmethod
    def at(app: Served) -> httpx2.Client:
        """What reaches an app, or one replica of it, whatever its public address."""
        headers = {"Host": urlsplit(app.url).netloc}
        return httpx2.Client(base_url=f"http://127.0.0.1:{app.port}", headers=headers, trust_env=False)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    # -- what it sends ------------------------------------------------------------------------------------------------

    def register(self, **changes: Any) -> dict[str, Any]:
        metadata = {"client_name": NAME, "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **changes}
        sent = {name: value for name, value in metadata.items() if value is not None}
        return dict(self.http.post("/oauth/register", json=sent).json())

    def request(self, **changes: str | None) -> str:
        """The authorization request as a path with a query; None leaves a parameter out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        params = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return "/oauth/authorize?" + urlencode({name: value for name, value in params.items() if value is not None})

    def ask_token(self, **form: str | None) -> httpx2.Response:
        sent = {"client_id": self.client_id, **form}
        return self.http.post("/oauth/token", data={name: value for name, value in sent.items() if value is not None})

    def redeem(self, code: str, /, **changes: str | None) -> httpx2.Response:
        form = {"code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier, **changes}
        return self.ask_token(**{"grant_type": "authorization_code", **form})

    def refresh(self, refresh_token: str, /, **changes: str | None) -> httpx2.Response:
        return self.ask_token(**{"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def revoke(self, token: str, /, **changes: str) -> httpx2.Response:
        return self.http.post("/oauth/revoke", data={"client_id": self.client_id, "token": token, **changes})

    def call(self, token: str, path: str = "/user/me", **headers: str) -> httpx2.Response:
        return self.http.get(path, headers={"Authorization": f"Bearer {token}", **headers})

    # -- the whole way ------------------------------------------------------------------------------------------------

    def code(self, browser: Browser, **changes: str | None) -> str:
        """One that the person of this browser agrees to."""
        return answered(consent(browser, self.request(**changes)))["code"]

    def tokens(self, browser: Browser, **changes: str | None) -> dict[str, Any]:
        response = self.redeem(self.code(browser, **changes))
        assert response.status_code == 200, response.text
        return dict(response.json())


def consent_page(browser: Browser, request: str) -> httpx2.Response:
    """What the person of this browser is shown; who is not signed in signs in on the way, with `acme`."""
    response = browser.get(request, headers=FOLLOWED)
    if "/login-demo/" in response.headers.get("location", ""):
        query = dict(parse_qsl(urlsplit(response.headers["location"]).query))
        back = browser.come_back(agree(browser.begin(next=query["next"])))
        response = browser.get(back.headers["location"], headers=FOLLOWED)
        response = browser.get(response.headers["location"], headers=FOLLOWED)
    return response


def consent(
    browser: Browser, request: str, *, say: str = "agree", headers: Mapping[str, str] = OWN_PAGE
) -> httpx2.Response:
    """The answer of the person of this browser to the page that an authorization request leads to."""
    page = consent_page(browser, request)
    assert page.status_code == 200, f"{page.status_code} {page.headers.get('location')} {page.text[:500]}"
    return browser.post("/oauth/authorize", data={"consent": ticket(page), "answer": say}, headers=headers)


def ticket(page: httpx2.Response) -> str:
    """What a consent page is answered with."""
    (found,) = re.findall(r'name="consent" value="([^"]+)"', page.text)
    return unescape(found)


def answered(response: httpx2.Response) -> dict[str, str]:
    """What the program is told by way of the browser."""
    assert response.status_code == 303, f"{response.status_code} {response.text[:500]}"
    assert response.headers["cache-control"] == "no-store"
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))
