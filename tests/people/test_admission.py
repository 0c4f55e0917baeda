from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from auth.access import Access, named_groups
from auth.errors import AuthError, EmailUnverified, GroupsUnlisted, NotAllowed
from auth.identity import Identity
from auth.people import NEXT_AT_MOST
from auth.people.admission import admit, groups_in
from auth.providers import GOOGLE_ISSUER
from auth.routes.login import safe_next
from tests.people.support import Caplog, assert_refused
from tests.support.app_server import AppServer
from tests.support.provider import Provider, but, without
from tests.support.settings import ACME, sound_settings

ADA = {"sub": "ada-1", "email": "ada@example.com", "email_verified": True, "iss": ACME.issuer}
GOOGLE_ADA = ADA | {"iss": GOOGLE_ISSUER, "hd": "example.com"}
EMAILS: dict[str, Any] = {"allowed_emails": "bob@example.org, ada@example.com"}
DOMAINS: dict[str, Any] = {"allowed_domains": "example.org,example.com"}
EITHER = EMAILS | {"allowed_domains": "other.example"}


def let_in(lists: dict[str, Any], provider: str, claims: dict[str, Any]) -> Identity:
    """Whom an app with these lists lets in, at the provider of that name, whose tokens name it as their issuer."""
    issuer = claims.get("iss", GOOGLE_ISSUER if provider == "google" else ACME.issuer)
    at = ACME.model_copy(update={"name": provider, "issuer": issuer})
    return admit(sound_settings(**lists).entrance, at, claims, named_groups=sorted(named_groups()))


IN = {
    "no-lists": ({}, "acme", {}),
    "no-lists-no-email": ({}, "acme", {"email": None}),
    "no-lists-unverified": ({}, "acme", {"email_verified": False}),
    "email": (EMAILS, "acme", {}),
    "email-in-capitals": (EMAILS, "acme", {"email": "Ada@EXAMPLE.com"}),
    "verified-as-text": (EMAILS, "acme", {"email_verified": "true"}),
    "email-though-domain-is-not": (EITHER, "acme", {}),
    "domain": (DOMAINS, "acme", {}),
    "domain-in-capitals": (DOMAINS, "acme", {"email": "ada@Example.COM"}),
    "domain-though-email-is-not": (DOMAINS | {"allowed_emails": "bob@x.example"}, "acme", {}),
    "domain-another-provider-needs-no-hd": (DOMAINS, "acme", {"hd": "else.example"}),
    "google-domain": (DOMAINS, "google", {"hd": "example.com"}),
    "google-domain-hd-in-capitals": (DOMAINS, "google", {"hd": "EXAMPLE.com"}),
    "google-email-needs-no-hd": (EMAILS, "google", {}),
    "google-email-with-another-hd": (EMAILS, "google", {"hd": "else.example"}),
    "google-gmail": ({"allowed_domains": "gmail.com"}, "google", {"email": "ada@gmail.com"}),
    "google-googlemail": ({"allowed_domains": "googlemail.com"}, "google", {"email": "ada@googlemail.com"}),
}


def claims_of(provider: str, change: dict[str, Any]) -> dict[str, Any]:
    issuer = GOOGLE_ISSUER if provider == "google" else ACME.issuer
    return {name: value for name, value in (ADA | {"iss": issuer} | change).items() if value is not ...}


@pytest.mark.parametrize(("lists", "provider", "change"), IN.values(), ids=IN)
def test_who_is_listed_may_enter(lists: dict[str, Any], provider: str, change: dict[str, Any]) -> None:
    let_in(lists, provider, claims_of(provider, change))


