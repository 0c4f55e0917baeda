"""Every kind of event behind the gate, set off in a browser, knows the person in front of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADA, Enter
from tests.support.app_server import AppServer


@pytest.fixture
def tab(enter: Enter, callers: AppServer) -> Page:
    person = enter(callers)
    tab = person.opens("/login")
    tab.get_by_role("button", name=ADA).click()
    expect(tab.get_by_role("button", name="unqueued")).to_be_visible()
    return tab


def test_every_kind_of_event_knows_the_person(tab: Page, callers: AppServer) -> None:
    me = tab.request.get(f"{callers.url}/user/me").json()
    signed = re.escape(f" | {ADA} | {me['issuer']}#{me['subject']}")
    answer = tab.get_by_label("Answer")
    for event, text in (("queued", "a"), ("unqueued", "b"), ("streamed", "c 3 of 3"), ("batched", "d")):
        tab.get_by_label("Text").fill(text[0])
        tab.get_by_role("button", name=event, exact=True).click()
        expect(answer).to_have_value(re.compile(f"^{text}{signed}$"))
    letter = {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"what it says"}
    tab.locator("input[type=file]").set_input_files(letter)  # type: ignore[arg-type]
    expect(answer).to_have_value(re.compile(f"^what it says{signed}$"))
    tab.get_by_role("button", name="component_server").click()
    expect(tab.locator("#asks output")).to_have_text(f"hello | {ADA} |")
