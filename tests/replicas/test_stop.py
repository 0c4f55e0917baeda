"""A stop that cannot wait any longer tells the events that it cuts, and leaves no trace of a fault."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from threading import Thread

import pytest

from tests.replicas.replica import main_blocks
from tests.replicas.visitor import API, OWN, Visitor
from tests.support.app_server import AppServer
from tests.support.provider import Provider
from ui.serving.server import Server
from ui.serving.stopping import SENTENCE


class StoppingServer(AppServer):
    """One whose stop gives events a second."""

    def __init__(self, provider: Provider) -> None:
        super().__init__({"acme": provider}, main_blocks=main_blocks)
        config = self._server.config
        config.timeout_graceful_shutdown = 20  # what uvicorn would do in the end is not what is looked at
        self._server = Server(config, self.stopping, grace=1.0)
        self._thread = Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def stop(self) -> None:
        self._server.should_exit = True


@pytest.fixture
def app() -> Iterator[StoppingServer]:
    with Provider() as acme, StoppingServer(acme) as server:
        yield server


@pytest.fixture
def visitor(app: StoppingServer) -> Iterator[Visitor]:
    with Visitor(app, app) as visitor:
        visitor.sign_in()
        yield visitor


def test_an_event_that_is_cut_is_told(app: StoppingServer, visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with visitor.watch("count", visitor.start("count", 1000, 0.05)) as messages:
        next(messages)
        app.stop()
        begun = time.monotonic()
        *_, last = messages
    assert last == ("error", SENTENCE)
    assert time.monotonic() - begun > 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_tab_without_a_running_event_does_not_hold_the_stop_up(app: StoppingServer, visitor: Visitor) -> None:
    with visitor.stream("GET", f"{API}/heartbeat/a-session", headers=OWN) as tab:
        lines = tab.iter_lines()
        assert next(lines) == "data: ALIVE"
        app.stop()
        begun = time.monotonic()
        assert "".join(lines) in ("", "data: ALIVE")
        assert time.monotonic() - begun < 8
