"""The real app on a free port of this machine, and a browser's half of a sign-in, walked by hand."""

from __future__ import annotations

import asyncio
import html
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import gradio as gr
import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

import app as app_module
import ui.mount
from app import create_app
from auth import Auth
from auth.sessions import cookie_name
from auth.settings import Settings
from tests.support.provider import Provider
from tests.support.run_log import RUN
from tests.support.settings import seal, sound_settings, unseal
from ui.arguments import Main
from ui.serving import Stopping

START_SECONDS = 30.0


class AppServer:
    """The app as uvicorn serves it, for as long as the `with` lasts.

    Args:
        providers: the stand-ins that people sign in with, by name; the local provider where there are none.
        main_blocks: makes what is at `/gradio/`; the app of the file in the settings where nothing is named.
        clock: wall-clock time in epoch seconds.
        settings: any of `Settings`; where `public_url` is elsewhere, browsers reach the app as through a proxy.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        /,
        *,
        main_blocks: Callable[[], gr.Blocks] | None = None,
        clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        self.providers = providers
        # The protocol is named, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        chosen = {"port": self.port, "providers": tuple(p.settings(name) for name, p in providers.items())}
        self.settings = sound_settings(**chosen | settings)
        self.url = self.settings.base_url
        self.stopping = Stopping()
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as aside:
            if main_blocks:
                patch.setattr(ui.mount, "load_blocks", lambda path: Main(blocks=main_blocks(), launched={}))
            patch.setattr(app_module, "Auth", partial(Auth, now=clock))
            self.app = aside.submit(asyncio.run, _build(self.settings, self.stopping)).result()
        RUN.note_settings(self.settings)
        config = uvicorn.Config(RUN.watched(self.app), log_config=None, access_log=False, timeout_graceful_shutdown=2)
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


class Served(Protocol):
    """An app that a browser can be in front of."""

    url: str
    port: int
    settings: Settings


class Browser(httpx2.Client):
    """Asks for pages as a browser does; follows nothing by itself. Addresses may be relative to the app's.

    Args:
        app: whose address and cookie they are.
        port: where the app's address leads to, as by a name service of its own; to the app where none is named.
    """

    def __init__(self, app: Served, *, port: int | None = None, scheme: str = "http") -> None:
        super().__init__(
            base_url=app.url,
            transport=_ToThisMachine(port or app.port, scheme),
            headers={"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
            timeout=60.0,
            trust_env=False,
            event_hooks={"request": [_note_request], "response": [_note_response]},
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
        return self.cookies.get(cookie_name(self.app.settings.site)) or ""

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.cookies.clear()
        self.cookies.set(
            cookie_name(self.app.settings.site), value, domain=urlsplit(self.app.url).hostname or "", path="/"
        )

    @property
    def session(self) -> dict[str, Any]:
        """What the cookie holds: `person` is the session, `begun` the sign-ins under way."""
        return unseal(self.app.settings, self.cookie) if self.cookie else {}

    @session.setter
    def session(self, content: object) -> None:
        """Put in anything, sealed by the app's own key."""
        self.cookie = seal(self.app.settings, content)


def _note_request(request: httpx2.Request) -> None:
    RUN.note_query(request.url.query.decode("latin-1"))
    RUN.note_headers(request.headers.raw)


def _note_response(response: httpx2.Response) -> None:
    RUN.note_headers(response.headers.raw)


async def _build(settings: Settings, stopping: Stopping) -> FastAPI:
    """In a running loop: where there is none, Gradio opens one for each of its locks and leaves it open.

    In a thread of its own: in that of a test, Playwright has a loop already.
    """
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


class _ToThisMachine(httpx2.HTTPTransport):
    """Brings a request for the app's public address to a port of this machine; with `http` as a TLS proxy would."""

    def __init__(self, port: int, scheme: str) -> None:
        super().__init__(verify=False)  # a certificate here is made for the occasion, and others take long to load
        self._port = port
        self._scheme = scheme

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        here = request.url.copy_with(scheme=self._scheme, host="127.0.0.1", port=self._port)
        return super().handle_request(
            httpx2.Request(
                request.method,
                here,
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        )
