from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

import auth.environment
import auth.settings
from auth.environment import Environment
from auth.providers import GOOGLE_ISSUER, ProviderSettings
from auth.settings import Settings, SettingsError
from auth.urls import http_url, is_http_url, is_loopback
from tests.support.settings import KEY, OLDER_KEY

APP = Path(__file__).parents[2] / "app.py"
DEPLOYED = {
    "HOST": "0.0.0.0",
    "PUBLIC_URL": "https://app.example.com",
    "SECRET_KEY": KEY,
    "GOOGLE_CLIENT_ID": "google-client",
    "GOOGLE_CLIENT_SECRET": "google-secret",
}
ACME = {
    "PROVIDERS": "acme",
    "ACME_ISSUER": "https://id.acme.example",
    "ACME_CLIENT_ID": "acme-client",
    "ACME_CLIENT_SECRET": "acme-secret",
}
POOL = {
    "COGNITO_REGION": "eu-central-1",
    "COGNITO_POOL_ID": "eu-central-1_AbCdEf123",
    "COGNITO_CLIENT_IDS": "one-client",
}
LOCAL: dict[str, str] = {}
THROUGH_ACME = {name: value for name, value in (DEPLOYED | ACME).items() if not name.startswith("GOOGLE")}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process with nothing configured, in a folder without `.env`."""
    for name in {*Settings.model_fields, *(name.lower() for name in (*DEPLOYED, *ACME, *POOL))}:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    own = auth.settings.is_own_address
    monkeypatch.setattr(auth.settings, "is_own_address", lambda host: host == "box.lan" or own(host))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    def load(*environments: Mapping[str, str | None], **changes: str | None) -> Settings:
        for name, value in {k: v for environment in (*environments, changes) for k, v in environment.items()}.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        return Settings.load()

    return load


# -- what is wrong, one thing at a time -------------------------------------------------------------------------------

PLACEHOLDER = "looks like a placeholder. Make one: python -c"
NO_ADDRESS = "must be an address such as https://app.example.com, without query or fragment."

WRONG = {
    "port-no-number": (DEPLOYED, {"PORT": "http"}, "PORT=http: Input should be a valid integer"),
    "port-zero": (DEPLOYED, {"PORT": "0"}, "PORT=0: Input should be greater than or equal to 1."),
    "port-too-high": (DEPLOYED, {"PORT": "65536"}, "PORT=65536: Input should be less than or equal to 65535."),
    "public-url-missing": (DEPLOYED, {"PUBLIC_URL": None}, "PUBLIC_URL is missing: HOST=0.0.0.0 is not a loopback"),
    "public-url-missing-ipv6": (
        DEPLOYED,
        {"PUBLIC_URL": None, "HOST": "::"},
        "PUBLIC_URL is missing: HOST=:: is not a loopback",
    ),
    "public-url-missing-name": (
        DEPLOYED,
        {"PUBLIC_URL": None, "HOST": "box.lan"},
        "PUBLIC_URL is missing: HOST=box.lan is not a loopback",
    ),
    "public-url-http": (
        DEPLOYED,
        {"PUBLIC_URL": "http://app.example.com"},
        "PUBLIC_URL=http://app.example.com is http: sign-in off this machine needs https.",
    ),
    "public-url-http-private-network": (
        DEPLOYED,
        {"PUBLIC_URL": "http://192.168.0.7:8000"},
        "PUBLIC_URL=http://192.168.0.7:8000 is http:",
    ),
    "public-url-no-scheme": (DEPLOYED, {"PUBLIC_URL": "app.example.com"}, f"PUBLIC_URL=app.example.com: {NO_ADDRESS}"),
    "public-url-other-scheme": (
        DEPLOYED,
        {"PUBLIC_URL": "ftp://a.example"},
        f"PUBLIC_URL=ftp://a.example: {NO_ADDRESS}",
    ),
    "public-url-no-host": (DEPLOYED, {"PUBLIC_URL": "https:///app"}, f"PUBLIC_URL=https:///app: {NO_ADDRESS}"),
    "public-url-query": (
        DEPLOYED,
        {"PUBLIC_URL": "https://a.example/?x"},
        f"PUBLIC_URL=https://a.example/?x: {NO_ADDRESS}",
    ),
    "public-url-empty-query": (
        DEPLOYED,
        {"PUBLIC_URL": "https://a.example/?"},
        f"PUBLIC_URL=https://a.example/?: {NO_ADDRESS}",
    ),
    "public-url-empty-fragment": (
        DEPLOYED,
        {"PUBLIC_URL": "https://a.example/#"},
        f"PUBLIC_URL=https://a.example/#: {NO_ADDRESS}",
    ),
    "public-url-bad-port": (
        DEPLOYED,
        {"PUBLIC_URL": "https://a.example:99999"},
        f"PUBLIC_URL=https://a.example:99999: {NO_ADDRESS}",
    ),
    "secret-key-missing": (DEPLOYED, {"SECRET_KEY": None}, "SECRET_KEY is missing. Make one: python -c"),
    "secret-key-missing-behind-a-proxy": (
        DEPLOYED,
        {"SECRET_KEY": None, "HOST": "127.0.0.1"},
        "SECRET_KEY is missing. Make one: python -c",
    ),
    "secret-key-short": (DEPLOYED, {"SECRET_KEY": KEY[:31]}, "SECRET_KEY has 31 characters: it needs at least 32."),
    "secret-key-short-on-loopback": (
        LOCAL,
        {"SECRET_KEY": "abc"},
        "SECRET_KEY has 3 characters: it needs at least 32.",
    ),
    "secret-key-one-letter": (DEPLOYED, {"SECRET_KEY": "a" * 64}, f"SECRET_KEY {PLACEHOLDER}"),
    "secret-key-placeholder": (DEPLOYED, {"SECRET_KEY": f"ChangeMe-{KEY}"}, f"SECRET_KEY {PLACEHOLDER}"),
    "fallback-short": (
        DEPLOYED,
        {"SECRET_KEY_FALLBACKS": f"{OLDER_KEY}, abc"},
        "SECRET_KEY_FALLBACKS (key 2) has 3 characters: it needs at least 32.",
    ),
    "fallback-placeholder": (
        DEPLOYED,
        {"SECRET_KEY_FALLBACKS": f"<{OLDER_KEY}>"},
        f"SECRET_KEY_FALLBACKS (key 1) {PLACEHOLDER}",
    ),
    "fallbacks-none": (
        DEPLOYED,
        {"SECRET_KEY_FALLBACKS": " , "},
        "SECRET_KEY_FALLBACKS: holds no name between its commas.",
    ),
    "google-without-secret": (DEPLOYED, {"GOOGLE_CLIENT_SECRET": None}, "GOOGLE_CLIENT_SECRET is missing"),
    "google-without-id": (DEPLOYED, {"GOOGLE_CLIENT_ID": None}, "GOOGLE_CLIENT_ID is missing"),
    "google-half-on-loopback": (LOCAL, {"GOOGLE_CLIENT_ID": "google-client"}, "GOOGLE_CLIENT_SECRET is missing"),
    "no-provider-off-loopback": (
        DEPLOYED,
        {"GOOGLE_CLIENT_ID": None, "GOOGLE_CLIENT_SECRET": None},
        "No sign-in provider is configured. Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, or PROVIDERS.",
    ),
    "no-provider-behind-a-proxy": (
        DEPLOYED,
        {"GOOGLE_CLIENT_ID": None, "GOOGLE_CLIENT_SECRET": None, "HOST": "127.0.0.1"},
        "No sign-in provider is configured.",
    ),
    "no-provider-in-the-list": (DEPLOYED, {"PROVIDERS": ","}, "No sign-in provider is configured."),
    "provider-without-issuer": (DEPLOYED | ACME, {"ACME_ISSUER": None}, "ACME_ISSUER is missing."),
    "provider-without-client-id": (DEPLOYED | ACME, {"ACME_CLIENT_ID": None}, "ACME_CLIENT_ID is missing."),
    "provider-without-secret": (DEPLOYED | ACME, {"ACME_CLIENT_SECRET": None}, "ACME_CLIENT_SECRET is missing."),
    "provider-issuer-no-address": (
        DEPLOYED | ACME,
        {"ACME_ISSUER": "id.acme.example"},
        f"ACME_ISSUER {NO_ADDRESS}",
    ),
    "provider-issuer-http": (
        DEPLOYED | ACME,
        {"ACME_ISSUER": "http://id.acme.example"},
        "ACME_ISSUER=http://id.acme.example is http: an issuer off this machine needs https.",
    ),
    "provider-label-long": (DEPLOYED | ACME, {"ACME_LABEL": "x" * 41}, "ACME_LABEL String should have at most 40"),
    "provider-twice": (DEPLOYED | ACME, {"PROVIDERS": "acme,ACME"}, "PROVIDERS names a provider twice."),
    "allowed-domains-nobody": (DEPLOYED, {"ALLOWED_DOMAINS": " , "}, "ALLOWED_DOMAINS"),
    "allowed-emails-nobody": (DEPLOYED, {"ALLOWED_EMAILS": ","}, "ALLOWED_EMAILS"),
    "session-hours-zero": (DEPLOYED, {"SESSION_HOURS": "0"}, "SESSION_HOURS=0: Input should be greater than 0."),
    "session-hours-negative": (DEPLOYED, {"SESSION_HOURS": "-8"}, "SESSION_HOURS=-8: Input should be greater than 0."),
    "session-hours-endless": (DEPLOYED, {"SESSION_HOURS": "inf"}, "SESSION_HOURS=inf: Input should be less than"),
    "session-hours-nan": (DEPLOYED, {"SESSION_HOURS": "nan"}, "SESSION_HOURS=nan: Input should be"),
    "session-hours-text": (DEPLOYED, {"SESSION_HOURS": "a day"}, "SESSION_HOURS=a day: Input should be a valid number"),
    "session-idle-zero": (DEPLOYED, {"SESSION_IDLE_MINUTES": "0"}, "SESSION_IDLE_MINUTES=0: Input should be greater"),
    "session-idle-endless": (
        DEPLOYED,
        {"SESSION_IDLE_MINUTES": "99999"},
        "SESSION_IDLE_MINUTES=99999: Input should be",
    ),
    "samesite-strict": (
        DEPLOYED,
        {"COOKIE_SAMESITE": "strict"},
        "COOKIE_SAMESITE=strict: Input should be 'lax' or 'none'.",
    ),
    "samesite-none-over-http": (
        LOCAL,
        {"COOKIE_SAMESITE": "none"},
        "COOKIE_SAMESITE=none needs an https PUBLIC_URL: browsers drop such a cookie over http.",
    ),
    "cognito-without-client": (DEPLOYED | POOL, {"COGNITO_CLIENT_IDS": None}, "COGNITO_CLIENT_IDS is missing:"),
    "cognito-without-region": (DEPLOYED | POOL, {"COGNITO_REGION": None}, "COGNITO_REGION is missing:"),
    "cognito-without-pool": (DEPLOYED | POOL, {"COGNITO_POOL_ID": None}, "COGNITO_POOL_ID is missing:"),
    "cognito-no-region": (
        DEPLOYED | POOL,
        {"COGNITO_REGION": "europe"},
        "COGNITO_REGION=europe: must be a Region such as",
    ),
    "cognito-pool-path": (
        DEPLOYED | POOL,
        {"COGNITO_POOL_ID": "a/../b"},
        "COGNITO_POOL_ID=a/../b: must be a user pool's id",
    ),
    "cognito-issuer-http": (
        DEPLOYED | POOL,
        {"COGNITO_ISSUER": "http://cognito.example"},
        "COGNITO_ISSUER=http://cognito.example is http: off this machine it needs https.",
    ),
    "cognito-issuer-no-address": (DEPLOYED | POOL, {"COGNITO_ISSUER": "x"}, f"COGNITO_ISSUER=x: {NO_ADDRESS}"),
    "cognito-keys-http": (
        DEPLOYED | POOL,
        {"COGNITO_JWKS_URL": "http://cognito.example/keys"},
        "COGNITO_JWKS_URL=http://cognito.example/keys is http: off this machine it needs https.",
    ),
    "cognito-keys-without-pool": (
        DEPLOYED,
        {"COGNITO_JWKS_URL": "https://cognito.example/keys", "COGNITO_CLIENT_IDS": "a", "COGNITO_REGION": "eu-west-1"},
        "COGNITO_POOL_ID is missing:",
    ),
    "mcp-server-no-switch": (
        DEPLOYED,
        {"MCP_SERVER": "perhaps"},
        "MCP_SERVER=perhaps: Input should be a valid boolean",
    ),
    "domain-wildcard": (DEPLOYED, {"ALLOWED_DOMAINS": "*.corp.com"}, "ALLOWED_DOMAINS=*.corp.com: '*.corp.com' has a"),
    "domain-url": (
        DEPLOYED,
        {"ALLOWED_DOMAINS": "https://corp.com"},
        "ALLOWED_DOMAINS=https://corp.com: 'https://corp.",
    ),
    "domain-address": (
        DEPLOYED,
        {"ALLOWED_DOMAINS": "a@corp.com"},
        "ALLOWED_DOMAINS=a@corp.com: 'a@corp.com' is no dom",
    ),
    "domain-dot": (DEPLOYED, {"ALLOWED_DOMAINS": ".corp.com"}, "ALLOWED_DOMAINS=.corp.com: '.corp.com' is no domain"),
    "email-none": (DEPLOYED, {"ALLOWED_EMAILS": "nobody"}, "ALLOWED_EMAILS=nobody: 'nobody' is no e-mail address"),
    "email-wildcard": (
        DEPLOYED,
        {"ALLOWED_EMAILS": "*@corp.com"},
        "ALLOWED_EMAILS=*@corp.com: '*@corp.com' has a wildcard",
    ),
    "pool-elsewhere": (
        DEPLOYED | POOL,
        {"COGNITO_REGION": "us-east-1"},
        "COGNITO_POOL_ID=eu-central-1_AbCdEf123 is a pool of the Region eu-central-1; COGNITO_REGION is us-east-1.",
    ),
    "metrics-no-switch": (DEPLOYED, {"METRICS": "2"}, "METRICS=2: Input should be a valid boolean"),
    "redis-no-address": (DEPLOYED, {"REDIS_URL": "redis.example.com:6379"}, "REDIS_URL is no address such as redis://"),
    "metrics-scope-no-scope": (
        DEPLOYED,
        {"METRICS": "true", "METRICS_SCOPE": "app/metrics app/more"},
        "METRICS_SCOPE=app/metrics app/more: must be one scope.",
    ),
    "app-title-long": (DEPLOYED, {"APP_TITLE": "x" * 81}, f"APP_TITLE={'x' * 81}: String should have at most 80"),
}


@pytest.mark.parametrize(("base", "change", "line"), WRONG.values(), ids=WRONG)
def test_one_mistake_stops_the_start_with_one_line_about_it(load, base, change, line) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: value for name, value in base.items() if name not in change}, change)
    assert [problem[: len(line)] for problem in refused.value.problems] == [line]


def test_a_provider_name_that_is_no_name_is_said_to_be_one(load) -> None:
    with pytest.raises(SettingsError) as refused:
        load(DEPLOYED, PROVIDERS="my-idp")
    assert "name" in refused.value.problems[0]


SEVERAL = {
    "PORT": "abc",
    "PUBLIC_URL": "http://app.example.com",
    "SECRET_KEY": "short",
    "SECRET_KEY_FALLBACKS": "old",
    "GOOGLE_CLIENT_SECRET": "google-secret",
    "PROVIDERS": "acme,initech",
    "ACME_ISSUER": "http://id.acme.example",
    "ACME_CLIENT_ID": "acme-client",
    "ACME_CLIENT_SECRET": "acme-secret",
    "COOKIE_SAMESITE": "strict",
    "COGNITO_REGION": "eu-central-1",
    "METRICS": "2",
}
SEVERAL_NAMES = {
    "PORT",
    "PUBLIC_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "GOOGLE_CLIENT_ID",
    "INITECH_ISSUER",
    "INITECH_CLIENT_ID",
    "INITECH_CLIENT_SECRET",
    "COOKIE_SAMESITE",
    "COGNITO_CLIENT_IDS",
    "COGNITO_POOL_ID",
    "METRICS",
}


def test_every_mistake_is_reported_at_once_and_once(load) -> None:
    with pytest.raises(SettingsError) as refused:
        load(SEVERAL)
    named = [problem.replace("=", " ").split(" ")[0] for problem in refused.value.problems]
    assert sorted(named) == sorted(SEVERAL_NAMES)


def test_the_app_with_wrong_settings_ends_with_code_2_and_a_list_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SESSION_HOURS=0\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **SEVERAL}
    done = subprocess.run(
        [sys.executable, APP], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    heading, *lines = done.stderr.splitlines()
    assert heading == "The app was not started. Please mend in the environment or in .env:"
    assert {line.removeprefix("  - ").replace("=", " ").split(" ")[0] for line in lines} == {
        *SEVERAL_NAMES,
        "SESSION_HOURS",
    }


SECRETS = {
    "SECRET_KEY": f"hush-{KEY}",
    "SECRET_KEY_FALLBACKS": f"hush-{OLDER_KEY}",
    "GOOGLE_CLIENT_SECRET": "hush-google",
    "ACME_CLIENT_SECRET": "hush-acme",
    "REDIS_URL": "redis://:hush-redis@redis.example",
}


def test_no_secret_is_in_the_repr_of_the_settings(load) -> None:
    settings = load(DEPLOYED, ACME, SECRETS, PROVIDERS="google,acme")
    shown = f"{settings!r} {settings!s} {settings.providers!r} {settings.model_dump()!r}"
    assert "hush" not in shown


@pytest.mark.parametrize(
    "change",
    [
        {"SECRET_KEY": "hush"},
        {"SECRET_KEY_FALLBACKS": f"hush,hush-{'a' * 40}"},
        {"ACME_CLIENT_ID": None},
        {"ACME_ISSUER": "hush"},
        {"PROVIDERS": "acme,acme"},
        {"PUBLIC_URL": "https://user:hush@app.example.com"},
        {"COGNITO_ISSUER": "https://user:hush@cognito.example"},
        {"COGNITO_CLIENT_IDS": "one", "PORT": "0", "SESSION_HOURS": "0"},
    ],
    ids=lambda change: "-".join(change),
)
def test_no_secret_is_in_what_is_said_about_a_mistake(load, change) -> None:
    environment = DEPLOYED | ACME | SECRETS
    with pytest.raises(SettingsError) as refused:
        load({name: value for name, value in environment.items() if name not in change}, change)
    assert "hush" not in f"{refused.value!r} {refused.value}"


@pytest.mark.parametrize(
    "make",
    [lambda given: ProviderSettings(**given), lambda given: Settings(_env_file=None, providers=(given,))],
    ids=["provider", "settings"],
)
def test_no_secret_is_in_what_is_said_to_code_about_a_mistake(make) -> None:
    with pytest.raises(ValidationError) as refused:
        make({"name": "a", "client_secret": "hush"})
    assert "A_ISSUER is missing" in str(refused.value)
    assert "hush" not in str(refused.value)


# -- what is right ----------------------------------------------------------------------------------------------------


def test_with_nothing_configured_the_app_is_for_this_machine(load) -> None:
    settings = load()
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.is_local
    assert not settings.is_https
    assert settings.providers == ()


def test_a_file_that_is_no_text_is_said_to_be_none(load) -> None:
    Path(".env").write_bytes(b"APP_TITLE=\xff\xfe")
    with pytest.raises(SettingsError) as refused:
        load()
    assert refused.value.problems == [".env is not UTF-8 text."]


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("https://App.Example.com", "https://app.example.com"),
        ("HTTPS://app.example.com:443/App/", "https://app.example.com/App"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_public_address_is_spelled_as_browsers_spell_an_origin(load, typed, known) -> None:
    assert load(DEPLOYED, PUBLIC_URL=typed).base_url == known


def test_a_key_is_made_anew_at_each_local_start(load) -> None:
    first, second = load(), load()
    assert len(first.secret_key.get_secret_value()) >= 32
    assert first.secret_key != second.secret_key
    assert first.completed() is first


ADDRESSES = {
    "default": ({}, "http://127.0.0.1:8000", True),
    "other-port": ({"PORT": "9000"}, "http://127.0.0.1:9000", True),
    "localhost": ({"HOST": "localhost"}, "http://localhost:8000", True),
    "ipv6": ({"HOST": "::1"}, "http://[::1]:8000", True),
    "public-loopback": ({"PUBLIC_URL": "http://localhost:8000/"}, "http://localhost:8000", True),
    "public-loopback-ipv6": ({"PUBLIC_URL": "http://[::1]:8000"}, "http://[::1]:8000", True),
    "behind-a-proxy": (DEPLOYED | {"HOST": "127.0.0.1"}, "https://app.example.com", False),
    "any-host": (DEPLOYED, "https://app.example.com", False),
    "any-host-ipv6": (DEPLOYED | {"HOST": "::"}, "https://app.example.com", False),
    "in-a-container": (DEPLOYED | {"PUBLIC_URL": "http://localhost:8000"}, "http://localhost:8000", False),
    "under-a-prefix": (DEPLOYED | {"PUBLIC_URL": "https://example.com/app/"}, "https://example.com/app", False),
}


@pytest.mark.parametrize(("environment", "base_url", "is_local"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_address_is_public_url_or_where_the_app_listens(load, environment, base_url, is_local) -> None:
    settings = load(environment)
    assert (settings.base_url, settings.is_local) == (base_url, is_local)
    assert settings.is_https == base_url.startswith("https")


def test_google_is_a_preset_that_needs_its_two_credentials_only(load) -> None:
    (google,) = load(DEPLOYED).providers
    assert (google.name, google.issuer, google.label) == ("google", GOOGLE_ISSUER, "Google")
    assert google.client_id == "google-client"
    assert google.client_secret.get_secret_value() == "google-secret"


def test_google_handed_in_by_code_never_means_the_local_provider_on_a_public_address() -> None:
    settings = Settings(_env_file=None, **{name.lower(): value for name, value in DEPLOYED.items()})
    assert settings.providers or settings.problems()


PROVIDER_LISTS = {
    "one": ({"PROVIDERS": "acme"}, [("acme", "Acme")]),
    "in-this-order": ({"PROVIDERS": "acme,google"}, [("acme", "Acme"), ("google", "Google")]),
    "spaces-and-case": ({"PROVIDERS": " Google , ACME, "}, [("google", "Google"), ("acme", "Acme")]),
    "named": ({"PROVIDERS": "acme", "ACME_LABEL": "Acme Corp."}, [("acme", "Acme Corp.")]),
    "google-renamed": ({"PROVIDERS": "google", "GOOGLE_LABEL": "your school"}, [("google", "your school")]),
}


@pytest.mark.parametrize(("change", "expected"), PROVIDER_LISTS.values(), ids=PROVIDER_LISTS)
def test_providers_are_listed_by_name_and_described_under_it(load, change, expected) -> None:
    settings = load(DEPLOYED, ACME, change)
    assert [(provider.name, provider.label) for provider in settings.providers] == expected


@pytest.mark.parametrize("name", ["a", "acme2", "my_idp", "x" * 31])
def test_a_provider_may_have_any_name_that_an_environment_variable_can_have(load, name) -> None:
    described = {variable.replace("ACME", name.upper()): value for variable, value in ACME.items()}
    assert [provider.name for provider in load(DEPLOYED, described, PROVIDERS=name).providers] == [name]


@pytest.mark.parametrize("name", ["1st", "my-idp", "a.b", "a/b", "..", "é", "x" * 32, "a b"])
def test_a_provider_has_no_name_that_could_be_something_else_in_an_address(load, name) -> None:
    with pytest.raises(SettingsError):
        load(DEPLOYED, PROVIDERS=name)


LISTS = {
    "emails": (
        "ALLOWED_EMAILS",
        " Ada@Example.com ,bob@b.example",
        "allowed_emails",
        ("ada@example.com", "bob@b.example"),
    ),
    "domains": ("ALLOWED_DOMAINS", "@Example.com,b.example", "allowed_domains", ("example.com", "b.example")),
    "scopes": ("API_SCOPES", "app/read, app/Write", "api_scopes", ("app/read", "app/Write")),
    "audience": ("API_AUDIENCE", "https://a.example/", "api_audience", ("https://a.example/",)),
    "nobody": ("ALLOWED_EMAILS", "", "allowed_emails", ()),
}


@pytest.mark.parametrize(("name", "text", "field", "expected"), LISTS.values(), ids=LISTS)
def test_a_list_is_separated_by_commas(load, name, text, field, expected) -> None:
    assert getattr(load(DEPLOYED, {name: text}), field) == expected


def test_the_newest_key_signs_and_the_older_ones_come_before_it(load) -> None:
    settings = load(DEPLOYED, SECRET_KEY_FALLBACKS=f"{OLDER_KEY},{OLDER_KEY[::-1]}")
    assert settings.signing_keys == [OLDER_KEY[::-1], OLDER_KEY, KEY]


@pytest.mark.parametrize(
    ("environment", "has_cognito"),
    [
        ({}, False),
        (POOL, True),
        ({"COGNITO_ISSUER": "https://cognito.example/pool", "COGNITO_CLIENT_IDS": "one-client"}, True),
    ],
    ids=["nothing", "a-pool", "an-issuer"],
)
def test_a_pool_or_an_issuer_with_a_client_is_enough(load, environment, has_cognito) -> None:
    assert (load(DEPLOYED, environment).user_pool is not None) is has_cognito


def test_an_issuer_on_this_machine_may_be_http(load) -> None:
    load(DEPLOYED, ACME, ACME_ISSUER="http://localhost:9000", COGNITO_ISSUER="http://127.0.0.1:9229/a", **POOL)


# -- where settings are read from -------------------------------------------------------------------------------------


def test_env_file_is_read(load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in (DEPLOYED | ACME).items()))
    settings = load()
    assert settings.base_url == "https://app.example.com"
    assert settings.providers[0].client_secret.get_secret_value() == "acme-secret"


def test_the_process_environment_comes_before_the_env_file(load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in (DEPLOYED | ACME).items()))
    settings = load(PUBLIC_URL="https://other.example.com", ACME_CLIENT_ID="other-client", ACME_LABEL="Other")
    assert settings.base_url == "https://other.example.com"
    assert [(p.client_id, p.label, p.issuer) for p in settings.providers] == [
        ("other-client", "Other", "https://id.acme.example")
    ]


def test_an_empty_variable_is_one_that_is_not_set(load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_TITLE=From the file\nACME_LABEL=\nALLOWED_DOMAINS=\n")
    settings = load(DEPLOYED, ACME, APP_TITLE="", PORT="")
    assert (settings.app_title, settings.port) == ("From the file", 8000)
    assert settings.providers[0].label == "Acme"
    assert settings.allowed_domains == ()


def test_an_unknown_variable_in_the_env_file_is_somebody_elses(load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_TITLE=Mine\nANOTHER_PROGRAMS=thing\n")
    assert load().app_title == "Mine"


def test_settings_do_not_change_once_made(load) -> None:
    settings = load(DEPLOYED)
    with pytest.raises(ValidationError, match="frozen"):
        settings.public_url = "https://evil.example"
    with pytest.raises(ValidationError, match="frozen"):
        settings.providers[0].issuer = "https://evil.example"


def test_env_is_looked_for_beside_the_app_too(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    for folder in (beside, elsewhere):
        folder.mkdir()
    monkeypatch.setattr(auth.environment, "TOP", beside)
    monkeypatch.chdir(elsewhere)
    (beside / ".env").write_text("APP_TITLE=Of the project\n")
    assert (load().app_title, Environment.read().source_of("APP_TITLE")) == ("Of the project", str(beside / ".env"))
    (elsewhere / ".env").write_text("CONTACT=ada@example.com\n")
    assert load().app_title == "My Gradio app"  # the one where the app was started is the only one then
    monkeypatch.setenv("APP_TITLE", "Of the process")
    assert Environment.read().source_of("APP_TITLE") == "environment"
    assert Environment.read().source_of("PORT") == "default"


# -- names that are not quite ours ------------------------------------------------------------------------------------

MISSPELLED = {
    "ALLOWED_DOMAIN": "ALLOWED_DOMAINS",
    "allowed_domain": "ALLOWED_DOMAINS",
    "ALOWED_EMAILS": "ALLOWED_EMAILS",
    "DOMAINS_ALLOWED": "ALLOWED_DOMAINS",
    "GOOGLE_CLIENTID": "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT": "GOOGLE_CLIENT_ID",
    "SESION_HOURS": "SESSION_HOURS",
    "SESSION_IDLE_MINUTE": "SESSION_IDLE_MINUTES",
    "SECRETKEY": "SECRET_KEY",
    "PROVIDER": "PROVIDERS",
    "PUBLIC_URI": "PUBLIC_URL",
    "COGNITO_CLIENT_ID": "COGNITO_CLIENT_IDS",
    "COGNITO_USER_POOL_ID": "COGNITO_POOL_ID",
    "ACME_CLIENTID": "ACME_CLIENT_ID",
    "ACME_SECRET_CLIENT": "ACME_CLIENT_SECRET",
}
SOMEBODY_ELSES = [
    "PATH",
    "HOSTNAME",
    "HOME",
    "SHELL",
    "SECRET",
    "DB_HOST",
    "APP_PORT",
    "DATABASE_URL",
    "AWS_REGION",
    "OPENAI_API_KEY",
    "CLIENT_ID",
    "LOG_LEVEL",
    "TITLE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GRADIO_TEMP_DIR",
    "DJANGO_SECRET_KEY",
]


@pytest.mark.parametrize(("name", "meant"), MISSPELLED.items())
def test_a_misspelled_name_in_the_env_file_stops_the_start(load, tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=hush\n")
    with pytest.raises(SettingsError) as refused:
        load(DEPLOYED, ACME)
    assert refused.value.problems == [f"{name.upper()} in {tmp_path / '.env'} is no setting: {meant} is."]


@pytest.mark.parametrize(
    "line", ["ALLOWED_DOMAINS: corp.com", "ALLOWED_DOMAINS", "set CONTACT=a@corp.com", 'APP_TITLE="A']
)
def test_a_line_of_the_env_file_that_sets_nothing_stops_the_start(load, tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"# Who may enter\n\n{line}\nexport CONTACT = b@corp.com # us\n")
    with pytest.raises(SettingsError) as refused:
        load(DEPLOYED, ACME)
    assert refused.value.problems == [f"Line 3 of {tmp_path / '.env'} is not NAME=value."]


@pytest.mark.parametrize(("name", "meant"), MISSPELLED.items())
def test_a_misspelled_name_in_the_environment_is_said(load, name: str, meant: str) -> None:
    settings = load(THROUGH_ACME, {"ALLOWED_GROUPS": "staff", name: "acme"})
    assert settings.notes(Environment.read()) == [f"{name.upper()} in the environment is no setting: {meant} is."]


def test_where_it_is_why_a_setting_is_missing_it_is_said_too(load) -> None:
    with pytest.raises(SettingsError) as refused:
        load(DEPLOYED, {"GOOGLE_CLIENT_ID": "", "GOOGLE_CLIENTID": "a"})
    assert "GOOGLE_CLIENTID in the environment is no setting: GOOGLE_CLIENT_ID is." in refused.value.problems


@pytest.mark.parametrize("name", SOMEBODY_ELSES)
def test_what_does_not_look_like_a_setting_is_somebody_elses(load, tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=x\n")
    assert load(THROUGH_ACME, {"ALLOWED_GROUPS": "staff"}).notes(Environment.read()) == []


NOTES = {
    "everybody": (DEPLOYED, {}, "Everybody who can sign in may enter."),
    "issuer-of-nobody": (
        DEPLOYED,
        {"INITECH_ISSUER": "https://id.example"},
        "INITECH_ISSUER is unused: PROVIDERS does",
    ),
    "google-not-listed": (DEPLOYED | ACME, {}, "GOOGLE_CLIENT_ID is unused: PROVIDERS does not name google."),
    "scope-of-no-metrics": (DEPLOYED, {"METRICS_SCOPE": "x"}, "METRICS_SCOPE is unused: METRICS is false."),
    "scope-of-nobody": (
        DEPLOYED,
        {"METRICS": "true", "METRICS_SCOPE": "x"},
        "METRICS_SCOPE is unused: no user pool is configured.",
    ),
    "audience-of-nobody": (DEPLOYED, {"API_AUDIENCE": "x"}, "API_AUDIENCE is unused: no user pool is configured."),
}


@pytest.mark.parametrize(("base", "change", "line"), NOTES.values(), ids=NOTES)
def test_what_may_not_be_what_was_meant_is_said(load, base, change, line) -> None:
    notes = load(base, change).notes(Environment.read())
    assert [note for note in notes if note.startswith(line)]


@pytest.mark.parametrize("who", ["ALLOWED_EMAILS=ada@example.com", "ALLOWED_DOMAINS=a.example", "ALLOWED_GROUPS=staff"])
def test_a_list_of_who_may_enter_is_no_note(load, who: str) -> None:
    assert load(DEPLOYED, dict([who.split("=")])).notes(Environment.read()) == []
    assert load().notes(Environment.read()) == []


def test_a_host_that_is_none_of_this_machine_is_said_to_come_from_the_environment(load) -> None:
    """conda sets HOST to the name of a compiler's platform."""
    with pytest.raises(SettingsError) as refused:
        load(HOST="x86_64-conda-linux-gnu")
    (problem,) = refused.value.problems
    assert problem.startswith("HOST=x86_64-conda-linux-gnu (from the environment) is no address of this machine.")


