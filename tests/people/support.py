"""What every refusal of a sign-in has in common, and the ways to write one down."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import pytest

from auth import errors
from auth.errors import (
    AuthError,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    TokenResponseInvalid,
)
from tests.support.app_server import Browser, heading
from tests.support.forge import KEY_OF, signing_key
from tests.support.provider import (
    Change,
    Provider,
    Reply,
    but,
    instead,
)

Caplog = pytest.LogCaptureFixture
HOUR = 3600
NOW = int(time.time())
RSA = KEY_OF["RS256"]
STRANGER = signing_key("RSA", "stranger")
MARKUP = "<script>alert(document.domain)</script>"
DEEP = b'{"a":' * 100_000
GZIP_BOMB = Reply(
    body=gzip.compress(b'{"padding": "' + b"x" * 50_000_000 + b'"}'),
    headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
)
NOT_SAID = (ProviderUnavailable, ProviderRefused, TokenResponseInvalid)


def assert_refused(
    response: httpx2.Response,
    browser: Browser,
    caplog: Caplog,
    error: type[AuthError] | tuple[type[AuthError], ...] = SignInError,
    cause: type[AuthError] | None = None,
    secrets: Mapping[str, Provider] | None = None,
) -> None:
    """A page that a person can read and go on from, one line that an operator can use, and nobody signed in."""
    assert_page(response, error)
    logged = assert_logged(caplog, error, cause)
    for provider in (secrets or {}).values():
        for secret in (*provider.secrets, provider.client_secret):
            assert secret not in logged, "the log holds a secret"
    assert browser.who() is None


def assert_page(response: httpx2.Response, error: type[AuthError] | tuple[type[AuthError], ...]) -> None:
    assert 400 <= response.status_code < 600 and response.status_code != 500, heading(response)
    assert response.headers["content-type"].startswith("text/html")
    assert "no-store" in response.headers["cache-control"]
    assert "Traceback" not in response.text and MARKUP not in response.text
    assert re.search(r'href="[^"]*/login', response.text), "the page offers no other try"
    assert (response.status_code, heading(response)) in {(leaf.status, leaf.title) for leaf in leaves(error)}


def assert_logged(
    caplog: Caplog, error: type[AuthError] | tuple[type[AuthError], ...], cause: type[AuthError] | None
) -> str:
    """The one line.

    Returns:
        Everything that any logger was given, to be searched for what must not be there.
    """
    ours = [record for record in caplog.records if record.name.partition(".")[0] == "auth"]
    # Beside it may stand what the app found out by itself about the provider, and told nobody.
    (line,) = [record for record in ours if "error" in vars(record).get("about", ()) or record.exc_info]
    about: Mapping[str, Any] = vars(line)["about"]
    assert issubclass(getattr(errors, about["error"]), error), f"{about} {line.getMessage()}"
    if cause:
        assert issubclass(getattr(errors, about.get("cause", "AuthError")), cause), f"{about} {line.getMessage()}"
    assert len(line.getMessage()) < 1000
    assert line.getMessage().isprintable(), "whoever reads the log as text is misled by it"
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore", "uvicorn.access"))]
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in ours)


def leaves(error: type[AuthError] | tuple[type[AuthError], ...]) -> Iterator[type[AuthError]]:
    for base in error if isinstance(error, tuple) else (error,):
        yield base
        yield from leaves(tuple(base.__subclasses__()))


def refuse(
    name: str,
    error: type[AuthError] | tuple[type[AuthError], ...] = TokenResponseInvalid,
    cause: type[AuthError] | None = None,
    **faults: Change,
) -> object:
    return pytest.param(faults, error, cause, id=name)


def accept(name: str, **faults: Change) -> object:
    return pytest.param(faults, id=name)


def token(name: str, cause: type[AuthError], **faults: Change) -> object:
    """A fault of the ID token; `cause` is the check that it fails."""
    return refuse(name, TokenResponseInvalid, cause, **faults)


def claim(name: str, cause: type[AuthError], **changes: object) -> object:
    return token(name, cause, claims=but(**changes))


def sealed(key: object, **header: object) -> dict[str, Change]:
    """Signed with another key, or under another header."""
    return {"key": instead(key), "header": but(**header)}


def part(number: int, change: Callable[[str], str]) -> Change:
    """Of the finished token, change the header (0), the payload (1) or the signature (2)."""

    def changed(whole: str) -> str:
        parts = whole.split(".")
        parts[number] = change(parts[number])
        return ".".join(parts)

    return changed


def flip(text: str) -> str:
    """One bit of the first byte."""
    return ("B" if text[0] == "A" else "A") + text[1:]
