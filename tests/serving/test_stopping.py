"""What a stop lets go on, for how long, and what it says in the end."""

from __future__ import annotations

import json

import pytest

from auth.gate.gate import CHECK_SECONDS
from tests.support.asgi import http_scope
from tests.support.clock import Clock
from ui.serving.stopping import SENTENCE, Stopping

TAB = http_scope("/app/gradio/gradio_api/queue/data")
CALL = http_scope("/gradio/gradio_api/call/answer/an-event")
HEARTBEAT = http_scope("/gradio/gradio_api/heartbeat/a-session")


class Stop:
    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.stopping = Stopping(now=self.clock)

    def passes(self, seconds: float, *streams: dict[str, object]) -> None:
        """Time, in which these streams ask as the gate has them ask."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            for stream in streams:
                self.stopping.closing_message(stream)
            self.clock.advance(min(CHECK_SECONDS, end - self.clock.now))


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.mark.parametrize("stream", [TAB, CALL, HEARTBEAT])
def test_nothing_ends_before_the_stop(stop: Stop, stream: dict[str, object]) -> None:
    assert stop.stopping.closing_message(stream) is None


@pytest.mark.parametrize("stream", [TAB, CALL])
def test_an_event_goes_on_for_as_long_as_is_stated(stop: Stop, stream: dict[str, object]) -> None:
    stop.stopping.begin(25)
    stop.clock.advance(24.9)
    assert stop.stopping.closing_message(stream) is None
    stop.clock.advance(0.1)
    assert stop.stopping.closing_message(stream)


def test_an_event_that_is_cut_is_told_in_the_words_of_its_stream(stop: Stop) -> None:
    stop.stopping.begin(0)
    told = (stop.stopping.closing_message(TAB) or b"").decode().split("\n\n")
    shown, ended, stopped, rest = (json.loads(message.removeprefix("data: ") or "null") for message in told)
    assert (shown["msg"], shown["log"], shown["visible"]) == ("log", SENTENCE, True)
    assert stopped["msg"] == stopped["message"] == "Server stopped unexpectedly."
    assert (ended["msg"], ended["message"], ended["success"]) == ("unexpected_error", SENTENCE, False)
    assert rest is None
    assert stop.stopping.closing_message(CALL) == f'event: error\ndata: "{SENTENCE}"\n\n'.encode()


def test_a_sign_of_life_goes_on_while_an_event_does_and_ends_soon_after_the_last(stop: Stop) -> None:
    stop.stopping.begin(25)
    stop.passes(10, TAB)
    assert stop.stopping.closing_message(HEARTBEAT) is None
    stop.clock.advance(2 * CHECK_SECONDS)
    assert stop.stopping.closing_message(HEARTBEAT) == b""


def test_a_sign_of_life_ends_with_the_time_that_is_stated(stop: Stop) -> None:
    stop.stopping.begin(6)
    stop.passes(6, CALL)
    assert stop.stopping.closing_message(HEARTBEAT) == b""
