from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from tests.support.app_server import AppServer, Browser
from tests.support.clock import Clock
from tests.support.program import Program
from tests.support.provider import Provider


@pytest.fixture(scope="session")
def grants_clock() -> Clock:
    return Clock(0, on_top_of=time.time)


@pytest.fixture
def clock(grants_clock: Clock) -> Iterator[Clock]:
    """What `open_app` takes the time from; right again after the test."""
    yield grants_clock
    grants_clock.now = 0


@pytest.fixture(scope="session")
def open_app(providers: Mapping[str, Provider], grants_clock: Clock) -> Iterator[AppServer]:
    """An app that people may connect programs to."""
    with AppServer(providers, mcp_server=True, clock=grants_clock) as server:
        yield server


@pytest.fixture
def ada(open_app: AppServer) -> Iterator[Browser]:
    """Somebody who is signed in."""
    with open_app.browser() as browser:
        browser.sign_in()
        yield browser


@pytest.fixture
def program(open_app: AppServer) -> Iterator[Program]:
    with Program(open_app) as program:
        yield program
