"""Each page as somebody sees it: wide and on a phone, light and dark, by keyboard and by screen reader.

What the pages look like is written to `tests/screenshots`, to be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import quote, urlencode

import httpx2
import pytest
from playwright.sync_api import Page, expect

from auth.people.pending import SIGN_IN_SECONDS
from tests.browser.conftest import ADA, TOP, Enter, Peer, Person
from tests.support.app_server import AppServer
from tests.support.clock import Clock
from tests.support.servers import free_port

SCREENSHOTS = TOP / "screenshots"
AXE = (TOP / "node/node_modules/axe-core/axe.min.js").read_text("utf-8")
LEVEL = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""WCAG 2.2 AA, every violation; and of what axe holds good practice, what is serious."""
RULES = {"runOnly": LEVEL, "resultTypes": ["violations"]}
WIDTHS = {"wide": 1280, "phone": 360}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module")
def several() -> Iterator[AppServer]:
    """An app with Google and another provider, neither of which answers."""
    providers = {"google": Peer(label="Google"), "acme": Peer(label="Acme Corporation", response_mode="form_post")}
    with AppServer(providers, app_title="Quarterly figures of the whole company") as server:
        yield server


@pytest.fixture(scope="module")
def programs() -> Iterator[AppServer]:
    """An app to which people may connect programs."""
    with AppServer({}, people_tokens=True) as server:
        yield server


@pytest.fixture(scope="module")
def alone(local_clock: Clock) -> Iterator[AppServer]:
    """An app that has never reached its Redis."""
    with AppServer({}, clock=local_clock, redis_url=f"redis://127.0.0.1:{free_port()}") as server:
        yield server


def sign_in(person: Person, clock: Clock) -> None:
    person.opens("/login-demo/")


def sign_in_with_reason(person: Person, clock: Clock) -> None:
    person.opens("/login-demo/?reason=session_idle")
    expect(person.tab.get_by_role("alert")).to_be_visible()


def provider_down(person: Person, clock: Clock) -> None:
    person.opens("/login?provider=acme")


def chooser(person: Person, clock: Clock) -> None:
    person.opens("/login")


def chooser_mistake(person: Person, clock: Clock) -> None:
    tab = person.opens("/login")
    tab.get_by_label("E-mail address").fill("two@at@signs")
    tab.locator("form", has=tab.get_by_label("E-mail address")).evaluate("form => { form.noValidate = true }")
    tab.get_by_role("button", name="Sign in").click()


def main(person: Person, clock: Clock) -> None:
    person.signs_in()


def main_long_name(person: Person, clock: Clock) -> None:
    tab = person.opens("/login")
    tab.get_by_role("button", name="Maximiliana").click()
    expect(tab.get_by_role("heading", name="Hello, Maximiliana")).to_be_visible()


def main_right_to_left(person: Person, clock: Clock) -> None:
    tab = person.opens("/login")
    tab.get_by_label("E-mail address").fill("amira@example.com")
    tab.get_by_label("Name, if any").fill("أميرة القاضي")
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", name="Hello, أميرة القاضي")).to_be_visible()


def main_without_a_name(person: Person, clock: Clock) -> None:
    tab = person.opens("/login")
    tab.get_by_role("button", name="nameless@example.com").click()
    expect(tab.get_by_role("heading", name="Hello, nameless@example.com")).to_be_visible()


def denied(person: Person, clock: Clock) -> None:
    person.opens("/login")
    person.tab.get_by_role("button", name="Cancel").click()


def expired(person: Person, clock: Clock) -> None:
    person.opens("/login")
    clock.advance(SIGN_IN_SECONDS + 1)
    person.tab.get_by_role("button", name=ADA).click()


def not_allowed(person: Person, clock: Clock) -> None:
    person.opens("/login")
    person.tab.get_by_role("button", name="Olga Outside").click()


def unverified(person: Person, clock: Clock) -> None:
    person.opens("/login")
    person.tab.get_by_role("button", name="Una Firmed").click()


def come_by_post(person: Person, clock: Clock) -> None:
    """As it stands until its script has sent it on, and where none runs."""
    url = person.server.url
    person.tab.route(
        f"{url}/auth/acme",
        lambda route: route.fulfill(status=204) if route.request.headers["origin"] == url else route.continue_(),
    )
    person.visits_another_site(f'<form method="post" action="{url}/auth/acme"><button name="code">Go</button></form>')
    person.tab.get_by_role("button", name="Go").click()


def used_callback(person: Person, clock: Clock) -> None:
    person.enters()
    person.opens("/auth/local?code=x&state=y")


def not_found(person: Person, clock: Clock) -> None:
    person.opens("/nowhere")


def not_found_inside(person: Person, clock: Clock) -> None:
    person.enters()
    person.opens("/gradio/nowhere")


def not_possible(person: Person, clock: Clock) -> None:
    person.opens("/auth/acme/backchannel-logout")


def another_address(person: Person, clock: Clock) -> None:
    person.tab.goto(f"http://another.test:{person.server.port}/")
    start = person.tab.get_by_role("link", name="To the start")
    expect(start).to_have_attribute("href", f"{person.server.url}/")


def unchecked(person: Person, clock: Clock) -> None:
    clock.advance(-100)
    person.opens("/login?next=/user/me")
    person.tab.get_by_role("button", name=ADA).click()


def no_such_provider(person: Person, clock: Clock) -> None:
    person.opens("/login?provider=nobody")


def unknown_program(person: Person, clock: Clock) -> None:
    person.opens("/oauth/authorize?client_id=nobody")