OUT = {
    "email-other": (EMAILS, "acme", {"email": "eve@example.com"}),
    "email-missing": (EMAILS, "acme", {"email": ...}),
    "email-none": (DOMAINS, "acme", {"email": None}),
    "email-empty": (DOMAINS, "acme", {"email": ""}),
    "email-a-list": (EMAILS, "acme", {"email": ["ada@example.com"]}),
    "email-an-object": (EMAILS, "acme", {"email": {"value": "ada@example.com"}}),
    "email-without-at": (DOMAINS, "acme", {"email": "example.com"}),
    "email-two-at": (DOMAINS, "acme", {"email": "ada@evil.example@example.com"}),
    "email-quoted-at": (DOMAINS, "acme", {"email": '"ada@example.com"@evil.example'}),
    "email-newline": (DOMAINS, "acme", {"email": "eve@evil.example\n@example.com"}),
    "email-without-name": (DOMAINS, "acme", {"email": "@example.com"}),
    "email-space-in-the-name": (DOMAINS, "acme", {"email": "eve evil@example.com"}),
    "email-nul-in-the-name": (DOMAINS, "acme", {"email": "e\0ve@example.com"}),
    "email-bidi-in-the-name": (DOMAINS, "acme", {"email": "e\u202eve@example.com"}),
    "email-newline-in-the-name": (DOMAINS, "acme", {"email": "eve\n@example.com"}),
    "email-newline-at-the-end": (EMAILS, "acme", {"email": "ada@example.com\n"}),
    "email-space-at-the-end": (EMAILS, "acme", {"email": "ada@example.com "}),
    "email-nul": (EMAILS, "acme", {"email": "ada@example.com\0"}),
    "email-zero-width": (EMAILS, "acme", {"email": "ada@example.com\u200b"}),
    "email-kelvin-sign": ({"allowed_emails": "kate@example.com"}, "acme", {"email": "\u212aate@example.com"}),
    "domain-kelvin-sign": ({"allowed_domains": "books.example"}, "acme", {"email": "ada@boo\u212as.example"}),
    "email-cyrillic": (EMAILS, "acme", {"email": "\u0430da@example.com"}),
    "domain-other": (DOMAINS, "acme", {"email": "ada@evil.example"}),
    "subdomain": (DOMAINS, "acme", {"email": "ada@mail.example.com"}),
    "domain-above": (DOMAINS, "acme", {"email": "ada@com"}),
    "domain-longer": (DOMAINS, "acme", {"email": "ada@notexample.com"}),
    "domain-as-a-start": (DOMAINS, "acme", {"email": "ada@example.com.evil.example"}),
    "domain-dot-at-the-end": (DOMAINS, "acme", {"email": "ada@example.com."}),
    "domain-as-the-name": (DOMAINS, "acme", {"email": "example.com@evil.example"}),
    "email-list-is-no-domain-list": (EMAILS, "acme", {"email": "eve@example.org"}),
    "google-domain-without-hd": (DOMAINS, "google", {}),
    "google-domain-without-iss": (DOMAINS, "google", {"iss": ...}),
    "google-domain-hd-empty": (DOMAINS, "google", {"hd": ""}),
    "google-domain-hd-none": (DOMAINS, "google", {"hd": None}),
    "google-domain-other-hd": (DOMAINS, "google", {"hd": "example.org"}),
    "google-domain-hd-a-list": (DOMAINS, "google", {"hd": ["example.com"]}),
    "google-domain-hd-above": (DOMAINS, "google", {"email": "ada@example.com", "hd": "com"}),
    "google-under-another-name": (DOMAINS, "corp", {"iss": GOOGLE_ISSUER}),
}


