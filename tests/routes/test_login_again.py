"""What a sign-in needs so that the next try can go better, and so that the first one works behind a company's proxy."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.app_server import AppServer
from tests.support.provider import Provider


def test_after_an_account_was_refused_the_provider_is_asked_for_another(acme: Provider) -> None:
    with (
        AppServer({"acme": acme}, allowed_emails=("somebody@example.com",)) as app,
        app.browser() as browser,
        acme.signing_in(email="mallory@evil.example"),
    ):
        assert "prompt" not in asked(browser.begin())
        refused = browser.sign_in()
        assert refused.status_code == 403
        assert "You signed in as mallory@evil.example." in refused.text
        assert asked(browser.begin())["prompt"] == ["select_account"]
        assert "prompt" not in asked(browser.begin())


def asked(url: str) -> Mapping[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def test_issuers_on_this_machine_are_reached_past_a_proxy(acme: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.invalid:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with AppServer({"acme": acme}) as app, app.browser() as browser:
        assert browser.sign_in().status_code == 303
        assert browser.who() is not None
