"""`python app.py token --url ADDRESS`: a token for a shell or a notebook, which acts as the person (RFC 8252)."""

import argparse
import base64
import hashlib
import os
import platform
import secrets
import signal
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
from msgspec import Struct
from msgspec.json import decode, encode

from auth.urls import http_url, is_confidential

Answer = TypeVar("Answer")

WAIT_SECONDS = 300.0
SPARE_SECONDS = 60.0
"""A token that ends sooner is renewed."""
DONE = "<!doctype html><title>Done</title><p>Done. You can close this tab and go back to where you came from."


class Metadata(Struct, frozen=True, kw_only=True):
    """How the app describes itself (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str
    revocation_endpoint: str


class Registration(Struct, frozen=True, kw_only=True):
    """RFC 7591 section 3.2.1."""

    client_id: str


class TokenResponse(Struct, frozen=True, kw_only=True):
    """RFC 6749 section 5.1."""

    access_token: str
    refresh_token: str
    expires_in: int


class Token(Struct, frozen=True, kw_only=True):
    """What is kept for one app. `expires_at` is in epoch seconds."""

    url: str
    client_id: str
    access_token: str
    refresh_token: str
    expires_at: int


class TokenError(Exception):
    """There is no token. `str(error)` is a sentence for the person."""


def token_command(
    arguments: Sequence[str],
    *,
    open_browser: Callable[[str], object] = webbrowser.open,
    wait_seconds: float = WAIT_SECONDS,
) -> int:
    """Prints an access token, and nothing else, to stdout.

    Returns:
        The exit status: 1, and a sentence on stderr, where there is no token; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python app.py token", description="Prints an access token that acts as you, for a shell or a notebook."
    )
    parser.add_argument("--url", required=True, help="the app's address, such as https://app.example.com")
    parser.add_argument("--json", action="store_true", help="print the token as JSON, with when it ends")
    parser.add_argument("--forget", action="store_true", help="end what was granted, and forget it here")
    chosen = parser.parse_args(arguments)
    try:
        saved = Saved(chosen.url.rstrip("/"))
        with httpx2.Client(timeout=30.0) as http:
            server = AuthorizationServer(http, saved.url)
            token = saved.read()
            if chosen.forget:
                if token:
                    server.revoke(token)
                saved.path.unlink(missing_ok=True)
                return 0
            if token and token.expires_at <= time.time() + SPARE_SECONDS:
                token = server.renewed(token)
            token = token or server.granted(open_browser, wait_seconds)
            saved.write(token)
    except TokenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except httpx2.HTTPError as error:
        sys.stderr.write(f"{chosen.url} cannot be reached: {error}\n")
        return 1
    except (ValueError, RecursionError, httpx2.InvalidURL):
        sys.stderr.write(f"What answers at {chosen.url} is no such app.\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    shown = {name: getattr(token, name) for name in ("access_token", "expires_at", "url")} | {"token_type": "Bearer"}
    sys.stdout.write((encode(shown).decode() if chosen.json else token.access_token) + "\n")
    return 0


class Saved:
    """What is kept for one app, in the person's own configuration folder and for their eyes alone."""

    def __init__(self, url: str) -> None:
        try:
            url = http_url(url)
        except ValueError:
            raise TokenError(f"{url} is no https address.") from None
        if not is_confidential(url):
            raise TokenError(f"{url} is no https address.")
        folder = os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        self.url = url
        self.path = Path(folder, "gradio-app-tokens", hashlib.sha256(url.encode()).hexdigest()[:32] + ".json")

    def read(self) -> Token | None:
        """None where nothing is kept, or where it is spoiled."""
        with suppress(OSError, ValueError, RecursionError):
            return decode(self.path.read_bytes(), type=Token)
        return None

    def write(self, token: Token) -> None:
        """In one step, so that two at once leave one of theirs, whole."""
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(encode(token))
            new.replace(self.path)
        except OSError as error:
            sys.stderr.write(f"The token is not kept for the next time: {error}\n")


class AuthorizationServer:
    """The app, as it describes itself (RFC 8414)."""

    def __init__(self, http: httpx2.Client, url: str) -> None:
        self._http = http
        self._url = url
        answer = http.get(f"{url}/.well-known/oauth-authorization-server")
        if answer.status_code != httpx2.codes.OK:
            raise TokenError(
                f"The app at {url} lets no programs be connected: PEOPLE_TOKENS is off, or its address is another."
            )
        self._metadata = decode(answer.content, type=Metadata)
        if self._metadata.issuer != url:  # RFC 8414 section 3.3
            raise TokenError(f"The app at {url} calls itself {self._metadata.issuer}: name it so.")

    def granted(self, open_browser: Callable[[str], object], wait_seconds: float) -> Token:
        """A token that the person agrees to in their browser."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        with _Callback(state) as callback:
            redirect_uri = f"http://127.0.0.1:{callback.server_port}/callback"
            metadata = {"client_name": f"Shell on {platform.node()}", "redirect_uris": [redirect_uri]}
            registered = self._http.post(self._metadata.registration_endpoint, json=metadata)
            client_id = self._read(registered, Registration).client_id
            challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            query = {
                "response_type": "code",
                "client_id": client_id,
                "redirect_uri": redirect_uri,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                "resource": f"{self._url}/",
            }
            address = f"{self._metadata.authorization_endpoint}?{urlencode(query)}"
            sys.stderr.write(f"Please agree in your browser. If none opens, go to\n{address}\n")
            open_browser(address)
            said = callback.wait(wait_seconds)
        if said.get("iss") != self._metadata.issuer:  # RFC 9207 section 2.4
            raise TokenError("The answer came from somebody else.")
        if "code" not in said:
            raise TokenError(f"Nothing was agreed to: {said.get('error', 'no code came')}.")
        form = {"code": said["code"], "redirect_uri": redirect_uri, "code_verifier": verifier}
        answer = self._token(client_id, grant_type="authorization_code", **form)
        if answer is None:
            raise TokenError("The app did not take its own code. Please try again.")
        return answer

    def renewed(self, token: Token) -> Token | None:
        """The successor of a token, None where what was granted has ended."""
        return self._token(token.client_id, grant_type="refresh_token", refresh_token=token.refresh_token)

    def revoke(self, token: Token) -> None:
        form = {"client_id": token.client_id, "token": token.refresh_token}
        answer = self._http.post(self._metadata.revocation_endpoint, data=form)
        if answer.status_code != httpx2.codes.BAD_REQUEST:  # which it is where the app does not know it any more
            self._read(answer, dict)

    def _token(self, client_id: str, **form: str) -> Token | None:
        answer = self._http.post(self._metadata.token_endpoint, data={"client_id": client_id, **form})
        if answer.status_code == httpx2.codes.BAD_REQUEST:
            return None
        said = self._read(answer, TokenResponse)
        return Token(
            url=self._url,
            client_id=client_id,
            access_token=said.access_token,
            refresh_token=said.refresh_token,
            expires_at=int(time.time()) + said.expires_in,
        )

    def _read(self, answer: httpx2.Response, kind: type[Answer]) -> Answer:
        if not answer.is_success:
            raise TokenError(f"The app at {self._url} answered {answer.status_code}. Please try again later.")
        return decode(answer.content, type=kind)


class _Callback(HTTPServer):
    """Listens on this machine for the browser to come back (RFC 8252 section 7.3)."""

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self._state = state
        self.said: dict[str, str] | None = None

    def take(self, query: str) -> bool:
        """Whether this is the answer that is waited for; anything else may be another page's doing."""
        said = {name: values[0] for name, values in parse_qs(query).items()}
        if secrets.compare_digest(said.get("state", "").encode(), self._state.encode()):
            self.said = said
        return self.said is not None

    def wait(self, seconds: float) -> dict[str, str]:
        until = time.monotonic() + seconds
        while self.said is None and (left := until - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
        if self.said is None:
            raise TokenError("Nobody agreed in time.")
        return self.said


class _Answer(BaseHTTPRequestHandler):
    timeout = 1.0  # seconds; browsers open connections that they may not use

    def do_GET(self) -> None:
        assert isinstance(self.server, _Callback)
        is_answer = self.server.take(urlsplit(self.path).query)
        body = DONE.encode() if is_answer else b""
        self.send_response(200 if is_answer else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The address holds the code."""