@pytest.mark.parametrize(("lists", "provider", "change"), OUT.values(), ids=OUT)
def test_who_is_not_listed_may_not_enter(lists: dict[str, Any], provider: str, change: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as refused:
        let_in(lists, provider, claims_of(provider, change))
    assert not isinstance(refused.value, EmailUnverified)


@pytest.mark.parametrize(
    "verified", [False, None, ..., "false", "True", "TRUE", "yes", "1", 1, 1.0, "", [], [True], {}], ids=repr
)
@pytest.mark.parametrize("lists", [EMAILS, DOMAINS], ids=["emails", "domains"])
@pytest.mark.parametrize("provider", ["acme", "google"])
def test_an_address_counts_only_when_the_provider_says_that_it_is_verified(provider, lists, verified: object) -> None:
    with pytest.raises(EmailUnverified):
        let_in(lists, provider, claims_of(provider, {"email_verified": verified, "hd": "example.com"}))


def test_who_is_not_listed_does_not_learn_that_the_address_is_unverified() -> None:
    with pytest.raises(NotAllowed) as refused:
        let_in(EMAILS, "acme", ADA | {"email": "eve@example.com", "email_verified": False})
    assert type(refused.value) is NotAllowed


# -- groups -----------------------------------------------------------------------------------------------------------

GROUPS: dict[str, Any] = {"allowed_groups": "staff,Order Managers"}
OVERAGE = {
    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.microsoft.com/v1.0/users/x/getMemberObjects"}},
}
IN_BY_GROUP = {
    "one-of-many": (GROUPS, {"groups": ["else", "staff"]}),
    "a-space-in-it": (GROUPS, {"groups": ["Order Managers"]}),
    "a-text-is-one-group": (GROUPS, {"groups": "staff"}),
    "what-is-no-text-is-passed-over": (GROUPS, {"groups": [1, None, "staff", {"name": "x"}]}),
    "though-the-address-is-not-verified": (GROUPS, {"groups": ["staff"], "email_verified": False}),
    "though-the-address-is-not-listed": (GROUPS | EMAILS, {"groups": ["staff"], "email": "eve@evil.example"}),
    "the-address-though-no-group": (GROUPS | EMAILS, {"groups": ["else"]}),
    "the-address-though-groups-are-a-link": (GROUPS | EMAILS, OVERAGE),
    "no-rule-by-group-though-groups-are-a-link": ({}, OVERAGE),
}


@pytest.mark.parametrize(("lists", "change"), IN_BY_GROUP.values(), ids=IN_BY_GROUP)
def test_who_is_in_a_group_may_enter(lists: dict[str, Any], change: dict[str, Any]) -> None:
    let_in(lists, "acme", claims_of("acme", change))


OUT_BY_GROUP = {
    "none": {},
    "other": {"groups": ["staffers", "sta", ""]},
    "another-case": {"groups": ["Staff"]},
    "an-object": {"groups": {"staff": True}},
    "a-list-in-a-list": {"groups": [["staff"]]},
    "all-in-one-text": {"groups": "staff,else"},
    "null": {"groups": None},
    "number": {"groups": 1},
    "under-another-name": {"roles": ["staff"]},
    "by-name-of-the-person": {"name": "staff", "sub": "staff"},
}


@pytest.mark.parametrize("change", OUT_BY_GROUP.values(), ids=OUT_BY_GROUP)
def test_who_is_in_no_group_of_the_rule_may_not_enter(change: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed) as refused:
        let_in(GROUPS, "acme", claims_of("acme", change))
    assert type(refused.value) is NotAllowed


@pytest.mark.parametrize("link", [OVERAGE, {"hasgroups": True}, {"hasgroups": "true"}], ids=["names", "flag", "text"])
def test_groups_that_came_as_a_link_are_refused_in_words(link: dict[str, Any]) -> None:
    with pytest.raises(GroupsUnlisted, match="groups is a link"):
        let_in(GROUPS, "acme", claims_of("acme", link))


def test_groups_that_came_as_a_link_are_warned_of_where_they_matter_further_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rule = Access(groups=["of-a-rule-further-in"])
    assert not rule.allows(let_in({}, "acme", claims_of("acme", OVERAGE)))
    assert "acme sent a link in place of groups" in caplog.text


@pytest.mark.parametrize(
    ("path", "claims", "groups"),
    [
        ("groups", {"groups": ["a", "b"]}, ("a", "b")),
        ("groups", {}, None),
        ("groups", {"groups": None}, None),
        ("cognito:groups", {"cognito:groups": ["a"]}, ("a",)),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, ("a",)),
        ("realm_access.roles", {"realm_access": ["roles"]}, None),
        ("resource_access.the-app.roles", {"resource_access": {"the-app": {"roles": []}}}, ()),
        ("https://example.com/groups", {"https://example.com/groups": ["a"]}, ("a",)),
        ("a.b", {"a.b": ["whole"], "a": {"b": ["parts"]}}, ("whole",)),
    ],
)
def test_groups_are_read_where_the_setting_says(path: str, claims: dict[str, Any], groups: object) -> None:
    assert groups_in(claims, path) == groups


