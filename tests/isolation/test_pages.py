"""Pages are made once for all who see the same, and each is its reader's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import gradio as gr
import pytest

from auth import Access
from tests.isolation.support import signed_in
from tests.support.app_server import AppServer, Browser
from tests.support.provider import Provider

pytestmark = pytest.mark.filterwarnings("ignore:SSR mode is not supported with multi-page apps")

NONCE = re.compile(r"nonce=\"([^\"]+)\"")
CONFIG = re.compile("gradio_config = (.*?);</script>")
HOSTILE = "</script>'\"&\\"
PAGES = ["/gradio/", "/gradio/another", "/gradio/config"]


def blocks_of_two_pages() -> gr.Blocks:
    with gr.Blocks() as blocks:
        gr.Textbox(label="For everybody")
        with Access(emails=("alice@example.com",)).only():
            gr.Textbox(label="For Alice")
    with blocks.route("Another", "another"):
        gr.Textbox(label="Another")
    return blocks


@pytest.fixture(scope="module")
def house(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=blocks_of_two_pages) as server:
        yield server


@pytest.fixture(scope="module")
def readers(house: AppServer) -> Iterator[dict[str, Browser]]:
    """By their subjects."""
    alice = {"sub": "alice", "email": "alice@example.com", "email_verified": True}
    bob, eve = ({"sub": sub, "email": "bob@example.com", "email_verified": True} for sub in ("bob", HOSTILE))
    with signed_in(house, **alice) as a, signed_in(house, **bob) as b, signed_in(house, **eve) as e:
        yield {"alice": a, "bob": b, HOSTILE: e}


@pytest.mark.parametrize("page", PAGES)
def test_what_is_shared_is_what_gradio_makes_for_its_reader(readers: dict[str, Browser], page: str) -> None:
    """A query has it made anew."""
    for _ in range(2):
        for subject, browser in readers.items():
            shared, made = (browser.get(f"{page}{query}", headers={"Accept": "text/html"}) for query in ("", "?x"))
            assert (shared.status_code, made.status_code) == (200, 200)
            assert shared.headers.keys() == made.headers.keys()
            if page == "/gradio/config":
                shared_config = shared.json()
                assert shared_config == made.json()
            else:
                assert NONCE.sub("", shared.text) == NONCE.sub("", made.text)
                shared_config = json.loads(CONFIG.findall(shared.text)[0])
            assert shared_config["username"].endswith(f"#{subject}")
            assert ("For Alice" in shared.text) == (subject == "alice" and page != "/gradio/another")


def test_each_page_has_a_nonce_of_its_own_that_its_policy_names(readers: dict[str, Browser]) -> None:
    pages = [browser.get("/gradio/") for browser in readers.values() for _ in range(2)]
    nonces = [set(NONCE.findall(page.text)) for page in pages]
    assert len(set.union(*nonces)) == len(pages)
    for page, (nonce,) in zip(pages, nonces, strict=True):
        assert f"'nonce-{nonce}'" in page.headers["content-security-policy"]
