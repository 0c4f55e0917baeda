"""Signing in, being greeted and signing out, as somebody in front of a browser sees it."""

from __future__ import annotations

import re
import time

import httpx2
import pytest
from playwright.sync_api import Locator, Page, expect

from auth.people.pending import SIGN_IN_SECONDS
from tests.browser.conftest import ADA, Enter, Person
from tests.support.app_server import AppServer
from tests.support.clock import Clock

AT_SIGN_IN = re.compile(r"/login-demo/")
AT_MAIN = re.compile(r"/gradio/$")


def bar(tab: Page) -> Locator:
    return tab.get_by_role("banner")


def send(tab: Page, message: str) -> None:
    tab.get_by_label("Message").fill(message)
    tab.get_by_role("button", name="Send").click()


def shows_nobody(tab: Page) -> bool:
    """No part of the page, its title or its address names the person."""
    return not re.search("Ada|Lovelace|ada@example", tab.content() + tab.title() + tab.url)


# -- coming in --------------------------------------------------------------------------------------------------------


def test_a_person_signs_in_is_greeted_by_name_and_known_to_events(person: Person) -> None:
    tab = person.opens()
    expect(tab).to_have_url(AT_SIGN_IN)
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
    expect(tab).to_have_url(AT_MAIN)
    expect(tab).to_have_title("My Gradio app")
    expect(bar(tab)).to_contain_text("My Gradio app")
    expect(bar(tab)).to_contain_text(f"Signed in as {ADA}")
    expect(bar(tab)).to_contain_text("ada@example.com")
    expect(bar(tab).get_by_text("AL", exact=True)).to_be_visible()
    send(tab, "Good morning")
    expect(tab.get_by_label("Answer")).to_have_value(f"{ADA} wrote: Good morning")


def test_the_keyboard_alone_is_enough_to_sign_in_write_and_sign_out(person: Person) -> None:
    tab = person.opens()

    def tab_to(target: Locator) -> Locator:
        for _ in range(30):
            tab.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                return target
        raise AssertionError("Tab never gets there")

    tab_to(tab.get_by_role("link", name="Sign in with")).press("Enter")
    tab.wait_for_url("**/local/authorize*")
    tab_to(tab.get_by_role("button", name=ADA)).press("Enter")
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
    tab_to(tab.get_by_label("Message")).press_sequentially("By keyboard")
    tab.keyboard.press("Enter")
    expect(tab.get_by_label("Answer")).to_have_value(f"{ADA} wrote: By keyboard")
    tab.keyboard.press("Home")
    tab.evaluate("document.activeElement.blur(); getSelection().removeAllRanges()")
    tab_to(bar(tab).get_by_role("link", name="Sign out")).press("Enter")
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()


def test_a_deep_link_comes_back_with_its_query(person: Person) -> None:
    tab = person.opens("/gradio/?x=1&__theme=dark")
    expect(tab).to_have_url(AT_SIGN_IN)
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
    assert tab.url == f"{person.server.url}/gradio/?x=1&__theme=dark"
    expect(tab.locator("body")).to_have_class(re.compile("dark"))


def test_two_tabs_sign_in_at_once(person: Person) -> None:
    first, second = person.opens("/gradio/?tab=1"), person.context.new_page()
    second.goto(f"{person.server.url}/gradio/?tab=2")
    for tab in (first, second):
        tab.get_by_role("link", name="Sign in with").click()
        tab.wait_for_url("**/local/authorize*")
    for number, tab in ((1, first), (2, second)):
        tab.get_by_role("button", name=ADA).click()
        expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
        expect(tab).to_have_url(re.compile(rf"/gradio/\?tab={number}$"))


def test_a_person_without_a_name_is_greeted_by_e_mail(person: Person) -> None:
    tab = person.signs_in("nameless@example.com", greeting="nameless@example.com")
    expect(bar(tab)).to_contain_text("Signed in as nameless@example.com")


def test_a_name_of_markup_is_shown_as_it_is_written_and_runs_nothing(person: Person) -> None:
    name = "<img src=x onerror=document.title='taken'>{{7*7}}${alert(1)}</script><b>Bo"
    tab = person.opens()
    tab.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    tab.get_by_role("link", name="Sign in with").click()
    tab.get_by_label("E-mail address").fill("bo@example.com")
    tab.get_by_label("Name").fill(name)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text(f"Hello, {name}")
    expect(bar(tab)).to_contain_text(f"Signed in as {name}")
    send(tab, "<i>hi</i>")
    expect(tab.get_by_label("Answer")).to_have_value(f"{name} wrote: <i>hi</i>")
    expect(tab).to_have_title("My Gradio app")
    assert not tab.locator("img[src=x], b, i").count()


