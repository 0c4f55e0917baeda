"""`python app.py --check` against each mistake, planted one at a time with the real thing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from auth.findings import Finding
from auth.settings import Settings
from tests.replicas.servers import Nginx, Replica
from tests.support.app_server import AppServer
from tests.support.provider import HTML, Provider, Reply, but, instead, json_reply, without
from tests.support.servers import ROOT, RedisServer, Server, free_port
from tests.support.settings import KEY, sound_settings
from ui.serving.doctor import examine, lines, read_settings

Environment = Mapping[str, str]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process with nothing configured but a free port, in a folder without `.env`."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.chdir(tmp_path)


def diagnosis(monkeypatch: pytest.MonkeyPatch, environment: Environment, *, clock: float = 0.0) -> list[Finding]:
    """All but the Blocks, as `--check` would find it; `clock` is how far off this machine's is, in seconds."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _, settings, findings = read_settings(None)
    if settings is None:
        return findings
    key_is_set = "SECRET_KEY" in environment
    return findings + asyncio.run(examine(settings, key_is_set=key_is_set, now=lambda: time.time() + clock))


def assert_found(findings: list[Finding], level: str, what: str, found: str, mend: str = "") -> None:
    """That alone is not as it should be."""
    odd = [finding for finding in findings if finding.level == level or finding.level == "wrong"]
    assert len(odd) == 1, findings
    assert (odd[0].level, odd[0].what) == (level, what)
    assert found in odd[0].found, odd[0]
    assert mend in odd[0].mend, odd[0]
    if level == "wrong":
        assert odd[0].mend or what in ("Settings", "Port"), "it does not say how to mend it"


def through(provider: Provider, **changes: str) -> dict[str, str]:
    """The environment of an app whose people sign in with a stand-in."""
    return {
        "PROVIDERS": "acme",
        "ACME_ISSUER": provider.issuer,
        "ACME_CLIENT_ID": provider.client_id,
        "ACME_CLIENT_SECRET": provider.client_secret,
        **changes,
    }


# -- the provider -----------------------------------------------------------------------------------------------------

PROVIDERS: dict[str, tuple[dict[str, Any], dict[str, str], tuple[str, str, str, str]]] = {
    "client-secret": (
        {},
        {"ACME_CLIENT_SECRET": "another-secret-than-it-has"},
        ("wrong", "Acme", "invalid_client", "anew"),
    ),
    "client-unknown": ({}, {"ACME_CLIENT_ID": "nobody"}, ("wrong", "Acme", "invalid_client", "deleted")),
    "issuer-404": (
        {},
        {"ACME_ISSUER": "{issuer}/realms/none"},
        ("wrong", "Acme", "answered 404", "ACME_ISSUER is what"),
    ),
    "issuer-slash": ({}, {"ACME_ISSUER": "{issuer}/"}, ("wrong", "Acme", "is of the issuer", "ACME_ISSUER={issuer}")),
    "issuer-well-known": (
        {},
        {"ACME_ISSUER": "{issuer}/.well-known/openid-configuration"},
        ("wrong", "Acme", "answered 404", "what stands before it: {issuer}"),
    ),
    "discovery-html": (
        {"discovery": instead(HTML)},
        {},
        ("wrong", "Acme", "is not a JSON object", "ACME_ISSUER is what"),
    ),
    "no-pkce": (
        {"discovery": without("code_challenge_methods_supported")},
        {},
        ("warning", "Acme", "does not announce PKCE", "allow it at the provider"),
    ),
    "plain-pkce": (
        {"discovery": but(code_challenge_methods_supported=["plain"])},
        {},
        ("warning", "Acme", "does not announce PKCE", ""),
    ),
    "http-endpoints": (
        {"discovery": but(token_endpoint="http://id.acme.example/token")},
        {},
        ("wrong", "Acme", "token_endpoint is no https address", "at fault"),
    ),
    "keys-unreadable": ({"jwks": instead(Reply(body=b"{"))}, {}, ("wrong", "Acme", "is not a JSON object", "publish")),
    "keys-not-there": ({"jwks": instead(json_reply({}, 404))}, {}, ("wrong", "Acme", "answered 404", "publish its")),
    "keys-empty": (
        {"jwks": instead({"keys": []})},
        {},
        ("wrong", "Acme", "holds no usable key", "publish its signing"),
    ),
    "signs-with-none": (
        {"discovery": but(id_token_signing_alg_values_supported=["none", "HS256"])},
        {},
        ("wrong", "Acme", "signs with none, HS256 alone", "RS256"),
    ),
}


