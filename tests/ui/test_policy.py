"""The policy of the Blocks' pages: what their author asked for is let through, and said; all else is not."""

from __future__ import annotations

import logging
import re

import gradio as gr
import pytest

from auth.content_policy import Policy, hash_of, parse_policy
from auth.identity import Credential, Identity
from tests.support.app_server import AppServer
from tests.support.asgi import http_scope, made_security
from tests.support.settings import sound_settings
from ui.policy import BlocksPolicy, source_of

AT = "https://app.example.com/gradio"


def policy_of(head: str = "", css: str = "", *, picture: str | None = None, configured: str = "") -> Policy:
    """Of a page of Blocks with these in `head` and `css`, for somebody with this picture."""
    with gr.Blocks() as blocks:
        gr.Markdown("x")
    blocks.head, blocks.css = head, css
    security = made_security(sound_settings(content_security_policy=configured))
    caller = Identity(
        username="ada", issuer="https://id.example", subject="1", kind="person", picture=picture, expires_at=0
    )
    scope = http_scope(state={"credential": Credential(outcome=caller)})
    return parse_policy(BlocksPolicy(security, blocks, at=AT).value(scope, "the-nonce"))


def test_scripts_come_from_gradios_own_folders_or_with_the_page() -> None:
    sources = policy_of()["script-src"].split()
    assert {source for source in sources if source.startswith("http")} == {
        f"{AT}/assets/",
        f"{AT}/static/",
        f"{AT}/gradio_api/custom_component/",
    }
    assert {source for source in sources if source.startswith("'")} == {"'unsafe-eval'", "'nonce-the-nonce'"}


@pytest.mark.parametrize("name", ["img-src", "media-src", "font-src", "connect-src", "frame-src", "worker-src"])
def test_nothing_comes_from_elsewhere(name: str) -> None:
    assert set(policy_of()[name].split()) <= {"'self'", "data:", "blob:"}


@pytest.mark.parametrize(
    ("head", "name", "source"),
    [
        ("<script>let a = '<b>' + 1\r\n</script>", "script-src", hash_of("let a = '<b>' + 1\n")),
        ("<SCRIPT type='module'>x</SCRIPT>", "script-src", hash_of("x")),
        ("<script src='https://cdn.example/a.js?v=1#x'></script>", "script-src", "https://cdn.example/a.js"),
        ("<script src='gradio_api/file=own.js'></script>", "script-src", f"{AT}/gradio_api/file=own.js"),
        ("<link rel='stylesheet' href='//cdn.example/a.css'>", "style-src", "https://cdn.example/a.css"),
        ("<link rel='icon' href='https://cdn.example/a.png'>", "img-src", "https://cdn.example/a.png"),
        ("<style>@import url('https://cdn.example/a.css')</style>", "style-src", "https://cdn.example/a.css"),
        ("<style>b{src:url(https://cdn.example/a.woff2)}</style>", "font-src", "https://cdn.example/a.woff2"),
    ],
)
def test_what_stands_in_the_head_is_let_through(head: str, name: str, source: str) -> None:
    assert source in policy_of(head)[name].split()


def test_so_is_what_the_css_and_a_theme_name() -> None:
    policy = policy_of(css="b { background: url(https://cdn.example/a.png) }")
    assert "https://cdn.example/a.png" in policy["img-src"].split()
    with gr.Blocks() as blocks:
        pass
    blocks.stylesheets = ["https://fonts.googleapis.com/css2?family=Inter&display=swap"]
    policy = parse_policy(BlocksPolicy(made_security(sound_settings()), blocks, at=AT).value(http_scope(), "n"))
    assert "https://fonts.googleapis.com/css2" in policy["style-src"].split()
    assert "https://fonts.gstatic.com" in policy["font-src"].split()


def test_an_address_that_nothing_is_loaded_from_is_none_of_that() -> None:
    drawing = "b { background: url(\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>\") }"
    assert "w3.org" not in str(policy_of(css=drawing))


def test_it_is_said_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "auth")
    policy_of("<script>x</script>")
    assert not caplog.messages
    policy_of("<script src='https://cdn.example/a.js'></script>")
    assert caplog.messages == [f"pages may load, as the Blocks at {AT} ask: https://cdn.example/a.js"]


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("https://p.example/a,b;c 'd'.png?x=1;img-src *", "https://p.example/a%2Cb%3Bc%20%27d%27.png"),
        ("https://p.example:8443/é", "https://p.example:8443/%C3%A9"),
        ("javascript:alert(1)", ""),
        ("data:text/javascript,x", ""),
        ("https://p.example;script-src */x", ""),
        ("https://", ""),
    ],
)
def test_an_address_cannot_end_the_directive_that_it_stands_in(address: str, source: str) -> None:
    assert source_of(address) == source


def test_the_persons_own_picture_is_let_through_and_no_other() -> None:
    assert policy_of(picture="https://p.example/ada?s=96")["img-src"] == "'self' data: blob: https://p.example/ada"
    assert policy_of(picture=None)["img-src"] == "'self' data: blob:"
    assert policy_of(picture="https://p.example/a", configured="img-src 'self'")["img-src"].endswith("p.example/a")


@pytest.mark.parametrize("path", ["/gradio/", "/login-demo/"])
def test_the_scripts_of_a_page_have_the_nonce_of_its_policy_which_no_other_page_has(app: AppServer, path: str) -> None:
    with app.browser() as browser:
        if path == "/gradio/":
            browser.sign_in()
        nonces = set()
        for _ in range(2):
            page = browser.get(path)
            (nonce,) = re.findall(r"'nonce-([\w-]{22})'", page.headers["content-security-policy"])
            scripts = re.findall(r"<script[^>]*>", page.text)
            assert len(scripts) >= 5
            assert all(f'nonce="{nonce}"' in script for script in scripts)
            assert page.headers["cache-control"] == "no-store"
            nonces.add(nonce)
        assert len(nonces) == 2


def test_a_link_to_the_state_of_the_main_blocks_changes_nothing_on_the_sign_in_page(app: AppServer) -> None:
    with app.browser() as browser:
        configs = [
            re.findall(r"gradio_config = (.*?);</script>", browser.get(f"/login-demo/{query}").text)
            for query in ("", "?deep_link=anything", "?deep_link=../x&reason=denied")
        ]
    assert configs[0] == configs[1] == configs[2]
    assert len(configs[0]) == 1
