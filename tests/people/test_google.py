"""Google cannot be reached from a test: a stand-in has the shape of what it publishes, and the preset is held to that.

The shapes are those of developers.google.com/identity/openid-connect: the discovery document with its endpoints on
several hosts (here: paths), two RSA keys, `azp`, a boolean `email_verified`, `hd` for Workspace accounts alone, and a
callback with `iss`, `scope`, `authuser`, `hd` and `prompt` beside `code` and `state`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from auth.providers import GOOGLE_ISSUER
from auth.settings import Settings
from tests.support.app_server import AppServer, Browser
from tests.support.forge import signing_key
from tests.support.provider import Change, Provider, Reply, instead, json_reply

CLIENT_ID = "407408718192-0123456789abcdefghijklmnopqrstuv.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-0123456789abcdefghijklmnopqr"
CONSUMER = {
    "sub": "110169484474386276334",
    "name": "Elisa Beckett",
    "given_name": "Elisa",
    "family_name": "Beckett",
    "picture": "https://lh3.googleusercontent.com/a/ACg8ocExample=s96-c",
    "email": "elisa.beckett@gmail.com",
    "email_verified": True,
}


class Google(Provider):
    """The stand-in. `hd` of the person, where there is one, is in the ID token and the callback as Google sends it."""

    def __init__(self, **options: object) -> None:
        chosen: dict[str, object] = {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "keys": (signing_key("RSA", "c37da75c9fbe18c2ce9125b9aa1f300dcb31e8d9"), signing_key("RSA", "b3ab3fe0")),
            "auth_methods": ("client_secret_post", "client_secret_basic"),
            "discovery": self._published,
            "claims": self._issued,
            "jwks": self._named,
            "callback": self._annotated,
            **options,
        }
        super().__init__(**chosen)  # type: ignore[arg-type]
        self.person = dict(CONSUMER)

    def _published(self, document: dict[str, object]) -> dict[str, object]:
        """Google's own members: no end-session endpoint, endpoints that the issuer's address does not foretell."""
        kept = {
            name: value
            for name, value in document.items()
            if name not in ("end_session_endpoint", "id_token_signing_alg_values_supported")
        }
        return {
            **kept,
            "device_authorization_endpoint": f"{self.base}/device/code",
            "revocation_endpoint": f"{self.base}/revoke",
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": [
                "code",
                "token",
                "id_token",
                "code token",
                "code id_token",
                "token id_token",
                "code token id_token",
                "none",
            ],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "scopes_supported": ["openid", "email", "profile"],
            "claims_supported": [
                "aud",
                "email",
                "email_verified",
                "exp",
                "family_name",
                "given_name",
                "iat",
                "iss",
                "name",
                "picture",
                "sub",
            ],
            "code_challenge_methods_supported": ["plain", "S256"],
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
        }

    def _issued(self, claims: dict[str, object]) -> dict[str, object]:
        return {**claims, "azp": self.client_id}

    def _named(self, document: dict[str, list[dict[str, object]]]) -> dict[str, object]:
        return {"keys": [{**key, "alg": "RS256"} for key in document["keys"]]}

    def _annotated(self, pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        scope = "email profile https://www.googleapis.com/auth/userinfo.email openid"
        more = [("scope", scope), ("authuser", "0"), ("prompt", "consent")]
        return pairs + more + ([("hd", self.person["hd"])] if isinstance(self.person.get("hd"), str) else [])


def google_settings(google: Provider, **environment: str) -> dict[str, object]:
    """What the environment makes of Google's names, and of the issuer's that only a test has reason to set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GOOGLE_LABEL", raising=False)
        patch.setenv("PROVIDERS", "google")
        patch.setenv("GOOGLE_CLIENT_ID", google.client_id)
        patch.setenv("GOOGLE_CLIENT_SECRET", google.client_secret)
        patch.setenv("GOOGLE_ISSUER", google.issuer)
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = Settings(_env_file=None)  # type: ignore[call-arg]
    return {name: getattr(settings, name) for name in settings.model_fields_set - {"secret_key", "port"}}


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    stand_in = Google()
    with stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def app(google: Google) -> Iterator[AppServer]:
    with AppServer({"google": google}, **google_settings(google)) as server:
        yield server


