from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # the app takes seconds to import, and most unit tests need none
    from tests.support.app_server import AppServer, Browser
    from tests.support.provider import Provider


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="module")
def rules() -> Iterator[None]:
    """Those that other modules have made name no groups in this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("auth.access._named_groups", set())
        yield


@pytest.fixture(scope="session")
def providers() -> Iterator[Mapping[str, Provider]]:
    """The stand-ins of `app`: `acme` says everything in the ID token, `lean` only `sub`; `quiet` announces no `iss`."""
    from tests.support.provider import Provider

    with Provider() as acme, Provider(lean=True) as lean, Provider(announces_iss=False) as quiet:
        yield {"acme": acme, "lean": lean, "quiet": quiet}


@pytest.fixture(scope="session")
def acme(providers: Mapping[str, Provider]) -> Provider:
    return providers["acme"]


@pytest.fixture(scope="session")
def app(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """One app for all tests that need none of their own; what they leave behind is in their browsers."""
    from tests.support.app_server import AppServer

    with AppServer(providers) as server:
        yield server


@pytest.fixture
def browser(app: AppServer) -> Iterator[Browser]:
    with app.browser() as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def run_log() -> Iterator[None]:
    """Whatever the servers of this process log, until the last of its tests is over, is as it must be."""
    from tests.support.run_log import RUN

    logging.getLogger("auth").setLevel(logging.INFO)
    logging.getLogger().addHandler(RUN)
    yield
    logging.getLogger().removeHandler(RUN)
    faults = RUN.check()
    assert not faults, "\n".join(faults[:50])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.support.run_log import RUN

    if RUN.lines:
        terminalreporter.write_line(f"log: {len(RUN.lines)} lines, {len(RUN.secrets)} secrets that must not be in them")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where every part can be had, a test that is not run is one that failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
