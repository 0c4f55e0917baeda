"""Tokens in the shape of AWS Cognito's, for this machine only: anybody gets them for anybody.

    curl -u local-program:local-secret -d grant_type=client_credentials http://127.0.0.1:8000/local/oauth2/token
    curl -u local-program:local-secret -d 'grant_type=password&username=ada&password=any' http://127.0.0.1:8000/local/oauth2/token

The first gives a program's access token, as Cognito does. The second gives a person's access and ID token, in one line
where Cognito has an API of its own (InitiateAuth); the claims are the same.
"""

# mypy: allow-subclassing-any
# Authlib ships no types.

import base64
import secrets
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant, ResourceOwnerPasswordCredentialsGrant
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.local.token_endpoint import CLIENT_AUTH_METHODS, Client, LocalServer, key_set, new_key
from auth.settings import UserPool

CLIENT_ID = "local-program"
CLIENT_SECRET = "local-secret"  # noqa: S105 - known to everybody: whoever reaches this issuer may have any token
DEFAULT_SCOPE = "local/read"
TOKEN_SECONDS = 3600


class Program(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS


class Person(ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS

    def authenticate_user(self, username: str, password: str) -> str | None:
        """Anybody whose name Cognito would take, by any password."""
        return username if username.isprintable() and " " not in username and len(username) <= 128 else None


class LocalCognito(LocalServer):
    """The issuer, its endpoints as `routes` for mounting at `/local`.

    Args:
        scopes: those that a program gets unless it asks for fewer; empty for one made up here.
        audiences: as `UserPool` has them.
        now: wall-clock time in epoch seconds.

    Attributes:
        user_pool: what makes an app accept these tokens.
    """

    def __init__(
        self,
        *,
        base_url: str,
        scopes: tuple[str, ...],
        audiences: tuple[str, ...],
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(f"{base_url}/local/local_pool", Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET))
        self.now = now
        self.scopes_supported = scopes or (DEFAULT_SCOPE,)
        self.jwks_url = f"{self.issuer}/.well-known/jwks.json"
        self.token_endpoint = f"{base_url}/local/oauth2/token"
        self.user_pool = UserPool(key_urls={self.issuer: self.jwks_url}, client_ids=(CLIENT_ID,), audiences=audiences)
        self.register_grant(Program)
        self.register_grant(Person)
        self.register_token_generator(Program.GRANT_TYPE, self.program_tokens)
        self.register_token_generator(Person.GRANT_TYPE, self.person_tokens)
        self.routes: list[BaseRoute] = [
            Route("/local_pool/.well-known/openid-configuration", self.metadata),
            Route("/local_pool/.well-known/jwks.json", self.jwks),
            Route("/oauth2/token", self.token_response, methods=["POST"]),
        ]

    @cached_property
    def keys(self) -> tuple[RSAKey, RSAKey]:
        """As in Cognito, access tokens are signed by the one and ID tokens by the other; the `kid`s look alike too."""
        access, identity = (new_key(kid=base64.b64encode(secrets.token_bytes(32)).decode()) for _ in range(2))
        return access, identity

    async def metadata(self, request: Request) -> Response:
        """Authorization server metadata (RFC 8414 section 2)."""
        return JSONResponse(
            {
                "issuer": self.issuer,
                "token_endpoint": self.token_endpoint,
                "jwks_uri": self.jwks_url,
                "scopes_supported": self.scopes_supported,
                "response_types_supported": [],
                "grant_types_supported": [Program.GRANT_TYPE, Person.GRANT_TYPE],
                "token_endpoint_auth_methods_supported": CLIENT_AUTH_METHODS,
            }
        )

    async def jwks(self, request: Request) -> Response:
        return key_set(self.keys)

    def program_tokens(self, *, scope: str | None = None, **_: Any) -> dict[str, Any]:
        """Every scope there is, unless some are asked for."""
        scopes = (scope or "").split() or self.scopes_supported
        access = {
            **self._common(CLIENT_ID),
            "version": 2,
            "client_id": CLIENT_ID,
            "token_use": "access",
            "scope": " ".join(scopes),
        }
        return self._answer(access_token=_sign(access, self.keys[0]))

    def person_tokens(self, *, user: str, **_: Any) -> dict[str, Any]:
        subject = str(uuid5(NAMESPACE_URL, f"{self.issuer}#{user}"))
        common = {"cognito:groups": ["local"], "origin_jti": str(uuid4()), "event_id": str(uuid4())}
        access = {
            **self._common(subject),
            **common,
            "version": 2,
            "client_id": CLIENT_ID,
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "username": user,
        }
        identity = {
            **self._common(subject),
            **common,
            "aud": CLIENT_ID,
            "token_use": "id",
            "cognito:username": user,
            "email": user if "@" in user else f"{user}@example.com",
            "email_verified": True,
        }
        return self._answer(access_token=_sign(access, self.keys[0]), id_token=_sign(identity, self.keys[1]))

    def _common(self, subject: str) -> dict[str, Any]:
        now = int(self.now())
        times = {"auth_time": now, "iat": now, "exp": now + TOKEN_SECONDS}
        return {"sub": subject, "iss": self.issuer, "jti": str(uuid4()), **times}

    def _answer(self, **tokens: str) -> dict[str, Any]:
        return {**tokens, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}


def _sign(claims: dict[str, Any], key: RSAKey) -> str:
    return jwt.encode({"kid": key.kid, "alg": "RS256"}, claims, key, ["RS256"], default_type=None)
