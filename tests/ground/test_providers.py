"""What the environment says of providers: presets, parts of each, and names that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from auth.errors import WrongIssuer
from auth.providers import MICROSOFT, ProviderSettings
from auth.settings import Settings, SettingsError

TENANT = "9122040d-6c67-4c5b-b112-36a304b66dad"
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"
SOUND = {
    "PUBLIC_URL": "https://app.example.com",
    "SECRET_KEY": "kQ7vX2mPz9RtB4nWc6LyH8sDf3GjA5eU",
}
MICROSOFT_CLIENT = {"PROVIDERS": "microsoft", "MICROSOFT_CLIENT_ID": "a", "MICROSOFT_CLIENT_SECRET": "b"}
COGNITO_CLIENT = {"PROVIDERS": "cognito", "COGNITO_CLIENT_ID": "people", "COGNITO_CLIENT_SECRET": "b"}
POOL = {"COGNITO_REGION": "eu-west-1", "COGNITO_POOL_ID": "eu-west-1_AbCdEf123"}
ACME = {"ACME_ISSUER": "https://id.acme.example", "ACME_CLIENT_ID": "a", "ACME_CLIENT_SECRET": "b"}

Load = Callable[[Mapping[str, str]], Settings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Load:
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setattr("auth.environment.TOP", tmp_path)

    def load(environment: Mapping[str, str]) -> Settings:
        for name, value in {**SOUND, **environment}.items():
            monkeypatch.setenv(name, value)
        return Settings.load()

    return load


def problems(load: Load, environment: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environment)
    return caught.value.problems


# -- presets ----------------------------------------------------------------------------------------------------------


def test_microsoft_needs_a_tenant_alone(load: Load) -> None:
    (provider,) = load(MICROSOFT_CLIENT | {"MICROSOFT_TENANT": TENANT}).providers
    assert (provider.issuer, provider.label) == (f"{MICROSOFT}/{TENANT}/v2.0", "Microsoft")
    assert provider.may_announce(f"{MICROSOFT}/{TENANT}/v2.0")


def test_microsoft_without_a_tenant_is_said_to_lack_one(load: Load) -> None:
    assert problems(load, MICROSOFT_CLIENT) == [
        "MICROSOFT_TENANT is missing: the tenant's id or one of its domains, or organizations."
    ]


@pytest.mark.parametrize("tenant", ["organizations", "common"])
def test_a_shared_tenant_needs_those_whose_people_may_sign_in(load: Load, tenant: str) -> None:
    (problem,) = problems(load, MICROSOFT_CLIENT | {"MICROSOFT_TENANT": tenant})
    assert problem.startswith("MICROSOFT_TENANTS is missing")
    shared = MICROSOFT_CLIENT | {"MICROSOFT_TENANT": tenant, "MICROSOFT_TENANTS": f"{TENANT}, {OTHER_TENANT}"}
    (provider,) = load(shared).providers
    announced = f"{MICROSOFT}/{{tenantid}}/v2.0"
    assert provider.may_announce(announced)
    assert provider.token_issuer(announced, {"tid": TENANT}) == f"{MICROSOFT}/{TENANT}/v2.0"
    for stranger in ("99999999-2222-3333-4444-555555555555", None, "", 7, [TENANT]):
        with pytest.raises(WrongIssuer):
            provider.token_issuer(announced, {"tid": stranger})


ANNOUNCED = {
    "the id of a tenant that is named by a domain": ("contoso.example", f"{MICROSOFT}/{TENANT}/v2.0", True),
    "another id": (TENANT, f"{MICROSOFT}/{OTHER_TENANT}/v2.0", False),
    "any tenant, where one is named by a domain": ("contoso.example", f"{MICROSOFT}/{{tenantid}}/v2.0", False),
    "an id, where the tenant is shared": ("organizations", f"{MICROSOFT}/{TENANT}/v2.0", False),
    "another host": ("contoso.example", f"https://evil.example/{TENANT}/v2.0", False),
    "no id": ("contoso.example", f"{MICROSOFT}/evil/v2.0", False),
    "more behind it": ("contoso.example", f"{MICROSOFT}/{TENANT}/v2.0/x", False),
    "a line more": ("contoso.example", f"{MICROSOFT}/{TENANT}/v2.0\n", False),
}


@pytest.mark.parametrize("case", ANNOUNCED)
def test_metadata_is_of_the_tenant_that_is_configured(load: Load, case: str) -> None:
    tenant, announced, is_its = ANNOUNCED[case]
    named = MICROSOFT_CLIENT | {"MICROSOFT_TENANT": tenant, "MICROSOFT_TENANTS": TENANT}
    (provider,) = load(named).providers
    assert provider.may_announce(announced) is is_its


def test_elsewhere_an_issuer_is_compared_letter_by_letter() -> None:
    acme = ProviderSettings.model_validate(
        {"name": "acme", "issuer": "https://id.acme.example/a", "client_id": "a", "client_secret": "b", "label": "A"}
    )
    assert acme.may_announce("https://id.acme.example/a")
    for other in ("https://id.acme.example/a/", "https://id.acme.example", f"https://id.acme.example/{TENANT}", ""):
        assert not acme.may_announce(other)


def test_cognito_signs_people_in_with_the_pool_and_its_client_opens_nothing_to_programs(load: Load) -> None:
    settings = load(COGNITO_CLIENT | POOL)
    (provider,) = settings.providers
    place = "eu-west-1.amazonaws.com/eu-west-1_AbCdEf123"
    assert (provider.issuer, provider.client_id) == (f"https://cognito-idp.{place}", "people")
    assert provider.may_announce(f"https://issuer-cognito-idp.{place}")
    assert (provider.groups_claim, provider.way_out) == ("cognito:groups", "cognito")
    assert settings.user_pool is None, "the client of people is none of programs"
    pool = load(COGNITO_CLIENT | POOL | {"COGNITO_CLIENT_IDS": "programs"}).user_pool
    assert pool is not None and pool.client_ids == ("programs",)


def test_cognito_without_a_pool_is_said_to_lack_one(load: Load) -> None:
    assert problems(load, COGNITO_CLIENT) == [
        "COGNITO_REGION and COGNITO_POOL_ID are missing: they say which user pool people sign in with."
    ]


def test_a_pool_of_several_regions_has_the_issuers_of_each(load: Load) -> None:
    replicated = {"COGNITO_REGION": "us-east-1,us-west-2", "COGNITO_POOL_ID": "us-east-1_AbCdEf123"}
    google = {"GOOGLE_CLIENT_ID": "a", "GOOGLE_CLIENT_SECRET": "b"}
    pool = load(google | replicated | {"COGNITO_CLIENT_IDS": "a"}).user_pool
    assert pool is not None
    assert list(pool.key_urls) == [
        f"https://{kind}.{region}.amazonaws.com/us-east-1_AbCdEf123"
        for region in ("us-east-1", "us-west-2")
        for kind in ("cognito-idp", "issuer-cognito-idp")
    ]


def test_google_alone_takes_the_parts_that_any_provider_has(load: Load) -> None:
    given = {"GOOGLE_CLIENT_ID": "a", "GOOGLE_CLIENT_SECRET": "b", "GOOGLE_SCOPES": "openid email", "GOOGLE_LABEL": "G"}
    (google,) = load(given).providers
    assert (google.scopes, google.label, google.issuer) == (("openid", "email"), "G", "https://accounts.google.com")


def test_a_pool_that_is_a_provider_of_another_name_signs_out_as_cognito_does(load: Load) -> None:
    acme = ACME | {"PROVIDERS": "acme", "ACME_ISSUER": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A"}
    assert load(acme).providers[0].way_out == "cognito"
    assert load(acme | {"ACME_LOGOUT": "none"}).providers[0].way_out == "none"


# -- parts ------------------------------------------------------------------------------------------------------------


def test_each_part_is_read_by_the_name_of_its_provider(load: Load) -> None:
    parts = {
        "ACME_SCOPES": "openid, email groups",
        "ACME_TOKEN_AUTH_METHOD": "client_secret_post",
        "ACME_TRUST_EMAIL": "true",
        "ACME_LOGOUT": "none",
        "ACME_RESPONSE_MODE": "form_post",
        "ACME_GROUPS_CLAIM": "realm_access.roles",
    }
    (acme,) = load(ACME | {"PROVIDERS": "acme"} | parts).providers
    assert acme.scopes == ("openid", "email", "groups")
    assert (acme.token_auth_method, acme.trust_email) == ("client_secret_post", True)
    assert (acme.way_out, acme.response_mode, acme.groups_claim) == ("none", "form_post", "realm_access.roles")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("SCOPES", "email"),
        ("TOKEN_AUTH_METHOD", "none"),
        ("TRUST_EMAIL", "perhaps"),
        ("LOGOUT", "saml"),
        ("RESPONSE_MODE", "fragment"),
    ],
)
def test_a_part_that_cannot_be_is_named(load: Load, part: str, value: str) -> None:
    (problem,) = problems(load, ACME | {"PROVIDERS": "acme", f"ACME_{part}": value})
    assert problem.startswith(f"ACME_{part} ")


# -- names ------------------------------------------------------------------------------------------------------------


def test_a_provider_whose_settings_are_also_others_is_refused(load: Load) -> None:
    api = {"PROVIDERS": "api", "API_ISSUER": "https://id.example", "API_CLIENT_ID": "a", "API_CLIENT_SECRET": "b"}
    assert problems(load, api) == ["PROVIDERS: no provider can be named api, for API_SCOPES is another setting."]


@pytest.mark.parametrize("name", ["public", "session", "mcp", "app", "redis", "secret", "port"])
def test_a_provider_whose_settings_are_its_own_may_have_any_name(load: Load, name: str) -> None:
    parts = {f"{name.upper()}_{part}": value for part, value in {"CLIENT_ID": "a", "CLIENT_SECRET": "b"}.items()}
    (provider,) = load({"PROVIDERS": name, f"{name.upper()}_ISSUER": "https://id.example", **parts}).providers
    assert provider.name == name
