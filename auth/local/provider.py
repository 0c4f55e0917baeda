"""An OpenID provider for this machine only: anybody signs in as anybody. Otherwise an issuer like any other."""

# mypy: allow-subclassing-any
# Authlib ships no types.

import re
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc6750 import BearerTokenGenerator, InvalidTokenError
from authlib.oidc.core import OpenIDCode, UserInfo
from authlib.oidc.rpinitiated import EndSessionEndpoint
from joserfc.jwk import KeySet, RSAKey
from pydantic import SecretStr
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from auth.errors import SignInError
from auth.local.token_endpoint import (
    CLIENT_AUTH_METHODS,
    Client,
    LocalServer,
    key_set,
    new_key,
)
from auth.oauth import S256, CodeGrant, OAuthRequest, params_of
from auth.providers import ProviderSettings
from auth.web import Pages, is_same_origin

CODE_SECONDS = 60
TOKEN_SECONDS = 600
KEY_SECONDS = 3600
"""How long a key signs: longer than a token lives, so that a token's key is published for as long as it is valid."""
HELD_AT_MOST = 1000
SCOPES = ("openid", "profile", "email")
EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
LONG_NAME = "Maximiliana Alexandra Josephine Freifrau von Hohenstein-Wolkenburg zu Adlersberg und Rosenthal-Silberbach"


def person(email: str, name: str = "", *, verified: bool = True, case: str = "") -> UserInfo:
    """Somebody's claims; the same address is the same subject after a restart too. `case` is for the chooser alone."""
    subject = str(uuid5(NAMESPACE_URL, f"mailto:{email.lower()}"))
    named = {"name": name} if name else {}
    return UserInfo(sub=subject, email=email, email_verified=verified, case=case, **named)