@pytest.fixture(scope="module")
def members(google: Google) -> Iterator[AppServer]:
    """An app for a Workspace domain, for Gmail, and for one guest."""
    lists = {"ALLOWED_DOMAINS": "corp.example,gmail.com", "ALLOWED_EMAILS": "guest@elsewhere.example"}
    with AppServer({"google": google}, **google_settings(google, **lists)) as server:
        yield server


# -- the preset -----------------------------------------------------------------------------------------------------


def test_two_names_in_the_environment_make_google_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROVIDERS", "GOOGLE_ISSUER", "GOOGLE_LABEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("GOOGLE_CLIENT_SECRET", CLIENT_SECRET)
    (provider,) = Settings(_env_file=None).providers  # type: ignore[call-arg]
    assert (provider.name, provider.issuer, provider.label) == ("google", "https://accounts.google.com", "Google")
    assert (provider.client_id, provider.client_secret) == (CLIENT_ID, SecretStr(CLIENT_SECRET))
    assert provider.issuer == GOOGLE_ISSUER


def test_a_person_signs_in_with_google(browser: Browser, google: Google) -> None:
    response = browser.sign_in("google", next="/gradio/?a=1")
    assert response.status_code == 303
    person = browser.person
    assert person["subject"] == person["username"] == CONSUMER["sub"]
    assert {name: person[name] for name in ("name", "email", "picture")} == {
        name: CONSUMER[name] for name in ("name", "email", "picture")
    }
    assert person["issuer"] == google.issuer
    assert google.asked("userinfo") == 0, "Google says it all in the ID token"


def test_google_is_the_first_provider_without_being_named(browser: Browser, google: Google) -> None:
    assert browser.get("/login").headers["location"].startswith(f"{google.base}/authorize?")


def test_the_request_to_google_is_what_google_documents(app: AppServer, browser: Browser, google: Google) -> None:
    browser.sign_in("google")
    request = google.last("authorize").params
    assert request["redirect_uri"] == f"{app.url}/auth", "the address that the operator registers at Google"
    assert request["client_id"] == CLIENT_ID
    assert request["response_type"] == "code"
    assert request["scope"] == "openid email profile"
    assert request["code_challenge_method"] == "S256"
    assert request["state"] and request["nonce"]
    assert "access_type" not in request, "nothing is asked for that outlives the sign-in"
    assert google.last("token").params["redirect_uri"] == f"{app.url}/auth"


@pytest.mark.parametrize(
    "methods",
    [("client_secret_post", "client_secret_basic"), ("client_secret_basic",), ("client_secret_post",)],
    ids=["both", "basic", "post"],
)
def test_google_is_told_the_secret_in_a_way_that_it_lists(methods: tuple[str, ...]) -> None:
    with (
        Google(auth_methods=methods) as google,
        AppServer({"google": google}, **google_settings(google)) as app,
        app.browser() as browser,
    ):
        assert browser.sign_in("google").status_code == 303
        assert browser.who() is not None


def test_google_has_no_end_session_endpoint_so_leaving_is_leaving_here(app: AppServer, browser: Browser) -> None:
    browser.sign_in("google")
    response = browser.sign_out()
    assert response.status_code == 303
    assert response.headers["location"] == f"{app.url}/"
    assert browser.who() is None


def failed(error: str, description: str, status: int) -> Change:
    return instead(json_reply({"error": error, "error_description": description}, status))


REFUSED: dict[str, tuple[int, dict[str, Change]]] = {
    "issuer-without-scheme": (502, {"claims": lambda claims: {**claims, "iss": "accounts.google.com"}}),
    "another-app-of-the-same-project": (502, {"claims": lambda claims: {**claims, "azp": f"2-{CLIENT_ID}"}}),
    "another-algorithm-than-google-lists": (502, {"header": lambda header: {**header, "alg": "PS256"}}),
    "wrong-secret": (
        502,
        {"token": instead(json_reply({"error": "invalid_client", "error_description": "Unauthorized"}, 401))},
    ),
    "code-used": (
        502,
        {"token": instead(json_reply({"error": "invalid_grant", "error_description": "Bad Request"}, 400))},
    ),
    "denied": (403, {"callback": lambda pairs: [("error", "access_denied"), *[p for p in pairs if p[0] != "code"]]}),
    "down": (503, {"token": instead(Reply(status=502, body=b"<html>", headers={"Content-Type": "text/html"}))}),
}


