"""An OpenID provider for this machine only: anybody signs in as anybody. Otherwise an issuer like any other."""

# mypy: allow-subclassing-any
# Authlib ships no types.

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator, InvalidTokenError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin, OpenIDCode, UserInfo
from authlib.oidc.core.errors import RequestNotSupportedError, RequestURINotSupportedError
from authlib.oidc.rpinitiated import EndSessionEndpoint
from joserfc.jwk import KeySet, RSAKey
from pydantic import SecretStr
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from auth.browser import is_same_origin
from auth.local_oauth import CLIENT_AUTH_METHODS, Client, LocalServer, OAuthRequest, key_set, new_key, params_of
from auth.pages import Pages
from auth.settings import ProviderSettings, Settings

CODE_SECONDS = 60
TOKEN_SECONDS = 600
KEY_SECONDS = 3600
"""How long a key signs: longer than a token lives, so that its key is published for as long as it is valid."""
HELD_AT_MOST = 1000
SCOPES = ("openid", "profile", "email")
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
LONG_NAME = "Maximiliana Alexandra Josephine Freifrau von Hohenstein-Wolkenburg zu Adlersberg und Rosenthal-Silberbach"


def person(email: str, name: str = "", *, verified: bool = True, case: str = "") -> UserInfo:
    """Somebody's claims; the same address is the same subject after a restart too. `case` is for the chooser alone."""
    subject = str(uuid5(NAMESPACE_URL, f"mailto:{email.lower()}"))
    named = {"name": name} if name else {}
    return UserInfo(sub=subject, email=email, email_verified=verified, case=case, **named)