def test_of_two_hundred_groups_only_those_that_a_rule_names_are_kept() -> None:
    Access(groups=["g-7", "g-77"])
    person = let_in({}, "acme", claims_of("acme", {"groups": [f"g-{number}" for number in range(200)]}))
    assert person.groups == ("g-7", "g-77")


# -- where a sign-in comes back to ------------------------------------------------------------------------------------

GOOD_NEXT = {
    "/gradio": "/gradio",
    "/gradio/": "/gradio/",
    "/gradio/?deep_link=a1b2": "/gradio/?deep_link=a1b2",
    "/gradio/?x=1&y=a%20b&z=%2F%5C": "/gradio/?x=1&y=a%20b&z=%2F%5C",
    "/gradio/?next=https://example.com/": "/gradio/?next=https://example.com/",
    "/gradio/page-2_a~b.c": "/gradio/page-2_a~b.c",
    "/gradio/caf%C3%A9": "/gradio/caf%C3%A9",
    "/gradio/a%20b": "/gradio/a%20b",
    "/gradio/a:b@c;d=e,f!g'(h)*+$&": "/gradio/a:b@c;d=e,f!g'(h)*+$&",
    "/user/me": "/user/me",
    "/docs": "/docs",
    "/authors": "/authors",
    "/login-demos": "/login-demos",
    "/gradio/login": "/gradio/login",
    "/gradio/...": "/gradio/...",
    "/gradio/?": "/gradio/?",
    "/" + "x" * 1023: "/" + "x" * 1023,
}


@pytest.mark.parametrize(("given", "kept"), GOOD_NEXT.items())
def test_an_address_of_this_app_is_come_back_to(given: str, kept: str) -> None:
    assert safe_next(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/app/gradio/?x=1", "/gradio/?x=1"),
        ("/gradio/?x=1", "/gradio/?x=1"),
        ("/apple/", "/apple/"),
        ("/app/app/x", "/app/x"),
        ("/app/", ""),
        ("/app/login", ""),
        ("/app//evil.example", ""),
        ("/app/../x", ""),
    ],
)
def test_under_a_prefix_an_address_is_the_same_with_and_without_it(given: str, kept: str) -> None:
    assert safe_next(given, "/app") == kept


NO_PLACE = [
    "/",
    "/login",
    "/login/x",
    "/auth",
    "/auth/acme?x",
    "/logout",
    "/login-demo/",
    "/" + "x" * NEXT_AT_MOST,
    "",
    None,
]


@pytest.mark.parametrize("given", NO_PLACE)
def test_a_step_of_signing_in_or_out_is_no_place_to_come_back_to(given: str | None) -> None:
    assert safe_next(given) == ""


# -- through a whole sign-in -------------------------------------------------------------------------------------------

GUEST = "guest@elsewhere.example"