@pytest.mark.parametrize(("status", "faults"), REFUSED.values(), ids=REFUSED)
def test_what_google_would_not_say_is_refused(
    browser: Browser, google: Google, status: int, faults: dict[str, Change]
) -> None:
    with google.faulty(**faults):
        assert browser.sign_in("google").status_code == status
    assert browser.who() is None


# -- ALLOWED_DOMAINS with Google ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Account:
    """What Google says of an account, and whether it may enter where corp.example and gmail.com are allowed.

    `hd` is there for accounts that a Workspace organization manages, and only there. Anybody who can read mail at an
    address once can make a consumer account with it, keeps that account after leaving the organization, and Google goes
    on calling the address verified. So of a domain of one's own only accounts with its `hd` count; Google's own mail
    domains are nobody's Workspace, and there a verified address is enough.
    """

    enters: bool
    email: object = "anna@corp.example"
    email_verified: object = True
    hd: object = None


ACCOUNTS = {
    "workspace": Account(enters=True, hd="corp.example"),
    "workspace-in-another-case": Account(enters=True, email="Anna@Corp.Example", hd="CORP.example"),
    "workspace-verified-as-text": Account(enters=True, hd="corp.example", email_verified="true"),
    "gmail": Account(enters=True, email="elisa.beckett@gmail.com"),
    "guest-listed-by-address": Account(enters=True, email="guest@elsewhere.example"),
    "guest-listed-by-address-of-a-workspace": Account(
        enters=True, email="guest@elsewhere.example", hd="elsewhere.example"
    ),
    "consumer-account-with-a-company-address": Account(enters=False),
    "workspace-unverified": Account(enters=False, hd="corp.example", email_verified=False),
    "workspace-verification-unsaid": Account(enters=False, hd="corp.example", email_verified=None),
    "another-workspace-with-such-an-address": Account(enters=False, hd="other.example"),
    "workspace-of-a-subdomain": Account(enters=False, hd="sub.corp.example"),
    "subdomain-in-the-workspace": Account(enters=False, email="anna@sub.corp.example", hd="corp.example"),
    "another-address-in-the-workspace": Account(enters=False, email="anna@other.example", hd="corp.example"),
    "another-workspace": Account(enters=False, email="anna@other.example", hd="other.example"),
    "workspace-without-address": Account(enters=False, email=None, hd="corp.example"),
    "hd-empty": Account(enters=False, hd=""),
    "hd-ending-alike": Account(enters=False, hd="notcorp.example"),
    "hd-with-a-dot": Account(enters=False, hd="corp.example."),
    "hd-in-a-list": Account(enters=False, hd=["corp.example"]),
    "hd-true": Account(enters=False, hd=True),
    "gmail-unverified": Account(enters=False, email="elisa.beckett@gmail.com", email_verified=False),
    "gmail-by-its-other-name": Account(enters=False, email="elisa.beckett@googlemail.com"),
    "guest-unverified": Account(enters=False, email="guest@elsewhere.example", email_verified=False),
    "nobody-listed": Account(enters=False, email="somebody@elsewhere.example"),
}


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)
def test_a_domain_lets_in_those_whom_google_vouches_for(members: AppServer, google: Google, account: Account) -> None:
    said = {"email": account.email, "email_verified": account.email_verified, "hd": account.hd}
    with members.browser() as browser, google.signing_in(**said):
        response = browser.sign_in("google")
        assert response.status_code == (303 if account.enters else 403)
        assert (browser.who() is not None) is account.enters


def test_hd_in_the_address_of_the_callback_vouches_for_nobody(members: AppServer, google: Google) -> None:
    """It is there for Google accounts of a Workspace, and anybody can write it."""
    forged: dict[str, Change] = {"callback": lambda pairs: [*pairs, ("hd", "corp.example")]}
    with members.browser() as browser, google.signing_in(email="anna@corp.example"), google.faulty(**forged):
        assert browser.sign_in("google").status_code == 403


def test_without_lists_everybody_with_a_google_account_enters(browser: Browser, google: Google) -> None:
    with google.signing_in(email="somebody@elsewhere.example", email_verified=False):
        assert browser.sign_in("google").status_code == 303
    assert browser.person["email"] == "somebody@elsewhere.example"
