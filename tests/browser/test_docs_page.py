"""The page that shows the API: it works with what this app serves alone, and calls the API with a token."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, expect

from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.browser.conftest import Enter, Person
from tests.support.app_server import AppServer

LOADED = {"/docs", "/docs/assets/swagger-ui.css", "/docs/assets/swagger-ui-bundle.js", "/openapi.json"}


@pytest.fixture
def docs(person: Person) -> Iterator[Page]:
    person.signs_in()
    yield person.opens("/docs")


def access_token(server: AppServer) -> str:
    answer = httpx2.post(
        f"{server.url}/local/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(CLIENT_ID, CLIENT_SECRET),
    )
    return str(answer.json()["access_token"])


def authorize(docs: Page, token: str) -> None:
    docs.get_by_role("button", name="Authorize", exact=True).click()
    dialog = docs.locator(".modal-ux")
    dialog.get_by_label("auth-bearer-value").fill(token)
    dialog.get_by_role("button", name="Authorize", exact=True).click()
    dialog.get_by_role("button", name="Close", exact=True).click()


def try_out(docs: Page, path: str) -> tuple[str, str]:
    """Status and body of the answer, as the page shows them."""
    operation = docs.locator(".opblock", has_text=path)
    operation.get_by_role("button", name="Get").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table .response")
    expect(live).to_be_visible()
    return live.locator(".response-col_status").inner_text().strip(), live.locator("pre").first.inner_text().strip()


def test_a_token_that_was_entered_opens_a_route_for_programs(docs: Page, local: AppServer) -> None:
    authorize(docs, access_token(local))
    assert try_out(docs, "/secure") == ("200", "true")


def test_a_cookie_alone_does_not_open_it_and_the_page_shows_why(docs: Page) -> None:
    status, body = try_out(docs, "/secure")
    assert status.startswith("401")
    assert "takes a Bearer token" in body


def test_a_bad_token_is_refused_whoever_is_signed_in(docs: Page) -> None:
    authorize(docs, "not-a-token")
    status, body = try_out(docs, "/user/me")
    assert status.startswith("401")
    assert '"error": "invalid_token"' in body


def test_the_page_says_who_is_signed_in_and_loads_nothing_from_elsewhere(person: Person, local: AppServer) -> None:
    loaded: list[str] = []
    person.context.on("request", lambda request: loaded.append(request.url))
    person.signs_in()
    docs = person.opens("/docs")
    status, body = try_out(docs, "/user/me")
    assert status == "200"
    assert '"name": "Ada Lovelace"' in body
    assert all(url.startswith((f"{local.url}/", "data:", "blob:")) for url in loaded)
    assert {f"{local.url}{path}" for path in LOADED} <= set(loaded)


def test_it_is_for_those_who_are_signed_in(person: Person, local: AppServer) -> None:
    tab = person.opens("/docs")
    expect(tab).to_have_url(f"{local.url}/login-demo/?next=/docs")


def test_no_markup_of_the_title_is_run(enter: Enter) -> None:
    with AppServer({}, app_title="<img src=/x onerror=document.body.id='run'>") as server:
        person = enter(server)
        person.enters()
        docs = person.opens("/docs")
        expect(docs.get_by_role("heading", level=1)).to_contain_text("<img src=/x")
        assert docs.locator("#run, #swagger-ui img[src='/x']").count() == 0
