"""A token issuer for this machine only, in the shape of an AWS Cognito user pool: anybody gets a token for anybody.

    curl -u local-program:local-secret -d grant_type=client_credentials http://127.0.0.1:8000/local/oauth2/token
    curl -u local-program:local-secret -d 'grant_type=password&username=ada&password=any' http://127.0.0.1:8000/local/oauth2/token

The first gives a program's access token, as Cognito does. The second gives a person's access and ID token; Cognito
gives those through its own API (InitiateAuth), with the same claims.
"""

# mypy: allow-subclassing-any
# Authlib ships no types.

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant, ResourceOwnerPasswordCredentialsGrant
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.local_oauth import CLIENT_AUTH_METHODS, Client, LocalServer, key_set, new_key
from auth.settings import Settings

POOL = "local_pool"
CLIENT_ID = "local-program"
CLIENT_SECRET = "local-secret"  # noqa: S105 - known to everybody: who can reach this issuer may have any token
DEFAULT_SCOPE = "local/read"
TOKEN_SECONDS = 3600


class Machine(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS


class Person(ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS

    def authenticate_user(self, username: str, password: str) -> str | None:
        """Anybody whose name Cognito would take, by any password."""
        return username if username.isprintable() and " " not in username and len(username) <= 128 else None


class LocalCognito(LocalServer):
    """The issuer, and its endpoints as `routes` to be mounted at `/local`.

    Args:
        now: wall-clock time in epoch seconds.

    Attributes:
        settings: what makes an app accept these tokens, by the names of `Settings`.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(Client(client_id=CLIENT_ID, client_secret=CLIENT_SECRET))
        self.now = now
        self.scopes_supported = settings.api_scopes or (DEFAULT_SCOPE,)
        self.issuer = f"{settings.base_url}/local/{POOL}"
        self.jwks_url = f"{self.issuer}/.well-known/jwks.json"
        self.token_endpoint = f"{settings.base_url}/local/oauth2/token"
        self.client_ids = (CLIENT_ID,)
        self.settings: dict[str, Any] = {
            "cognito_issuer": self.issuer,
            "cognito_jwks_url": self.jwks_url,
            "cognito_client_ids": self.client_ids,
        }
        self._keys: list[RSAKey] = []
        self._making = asyncio.Lock()
        self.register_grant(Machine)
        self.register_grant(Person)
        self.register_token_generator(Machine.GRANT_TYPE, self.program_tokens)
        self.register_token_generator(Person.GRANT_TYPE, self.person_tokens)
        self.routes: list[BaseRoute] = [
            Route(f"/{POOL}/.well-known/openid-configuration", self.metadata),
            Route(f"/{POOL}/.well-known/jwks.json", self.jwks),
            Route("/oauth2/token", self.token, methods=["POST"]),
        ]

    async def metadata(self, request: Request) -> Response:
        """Authorization server metadata (RFC 8414 section 2)."""
        return JSONResponse(
            {
                "issuer": self.issuer,
                "token_endpoint": self.token_endpoint,
                "jwks_uri": self.jwks_url,
                "scopes_supported": self.scopes_supported,
                "response_types_supported": [],
                "grant_types_supported": [Machine.GRANT_TYPE, Person.GRANT_TYPE],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": CLIENT_AUTH_METHODS,
            }
        )

    async def jwks(self, request: Request) -> Response:
        return key_set(await self.keys())

    async def token(self, request: Request) -> Response:
        await self.keys()
        return await self.token_response(request)

    async def keys(self) -> list[RSAKey]:
        """The two keys of a pool, with `kid`s like Cognito's: access tokens are signed by the first, ID tokens by the second."""
        async with self._making:
            while len(self._keys) < 2:
                self._keys.append(await new_key(kid=base64.b64encode(secrets.token_bytes(32)).decode()))
        return self._keys

    def program_tokens(self, *, scope: str | None = None, **_: Any) -> dict[str, Any]:
        """The answer to `grant_type=client_credentials`: every scope there is unless some are asked for."""
        scopes = (scope or "").split() or self.scopes_supported
        access = {
            "sub": CLIENT_ID,
            "token_use": "access",
            "scope": " ".join(scopes),
            **self._times(),
            "iss": self.issuer,
            "version": 2,
            "jti": str(uuid4()),
            "client_id": CLIENT_ID,
        }
        return {"access_token": self._sign(access, 0), "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}

    def person_tokens(self, *, user: str, **_: Any) -> dict[str, Any]:
        common = {
            "sub": str(uuid5(NAMESPACE_URL, f"{self.issuer}#{user}")),
            "cognito:groups": ["local"],
            "iss": self.issuer,
            "origin_jti": str(uuid4()),
            "event_id": str(uuid4()),
            **self._times(),
        }
        access = common | {
            "version": 2,
            "client_id": CLIENT_ID,
            "token_use": "access",
            "scope": "aws.cognito.signin.user.admin",
            "jti": str(uuid4()),
            "username": user,
        }
        identity = common | {
            "email_verified": True,
            "cognito:username": user,
            "aud": CLIENT_ID,
            "token_use": "id",
            "jti": str(uuid4()),
            "email": user if "@" in user else f"{user}@example.com",
        }
        return {
            "access_token": self._sign(access, 0),
            "id_token": self._sign(identity, 1),
            "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
        }

    def _times(self) -> dict[str, int]:
        now = int(self.now())
        return {"auth_time": now, "exp": now + TOKEN_SECONDS, "iat": now}

    def _sign(self, claims: dict[str, Any], key: int) -> str:
        header = {"kid": self._keys[key].kid, "alg": "RS256"}
        return jwt.encode(header, claims, self._keys[key], ["RS256"], default_type=None)