def consent(person: Person, clock: Clock) -> None:
    callback = "http://127.0.0.1:33418/callback"
    metadata = {"client_name": "Data explorer " + "x" * 60, "redirect_uris": [callback]}
    url = person.server.url
    client_id = httpx2.post(f"{url}/oauth/register", json=metadata, trust_env=False).json()["client_id"]
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": callback,
        "state": "x",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
        "resource": f"{url}/",
    }
    person.opens(f"/oauth/authorize?{urlencode(query)}")
    person.chooses()


def docs(person: Person, clock: Clock) -> None:
    person.enters()
    person.opens("/docs")
    operation = person.tab.locator(".opblock", has_text="/user/me")
    operation.get_by_role("button", name="Get").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table .response")).to_be_visible()


def docs_authorize(person: Person, clock: Clock) -> None:
    person.enters()
    person.opens("/docs")
    person.tab.get_by_role("button", name="Authorize").first.click()
    expect(person.tab.locator(".dialog-ux")).to_be_visible()


def signed_out(person: Person, clock: Clock) -> None:
    person.enters()
    person.opens("/logout")


def sign_out_at_provider(person: Person, clock: Clock) -> None:
    """Where nothing tells the provider who leaves: the app's own link does, and nobody is asked."""
    back = quote(f"{person.server.url}/logout", safe="")
    person.opens(f"/local/logout?client_id=local-app&state=x&post_logout_redirect_uri={back}")


def confirm_sign_out(person: Person, clock: Clock) -> None:
    person.enters()
    person.visits_another_site(f'<a href="{person.server.url}/logout">Leave</a>')
    person.tab.get_by_text("Leave").click()


PAGES: dict[str, tuple[Callable[[Person, Clock], None], str, str]] = {
    "sign-in": (sign_in, "local", "Sign in"),
    "sign-in-reason": (sign_in_with_reason, "local", "Sign in"),
    "sign-in-several": (sign_in, "several", "Sign in"),
    "provider-down": (provider_down, "several", "The sign-in provider does not answer"),
    "chooser": (chooser, "local", "Choose an account"),
    "chooser-mistake": (chooser_mistake, "local", "Choose an account"),
    "main": (main, "local", f"Hello, {ADA}"),
    "main-long-name": (main_long_name, "local", "Hello, Maximiliana"),
    "main-right-to-left": (main_right_to_left, "local", "Hello, أميرة القاضي"),
    "main-without-a-name": (main_without_a_name, "local", "Hello, nameless@example.com"),
    "denied": (denied, "local", "You were not signed in"),
    "expired": (expired, "local", "This sign-in took too long"),
    "not-allowed": (not_allowed, "choosy", "This account may not enter"),
    "unverified": (unverified, "choosy", "This account may not enter"),
    "come-by-post": (come_by_post, "several", "Signing you in"),
    "used-callback": (used_callback, "local", "This sign-in is over"),
    "not-found": (not_found, "local", "Not found"),
    "not-found-inside": (not_found_inside, "local", "Not found"),
    "not-possible": (not_possible, "several", "Not possible"),
    "another-address": (another_address, "local", "Another address"),
    "unchecked": (unchecked, "alone", "Try again in a moment"),
    "no-such-provider": (no_such_provider, "local", "No such sign-in"),
    "unknown-program": (unknown_program, "programs", "This program cannot be connected"),
    "consent": (consent, "programs", "Let a program act as you?"),
    "docs": (docs, "local", "My Gradio app"),
    "docs-authorize": (docs_authorize, "local", "My Gradio app"),
    "signed-out": (signed_out, "local", "You are signed out"),
    "sign-out-at-provider": (sign_out_at_provider, "local", "Sign out of the local provider?"),
    "confirm-sign-out": (confirm_sign_out, "local", "Sign out?"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_there_for_everybody(enter: Enter, clock: Clock, name: str, request: pytest.FixtureRequest) -> None:
    walk, server, heading = PAGES[name]
    app = request.getfixturevalue(server)
    person = enter(app, peers=[f"http://another.test:{app.port}"])
    walk(person, clock)
    tab = person.tab
    expect(tab.get_by_role("heading", level=1)).to_contain_text(heading)
    expect(tab.get_by_role("heading", level=1)).to_have_count(1)
    assert tab.title().endswith(person.server.settings.app_title)
    assert tab.evaluate("document.documentElement.lang") == "en"
    tab.evaluate(AXE)
    SCREENSHOTS.mkdir(exist_ok=True)
    faults = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            tab.set_viewport_size({"width": WIDTHS[width], "height": 800})
            tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            tab.screenshot(path=SCREENSHOTS / f"{name}-{width}-{scheme}.png", full_page=True)
            faults += [f"{width}, {scheme}: {fault}" for fault in faults_of(tab)]
    assert not faults, "\n".join(faults)


def faults_of(tab: Page) -> Iterator[str]:
    beyond = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if beyond > 0:
        yield f"{beyond} px wider than the window"
    for violation in tab.evaluate(f"axe.run({json.dumps(RULES)}).then(result => result.violations)"):
        if "best-practice" not in violation["tags"] or violation["impact"] in ("serious", "critical"):
            yield f"{violation['id']}: {[node['target'] for node in violation['nodes']]}"


def test_gradios_page_on_its_api_asks_no_other_host(person: Person) -> None:
    person.signs_in(path="/gradio/?view=api")
    person.tab.wait_for_load_state("networkidle")