@pytest.fixture(scope="module")
def members(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """An app for people of example.com, and for one guest."""
    with AppServer(providers, allowed_domains="example.com", allowed_emails=GUEST) as app:
        yield app


ADMITTED = [
    pytest.param({"email_verified": True}, id="verified"),
    pytest.param({"email_verified": "true"}, id="verified-as-text"),
    pytest.param({"email": "Alice@Example.COM"}, id="in-another-case"),
    pytest.param({"email": GUEST}, id="listed-by-address"),
]

NOT_ADMITTED = [
    pytest.param({"email_verified": False}, EmailUnverified, id="unverified"),
    pytest.param({"email_verified": "false"}, EmailUnverified, id="unverified-as-text"),
    pytest.param({"email_verified": 1}, EmailUnverified, id="verified-1"),
    pytest.param({"email_verified": "1"}, EmailUnverified, id="verified-1-as-text"),
    pytest.param({"email_verified": "True"}, EmailUnverified, id="verified-True-as-text"),
    pytest.param({"email_verified": "yes"}, EmailUnverified, id="verified-yes"),
    pytest.param({"email_verified": [True]}, EmailUnverified, id="verified-in-a-list"),
    pytest.param({"email_verified": {"example.com": True}}, EmailUnverified, id="verified-in-an-object"),
    pytest.param({"email_verified": ""}, EmailUnverified, id="verified-empty"),
    pytest.param({"email_verified": None}, EmailUnverified, id="verified-missing"),
    pytest.param(
        {"email": "guest@elsewhere.example", "email_verified": False}, EmailUnverified, id="listed-unverified"
    ),
    pytest.param({"email": "other@elsewhere.example"}, NotAllowed, id="beside-the-one-listed"),
    pytest.param({"email": "alice@sub.example.com"}, NotAllowed, id="subdomain"),
    pytest.param({"email": "alice@notexample.com"}, NotAllowed, id="domain-ending-alike"),
    pytest.param({"email": "alice@example.com.evil.example"}, NotAllowed, id="domain-beginning-alike"),
    pytest.param({"email": "alice@example.com."}, NotAllowed, id="domain-with-a-dot"),
    pytest.param({"email": "alice@exаmple.com"}, NotAllowed, id="domain-in-other-letters"),  # noqa: RUF001
    pytest.param({"email": "alice@example.com@evil.example"}, NotAllowed, id="two-at-signs"),
    pytest.param({"email": "alice@evil.example@example.com"}, NotAllowed, id="two-at-signs-ours-last"),
    pytest.param({"email": "alice@evil.example, bob@example.com"}, NotAllowed, id="two-addresses"),
    pytest.param({"email": "alice@evil.example\n@example.com"}, NotAllowed, id="line-break"),
    pytest.param({"email": "alice@example.com\x00"}, NotAllowed, id="nul"),
    pytest.param({"email": "@example.com"}, NotAllowed, id="nobody-at"),
    pytest.param({"email": "example.com"}, NotAllowed, id="domain-alone"),
    pytest.param({"email": ""}, NotAllowed, id="empty"),
    pytest.param({"email": None}, NotAllowed, id="missing"),
    pytest.param({"email": ["alice@example.com"]}, NotAllowed, id="in-a-list"),
    pytest.param({"email": 1}, NotAllowed, id="number"),
]


@pytest.mark.parametrize("provider", ["acme", "lean"])
@pytest.mark.parametrize("claims", ADMITTED)
def test_a_verified_address_in_the_domain_lets_in(
    members: AppServer, providers: Mapping[str, Provider], claims: dict[str, object], provider: str
) -> None:
    with members.browser() as browser, providers[provider].signing_in(**claims):
        assert browser.sign_in(provider).status_code == 303
        assert browser.who() is not None


@pytest.mark.parametrize("provider", ["acme", "lean"])
@pytest.mark.parametrize(("claims", "error"), NOT_ADMITTED)
def test_any_other_address_is_told_that_it_may_not_enter(
    members: AppServer,
    providers: Mapping[str, Provider],
    caplog: Caplog,
    claims: dict[str, object],
    error: type[AuthError],
    provider: str,
) -> None:
    with members.browser() as browser, providers[provider].signing_in(**claims):
        assert_refused(browser.sign_in(provider), browser, caplog, error)


def test_the_verification_of_one_address_does_not_count_for_another(
    members: AppServer, acme: Provider, caplog: Caplog
) -> None:
    """The ID token has an address and says nothing of it; userinfo has another one, verified."""
    faults = {"claims": without("email_verified", "name"), "userinfo": but(email="mallory@evil.example")}
    with members.browser() as browser, acme.faulty(**faults):
        assert_refused(browser.sign_in(), browser, caplog, EmailUnverified)