def ready_made(allowed_domains: Sequence[str]) -> list[UserInfo]:
    """Somebody for each case that an app meets."""
    allowed = allowed_domains or ("example.com",)
    inside, outside = allowed[0], next(it for it in ("example.org", "example.net", "a.example") if it not in allowed)
    return [
        person(f"ada@{inside}", "Ada Lovelace", case="An ordinary account"),
        person(f"zoe@{inside}", "Zoë O'Neill & 山田 <花子>", case="A name with accents, another script and markup"),
        person(f"{LONG_NAME.lower().replace(' ', '.')[:64]}@{inside}", LONG_NAME, case="A very long name and address"),
        person(f"nameless@{inside}", case="No name"),
        person(f"una@{inside}", "Una Firmed", verified=False, case="The e-mail address is not verified"),
        person(f"olga@{outside}", "Olga Outside", case=f"Outside {inside}"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a code stands for and is bound to, and then the access token that was got for it."""

    code: str
    user: UserInfo
    scope: str
    redirect_uri: str
    nonce: str
    code_challenge: str
    code_challenge_method: str = "S256"
    auth_time: int
    until: float

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class IdToken(OpenIDCode):
    """OpenID Connect Core 3.1.3.3. Name and e-mail address are at userinfo alone, as with many providers."""

    def __init__(self, provider: "LocalProvider") -> None:
        super().__init__(require_nonce=True)
        self._provider = provider

    def exists_nonce(self, nonce: str, request: OAuthRequest) -> bool:
        """Replays are for the relying party to refuse (OpenID Connect Core 3.1.3.7 (11))."""
        return False

    def get_authorization_code_claims(self, authorization_code: Granted) -> dict[str, Any]:
        return {"nonce": authorization_code.nonce, "auth_time": authorization_code.auth_time}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        now = int(self._provider.now())
        return {"iss": self._provider.issuer, "aud": client.client_id, "iat": now, "exp": now + TOKEN_SECONDS}

    def generate_user_info(self, user: UserInfo, scope: str) -> UserInfo:
        return user.filter("openid")

    def get_encode_header(self, client: Client) -> dict[str, Any]:
        return {"alg": "RS256", "kid": self._provider.keys.signing.kid}

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        return self._provider.keys.signing


class EndSession(EndSessionEndpoint):
    """RP-Initiated Logout 1.0, with no session to end."""

    def get_server_jwks(self) -> KeySet:
        return KeySet(list(self.server.keys.published))

    def get_algorithms(self) -> list[str]:
        return ["RS256"]

    def is_post_logout_redirect_uri_legitimate(self, *_: Any) -> bool:
        """The person is asked before they are sent there."""
        return True


class SigningKeys:
    """Keys that take turns: one signs, the next is published already, and the last one still. Made when first used."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._keys: dict[int, RSAKey] = {}

    @property
    def signing(self) -> RSAKey:
        return self._by_turn()[int(self._now() // KEY_SECONDS)]

    @property
    def published(self) -> Iterable[RSAKey]:
        return self._by_turn().values()

    def _by_turn(self) -> dict[int, RSAKey]:
        turn = int(self._now() // KEY_SECONDS)
        made = {number: self._keys.get(number) or new_key() for number in (turn, turn + 1)}
        self._keys = {number: key for number, key in self._keys.items() if number == turn - 1} | made
        return self._keys


class LocalProvider(LocalServer):
    """The provider, its endpoints as `routes` for mounting at `/local`.

    Args:
        base: the app's address.
        allowed_domains: of the people to choose from some are in the first of these, one is in none.
        now: wall-clock time in epoch seconds.

    Attributes:
        provider: what a relying party is configured with.
    """

    def __init__(
        self, *, base: str, pages: Pages, allowed_domains: Sequence[str], now: Callable[[], float] = time.time
    ) -> None:
        secret = secrets.token_urlsafe(32)
        self.base, self.pages, self.now = base, pages, now
        self.provider = ProviderSettings(
            name="local",
            issuer=f"{base}/local",
            client_id="local-app",
            client_secret=SecretStr(secret),
            label="the local provider",
        )
        client = Client(
            client_id=self.provider.client_id,
            client_secret=secret,
            scopes=SCOPES,
            redirect_uris=(f"{base}/auth/local", f"{base}/auth"),
            client_metadata={"post_logout_redirect_uris": (f"{base}/logout",)},
        )
        super().__init__(self.provider.issuer, client)
        self.keys = SigningKeys(now)
        self.people = {somebody["email"]: somebody for somebody in ready_made(allowed_domains)}
        self.codes: dict[str, Granted] = {}
        self.tokens: dict[str, Granted] = {}
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
            Route("/token", self.token_response, methods=["POST"]),
            Route("/userinfo", self.userinfo, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["GET", "POST"]),
        ]

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        granted = replace(request.authorization_code, until=self.now() + TOKEN_SECONDS)
        _hold(self.tokens, token["access_token"], granted)

    def make_code(self, request: OAuthRequest) -> str:
        now, asked, code = self.now(), request.payload.data, secrets.token_urlsafe(32)
        bound = {name: asked[name] for name in ("redirect_uri", "nonce", "code_challenge")}
        granted = Granted(
            code=code, user=request.user, scope=request.scope, auth_time=int(now), until=now + CODE_SECONDS, **bound
        )
        _hold(self.codes, code, granted)
        return code

    def take_code(self, request: OAuthRequest, client: Client) -> Granted | None:
        """A code is gone once it is asked for; asked for again, its tokens are gone too."""
        code = request.form["code"]
        self.tokens = {token: granted for token, granted in self.tokens.items() if granted.code != code}
        granted = self.codes.pop(code, None)
        return granted if granted and self.now() < granted.until else None

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
        return key_set(self.keys.published)

    async def authorize(self, request: Request) -> Response:
        """OpenID Connect Core 3.1.2: whoever asks rightly is shown the people to choose from."""
        try:
            asked = await params_of(request)
            self._consent(OAuthRequest(request, asked))
        except OAuth2Error as error:
            return self._refusal(error)
        return self._chooser(asked)

    async def choose(self, request: Request) -> Response:
        """The person named in the body, for the authorization request in the query."""
        if not is_same_origin(request.scope, self.base):
            raise SignInError("another website's page chose the person")
        asked = OAuthRequest(request, request.query_params)
        try:
            chosen = await params_of(request)
            consent = self._consent(asked)
        except OAuth2Error as error:
            return self._refusal(error)
        user = self.people.get(chosen.get("person", "")) or _somebody_else(chosen)
        if user is None and "cancel" not in chosen:
            return self._chooser(request.query_params, chosen)
        response: Response = self.create_authorization_response(asked, user, consent)
        return response

    async def userinfo(self, request: Request) -> Response:
        """OpenID Connect Core 5.3."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        granted = self.tokens.get(token)
        if granted is None or scheme.lower() != "bearer" or self.now() >= granted.until:
            refusal: Response = self.handle_error_response(None, InvalidTokenError())
            return refusal
        return JSONResponse(granted.user.filter(granted.scope), headers={"Cache-Control": "no-store"})

    async def logout(self, request: Request) -> Response:
        """RP-Initiated Logout 1.0 section 2: without an ID token that says who leaves, the person is asked."""
        heading, sentence = "You are signed out", "The local provider remembers nobody."
        action = ("Back to the app", f"{self.base}/")
        try:
            leaving = self.validate_endpoint_request("end_session", OAuthRequest(request, await params_of(request)))
        except (OAuth2Error, ValueError) as error:
            raise SignInError(f"the sign-out request is not valid: {error}") from None
        if leaving.redirect_uri and not leaving.needs_confirmation:
            return RedirectResponse(leaving.redirect_uri, 303)
        if leaving.redirect_uri:
            heading, action = "Sign out of the local provider?", ("Sign out", leaving.redirect_uri)
        return self.pages.response(
            "message.html", heading=heading, sentence=sentence, detail="", ask=False, actions=[action]
        )

    def _consent(self, asked: OAuthRequest) -> CodeGrant:
        """Raises OAuth2Error, with a `redirect_uri` where the relying party may be told."""
        try:
            grant: CodeGrant = self.get_consent_grant(asked)
        except ValueError:  # Authlib quotes what it refuses, and RFC 6749 section 4.1.2.1 allows few characters there
            raise InvalidRequestError("A parameter has characters that are not allowed in it.") from None
        return grant

    def _refusal(self, error: OAuth2Error) -> Response:
        if not error.redirect_uri:
            raise SignInError(f"the authorization request is not valid: {error}")
        response: Response = self.handle_error_response(None, error)
        return response

    def _chooser(self, asked: QueryParams, chosen: QueryParams | None = None) -> Response:
        """The page to choose on; once more where what was `chosen` is nobody."""
        return self.pages.response(
            "chooser.html",
            status=200 if chosen is None else 400,
            heading="Choose an account",
            action=f"{self.issuer}/choose?{asked}",
            people=list(self.people.values()),
            chosen=chosen,
        )


def _somebody_else(chosen: QueryParams) -> UserInfo | None:
    email, name = chosen.get("email", "").strip(), " ".join(chosen.get("name", "").split())
    return person(email, name[:200]) if EMAIL.fullmatch(email) and email.isprintable() else None


def _hold(held: dict[str, Granted], key: str, granted: Granted) -> None:
    """The oldest makes room."""
    held[key] = granted
    if len(held) > HELD_AT_MOST:
        del held[next(iter(held))]