def ready_made(settings: Settings) -> list[UserInfo]:
    """Somebody for each case that an app meets."""
    inside = next(iter(settings.allowed_domains), "example.com")
    outside = "example.org" if inside != "example.org" else "example.net"
    return [
        person(f"ada@{inside}", "Ada Lovelace", case="An ordinary account"),
        person(f"zoe@{inside}", "Zoë O'Neill & 山田 <花子>", case="A name with accents, other scripts and markup"),
        person(f"{LONG_NAME.lower().replace(' ', '.')[:64]}@{inside}", LONG_NAME, case="A very long name and address"),
        person(f"nameless@{inside}", case="No name"),
        person(f"una@{inside}", "Una Firmed", verified=False, case="The e-mail address is not verified"),
        person(f"olga@{outside}", "Olga Outside", case=f"Outside {inside}"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted(AuthorizationCodeMixin):
    """What an authorization code stands for and is bound to, and then the access token that was got for it."""

    code: str
    user: UserInfo
    scope: str
    redirect_uri: str
    nonce: str
    auth_time: int
    code_challenge: str
    code_challenge_method: str = "S256"
    until: float

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str:
        return self.nonce

    def get_auth_time(self) -> int:
        return self.auth_time


class CodeGrant(AuthorizationCodeGrant):
    """RFC 6749 section 4.1. A code is gone once it is asked for; asked for again, its tokens are gone too."""

    def validate_authorization_request(self) -> str:
        redirect_uri: str = super().validate_authorization_request()
        for name, error in {"request": RequestNotSupportedError, "request_uri": RequestURINotSupportedError}.items():
            if name in self.request.payload.data:  # OpenID Connect Core 6.1 and 6.2
                raise error(redirect_uri=redirect_uri)
        return redirect_uri

    def save_authorization_code(self, code: str, request: OAuthRequest) -> None:
        now, asked = self.server.now(), request.payload.data
        self.server.codes[code] = Granted(
            code=code,
            user=request.user,
            scope=request.scope,
            redirect_uri=asked["redirect_uri"],
            nonce=asked["nonce"],
            auth_time=int(now),
            code_challenge=asked["code_challenge"],
            until=now + CODE_SECONDS,
        )
        _make_room(self.server.codes)

    def query_authorization_code(self, code: str, client: Client) -> Granted | None:
        tokens = self.server.tokens
        for token in [token for token, granted in tokens.items() if granted.code == code]:
            del tokens[token]
        granted: Granted | None = self.server.codes.pop(code, None)
        return granted if granted and self.server.now() < granted.until else None

    def delete_authorization_code(self, authorization_code: Granted) -> None:
        """It has been since `query_authorization_code`."""

    def authenticate_user(self, authorization_code: Granted) -> UserInfo:
        return authorization_code.user


class S256(CodeChallenge):
    """RFC 7636, required of this client too although it has a secret, and by S256 alone."""

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with the code challenge method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class IdToken(OpenIDCode):
    """OpenID Connect Core 3.1.3.3. Name and e-mail address are at userinfo alone, as with many providers."""

    def __init__(self, provider: LocalProvider) -> None:
        super().__init__(require_nonce=True)
        self._provider = provider

    def exists_nonce(self, nonce: str, request: OAuthRequest) -> bool:
        """Replays are for the relying party to refuse (OpenID Connect Core 3.1.3.7 (11))."""
        return False

    def generate_user_info(self, user: UserInfo, scope: str) -> UserInfo:
        return user.filter("openid")

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        now = int(self._provider.now())
        return {"iss": self._provider.issuer, "aud": client.client_id, "iat": now, "exp": now + TOKEN_SECONDS}

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self._provider.keys.signing.kid}

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self._provider.keys.signing


class EndSession(EndSessionEndpoint):
    """RP-Initiated Logout 1.0, with no session to end."""

    def get_server_jwks(self) -> KeySet:
        return KeySet(self.server.keys.published)

    def get_algorithms(self) -> list[str]:
        return ["RS256"]

    def is_post_logout_redirect_uri_legitimate(self, *_: Any) -> bool:
        """It is registered, and the person is asked."""
        return True


class SigningKeys:
    """Keys that take turns: one signs, the next is published already, the last one still. `refresh` comes first."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._keys: dict[int, RSAKey] = {}
        self._turn = 0
        self._making = asyncio.Lock()

    async def refresh(self) -> None:
        async with self._making:
            turn = int(self._now() // KEY_SECONDS)
            for number in (turn, turn + 1):
                if number not in self._keys:
                    self._keys[number] = await new_key()
            self._turn = turn
            self._keys = {number: key for number, key in self._keys.items() if abs(number - turn) <= 1}

    @property
    def signing(self) -> RSAKey:
        return self._keys[self._turn]

    @property
    def published(self) -> list[Any]:
        return list(self._keys.values())


class LocalProvider(LocalServer):
    """The provider, and its endpoints as `routes` to be mounted at `/local`.

    Args:
        now: wall-clock time in epoch seconds.

    Attributes:
        provider: what a relying party is configured with.
    """

    def __init__(self, settings: Settings, pages: Pages, *, now: Callable[[], float] = time.time) -> None:
        base = settings.base_url
        client = Client(
            client_id="local-app",
            client_secret=secrets.token_urlsafe(32),
            scopes=SCOPES,
            redirect_uris=(f"{base}/auth/local", f"{base}/auth"),
            client_metadata={"post_logout_redirect_uris": (f"{base}/logout",)},
        )
        super().__init__(client)
        self.base = base
        self.issuer = f"{base}/local"
        self.pages = pages
        self.now = now
        self.keys = SigningKeys(now)
        self.people = {somebody["email"]: somebody for somebody in ready_made(settings)}
        self.codes: dict[str, Granted] = {}
        self.tokens: dict[str, Granted] = {}
        self.provider = ProviderSettings(
            name="local",
            issuer=self.issuer,
            client_id=client.client_id,
            client_secret=SecretStr(client.client_secret),
            label="Local sign-in",
        )
        self.register_grant(CodeGrant, [S256(), IdToken(self)])
        self.register_endpoint(EndSession(self))
        self.register_token_generator(
            "default", BearerTokenGenerator(lambda **_: secrets.token_urlsafe(32), expires_generator=TOKEN_SECONDS)
        )
        self.routes: list[BaseRoute] = [
            Route("/.well-known/openid-configuration", self.metadata),
            Route("/jwks.json", self.jwks),
            Route("/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/choose", self.choose, methods=["POST"]),
            Route("/token", self.token, methods=["POST"]),
            Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["GET", "POST"]),
        ]

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        until = self.now() + TOKEN_SECONDS
        self.tokens[token["access_token"]] = replace(request.authorization_code, until=until)
        _make_room(self.tokens)

    def handle_response(self, status: int, body: Any, headers: Iterable[tuple[str, str]]) -> Response:
        if location := dict(headers).get("Location"):
            # RFC 9207 section 2: refusals too say who sends them. RFC 9700 section 4.12: 303.
            return RedirectResponse(add_params_to_uri(location, {"iss": self.issuer}), 303)
        return super().handle_response(status, body, headers)

    async def metadata(self, request: Request) -> Response:
        """OpenID Connect Discovery 1.0 section 3."""
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "end_session_endpoint": f"{self.issuer}/logout",
                "jwks_uri": f"{self.issuer}/jwks.json",
                "scopes_supported": SCOPES,
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": CLIENT_AUTH_METHODS,
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
                "request_uri_parameter_supported": False,
            }
        )

    async def jwks(self, request: Request) -> Response:
        await self.keys.refresh()
        return key_set(self.keys.published)

    async def authorize(self, request: Request) -> Response:
        """OpenID Connect Core 3.1.2: who asks rightly is shown the people to choose from."""
        try:
            asked = await params_of(request)
            self._consent(OAuthRequest(request, asked))
        except OAuth2Error as error:
            return self._refused(error)
        return self._chooser(asked)

    async def choose(self, request: Request) -> Response:
        """The person chosen in the body, for the authorization request in the query."""
        if not is_same_origin(request, self.base):
            return self._page(403, "Nothing was chosen", "Another website sent you here, so nobody was signed in.")
        asked = OAuthRequest(request, request.query_params)
        try:
            chosen = await params_of(request)
            consent = self._consent(asked)
        except OAuth2Error as error:
            return self._refused(error)
        user = self.people.get(chosen.get("person", "")) or _somebody_else(chosen)
        if user is None and "cancel" not in chosen:
            return self._chooser(request.query_params, problem="That is not an e-mail address.", **chosen)
        response: Response = self.create_authorization_response(asked, user, consent)
        return response

    async def token(self, request: Request) -> Response:
        await self.keys.refresh()
        return await self.token_response(request)

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core 5.3."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        granted = self.tokens.get(token)
        if granted is None or scheme.lower() != "bearer" or self.now() >= granted.until:
            refused: Response = self.handle_error_response(None, InvalidTokenError())
            return refused
        return JSONResponse(granted.user.filter(granted.scope), headers={"Cache-Control": "no-store"})

    async def logout(self, request: Request) -> Response:
        """RP-Initiated Logout 1.0 section 2: without an ID token that says who leaves, the person is asked."""
        await self.keys.refresh()
        try:
            asked = OAuthRequest(request, await params_of(request))
            leaving = self.validate_endpoint_request("end_session", asked)
        except (OAuth2Error, ValueError):
            return self._page(400, "This sign-out was not understood", "The app sent something that is not valid here.")
        if leaving.redirect_uri is None:
            return self._page(200, "You are signed out", "The local provider remembers nobody.")
        if leaving.needs_confirmation:
            sentence = "It remembers nobody, so this only leads back to the app."
            return self._page(
                200, "Sign out of the local provider?", sentence, action=("Sign out", leaving.redirect_uri)
            )
        return RedirectResponse(leaving.redirect_uri, 303)

    def _consent(self, asked: OAuthRequest) -> CodeGrant:
        """Raises OAuth2Error, with a `redirect_uri` where the relying party may be told."""
        try:
            grant: CodeGrant = self.get_consent_grant(asked)
        except ValueError:  # Authlib quotes what it refuses where RFC 6749 section 4.1.2.1 allows few characters
            raise InvalidRequestError("A parameter has characters that are not allowed in it.") from None
        return grant

    def _refused(self, error: OAuth2Error) -> Response:
        if error.redirect_uri:
            response: Response = self.handle_error_response(None, error)
            return response
        sentence = "The app asked for it in a way that is not valid here."
        return self._page(400, "This sign-in cannot begin", sentence, detail=f"{error.error}: {error.description}")

    def _chooser(self, asked: QueryParams, *, problem: str = "", email: str = "", name: str = "", **_: str) -> Response:
        return self.pages.response(
            "chooser.html",
            status=400 if problem else 200,
            heading="Choose an account",
            action=f"{self.issuer}/choose?{asked}",
            people=list(self.people.values()),
            problem=problem,
            email=email,
            name=name,
        )

    def _page(
        self, status: int, heading: str, sentence: str, *, detail: str = "", action: tuple[str, str] | None = None
    ) -> Response:
        actions = [action or ("Back to the app", f"{self.base}/")]
        return self.pages.response(
            "message.html", status=status, heading=heading, sentence=sentence, detail=detail, actions=actions
        )


def _somebody_else(chosen: QueryParams) -> UserInfo | None:
    email, name = chosen.get("email", "").strip(), " ".join(chosen.get("name", "").split())
    return person(email, name[:200]) if EMAIL.fullmatch(email) and email.isprintable() else None


def _make_room(held: dict[str, Granted]) -> None:
    """Let go of the oldest."""
    if len(held) > HELD_AT_MOST:
        del held[next(iter(held))]
