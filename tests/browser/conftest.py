"""A real Chromium in front of the real app."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright
from pydantic import SecretStr

from auth.providers import ProviderSettings
from tests.support.app_server import AppServer
from tests.support.caller_blocks import caller_blocks
from tests.support.clock import Clock

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-audio-output",  # where there is no sound card, playing ends the page
    "--use-fake-device-for-media-stream",
    # What peers ask for fails at once.
    "--host-resolver-rules=MAP another.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
TELL_REFUSALS = """
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) =>
  console.error(`refused by ${violatedDirective}: ${blockedURI} in ${location} ${sourceFile}`));
"""
TOP = Path(__file__).parents[1]
ADA = "Ada Lovelace"


class Person:
    """Somebody in front of a browser with cookies of its own, who walks as people do: by what stands on the page."""

    def __init__(self, server: AppServer, context: BrowserContext) -> None:
        self.server = server
        self.context = context
        self.tab: Page = context.new_page()
        self.other_site = f"http://localhost:{server.port}"

    def opens(self, path: str = "/") -> Page:
        self.tab.goto(self.server.url + path)
        return self.tab

    def chooses(self, name: str = ADA) -> None:
        """From the sign-in page on, once Gradio has drawn it: a page that is left half loaded reports a fault."""
        expect(self.tab.locator("#sign-in-now")).to_have_count(0)
        self.tab.get_by_role("link", name="Sign in with").click()
        self.tab.get_by_role("button", name=name).click()

    def enters(self, name: str = ADA, path: str = "/user/me") -> Page:
        """The short way to a session: no Blocks to wait for."""
        self.opens(f"/login?next={quote(path)}")
        self.tab.get_by_role("button", name=name).click()
        expect(self.tab).to_have_url(self.server.url + path)
        return self.tab

    def signs_in(self, name: str = ADA, path: str = "/gradio/", greeting: str = "") -> Page:
        """Until the main Blocks have greeted."""
        self.enters(name, path)
        expect(self.tab.get_by_role("heading", name=f"Hello, {greeting or name}", exact=True)).to_be_visible()
        return self.tab

    def visits_another_site(self, body: str) -> Page:
        """A page of that body, on another site: `localhost` is none of the app's names."""
        self.context.route(
            f"{self.other_site}/**",
            lambda route: route.fulfill(
                body=f"<!doctype html><title>Elsewhere</title>{body}", content_type="text/html"
            ),
        )
        self.tab.goto(f"{self.other_site}/elsewhere")
        return self.tab

    def cookies(self) -> dict[str, str]:
        return {cookie["name"]: cookie["value"] for cookie in self.context.cookies()}


class Elsewhere(ThreadingHTTPServer):
    """Another origin, which remembers what it was asked for and lets everybody in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Elsewhere)
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Elsewhere(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        kinds = {"js": "text/javascript", "css": "text/css", "es": "text/event-stream"}
        self.send_header("Content-Type", kinds.get(self.path.rpartition(".")[2], "text/html"))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: Playwright keeps an event loop in this thread, and other tests run their own."""
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGS)
        yield browser
        browser.close()


@dataclass(frozen=True)
class Peer:
    """A provider that others wrote; at the default address there is none."""

    label: str
    issuer: str = "http://127.0.0.1:9"
    client_secret: str = "the-apps-own-secret-there"
    response_mode: Literal["query", "form_post"] = "query"

    def settings(self, name: str) -> ProviderSettings:
        secret = SecretStr(self.client_secret)
        return ProviderSettings(
            name=name,
            label=self.label,
            issuer=self.issuer,
            client_id="the-app",
            client_secret=secret,
            response_mode=self.response_mode,
        )


@pytest.fixture(scope="session")
def local_clock() -> Clock:
    return Clock(0, on_top_of=time.time)


@pytest.fixture(scope="session")
def local(local_clock: Clock) -> Iterator[AppServer]:
    """The app as it is with nothing configured."""
    with AppServer({}, clock=local_clock) as server:
        yield server


@pytest.fixture
def clock(local_clock: Clock) -> Iterator[Clock]:
    """What `local` takes the time from, and where the test sets it ahead; right again afterwards."""
    yield local_clock
    local_clock.now = 0


@pytest.fixture(scope="session")
def callers() -> Iterator[AppServer]:
    """The app with Blocks of every kind of event, each saying who called it."""
    with AppServer({}, main_blocks=caller_blocks) as server:
        yield server


@pytest.fixture(scope="session")
def choosy() -> Iterator[AppServer]:
    """An app that lets in who has a verified address in example.com."""
    with AppServer({}, allowed_domains=("example.com",)) as server:
        yield server


Enter = Callable[..., Person]


def origin(url: str) -> tuple[str, str]:
    return urlsplit(url)[:2]


@pytest.fixture
def enter(chromium: Browser) -> Iterator[Enter]:
    """Somebody new in front of an app; `peers` are origins of others, whose pages are their own affair.

    In the end, none of the app's pages has asked another host for anything, failed in a script, or met with a refusal
    of its own policy, but where `is_attacked`: there the test itself looks at what came of it.
    """
    people: list[Person] = []
    faults: list[str] = []

    def enter(server: AppServer, *, peers: Iterable[str] = (), is_attacked: bool = False) -> Person:
        person = Person(server, chromium.new_context())
        elsewhere = {origin(url) for url in (person.other_site, *peers)}

        def look_at(request: Request) -> None:
            own = origin(request.url.removeprefix("blob:")) == origin(server.url) or request.url.startswith("data:")
            own = own or origin(request.frame.url) in elsewhere
            if not own and not (request.is_navigation_request() and origin(request.url) in elsewhere):
                faults.append(f"{request.frame.url} asked for {request.url}")

        def listen(message: ConsoleMessage) -> None:
            if message.text.startswith("refused by "):
                faults.append(message.text)

        if not is_attacked:
            person.context.on("request", look_at)
            person.context.on("weberror", lambda fault: faults.append(str(fault.error)))
            person.context.on("console", listen)
            person.context.add_init_script(TELL_REFUSALS)
        people.append(person)
        return person

    yield enter
    for person in people:
        person.context.close()
    assert not faults


@pytest.fixture
def person(enter: Enter, local: AppServer) -> Person:
    return enter(local)
