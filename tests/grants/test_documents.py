"""Client ids that are the address of a metadata document (draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from auth.errors import ProgramUnknown
from auth.grants.documents import KEPT_DOCUMENTS, KEPT_SECONDS, Documents, is_document_address
from auth.web import FetchFailed, PublicFetch
from tests.support.app_server import AppServer
from tests.support.clock import Clock
from tests.support.program import CALLBACK, FOLLOWED, OWN_PAGE, Program, answered, consent, consent_page, ticket
from tests.support.provider import Provider

ADDRESS = "https://client.example/oauth/client.json"
DOCUMENT = {
    "client_id": ADDRESS,
    "client_name": "Documented",
    "client_uri": "https://client.example/",
    "redirect_uris": [CALLBACK, "https://client.example/cb"],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
}


class Web:
    """What stands at each address, and which were asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {ADDRESS: DOCUMENT}
        self.asked: list[str] = []

    async def __call__(self, url: str) -> dict[str, Any]:
        self.asked.append(url)
        if url not in self.documents:
            raise FetchFailed("answered 404")
        return dict(self.documents[url])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DOCUMENT.items() if key != name}


@pytest.fixture(scope="module")
def web() -> Web:
    return Web()


@pytest.fixture(scope="module")
def documented(providers: Mapping[str, Provider], web: Web, grants_clock: Clock) -> Iterator[AppServer]:
    """An app whose internet is `web`."""

    async def fetch(self: PublicFetch, url: str) -> dict[str, Any]:
        return await web(url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PublicFetch, "__call__", fetch)
        with AppServer(providers, mcp_server=True, clock=grants_clock) as server:
            yield server


@pytest.fixture
def program(documented: AppServer) -> Iterator[Program]:
    with Program(documented) as program:
        program.client_id = ADDRESS
        yield program


def test_a_program_that_is_described_elsewhere_goes_the_whole_way(documented: AppServer, program: Program) -> None:
    with documented.browser() as browser:
        page = consent_page(browser, program.request()).text
        assert "Documented" in page and ">client.example</code>" in page
        tokens = program.tokens(browser)
    assert program.call(tokens["access_token"]).json()["client"] == "Documented"
    renewed = program.refresh(tokens["refresh_token"]).json()
    assert program.revoke(renewed["refresh_token"]).status_code == 200
    assert program.call(renewed["access_token"]).status_code == 401


def test_nothing_is_fetched_for_who_is_not_signed_in_nor_for_a_program(
    documented: AppServer, program: Program, web: Web
) -> None:
    """Or any stranger could have this machine ask others."""
    before = len(web.asked)
    address = "https://victim.example/x"
    with documented.browser() as nobody:
        answer = nobody.get(program.request(client_id=address), headers=FOLLOWED)
        assert answer.status_code == 303 and "/login-demo/" in answer.headers["location"]
    assert program.redeem("code-x", client_id=address).json()["error"] == "invalid_grant"
    assert program.refresh("refresh-x", client_id=address).json()["error"] == "invalid_grant"
    assert program.revoke("x", client_id=address).status_code == 200
    assert len(web.asked) == before


@pytest.mark.parametrize("uri", ["https://evil.example/cb", "https://client.example/other"])
def test_the_document_says_where_answers_go(documented: AppServer, program: Program, uri: str) -> None:
    with documented.browser() as browser:
        page = consent_page(browser, program.request(redirect_uri=uri))
    assert (page.status_code, "location" in page.headers) == (400, False)


def test_who_thinks_for_longer_than_it_is_kept_may_agree(documented: AppServer, program: Program, clock: Clock) -> None:
    with documented.browser() as browser:
        shown = ticket(consent_page(browser, program.request()))
        clock.advance(KEPT_SECONDS + 1)
        answer = browser.post("/oauth/authorize", data={"consent": shown, "answer": "agree"}, headers=OWN_PAGE)
    assert "code" in answered(answer)


def test_its_code_is_nothing_to_another_address(documented: AppServer, program: Program) -> None:
    with documented.browser() as browser:
        code = answered(consent(browser, program.request()))["code"]
    assert program.redeem(code, client_id="https://evil.example/client.json").json()["error"] == "invalid_grant"
    assert program.redeem(code).status_code == 200


def test_a_document_that_cannot_be_had_is_a_page(documented: AppServer, program: Program) -> None:
    with documented.browser() as browser:
        page = consent_page(browser, program.request(client_id="https://client.example/gone.json"))
    assert (page.status_code, "Please connect anew" in page.text) == (400, True)


FAULTY: dict[str, Any] = {
    "it is another's": {**DOCUMENT, "client_id": "https://client.example/other.json"},
    "it names nobody": without("client_id"),
    "it is spelled otherwise": {**DOCUMENT, "client_id": "https://Client.example/oauth/client.json"},
    "no redirect URI": without("redirect_uris"),
    "no redirect URI that is one": {**DOCUMENT, "redirect_uris": ["javascript:alert(1)"]},
    "a secret": {**DOCUMENT, "client_secret": "shared with everybody"},
    "it proves itself by a secret": {**DOCUMENT, "token_endpoint_auth_method": "client_secret_basic"},
    "it proves itself by a key": {**DOCUMENT, "token_endpoint_auth_method": "private_key_jwt"},
    "a name that is none": {**DOCUMENT, "client_name": ["x"]},
    "another grant": {**DOCUMENT, "grant_types": ["client_credentials"]},
    "nothing": {},
}


@pytest.mark.anyio
@pytest.mark.parametrize("document", FAULTY.values(), ids=FAULTY)
async def test_a_document_that_is_wrong_connects_nothing(document: dict[str, Any]) -> None:
    web = Web()
    web.documents[ADDRESS] = document
    documents = Documents(web, now=Clock())
    with pytest.raises(ProgramUnknown):
        await documents.find(ADDRESS)
    assert documents.known(ADDRESS) is None


@pytest.mark.parametrize(
    "address",
    [
        "http://client.example/client.json",
        "https://client.example",
        "https://client.example/",
        "https://client.example/a/../b",
        "https://client.example/./b",
        "https://client.example/b#x",
        "https://user@client.example/b",
        "https://client.example:8443/b",
        "https://client.example\\@evil.example/b",
        "https://client.example/b c",
        "https://client.example/\u00e9.json",
        "https://client.example/b\x7f",
        "https:///b",
        "https://client.example/" + "x" * 512,
        "HTTPS://client.example/b",
        "program-x",
        "",
    ],
)
def test_what_is_no_such_address_is_never_fetched(address: str) -> None:
    """Section 3."""
    assert not is_document_address(address)


@pytest.mark.anyio
async def test_documents_are_kept_for_a_while_and_no_more_than_some() -> None:
    web, clock = Web(), Clock()
    documents = Documents(web, now=clock)
    for _ in range(3):
        await documents.find(ADDRESS)
    assert web.asked == [ADDRESS]
    clock.advance(301)
    await documents.find(ADDRESS)
    assert web.asked == [ADDRESS] * 2
    for number in range(2 * KEPT_DOCUMENTS):
        address = f"https://client.example/{number}.json"
        web.documents[address] = {**DOCUMENT, "client_id": address}
        await documents.find(address)
    assert len(vars(documents)["_kept"]) == KEPT_DOCUMENTS
