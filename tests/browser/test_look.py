"""What the host puts around an app keeps out of its way, and nothing of the app covers it.

What it looks like is written to `tests/screenshots`, to be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADA, Enter, Person
from tests.browser.test_pages import SCHEMES, SCREENSHOTS
from tests.support.app_server import AppServer

WIDTHS = (360, 480, 768, 1280, 1920, 3840)
HEADER = '<div id="pinned" style="position: fixed; inset: 0 0 auto; height: 48px; background: #fde68a">Pinned</div>'
pytestmark = pytest.mark.filterwarnings("ignore:SSR mode is not supported with multi-page apps")


def crowded() -> gr.Blocks:
    """Everything that an app pins to the top of the window."""

    def tell() -> None:
        gr.Info("A toast that says something", duration=None)
        gr.Warning("And another", duration=None)

    with gr.Blocks() as demo:
        gr.HTML(HEADER)
        with gr.Sidebar():
            gr.Markdown("# Left")
        with gr.Sidebar(position="right", open=False):
            gr.Markdown("# Right")
        gr.Markdown("# Content")
        for number in range(20):
            gr.Textbox(label=f"Field {number}")
        demo.load(tell)
    with demo.route("Second", "/second"):
        gr.Markdown("# Second")
    return demo


def chat() -> gr.Blocks:
    return gr.ChatInterface(lambda message, history: f"Echo: {message}", save_history=True, api_name="chat")


def served(blocks: Callable[[], gr.Blocks] | None) -> Any:
    @pytest.fixture(scope="module")
    def server() -> Iterator[AppServer]:
        with AppServer({}, main_blocks=blocks) as server:
            yield server

    return server


crowded_app = served(crowded)
chat_app = served(chat)


def settled(tab: Page) -> None:
    """Once what follows a change of the page has followed."""
    tab.evaluate("() => new Promise(done => setTimeout(() => requestAnimationFrame(done), 400))")


def box(tab: Page, selector: str) -> dict[str, float]:
    found = tab.locator(selector).first.bounding_box()
    assert found, selector
    return dict(found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_covers_sign_out_and_the_bar_covers_nothing(enter: Enter, crowded_app: AppServer, scheme: Any) -> None:
    person = enter(crowded_app)
    tab = person.enters(path="/gradio/")
    tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    expect(tab.locator(".toast-item")).to_have_count(2)
    SCREENSHOTS.mkdir(exist_ok=True)
    for width in WIDTHS:
        tab.set_viewport_size({"width": width, "height": 700})
        settled(tab)
        tab.screenshot(path=SCREENSHOTS / f"crowded-{width}-{scheme}.png")
        bottom = box(tab, ".account")["y"] + box(tab, ".account")["height"]
        for pinned in ("#pinned", ".toast-wrap", ".sidebar.open"):
            assert box(tab, pinned)["y"] >= bottom, (width, pinned)
        assert box(tab, ".sidebar.open")["y"] + box(tab, ".sidebar.open")["height"] <= 700.5, width
        out = box(tab, "a.account-out")
        at = [out["x"] + out["width"] / 2, out["y"] + out["height"] / 2]
        assert tab.evaluate("at => document.elementFromPoint(...at).textContent", at) == "Sign out", width
        assert out["x"] >= 0 and out["x"] + out["width"] <= width
    tab.get_by_role("link", name="Sign out").click()
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()


def test_what_is_pinned_goes_to_the_top_when_the_bar_is_scrolled_away(enter: Enter, crowded_app: AppServer) -> None:
    tab = enter(crowded_app).enters(path="/gradio/")
    expect(tab.locator(".toast-item")).to_have_count(2)
    settled(tab)
    tab.evaluate("window.scrollTo(0, 600)")
    settled(tab)
    assert box(tab, "#pinned")["y"] == 0
    assert box(tab, ".sidebar.open")["y"] == 0
    tab.evaluate("window.scrollTo(0, 0)")
    settled(tab)
    assert box(tab, "#pinned")["y"] > 40


def plain() -> gr.Blocks:
    with gr.Blocks() as demo:
        gr.Textbox(elem_id="content")
    return demo


def full_width() -> gr.Blocks:
    with gr.Blocks(fill_width=True) as demo:
        gr.Textbox(elem_id="content")
    return demo


def narrowed() -> gr.Blocks:
    with gr.Blocks(css=".gradio-container .main { max-width: 900px !important }") as demo:
        gr.Textbox(elem_id="content")
    return demo


@pytest.mark.filterwarnings("ignore:The parameters have been moved from the Blocks constructor")
@pytest.mark.parametrize("blocks", [plain, full_width, narrowed], ids=lambda blocks: blocks.__name__)
def test_the_bar_lines_up_with_the_content(enter: Enter, blocks: Callable[[], gr.Blocks]) -> None:
    with AppServer({}, main_blocks=blocks) as server:
        tab = enter(server).enters(path="/gradio/")
        expect(tab.locator("#content")).to_be_visible()
        for width in (360, 700, 1000, 1280, 1700, 2560, 3840):
            tab.set_viewport_size({"width": width, "height": 700})
            settled(tab)
            content, out = box(tab, "#content"), box(tab, "a.account-out")
            assert out["x"] + out["width"] == pytest.approx(content["x"] + content["width"], abs=1), width
            first = ".account-picture" if width <= 480 else ".account-title"
            assert box(tab, first)["x"] == pytest.approx(content["x"], abs=1), width
        tab.close()


NOTE_HEADINGS = """
window.headings = [];
const note = () => document.querySelectorAll("h1").forEach(it => headings.push(it.textContent));
new MutationObserver(note).observe(document, { childList: true, subtree: true, characterData: true });
"""


def test_the_greeting_says_one_thing(person: Person) -> None:
    person.context.add_init_script(NOTE_HEADINGS)
    tab = person.signs_in()
    settled(tab)
    assert set(tab.evaluate("headings")) <= {"", f"Hello, {ADA}"}


def test_use_via_api_and_settings_work_and_a_token_stands_in_the_snippets(person: Person) -> None:
    tab = person.signs_in()
    tab.get_by_role("button", name="Use via API").click()
    docs = tab.locator(".api-docs")
    header = '"Authorization": "Bearer TOKEN"'
    expect(docs).to_contain_text(f'Client("{person.server.url}/gradio", headers={{{header}}})')
    settled(tab)
    tab.screenshot(path=SCREENSHOTS / "api-wide-light.png")
    out = box(tab, "a.account-out")
    at = [out["x"] + out["width"] / 2, out["y"] + out["height"] / 2]
    assert tab.evaluate("at => document.elementFromPoint(...at).textContent", at) == "Sign out"
    expect(docs).to_contain_text('curl -H "Authorization: Bearer TOKEN" -X POST')
    expect(docs).to_contain_text('{ headers: { Authorization: "Bearer TOKEN" } }')
    tab.keyboard.press("Escape")
    person.opens("/gradio/")
    tab.get_by_role("button", name="Settings").click()
    expect(tab.get_by_text("Display Theme")).to_be_visible()


def test_signing_out_asks_first_where_chats_are_kept(enter: Enter, chat_app: AppServer) -> None:
    person = enter(chat_app)
    tab = person.enters(path="/gradio/")
    message = tab.get_by_placeholder("Type a message")
    message.fill("Good morning")
    message.press("Enter")
    expect(tab.get_by_text("Echo: Good morning")).to_be_visible()
    expect(tab.get_by_role("gridcell", name="Good morning")).to_be_visible()  # among the chats that are kept
    settled(tab)
    tab.get_by_role("link", name="Sign out").click()
    asked = tab.get_by_role("dialog", name="Sign out?")
    expect(asked).to_contain_text("Signing out deletes them")
    for width, name in ((1280, "wide"), (360, "phone")):
        for scheme in SCHEMES:
            tab.set_viewport_size({"width": width, "height": 800})
            tab.emulate_media(color_scheme=scheme)
            tab.screenshot(path=SCREENSHOTS / f"sign-out-asks-{name}-{scheme}.png")
    asked.get_by_role("button", name="Stay").click()
    expect(asked).to_be_hidden()
    assert tab.request.get(f"{chat_app.url}/user/me").status == 200
    tab.get_by_role("link", name="Sign out").click()
    asked.get_by_role("link", name="Sign out").click()
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert "_saved_conversations" not in json.dumps(tab.evaluate("Object.keys(localStorage)"))


def test_signing_out_asks_nothing_where_nothing_is_kept(enter: Enter, chat_app: AppServer) -> None:
    person = enter(chat_app)
    tab = person.enters(path="/gradio/")
    expect(tab.get_by_placeholder("Type a message")).to_be_visible()
    settled(tab)
    assert tab.evaluate("Object.keys(localStorage).length") > 1  # a chat that has said nothing yet is kept too
    tab.get_by_role("link", name="Sign out").click()
    expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