@pytest.mark.parametrize(("faults", "changes", "expected"), PROVIDERS.values(), ids=PROVIDERS)
def test_a_mistake_about_the_provider_is_named(monkeypatch, faults, changes, expected) -> None:
    with Provider(**faults) as provider:
        filled = {name: value.format(issuer=provider.issuer) for name, value in changes.items()}
        findings = diagnosis(monkeypatch, through(provider, **filled))
        assert_found(findings, *(part.format(issuer=provider.issuer) for part in expected))


@pytest.mark.parametrize("clock", [400.0, -400.0])
def test_a_clock_that_is_off_is_named(monkeypatch, clock: float) -> None:
    with Provider() as provider:
        findings = diagnosis(monkeypatch, through(provider), clock=clock)
    assert_found(findings, "wrong", "Acme", "clock is +40" if clock > 0 else "clock is -", "NTP")


def test_a_provider_that_is_not_there_is_named(monkeypatch) -> None:
    with Provider() as provider:
        environment = through(provider)
    assert_found(diagnosis(monkeypatch, environment), "wrong", "Acme", "cannot be reached", "has to reach it")


def test_where_all_is_well_nothing_is_wrong_and_the_addresses_to_register_are_said(monkeypatch) -> None:
    with Provider() as provider:
        findings = diagnosis(monkeypatch, through(provider))
        assert {finding.level for finding in findings} == {"ok"}, findings
        said = "\n".join(finding.found for finding in findings)
        base = f"http://127.0.0.1:{os.environ['PORT']}"
        for address in ("/auth/acme;", "/logout;", "/auth/acme/backchannel-logout"):
            assert base + address in said
        for fact in ("PKCE with S256", "signs with RS256", "keys that can be used", "clock and this machine's agree"):
            assert fact in said
        assert "accepts ACME_CLIENT_ID and ACME_CLIENT_SECRET" in said
        assert "May enter: everybody who can sign in" in said


# -- settings ---------------------------------------------------------------------------------------------------------

PUBLIC = {"HOST": "0.0.0.0", "PUBLIC_URL": "https://app.example.com", "SECRET_KEY": KEY}
POOL = {"COGNITO_REGION": "eu-west-1", "COGNITO_POOL_ID": "eu-west-1_AbCdEf123", "COGNITO_CLIENT_IDS": "one"}
SETTINGS: dict[str, tuple[Environment, str]] = {
    "public-url-http": ({"PUBLIC_URL": "http://app.example.com"}, "PUBLIC_URL=http://app.example.com is http"),
    "no-key": ({"SECRET_KEY": ""}, "SECRET_KEY is missing"),
    "weak-key": ({"SECRET_KEY": "short"}, "SECRET_KEY has 5 characters"),
    "placeholder-key": ({"SECRET_KEY": "change-me-to-something-that-is-secret"}, "SECRET_KEY looks like a placeholder"),
    "half-a-provider": ({"ACME_CLIENT_SECRET": ""}, "ACME_CLIENT_SECRET is missing"),
    "half-of-google": ({"GOOGLE_CLIENT_ID": "one"}, "GOOGLE_CLIENT_SECRET is missing"),
    "domain-wildcard": ({"ALLOWED_DOMAINS": "*.corp.com"}, "'*.corp.com' has a wildcard"),
    "email-nobody": ({"ALLOWED_EMAILS": "nobody"}, "'nobody' is no e-mail address"),
    "pool-elsewhere": (POOL | {"COGNITO_REGION": "us-east-1"}, "is a pool of the Region eu-west-1"),
}


@pytest.mark.parametrize(("change", "found"), SETTINGS.values(), ids=SETTINGS)
def test_a_mistake_in_the_settings_is_named(monkeypatch, acme: Provider, change: Environment, found: str) -> None:
    assert_found(diagnosis(monkeypatch, PUBLIC | through(acme) | change), "wrong", "Settings", found, "put right")


