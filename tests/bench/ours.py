"""This app as `python app.py` serves it, and callers of each kind."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from auth import Auth
from auth.grants.program import Program
from tests.bench.measure import Side
from tests.support.forge import CLIENT_ID, ISSUER, PERSON, POOL, pool_jwks, token
from tests.support.servers import Server, free_port
from tests.support.settings import KEY, signed_cookie, sound_settings

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Accept": "*/*", "Sec-Fetch-Site": "same-origin"}
"""What every caller sends, whoever is asked."""
ADA = {"sub": "a1b2c3d4-5678-90ab-cdef-EXAMPLE11111", "name": "Ada Lovelace", "email": "ada@example.com"}


class Callers:
    """The headers that callers of an app with the settings of `ours` come with."""

    def __init__(self, port: int) -> None:
        self._auth = Auth(sound_settings(port=port, providers=(), people_tokens=True))
        self._provider = next(iter(self._auth.providers))

    def nobody(self) -> dict[str, str]:
        return {**BROWSER}

    def session(self, subject: str = ADA["sub"]) -> dict[str, str]:
        """A person since their sign-in."""
        session: dict[str, Any] = {}
        self._auth.sessions.begin(session, self._provider, {**ADA, "sub": subject})
        return {**BROWSER, "Cookie": signed_cookie(self._auth.settings, session)}

    def token(self) -> dict[str, str]:
        """A person with a token of the user pool."""
        return {**BROWSER, "Authorization": f"Bearer {new_token('0')}"}

    def program(self) -> dict[str, str]:
        """A program that a person has connected."""
        session: dict[str, Any] = {}
        self._auth.sessions.begin(session, self._provider, ADA)
        person = self._auth.sessions.held_in(session)
        assert person and self._auth.programs
        grants = self._auth.programs.grants
        back = "http://127.0.0.1/back"
        client = Program(client_id="bench", name="Bench", redirect_uris=(back,))
        grant = grants.begin(person, client, back, [self._auth.site.base_url])
        return {**BROWSER, "Authorization": f"Bearer {grants.tokens(grant).access_token}"}


def new_token(jti: str) -> str:
    now = int(time.time())
    times = {"iat": now, "auth_time": now, "exp": now + 24 * 3600}
    return token({**PERSON, **times, "jti": f"a1b2c3d4-5678-90ab-cdef-{jti:0>12}"})


@contextmanager
def key_server() -> Iterator[str]:
    """Publishes the pool's keys.

    Yields:
        Their address.
    """
    body = json.dumps(pool_jwks()).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()


def environment(port: int, keys: str, folder: str) -> dict[str, str]:
    """Of the app with the Blocks of the bench, a user pool and programs of people."""
    return {
        "PORT": str(port),
        "SECRET_KEY": KEY,
        "BLOCKS": str(Path(__file__).with_name("blocks.py")),
        "PEOPLE_TOKENS": "true",
        "COGNITO_REGION": "eu-west-1",
        "COGNITO_POOL_ID": POOL,
        "COGNITO_CLIENT_IDS": CLIENT_ID,
        "COGNITO_ISSUER": ISSUER,
        "COGNITO_JWKS_URL": keys,
        "GRADIO_TEMP_DIR": folder,
    }


@contextmanager
def ours(**settings: str) -> Iterator[Server]:
    port = free_port()
    with key_server() as keys, tempfile.TemporaryDirectory() as folder:
        env = {**environment(port, keys, folder), **settings}
        with Server([sys.executable, "app.py"], port=port, env=env) as server:
            yield server


@contextmanager
def peer(name: str, *options: str, **settings: str) -> Iterator[Server]:
    """One of `tests.bench.peers`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        env = {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False", **settings}
        command = [sys.executable, "-m", "tests.bench.peers", name, str(port), *options]
        with Server(command, port=port, env=env) as server:
            yield server


def side(server: Server, headers: Mapping[str, str] = BROWSER) -> Side:
    return Side(url=f"http://127.0.0.1:{server.port}", pids=[server.pid], headers=headers)