# -- a sign-in that does not end in a session -------------------------------------------------------------------------


def test_cancel_ends_in_a_page_from_which_one_can_try_again(person: Person) -> None:
    tab = person.opens("/gradio/?wanted=1")
    person.chooses("Cancel")
    expect(tab.get_by_role("heading", name="You were not signed in")).to_be_visible()
    tab.get_by_role("link", name="Try again").click()
    expect(tab.get_by_role("alert")).to_contain_text("The sign-in was cancelled")
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
    expect(tab).to_have_url(re.compile(r"/gradio/\?wanted=1$"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("Olga Outside", "not on the list"), ("Una Firmed", "has not verified your e-mail address")],
    ids=["outside the domain", "unverified"],
)
def test_who_may_not_enter_is_told_why_and_another_may(
    enter: Enter, choosy: AppServer, name: str, sentence: str
) -> None:
    person = enter(choosy)
    tab = person.opens()
    person.chooses(name)
    expect(tab.get_by_role("heading", name="This account may not enter")).to_be_visible()
    expect(tab.get_by_role("main")).to_contain_text(sentence)
    tab.goto(f"{choosy.url}/gradio/")
    expect(tab).to_have_url(AT_SIGN_IN)
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()


def test_a_callback_loaded_again_says_so_and_the_session_stays(person: Person) -> None:
    with person.context.expect_event("request", lambda request: "/auth/local?" in request.url) as callback:
        tab = person.enters()
    tab.goto(callback.value.url)
    expect(tab.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    answer = tab.reload()
    assert answer
    assert answer.status == 400
    expect(tab.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    tab.get_by_role("link", name="Open the app").click()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()


def test_back_from_the_app_does_not_sign_in_twice_or_loop(person: Person) -> None:
    tab = person.signs_in()
    tab.go_back()
    expect(tab).to_have_url(re.compile("/local/authorize"))
    tab.get_by_role("button", name=ADA).click()
    expect(tab.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    tab.get_by_role("link", name="Open the app").click()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()


def test_a_sign_in_that_took_too_long_says_so(person: Person, clock: Clock) -> None:
    tab = person.opens()
    tab.get_by_role("link", name="Sign in with").click()
    tab.wait_for_url("**/local/authorize*")
    clock.advance(SIGN_IN_SECONDS + 1)
    tab.get_by_role("button", name=ADA).click()
    expect(tab.get_by_role("heading", name="This sign-in took too long")).to_be_visible()
    tab.get_by_role("link", name="Try again").click()
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()


def test_cookies_cleared_half_way_end_in_a_page_and_a_new_start(person: Person) -> None:
    tab = person.opens()
    tab.get_by_role("link", name="Sign in with").click()
    tab.wait_for_url("**/local/authorize*")
    person.context.clear_cookies()
    tab.get_by_role("button", name=ADA).click()
    expect(tab.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    tab.get_by_role("link", name="Try again").click()
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()


# -- going out --------------------------------------------------------------------------------------------------------


def test_after_signing_out_back_shows_nothing_personal_and_a_copied_cookie_is_refused(person: Person) -> None:
    tab = person.signs_in()
    copied = person.cookies()
    with httpx2.Client(base_url=person.server.url, cookies=copied) as thief:
        assert thief.get("/user/me").json()["name"] == ADA
        bar(tab).get_by_role("link", name="Sign out").click()
        expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
        assert thief.get("/user/me").status_code == 401
        assert thief.get("/gradio/config").status_code == 401
    tab.go_back()
    expect(tab).to_have_url(AT_SIGN_IN)
    expect(tab.get_by_role("link", name="Sign in with")).to_be_visible()
    assert shows_nobody(tab)


KEEP = "for (const kept of [localStorage, sessionStorage]) kept.setItem('note', \"Ada's own\")"
KEPT = "[localStorage, sessionStorage].map((kept) => kept.getItem('note'))"


def test_after_signing_out_nothing_is_left_in_the_browser(person: Person) -> None:
    tab = person.signs_in()
    tab.evaluate(KEEP)
    bar(tab).get_by_role("link", name="Sign out").click()
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert tab.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_what_the_browser_keeps_is_there_for_the_same_person_and_gone_for_another(enter: Enter) -> None:
    clock = Clock(0, on_top_of=time.time)
    with AppServer({}, clock=clock, session_idle_minutes=5) as server:
        person = enter(server)
        tab = person.signs_in()
        tab.evaluate(KEEP)
        person.signs_in()
        assert tab.evaluate(KEPT) == ["Ada's own"] * 2
        clock.advance(301)  # nobody signs out: the session just ends
        person.signs_in("nameless@example.com")
        assert tab.evaluate(KEPT) == [None, None]


@pytest.mark.parametrize("act", ["an event", "the focus"])
def test_an_open_tab_goes_to_sign_in_once_another_tab_signed_out_and_comes_back(person: Person, act: str) -> None:
    tab = person.signs_in(path="/gradio/?kept=1")
    other = person.context.new_page()
    other.goto(f"{person.server.url}/logout")
    if act == "an event":
        send(tab, "too late")
    else:
        tab.evaluate("dispatchEvent(new Event('focus'))")
    expect(tab).to_have_url(AT_SIGN_IN)
    expect(tab.get_by_role("alert")).to_contain_text("Your session has ended")
    person.chooses()
    expect(tab.get_by_role("heading", name=f"Hello, {ADA}")).to_be_visible()
    expect(tab).to_have_url(re.compile(r"/gradio/\?kept=1$"))


def test_an_open_tab_starts_afresh_once_somebody_else_signed_in(person: Person) -> None:
    tab = person.signs_in()
    send(tab, "Ada's own words")
    expect(tab.get_by_label("Answer")).not_to_be_empty()
    other = person.context.new_page()
    other.goto(f"{person.server.url}/login?next=/user/me")
    other.get_by_role("button", name="nameless@example.com").click()
    expect(other).to_have_url(f"{person.server.url}/user/me")
    tab.evaluate("dispatchEvent(new Event('focus'))")
    expect(tab.get_by_role("heading", name="Hello, nameless@example.com")).to_be_visible()
    assert shows_nobody(tab)


def test_a_running_stream_is_cut_within_five_seconds_of_signing_out(enter: Enter, callers: AppServer) -> None:
    person = enter(callers)
    tab = person.opens()
    person.chooses()
    tab.get_by_role("button", name="endless").click()
    expect(tab.get_by_label("Answer")).to_have_value(re.compile(rf"\d \| {ADA}"))
    person.context.request.get(f"{callers.url}/logout")
    expect(tab).to_have_url(AT_SIGN_IN, timeout=5_000)


def test_signing_out_everywhere_ends_the_sessions_of_other_browsers_too(enter: Enter, local: AppServer) -> None:
    here, there = enter(local), enter(local)
    here.enters()
    there.signs_in()
    here.opens("/logout?everywhere=1")
    send(there.tab, "still here?")
    expect(there.tab).to_have_url(AT_SIGN_IN)


# -- other sites ------------------------------------------------------------------------------------------------------


ATTACKS = {
    "a link": '<a href="{url}/logout">Click</a>',
    "a form": '<form method="post" action="{url}/logout"><button>Click</button></form>',
    "a form, everywhere": '<form method="post" action="{url}/logout?everywhere=1"><button>Click</button></form>',
    "an image": '<img src="{url}/logout"><button onclick="document.title=1">Click</button>',
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_another_site_signs_nobody_out(enter: Enter, local: AppServer, attack: str) -> None:
    person = enter(local)
    person.enters()
    tab = person.visits_another_site(ATTACKS[attack].format(url=local.url))
    tab.get_by_text("Click").click()
    if attack != "an image":
        expect(tab.get_by_role("heading", name="Sign out?")).to_be_visible()
        expect(tab.get_by_role("link", name="Stay signed in")).to_be_visible()
    person.opens("/user/me")
    expect(tab.locator("body")).to_contain_text(ADA)


def test_who_comes_from_another_site_and_wants_to_leave_signs_out_with_one_more_click(person: Person) -> None:
    person.enters()
    tab = person.visits_another_site(ATTACKS["a link"].format(url=person.server.url))
    tab.get_by_text("Click").click()
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
    person.opens("/user/me")
    expect(tab.locator("body")).not_to_contain_text(ADA)
