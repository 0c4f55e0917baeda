"""The providers that the page about them names, by the shape of what each publishes: sign-in, a refusal, and sign-out.

`providers/` holds for each the settings that it gives, the metadata and the tokens, and the pages they are
taken from. Endpoints and times are the stand-in's own.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from auth.settings import Settings
from tests.support.app_server import AppServer, Browser, agree
from tests.support.provider import Provider, without

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "people" / "providers").glob("*.json"))
SHAPES = {path.stem: json.loads(path.read_text("utf-8")) for path in FILES}
TIMES = ("iat", "exp", "nonce", "at_hash", "aud", "iss")


class StandIn(Provider):
    """A provider of that shape."""

    def __init__(self, shape: Mapping[str, Any]) -> None:
        self.shape = shape
        self.changed: dict[str, Any] = {}
        self.changed_userinfo: dict[str, Any] = {}
        path = shape["path"]
        super().__init__(
            path=path,
            lean="email" not in shape["id_token"],
            announces_iss=shape["metadata"].get("authorization_response_iss_parameter_supported", False),
            auth_methods=tuple(shape["metadata"]["token_endpoint_auth_methods_supported"]),
            metadata=shape["metadata"],
            discovery=lambda document: without(*shape["without"])({**document, "issuer": self.spelled("announces")}),
            claims=self._claims,
            userinfo=lambda _: {**shape.get("userinfo", {"sub": shape["id_token"]["sub"]}), **self.changed_userinfo},
            callback=lambda pairs: [*pairs, *shape["callback"].items()],
            token=lambda answer: {**answer, **shape.get("token", {})},
        )

    def spelled(self, where: str) -> str:
        """The issuer as metadata or tokens have it."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.base))
        return origin + self.shape.get(where, self.shape.get("announces", self.shape["path"]))

    def _claims(self, claims: dict[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in claims.items() if name in TIMES} | {"iss": self.spelled("issues")}
        said = {**self.shape["id_token"], **self.changed}
        if "azp" in said:
            said["azp"] = self.client_id
        return {name: value for name, value in {**own, **said}.items() if value is not None}


@contextmanager
def app_of(name: str) -> Iterator[tuple[AppServer, StandIn, str]]:
    shape = SHAPES[name]
    owner = shape["environment"]["PROVIDERS"]
    with StandIn(shape) as provider:
        environment = {
            **shape["environment"],
            f"{owner}_ISSUER".upper(): provider.issuer,
            f"{owner}_CLIENT_ID".upper(): provider.client_id,
            f"{owner}_CLIENT_SECRET".upper(): provider.client_secret,
        }
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            settings = Settings(_env_file=None)  # type: ignore[call-arg]
        given = {field: getattr(settings, field) for field in settings.model_fields_set - {"secret_key", "port"}}
        with AppServer({owner: provider}, **given) as app:
            assert app.settings.problems() == []
            yield app, provider, owner


def come_back(browser: Browser, provider: StandIn, callback: str) -> httpx2.Response:
    if provider.shape["environment"].get("APPLE_RESPONSE_MODE") != "form_post":
        return browser.come_back(callback)
    url = urlsplit(callback)
    form = dict(parse_qsl(url.query))
    page = browser.post(url.path, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
    again = {html.unescape(name): html.unescape(value) for name, value in fields}
    assert again == form
    return browser.post(url.path, data=again, headers={"Sec-Fetch-Site": "same-origin"})


def sign_in(browser: Browser, provider: StandIn, owner: str) -> httpx2.Response:
    return come_back(browser, provider, agree(browser.begin(owner)))


@pytest.fixture(scope="module", params=SHAPES)
def house(request: pytest.FixtureRequest) -> Iterator[tuple[AppServer, StandIn, str]]:
    with app_of(request.param) as parts:
        yield parts


House = tuple[AppServer, StandIn, str]


def test_people_sign_in_and_out(house: House) -> None:
    app, provider, owner = house
    expected = provider.shape["expected"]
    with app.browser() as browser:
        response = sign_in(browser, provider, owner)
        if reason := expected.get("refused"):
            assert response.status_code == 502
            assert reason in response.text
            return
        assert response.headers["location"] == f"{app.url}/gradio/", response.text
        person = browser.person
        assert (person["name"], person["email"]) == (expected["name"], expected["email"])
        assert person["subject"] == provider.shape["id_token"]["sub"]
        assert set(expected.get("groups", [])) <= set(person["groups"])
        assert person["issuer"] == provider.spelled("issues")
        left = browser.sign_out()
        links = [html.unescape(link) for link in re.findall(r'href="(http[^"]*)"', left.text)]
        ways = {"oidc": "id_token_hint", "cognito": "logout_uri"}
        assert bool(links) is (expected["sign_out"] != "none")
        for link in links:
            assert ways[expected["sign_out"]] in dict(parse_qsl(urlsplit(link).query))
        assert browser.who() is None


def test_a_refusal_is_said_in_the_providers_words(house: House) -> None:
    app, provider, owner = house
    refusal = provider.shape["refusal"]

    def refused(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return [*((name, value) for name, value in pairs if name in ("state", "iss")), *refusal.items()]

    with provider.faulty(callback=refused), app.browser() as browser:
        response = sign_in(browser, provider, owner)
        assert response.status_code in (403, 502)
        words = html.unescape(response.text)
        assert refusal.get("error_description", "") in words
        assert browser.who() is None


def test_somebody_else_of_the_provider_does_not_enter(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    app, provider, owner = house
    outsider, userinfo = provider.shape["outsider"], provider.shape.get("outsider_userinfo", {})
    if not (outsider or userinfo):  # nobody enters at all
        assert "refused" in provider.shape["expected"]
        return
    monkeypatch.setattr(provider, "changed", outsider)
    monkeypatch.setattr(provider, "changed_userinfo", userinfo)
    with app.browser() as browser:
        assert sign_in(browser, provider, owner).status_code == 403
        assert browser.who() is None


def test_a_tenant_that_is_not_named_does_not_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    with app_of("microsoft-organizations") as (app, provider, owner):
        for tenant in ("99999999-2222-3333-4444-555555555555", "../9122040d", None, 7):
            monkeypatch.setattr(provider, "changed", {"tid": tenant})
            with app.browser() as browser:
                assert sign_in(browser, provider, owner).status_code == 502
                assert browser.who() is None


def test_a_token_of_another_tenants_issuer_does_not_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    with app_of("microsoft-organizations") as (app, provider, owner):
        other = provider.spelled("issues").replace("9122040d", "11111111")
        monkeypatch.setattr(provider, "_claims", lambda claims: {**StandIn._claims(provider, claims), "iss": other})
        with provider.faulty(claims=lambda claims: {**claims, "iss": other}), app.browser() as browser:
            assert sign_in(browser, provider, owner).status_code == 502


def test_every_provider_has_a_row_on_the_page_and_pages_that_it_was_taken_from() -> None:
    table = (ROOT / "deploy" / "PROVIDERS.md").read_text("utf-8")
    for name, shape in SHAPES.items():
        assert shape["pages"] and all(page.startswith("https://") for page in shape["pages"])
        assert shape["environment"]["PROVIDERS"] in table.lower(), name