# -- addresses --------------------------------------------------------------------------------------------------------

LOOPBACK = ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "localhost", "app.localhost"]
NOT_LOOPBACK = [
    "",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "192.168.0.1",
    "128.0.0.1",
    "126.255.255.255",
    "fe80::1",
    "::2",
    "example.com",
    "localhost.example.com",
    "localhostx",
    "notlocalhost",
    "127.0.0.1.example.com",
    "127.0.0.1.nip.io",
    "localhost.",
    "127.1",
    "2130706433",
    "0x7f000001",
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", NOT_LOOPBACK)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


GOOD_URLS = [
    "https://a.example",
    "http://localhost:8000",
    "https://a.example/",
    "https://a.example/app/x",
    "https://[2001:db8::1]:8443/app",
    "https://xn--bcher-kva.example",
    "https://a.example/realms/one%20two",
]
BAD_URLS = [
    "",
    "a.example",
    "//a.example",
    "/app",
    "https://",
    "https:a.example",
    "https://:443",
    "ftp://a.example",
    "javascript:alert(1)",
    "https://user@a.example",
    "https://user:password@a.example",
    "https://@a.example",
    "https://a.example?x=1",
    "https://a.example?",
    "https://a.example#x",
    "https://a.example#",
    "https://a.example:port",
    "https://a.example:65536",
    "https://a.example/a b",
    "https://a.example/\n",
    "https://a.exa\tmple",
    "https://bücher.example",
    "https://[::1",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_an_http_address(url: str) -> None:
    assert is_http_url(url)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/über", "https://xn--bcher-kva.example:8443/%C3%BCber"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://a.example/realms/one%20two", "https://a.example/realms/one%20two"),
    ],
)
def test_an_address_of_other_letters_is_taken_as_it_is_sent(typed: str, sent: str) -> None:
    assert http_url(typed) == sent
    assert Settings(_env_file=None, public_url=typed).public_url == sent.rstrip("/")


@pytest.mark.parametrize("url", ["https://bü cher.example", "https://ü@bücher.example", "https://☃.example", "bücher"])
def test_what_cannot_be_sent_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be an address such as"):
        http_url(url)


@pytest.mark.parametrize("url", BAD_URLS)
def test_no_http_address(url: str) -> None:
    assert not is_http_url(url)
