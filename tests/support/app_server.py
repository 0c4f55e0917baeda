"""The real app on a free port of this machine, and a browser's half of a sign-in, walked by hand."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import socket
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import uvicorn
from fastapi import FastAPI

from app import create_app
from auth.sessions.cookie import cookie_name, session_signer
from auth.settings import Settings
from tests.support.provider import Provider
from ui.serving import Stopping

SECRET_KEY = "kQ7vX2mPz9RtB4nWc6LyH8sDf3GjA5eU"
START_SECONDS = 30.0


class AppServer:
    """The app as uvicorn serves it, for as long as the `with` lasts.

    Args:
        providers: the stand-ins that people sign in with, by name.
        settings: any of `Settings`; where `public_url` is elsewhere, browsers reach the app as through a proxy.
    """

    def __init__(self, providers: Mapping[str, Provider], /, **settings: Any) -> None:
        self.providers = providers
        # The protocol is named, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        chosen = {"secret_key": SECRET_KEY, "providers": tuple(p.settings(name) for name, p in providers.items())}
        self.settings = Settings(_env_file=None, port=self.port, **(chosen | settings))  # type: ignore[call-arg]
        self.url = self.settings.base_url
        self.stopping = Stopping()
        app = asyncio.run(_build(self.settings, self.stopping))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> AppServer:
        self._thread.start()
        # The socket listens already, so this is answered as soon as the app can answer at all.
        httpx2.get(f"http://127.0.0.1:{self.port}/healthz", timeout=START_SECONDS, trust_env=False).raise_for_status()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def browser(self) -> Browser:
        """One with no cookies yet."""
        return Browser(self)


class Browser(httpx2.Client):
    """Asks for pages as a browser does; follows nothing by itself. Addresses may be relative to the app's."""

    def __init__(self, app: AppServer) -> None:
        super().__init__(
            base_url=app.url,
            transport=_ToThisMachine(app.port),
            headers={"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
            timeout=60.0,
            trust_env=False,
        )
        self.app = app

    # -- signing in --------------------------------------------------------------------------------------------------

    def begin(self, provider: str = "acme", **params: str) -> str:
        """Start to sign in.

        Returns:
            The provider's address that the app sends the browser to.
        """
        response = self.get(
            "/login", params={"provider": provider, **params}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert response.status_code in (302, 303), f"/login answered {response.status_code}: {heading(response)}"
        return response.headers["location"]

    def come_back(self, callback: str) -> httpx2.Response:
        """Follow the provider's redirect to the app."""
        return self.get(callback, headers={"Sec-Fetch-Site": "cross-site"})

    def sign_in(self, provider: str = "acme", **params: str) -> httpx2.Response:
        """The whole way: /login, the provider, and the answer of the callback."""
        return self.come_back(agree(self.begin(provider, **params)))

    def sign_out(self, **params: str) -> httpx2.Response:
        return self.get("/logout", params=params, headers={"Sec-Fetch-Site": "same-origin"})

    def who(self) -> dict[str, Any] | None:
        """What /user/me says; None when it says that nobody is signed in."""
        response = self.fetch("/user/me")
        if response.status_code == 401:
            return None
        assert response.status_code == 200, f"/user/me answered {response.status_code}: {response.text[:500]}"
        return dict(response.json())

    @property
    def person(self) -> dict[str, Any]:
        """Who is signed in; somebody must be."""
        person = self.who()
        assert person is not None, "nobody is signed in"
        return person

    def fetch(self, path: str) -> httpx2.Response:
        """As a script of the app's own page asks."""
        own = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        return self.get(path, headers=own)

    # -- the cookie: what is known here of its name and shape is known nowhere else in these tests -------------------

    @property
    def cookie(self) -> str:
        """The session cookie's value as it stands in the header; empty where there is none."""
        return self.cookies.get(cookie_name(self.app.settings)) or ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.cookies.clear()
        self.cookies.set(cookie_name(self.app.settings), value, domain=urlsplit(self.app.url).hostname or "", path="/")

    @property
    def session(self) -> dict[str, Any]:
        """What the cookie holds: `person` is the session, `begun` the sign-ins under way."""
        return unseal(self.app, self.cookie) if self.cookie else {}

    @session.setter
    def session(self, content: object) -> None:
        """Put in anything, sealed by the app's own key."""
        self.cookie = seal(self.app, content)


async def _build(settings: Settings, stopping: Stopping) -> FastAPI:
    """In a running loop: where there is none, Gradio opens one for each of its locks and leaves it open."""
    return create_app(settings, stopping=stopping)


def agree(url: str) -> str:
    """The provider's half of a sign-in.

    Returns:
        The callback address that it sends the browser to.
    """
    response = httpx2.get(url, verify=False, trust_env=False)
    assert response.status_code == 302, f"the provider answered {response.status_code}: {response.text[:500]}"
    return response.headers["location"]


def heading(response: httpx2.Response) -> str:
    """What a page says first."""
    return html.unescape("".join(re.findall("<h1[^>]*>(.*?)</h1>", response.text)))


def seal(app: AppServer, content: object) -> str:
    """A session cookie's value that the app has signed, of any content."""
    return str(session_signer(app.settings).sign(base64.b64encode(json.dumps(content).encode())), "ascii")


def unseal(app: AppServer, cookie: str) -> dict[str, Any]:
    return dict(json.loads(base64.b64decode(session_signer(app.settings).unsign(cookie))))


class _ToThisMachine(httpx2.HTTPTransport):
    """Brings a request for the app's public address to where it listens, as a TLS proxy in front of it would."""

    def __init__(self, port: int) -> None:
        super().__init__(verify=False)  # nothing here is https, and certificates take long to load
        self._port = port

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        here = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        return super().handle_request(
            httpx2.Request(
                request.method, here, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        )