MISSPELLED = {
    "ALLOWED_DOMAIN": "ALLOWED_DOMAINS",
    "GOOGLE_CLIENTID": "GOOGLE_CLIENT_ID",
    "SESION_HOURS": "SESSION_HOURS",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELLED.items())
def test_a_misspelled_name_is_named(monkeypatch, tmp_path: Path, name: str, meant: str) -> None:
    assert_found(diagnosis(monkeypatch, {name: "corp.com"}), "warning", "Settings", f"no setting: {meant} is")
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}=corp.com\n")
    assert_found(diagnosis(monkeypatch, {}), "wrong", "Settings", f"is no setting: {meant} is")


def test_that_everybody_may_enter_on_https_is_said(monkeypatch, acme: Provider) -> None:
    findings = diagnosis(monkeypatch, PUBLIC | through(acme))
    (note,) = [finding for finding in findings if finding.level == "warning" and finding.what == "Settings"]
    assert note.found.startswith("Everybody who can sign in may enter.")


# -- the user pool ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, str, str]]:
    """Somebody else's Cognito: its address, a pool and a client."""
    import boto3

    port = free_port()
    program = f"from moto.server import main; main(['-p', '{port}'])"
    with Server([sys.executable, "-c", program], port=port):
        url, keys = f"http://127.0.0.1:{port}", {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        cognito = boto3.client("cognito-idp", region_name="eu-west-1", endpoint_url=url, **keys)
        pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")["UserPoolClient"]["ClientId"]
        yield url, pool, client


def pool_of(moto: tuple[str, str, str], **changes: str) -> dict[str, str]:
    url, pool, client = moto
    return {
        "COGNITO_REGION": "eu-west-1",
        "COGNITO_POOL_ID": pool,
        "COGNITO_CLIENT_IDS": client,
        "COGNITO_JWKS_URL": f"{url}/{pool}/.well-known/jwks.json",
        **changes,
    }


def test_a_pool_with_its_client_is_well(monkeypatch, moto) -> None:
    findings = diagnosis(monkeypatch, pool_of(moto))
    assert {finding.level for finding in findings} == {"ok"}, findings
    assert f"there is an app client {moto[2]}" in [finding.found for finding in findings]


def test_a_client_unknown_to_cognito_is_named(monkeypatch, moto) -> None:
    findings = diagnosis(monkeypatch, pool_of(moto, COGNITO_CLIENT_IDS=f"{moto[2]},nobody"))
    assert_found(findings, "wrong", "Cognito", "there is no app client nobody", "COGNITO_CLIENT_IDS")


def test_a_pool_that_there_is_not_is_named(monkeypatch, moto) -> None:
    findings = diagnosis(monkeypatch, pool_of(moto, COGNITO_JWKS_URL=f"{moto[0]}/nowhere/jwks.json"))
    assert_found(findings, "wrong", "Cognito", "no keys are held", "COGNITO_POOL_ID and COGNITO_REGION")


# -- Redis ------------------------------------------------------------------------------------------------------------


def test_redis_that_is_down_is_named(monkeypatch) -> None:
    findings = diagnosis(monkeypatch, {"REDIS_URL": f"redis://:hush@127.0.0.1:{free_port()}/0"})
    assert_found(findings, "wrong", "Redis", "ConnectionError", "REDIS_URL")
    assert "hush" not in str(findings)


def test_a_wrong_password_of_redis_is_named(monkeypatch) -> None:
    with RedisServer(password="right") as redis:
        findings = diagnosis(monkeypatch, {"REDIS_URL": redis.url.replace("right", "hush")})
        assert_found(findings, "wrong", "Redis", "Authentication", "password")
        assert "hush" not in str(findings)


def test_a_clock_apart_from_that_of_redis_is_named(monkeypatch) -> None:
    with RedisServer() as redis:
        assert {finding.level for finding in diagnosis(monkeypatch, {"REDIS_URL": redis.url})} == {"ok"}
        findings = diagnosis(monkeypatch, {"REDIS_URL": redis.url}, clock=400.0)
        assert_found(findings, "wrong", "Redis", "+40", "clocks")


# -- the port, and the way to the app ---------------------------------------------------------------------------------


def test_a_port_that_something_else_has_is_named(monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        findings = diagnosis(monkeypatch, {"PORT": str(held.getsockname()[1])})
        assert_found(findings, "wrong", "Port", "is taken")


WAYS: dict[str, tuple[dict[str, str], tuple[str, str, str, str] | None]] = {
    "as-deployed": ({}, None),
    "buffers": (
        {"proxy_buffering off;": "proxy_buffering on;"},
        ("wrong", "PUBLIC_URL", "holds streams back", "proxy_buffering off"),
    ),
    "says-not-who-calls": (
        {"proxy_set_header X-Forwarded-For $remote_addr;": 'proxy_set_header X-Forwarded-For "";'},
        ("warning", "PUBLIC_URL", "sends no X-Forwarded-For", "proxy_set_header X-Forwarded-For"),
    ),
    "leads-elsewhere": (
        {"client_max_body_size 100m;": "client_max_body_size 100m; location /healthz/ { return 404; }"},
        ("wrong", "PUBLIC_URL", "is answered 404 by something else", "same SECRET_KEY"),
    ),
}


@pytest.mark.parametrize(("changes", "expected"), WAYS.values(), ids=WAYS)
def test_what_is_wrong_on_the_way_is_named(monkeypatch, acme: Provider, changes, expected) -> None:
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    with (
        AppServer({"acme": acme}, public_url=url) as app,
        Nginx(app.port, app.port, port=port, changes=changes) as proxy,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
        change = {"PUBLIC_URL": url, "PORT": str(app.port), "SECRET_KEY": KEY, "ALLOWED_GROUPS": "staff"}
        findings = diagnosis(monkeypatch, through(acme, **change))
    assert f"this app answers at http://127.0.0.1:{app.port} already" in [finding.found for finding in findings]
    if expected:
        assert_found(findings, *expected)
    else:
        assert {finding.level for finding in findings} == {"ok"}, findings
        assert "what is in front says who calls" in [finding.found for finding in findings]


def test_a_proxy_that_is_not_trusted_is_named(monkeypatch, acme: Provider) -> None:
    port = free_port()
    settings = sound_settings(
        public_url=f"https://127.0.0.1:{port}", providers=(acme.settings("acme"),), allowed_groups=("staff",)
    )
    replica = Replica(settings, provider=acme.settings("acme"), trusts="192.0.2.1")
    with replica, Nginx(replica.port, replica.port, port=port) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
        change = {"PUBLIC_URL": settings.public_url, "PORT": str(replica.port), "SECRET_KEY": KEY}
        findings = diagnosis(monkeypatch, through(acme, **change, ALLOWED_GROUPS="staff"))
    assert_found(findings, "warning", "PUBLIC_URL", "not trusted", "FORWARDED_ALLOW_IPS=127.0.0.1")


def test_an_address_that_leads_on_to_https_is_named(monkeypatch, acme: Provider) -> None:
    """PUBLIC_URL is http on this machine, and nginx in front of it is not."""
    with AppServer({"acme": acme}) as app:
        change = {"return 301 https://$server_name$request_uri;": "return 301 https://127.0.0.1$request_uri;"}
        with Nginx(app.port, app.port, changes=change) as proxy:
            url = f"http://127.0.0.1:{proxy.plain_port}"
            change = {"PUBLIC_URL": url, "PORT": str(app.port), "SECRET_KEY": KEY}
            findings = diagnosis(monkeypatch, through(acme, **change))
    assert_found(findings, "wrong", "PUBLIC_URL", "leads on to https", "Set PUBLIC_URL=https://127.0.0.1")


def test_an_app_that_does_not_run_is_no_mistake(monkeypatch, acme: Provider) -> None:
    findings = diagnosis(monkeypatch, through(acme, SECRET_KEY=KEY))
    assert {finding.level for finding in findings} == {"ok"}, findings


def test_nobody_else_is_told_what_is_on_the_way(acme: Provider, app: AppServer) -> None:
    with app.browser() as browser:
        for headers in ({}, {"x-way": "way"}, {"x-way": "way.aaaa.bbbbbbbbbbbbbbbbbbbb"}):
            assert browser.get("/healthz/way", headers=headers).status_code == 404


# -- the command ------------------------------------------------------------------------------------------------------


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(free_port())}
    command = [sys.executable, str(ROOT / "app.py"), *arguments]
    return subprocess.run(
        command, cwd=folder, env=bare | environment, capture_output=True, text=True, timeout=110, check=False
    )


def test_the_command_says_for_machines_what_it_found_and_shows_no_secret(tmp_path: Path) -> None:
    (tmp_path / "demo.py").write_text(
        "import gradio as gr\ngr.Interface(lambda name: name, 'text', 'text').launch(share=True, mcp_server=True)\n"
    )
    with Provider() as provider:
        hidden = {"SECRET_KEY": KEY, "REDIS_URL": f"redis://:hush-redis@127.0.0.1:{free_port()}/0"}
        done = run(tmp_path, "--check", "--json", "demo.py", **through(provider), **hidden)
    assert done.returncode == 1
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert [finding["what"] for finding in report["findings"] if finding["level"] == "wrong"] == ["Redis"]
    (blocks,) = [finding for finding in report["findings"] if finding["what"] == "Blocks"]
    assert (blocks["level"], "1 MCP tools" in blocks["found"], "share: set PUBLIC_URL" in blocks["found"]) == (
        "warning",
        True,
        True,
    )
    settings = {row["name"]: (row["value"], row["source"]) for row in report["settings"]}
    assert settings["SECRET_KEY"] == settings["REDIS_URL"] == ("set", "environment")
    assert settings["ACME_CLIENT_SECRET"] == ("set", "environment")
    assert settings["SECRET_KEY_FALLBACKS"] == ("not set", "default")
    assert settings["SESSION_HOURS"] == ("8.0", "default")
    assert settings["ACME_ISSUER"] == (provider.issuer, "environment")
    for secret in (KEY, "hush-redis", provider.client_secret):
        assert secret not in done.stdout


BLOCKS = {
    "missing": ("nowhere.py", "", "There is no file nowhere.py"),
    "broken": ("demo.py", "import gradio as gr\n1 / 0\n", "demo.py, line 2: ZeroDivisionError"),
    "empty": ("demo.py", "", "makes no Blocks"),
}


@pytest.mark.parametrize(("name", "text", "found"), BLOCKS.values(), ids=BLOCKS)
def test_a_file_without_an_app_is_named(tmp_path: Path, name: str, text: str, found: str) -> None:
    if name == "demo.py":
        (tmp_path / name).write_text(text)
    done = run(tmp_path, "--check", BLOCKS=name)
    assert done.returncode == 1
    assert re.search(f"^wrong    Blocks: .*{re.escape(found)}", done.stdout, re.MULTILINE), done.stdout
    assert "\033" not in done.stdout
    assert done.stdout.rstrip().endswith("1 wrong, 0 to look at.")


def test_a_start_that_would_stop_says_so_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, "--check", SESSION_HOURS="0")
    assert done.returncode == 1
    assert "wrong    Settings: SESSION_HOURS=0: " in done.stdout


def test_it_has_colours_on_a_terminal_alone() -> None:
    found = [Finding(level="wrong", what="Port", found="8000 is taken")]
    assert lines(found, [], colour=False)[0] == "wrong    Port: 8000 is taken"
    assert lines(found, [], colour=True)[0] == "\033[31mwrong   \033[0m Port: 8000 is taken"


# -- the check and the app --------------------------------------------------------------------------------------------


def test_the_app_while_it_serves_says_the_same_as_the_check(monkeypatch) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with Provider(discovery=instead(HTML)) as provider:
        with AppServer({"acme": provider}, redis_url=redis) as app:
            deadline = time.monotonic() + 30
            while "asked" in str(problems := readiness(app)):
                assert time.monotonic() < deadline, problems
                time.sleep(0.1)
        findings = diagnosis(monkeypatch, through(provider, REDIS_URL=redis))
    found = {finding.found for finding in findings if finding.level == "wrong"}
    assert {words(problem.partition(": ")[2]) for problem in problems} == {words(finding) for finding in found}


def words(problem: str) -> str:
    """Without what asyncio and uvloop each call a connection that is refused."""
    return re.sub(r"(?<=\d\. ).*?(?=;)", "", problem)


def readiness(app: AppServer) -> list[str]:
    with app.browser() as browser:
        return list(browser.get("/readyz").json()["problems"])
