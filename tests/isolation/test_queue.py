"""Whose event is next, and that finding out does not go through all that wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import queueing

from ui.isolation.gradio_hooks import hooks
from ui.isolation.gradio_hooks.queue import TURN_SECONDS, RoomQueue
from ui.isolation.limits import Limits
from ui.isolation.rooms import Rooms

PLAIN, OTHER, BATCH, STATEFUL_BATCH = range(4)

Wait = Callable[..., Any]


@pytest.fixture
def queue() -> RoomQueue:
    hooks()
    with gr.Blocks() as blocks:
        text, state = gr.Textbox(), gr.State()
        click = gr.Button().click
        click(lambda text: text, text, text)
        click(lambda text: text, text, text)
        click(lambda texts: [texts], text, text, batch=True, max_batch_size=3)
        click(lambda texts, states: [texts, states], [text, state], [text, state], batch=True, max_batch_size=3)
    queue: Any = blocks._queue
    queue.__class__ = RoomQueue
    queue.limits = Limits(running=2)
    queue.active_jobs = [None] * 40
    for function in blocks.fns.values():
        queue.create_event_queue_for_fn(function)
    assert isinstance(queue, RoomQueue)
    return queue


@pytest.fixture
def wait(queue: RoomQueue, tmp_path: Path) -> Wait:
    """Has an event of somebody's wait for its turn."""
    rooms = Rooms(str(tmp_path), secret_key="")

    def waits(who: str, function: int = PLAIN, *, session: str = "session", since: float = 0.0) -> Any:
        room = rooms.of(who)
        with room.entered():
            event: Any = queueing.Event(room.named(session), queue.blocks.fns[function], None, None)  # type: ignore[arg-type]
            event.enqueue_time -= since
            queue.event_queue_per_concurrency_id[event.concurrency_id].queue.append(event)
        return event

    return waits


def turn(queue: RoomQueue) -> list[Any]:
    """The events that are next, which run from now on; nothing where none may."""
    found = queue.get_events()
    if found:
        queue.active_jobs[queue.active_jobs.index(None)] = found[0]
    return found[0] if found else []


def test_who_has_the_fewest_events_is_next(queue: RoomQueue, wait: Wait) -> None:
    alices, bobs = [wait("alice"), wait("alice", OTHER), wait("alice")], [wait("bob")]
    assert turn(queue) == bobs
    assert [turn(queue), turn(queue)] == [alices[:1], alices[1:2]]


def test_nobody_waits_for_others_for_ever(queue: RoomQueue, wait: Wait) -> None:
    first, _ = wait("alice", since=TURN_SECONDS + 1), wait("alice")
    bobs = wait("bob")
    assert [turn(queue), turn(queue)] == [[first], [bobs]]


def test_who_runs_as_many_as_they_may_waits(queue: RoomQueue, wait: Wait) -> None:
    ran = [wait("alice"), wait("alice")]
    assert [*turn(queue), *turn(queue)] == ran
    last, bobs = wait("alice"), wait("bob")
    assert [turn(queue), turn(queue)] == [[bobs], []]
    queue.active_jobs[0] = None
    assert turn(queue) == [last]


@pytest.mark.anyio
async def test_what_was_cancelled_counts_no_more(queue: RoomQueue, wait: Wait) -> None:
    kept = wait("alice", since=1.0)
    gone = [wait("alice", session="tab"), wait("alice", session="tab")]
    bobs = [wait("bob"), wait("bob")]
    assert not queue.is_idle(gone[0].session_hash)
    await queue.clean_events(session_hash=gone[0].session_hash)
    assert queue.is_idle(gone[0].session_hash)
    assert [turn(queue), turn(queue), turn(queue)] == [[kept], bobs[:1], bobs[1:]]


def test_a_session_is_idle_when_nothing_waits_or_runs_in_it(queue: RoomQueue, wait: Wait) -> None:
    event = wait("alice")
    assert queue.is_idle(f"{event.session_hash}-2")
    assert not queue.is_idle(event.session_hash)
    assert turn(queue) == [event]
    assert not queue.is_idle(event.session_hash)
    queue.active_jobs = [None]
    assert queue.is_idle(event.session_hash)


def test_a_batch_is_of_one_room_and_of_one_session_where_there_is_a_state(queue: RoomQueue, wait: Wait) -> None:
    events = [wait(who, BATCH) for who in ("alice", "bob", "alice", "bob", "alice", "alice")]
    assert turn(queue) == [events[1], events[3]]
    assert turn(queue) == [events[0], events[2], events[4]]
    queue.active_jobs = [None] * 40
    tabs = [wait("carol", STATEFUL_BATCH, session=tab) for tab in ("a", "b", "a")]
    assert [turn(queue), turn(queue)] == [events[5:], [tabs[0], tabs[2]]]


def test_a_turn_looks_at_one_event_of_each_room(queue: RoomQueue, wait: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(300):
        wait("alice")
    bobs = wait("bob")
    looked_at: list[Any] = []

    def enqueue_time(event: Any) -> float:
        looked_at.append(event)
        return time.monotonic()

    monkeypatch.setattr(queueing.Event, "enqueue_time", property(enqueue_time), raising=False)
    assert turn(queue) == [bobs]
    assert len(set(looked_at)) == 2
