"""Every kind of event runs in its caller's room, and knows its caller."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import gradio as gr
import numpy
import pytest

from auth import identity_of
from tests.isolation.support import API, Caller, messages
from tests.support.app_server import AppServer
from tests.support.provider import Provider
from ui.isolation.rooms import room_here

CLOSED: list[str] = []
"""What a generator says at its end."""


def here(request: Any) -> str:
    """Who calls, and in which room the code is."""
    room = room_here()
    return f"{identity_of(request).subject} {room.name if room else 'nobody'}"


def plain(text: str, request: gr.Request) -> str:
    return here(request)


async def asynchronous(text: str, request: gr.Request) -> str:
    return here(request)


def generator(text: str, request: gr.Request) -> Iterator[str]:
    yield here(request)
    yield here(request)


async def asynchronous_generator(text: str, request: gr.Request) -> AsyncIterator[str]:
    yield here(request)
    yield here(request)


def batch(texts: list[str], request: gr.Request) -> list[list[str]]:
    return [[here(request) for _ in texts]]


def thread(text: str, request: gr.Request) -> str:
    said: list[str] = []
    context = copy_context()
    one = threading.Thread(target=context.run, args=(lambda: said.append(here(request)),))
    one.start()
    one.join()
    return said[0]


def endless(text: str, request: gr.Request) -> Iterator[str]:
    try:
        while True:
            yield here(request)
            time.sleep(0.02)
    finally:
        CLOSED.append(here(request))


def telling() -> gr.Textbox:
    """Says in which room it takes and shows a value."""

    def room() -> str:
        found = room_here()
        return found.name if found else "nobody"

    made = gr.Textbox()
    made.preprocess = lambda payload: room()  # type: ignore[method-assign]
    made.postprocess = lambda value: f"{value} {room()}"  # type: ignore[method-assign]
    return made


def pictures(text: str) -> tuple[Any, list[Any]]:
    """Of which Gradio makes files, some of them in threads."""
    picture = numpy.zeros((2, 2, 3), numpy.uint8)
    return picture, [picture, picture]


def above_none(number: int) -> dict[str, Any]:
    return gr.validate(number > 0, "none")


EVENTS = {
    "plain": plain,
    "asynchronous": asynchronous,
    "generator": generator,
    "asynchronous_generator": asynchronous_generator,
    "thread": thread,
}


def blocks_of_events() -> gr.Blocks:
    with gr.Blocks() as blocks:
        text, answer, told = gr.Textbox(), gr.Textbox(), telling()
        button, timer, audio = gr.Button(), gr.Timer(3600), gr.Audio(streaming=True)
        for name, function in EVENTS.items():
            button.click(function, text, answer, api_name=name)
            button.click(function, text, answer, api_name=f"{name}_unqueued", queue=False)
            button.click(lambda: None).then(function, text, answer, api_name=f"{name}_then")
        button.click(batch, text, answer, api_name="batch", batch=True, max_batch_size=4)
        button.click(endless, text, answer, api_name="endless", concurrency_limit=None)
        button.click(lambda text: time.sleep(0.02), text, answer, api_name="slow")
        button.click(lambda room: room, told, told, api_name="telling")
        button.click(pictures, text, [gr.Image(), gr.Gallery()], api_name="pictures")
        timer.tick(plain, text, answer, api_name="tick")
        blocks.load(plain, text, answer, api_name="load")
        audio.stream(plain, text, answer, api_name="stream", stream_every=60, time_limit=1)
        text.change(plain, text, answer, api_name="change")
        gr.api(plain, api_name="api")
        count, no_tool = gr.State(0), {"api_visibility": "undocumented"}
        button.click(lambda number: number + 1, count, count, api_name="counted", **no_tool)
        button.click(str, count, answer, validator=above_none, api_name="checked", **no_tool)
    return blocks


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=blocks_of_events, mcp_server=True) as server:
        yield server


@pytest.fixture(scope="module")
def rooms(alice: Caller, bob: Caller) -> list[tuple[Caller, str, str]]:
    """Each caller, what an event of theirs says, and where their files lie."""
    found = []
    for caller, subject in ((alice, "alice-1"), (bob, "bob-2")):
        folder = Path(caller.upload("x.txt", b"x")).parents[1]
        found.append((caller, f"{subject} {folder.name}", str(folder)))
    assert found[0][2] != found[1][2]
    return found


Callers = list[tuple[Caller, str, str]]
KINDS = [f"{name}{kind}" for name in EVENTS for kind in ("", "_unqueued", "_then")]


@pytest.mark.parametrize("name", [*KINDS, "batch", "tick", "load", "change", "api"])
def test_an_event_is_its_callers(rooms: Callers, name: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for said, expected in pool.map(lambda one: (one[0].run(name, "x", session=uuid4().hex), one[1]), rooms * 2):
            assert said == [expected]


def test_an_event_of_a_stream_is_its_callers(rooms: Callers) -> None:
    for caller, expected, _ in rooms:
        caller.join("stream", None)
        with caller.stream("GET", f"{API}/queue/data", params={"session_hash": caller.session}) as stream:
            assert next(one["output"]["data"] for one in messages(stream) if one.get("output")) == [expected]


def test_components_take_and_show_values_in_their_callers_room(rooms: Callers) -> None:
    for caller, expected, _ in rooms:
        room = expected.split()[1]
        assert caller.run("telling", "x") == [f"{room} {room}"]


def test_a_validator_knows_what_its_callers_session_holds(rooms: Callers) -> None:
    session = uuid4().hex
    for caller, _, _ in rooms:
        assert not caller.join("checked", None, session=session).is_success
        caller.run("counted", None, session=session)
        assert caller.run("checked", None, session=session) == ["1"]


def test_what_components_write_lies_in_their_callers_room(rooms: Callers) -> None:
    for caller, _, folder in rooms:
        picture, gallery = caller.run("pictures", "x")
        for made in (picture, *(part["image"] for part in gallery)):
            assert made["path"].startswith(f"{folder}/")


def test_a_generator_that_is_cancelled_is_closed_in_its_callers_room(rooms: Callers) -> None:
    for caller, expected, _ in rooms:
        CLOSED.clear()
        event = caller.join("endless", "x").json()["event_id"]
        with caller.stream("GET", f"{API}/queue/data", params={"session_hash": caller.session}) as stream:
            next(message for message in messages(stream) if message["msg"] == "process_generating")
            body = {"session_hash": caller.session, "event_id": event, "fn_index": caller.functions["endless"]}
            caller.ask("POST", f"{API}/cancel", json=body)
            for _ in range(100):
                if CLOSED:
                    break
                time.sleep(0.1)
        assert [expected] == CLOSED


def test_a_turn_is_not_told_to_everybody_who_waits(rooms: Callers) -> None:
    """Gradio tells each place in the queue at each turn: in all, as often as the square of how many wait."""
    caller, session, waiting = rooms[0][0], uuid4().hex, 40
    for _ in range(waiting):
        assert caller.join("slow", "x", session=session).status_code == 200
    with caller.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        said = [message["msg"] for message in messages(stream)]
    assert said.count("process_completed") == waiting
    assert said.count("estimation") < waiting * waiting / 4


@pytest.mark.parametrize("name", ["plain", "asynchronous_generator", "plain_1"])
def test_a_tool_is_called_in_its_callers_room(rooms: Callers, name: str) -> None:
    for caller, expected, _ in rooms:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"text": "x"}}}
        headers = {"Accept": "application/json, text/event-stream"}
        assert expected in caller.ask("POST", f"{API}/mcp/", json=call, headers=headers).text
