"""The sign-in page is there with its first answer, works without scripts, and is taken over without a flicker."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import ADA, Enter, Person
from tests.support.app_server import AppServer

NEXT = "/gradio/?view=api&x=%22%3E%3Cb%3E"
BUTTON = "Sign in with the local provider"
CARD = """() => {
  const card = document.querySelector(".card").getBoundingClientRect();
  return [card.x, card.y, card.width, card.height].map(Math.round);
}"""


def page_of(server: AppServer, query: str = "") -> str:
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    answer = httpx2.get(f"{server.url}/login-demo/{query}", headers=headers, trust_env=False)
    assert answer.status_code == 200
    assert int(answer.headers.get("content-length", len(answer.content))) == len(answer.content)
    return answer.text


def test_the_page_works_without_scripts(chromium: Browser, local: AppServer) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(f"{local.url}/login-demo/?reason=session_idle&next=/user/me")
        expect(tab.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
        expect(tab.get_by_role("alert")).to_have_text(
            "You were away for a while, so you were signed out. Please sign in again."
        )
        expect(tab.get_by_text("Please sign in to continue.")).to_be_hidden()
        tab.get_by_role("link", name=BUTTON).click()
        tab.get_by_role("button", name=ADA).click()
        expect(tab).to_have_url(f"{local.url}/user/me")


def test_nothing_more_is_asked_for_before_the_card_is_seen(chromium: Browser, local: AppServer) -> None:
    """Every style sheet and script of Gradio's may hang, and the card is painted all the same."""
    hanging: list[Route] = []
    with chromium.new_context() as context:
        context.route(re.compile(r"/login-demo/.+|/theme"), lambda route: hanging.append(route))
        tab = context.new_page()
        tab.goto(f"{local.url}/login-demo/", wait_until="commit")
        painted = """() => new Promise((done) => new PerformanceObserver((entries) => done(true))
            .observe({ type: "paint", buffered: true }))"""
        assert tab.evaluate(painted)
        expect(tab.get_by_role("link", name=BUTTON)).to_be_visible()
        assert hanging
        for route in hanging:
            route.abort()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_blocks_take_over_in_the_same_place_and_keep_the_focus(enter: Enter, local: AppServer, width: int) -> None:
    person = enter(local)
    tab = person.tab
    tab.set_viewport_size({"width": width, "height": 800})
    waiting: list[Route] = []
    released: list[bool] = []
    scripts = re.compile(r"\.js$")
    person.context.route(scripts, lambda route: route.continue_() if released else waiting.append(route))
    tab.goto(f"{local.url}/login-demo/?reason=session_idle", wait_until="commit")
    expect(tab.locator("#sign-in-now").get_by_role("link", name=BUTTON)).to_be_visible()
    tab.keyboard.press("Tab")
    before = tab.evaluate(CARD)
    released.append(True)
    for route in waiting:
        route.continue_()
    expect(tab.locator("#sign-in-now")).to_have_count(0)
    assert tab.evaluate(CARD) == before
    expect(tab.get_by_role("heading", level=1)).to_have_count(1)
    expect(tab.get_by_role("link", name=BUTTON)).to_be_focused()
    expect(tab.get_by_text("Please sign in to continue.")).to_be_hidden()


def test_the_address_only_chooses_among_sentences_and_is_never_markup(local: AppServer) -> None:
    page = page_of(local, "?reason=%3Cb%3Ex&next=%2Fgradio%2F%3Fx%3D%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    card = page.partition('<div id="sign-in-now">')[2].partition("</section>")[0]
    assert "<b>" not in card
    assert "<script>alert" not in page
    assert 'next=/gradio/%3Fx%3D%22%3E%3Cscript%3Ealert%281%29%3C/script%3E"' in card


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("", "/gradio/"),
        ("?next=/user/me", "/user/me"),
        ("?next=https://elsewhere.example/", "/gradio/"),
        ("?reason=session_ended&next=/user/me", "/user/me"),
    ],
)
def test_whoever_is_signed_in_is_led_on(person: Person, query: str, place: str) -> None:
    person.enters()
    person.opens(f"/login-demo/{query}")
    expect(person.tab).to_have_url(person.server.url + place)


def test_whoever_may_want_another_account_stays(person: Person) -> None:
    person.enters()
    person.opens("/login-demo/?reason=not_allowed")
    expect(person.tab.get_by_role("link", name=BUTTON)).to_be_visible()


def test_the_logo_and_whom_to_ask(enter: Enter, tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40"/></svg>'
    )
    with AppServer({}, app_logo=logo, contact="help@example.com", allowed_domains=("example.com",)) as server:
        person = enter(server)
        tab = person.opens("/login-demo/")
        expect(tab.locator("#sign-in-now")).to_have_count(0)
        drawn = "() => [...document.images].map((image) => image.naturalWidth)"
        assert tab.evaluate(drawn) == [120]
        tab.get_by_role("link", name=BUTTON).click()
        tab.get_by_role("button", name="Olga Outside").click()
        expect(tab.get_by_role("link", name="help@example.com")).to_have_attribute("href", "mailto:help@example.com")
        assert tab.evaluate(drawn) == [120]
        tab.get_by_role("link", name="Use another account").click()
        expect(tab.locator("#sign-in-now")).to_have_count(0)
        expect(tab.get_by_role("alert")).to_contain_text("not on the list")
