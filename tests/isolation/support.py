"""Who the tests of the isolation sign in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.app_server import AppServer, Browser


@contextmanager
def signed_in(server: AppServer, **claims: object) -> Iterator[Browser]:
    """A browser of somebody who is in; Alice where no claim says otherwise."""
    with server.browser() as browser:
        with server.providers["acme"].signing_in(**claims):
            browser.sign_in()
        yield browser
