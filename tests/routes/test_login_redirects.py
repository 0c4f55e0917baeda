"""`next` leads to a path of this app or is dropped: hundreds of ways to make it lead elsewhere, some that are fine.

What a browser makes of an address is asked of ada, the URL parser of Node.js, which keeps to url.spec.whatwg.org.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import ada_url
import pytest

from tests.support.app_server import AppServer, Browser, agree
from tests.support.provider import CLOSES, Provider, instead

HOSTILE = [
    json.loads(line)
    for line in (Path(__file__).parent / "redirects.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
LONG = [
    "/" * 2000,
    "/" + "a" * 5000,
    "//" + "a" * 5000,
    "/" + "a/" * 2500,
    "/gradio/?" + "a" * 5000,
    "/gradio/?" + "\\" * 1000,
    "/" + "%2f" * 1500,
    "/.." * 1000 + "//evil.example",
    "/" + "\t" * 1000 + "/evil.example",
    "//evil.example/" + "a" * 5000,
]
GOOD = [
    "/gradio/",
    "/gradio/?__theme=dark",
    "/gradio/?a=1&b=%20x",
    "/gradio/?q=a+b&empty=&flag",
    "/gradio/?q=%C3%BC%2F%2F%5C",
    "/gradio/?to=https://other.example/path",
    "/gradio/?to=//other.example",
    "/gradio/?deep_link=Xy_9-~.!*'()",
    "/gradio/second-page",
    "/gradio/second-page/?a=1",
    "/docs",
    "/user/me",
]
CHUNK = 50


def assert_stays(app: AppServer, sent_to: str, wanted: str) -> None:
    assert sent_to.isascii() and sent_to.isprintable(), f"{wanted!r} led to {sent_to!r}"
    url = ada_url.URL(sent_to, base=f"{app.url}/auth/acme")
    assert url.origin == app.url, f"{wanted!r} led to {url.href}"
    assert not url.username and not url.password, f"{wanted!r} led to {url.href}"
    assert not url.pathname.startswith("//"), f"{wanted!r} led to {url.href}, which another redirect may read as a host"


def chunks(values: list[str]) -> list[object]:
    return [
        pytest.param(values[start : start + CHUNK], id=f"{start + 1}-{min(start + CHUNK, len(values))}")
        for start in range(0, len(values), CHUNK)
    ]


def test_the_list_holds_several_hundred_strings() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) > 500


@pytest.mark.parametrize("values", chunks(HOSTILE + LONG))
def test_no_next_leads_off_this_app_after_a_sign_in(app: AppServer, browser: Browser, values: list[str]) -> None:
    for value in values:
        browser.cookies.clear()
        response = browser.sign_in(next=value)
        assert response.status_code == 303, f"{value!r} is answered with {response.status_code}"
        assert_stays(app, response.headers["location"], value)


@pytest.mark.parametrize("values", chunks(HOSTILE + LONG))
def test_no_next_leads_anybody_off_this_app_who_is_signed_in(
    app: AppServer, browser: Browser, acme: Provider, values: list[str]
) -> None:
    """To the provider, or to a path of this app: from neither address can `next` be somewhere else."""
    browser.sign_in()
    for value in values:
        for path in ("/login", "/", "/login-demo"):
            sent_to = browser.get(path, params={"next": value}).headers.get("location", "/")
            if not sent_to.startswith(f"{acme.base}/authorize?"):
                assert_stays(app, sent_to, value)


@pytest.mark.parametrize("value", GOOD)
def test_a_path_of_this_app_comes_through_as_it_is(app: AppServer, browser: Browser, value: str) -> None:
    response = browser.sign_in(next=value)
    assert response.headers["location"] == f"{app.url}{value}"


@pytest.mark.parametrize("value", ["", "https://evil.example", "//evil.example", "gradio", *LONG[:1]])
def test_what_is_dropped_leads_to_the_app(app: AppServer, browser: Browser, value: str) -> None:
    assert browser.sign_in(next=value).headers["location"] == f"{app.url}/gradio/"


@pytest.mark.parametrize(
    "value",
    ["/gradio/?a=1#part", *[pytest.param("/gradio/?q=".ljust(n, "a"), id=f"{n}-long") for n in (1000, 1100, 3000)]],
)
def test_a_path_comes_through_whole_or_not_at_all(app: AppServer, browser: Browser, value: str) -> None:
    assert browser.sign_in(next=value).headers["location"] in (f"{app.url}{value}", f"{app.url}/gradio/")


@pytest.mark.parametrize(
    "query", ["next=/gradio/&next=//evil.example", "next=//evil.example&next=/gradio/", "next=%ff%fe//evil.example"]
)
def test_next_given_twice_or_not_in_utf_8_leads_nowhere_else(app: AppServer, browser: Browser, query: str) -> None:
    started = browser.get(f"/login?provider=acme&{query}")
    response = browser.come_back(agree(started.headers["location"]))
    assert_stays(app, response.headers["location"], query)


@pytest.mark.parametrize("name", ["redirect", "redirect_uri", "return_to", "url", "continue", "state", "iss"])
def test_no_other_parameter_leads_anywhere(app: AppServer, browser: Browser, name: str) -> None:
    started = browser.get("/login", params={"provider": "acme", name: "https://evil.example/from-a-parameter"})
    assert urlsplit(started.headers["location"]).netloc == urlsplit(app.providers["acme"].issuer).netloc
    assert "evil.example" not in started.headers["location"]


# -- the way from the gate to the app and back ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    ["/gradio/", "/gradio/?__theme=dark", "/gradio/?a=1&b=%20x", "/gradio/second?q=%C3%BC", "/gradio/?next=/x"],
)
def test_a_page_load_comes_back_to_where_it_was_going(app: AppServer, browser: Browser, wanted: str) -> None:
    turned_away = browser.get(wanted)
    assert turned_away.status_code == 303
    asked = ada_url.URL(turned_away.headers["location"], base=app.url)
    (kept,) = ada_url.URLSearchParams(asked.search).get_all("next")
    assert browser.sign_in(next=kept).headers["location"] == f"{app.url}{wanted}"


@pytest.mark.parametrize("path", ["/gradio//evil.example", "/gradio/%2F%2Fevil.example", "/gradio/..//evil.example"])
def test_a_page_load_of_a_hostile_path_is_kept_here(app: AppServer, browser: Browser, path: str) -> None:
    assert_stays(app, browser.get(path).headers.get("location", "/"), path)


def test_another_try_after_a_failure_goes_where_the_first_was_going(browser: Browser, acme: Provider) -> None:
    with acme.faulty(token=instead(CLOSES)):
        page = browser.sign_in(next="/gradio/?a=1&b=%20x").text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*/login[^"]*)"', page)]
    kept = [ada_url.URLSearchParams(urlsplit(link).query).get("next") for link in links]
    assert "/gradio/?a=1&b=%20x" in kept
