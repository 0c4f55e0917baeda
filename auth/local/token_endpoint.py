"""What the two local issuers share: their client, and how their keys are made and shown."""

# mypy: allow-subclassing-any
# Authlib ships no types.

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import KeySet, RSAKey
from starlette.responses import JSONResponse, Response

from auth.oauth import OAuthServer

CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientMixin):
    """An issuer's one client, which has a secret. What it may do is what its server has registered."""

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    client_metadata: Mapping[str, Any] = field(default_factory=dict)

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scopes that are known; None, which Authlib refuses, without `openid` (OpenID Connect Core 3.1.2.1)."""
        asked = (scope or "").split()
        return " ".join(name for name in self.scopes if name in asked) if "openid" in asked else None

    def get_default_redirect_uri(self) -> None:
        """OpenID Connect Core 3.1.2.1 wants it named in every request."""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return secrets.compare_digest(self.client_secret.encode(), client_secret.encode())

    def check_grant_type(self, *_: str) -> bool:
        return True

    check_response_type = check_endpoint_auth_method = check_grant_type


class LocalServer(OAuthServer):
    """An authorization server for one client."""

    def __init__(self, issuer: str, client: Client) -> None:
        super().__init__(issuer)
        self.client = client

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None


def new_key(**parameters: str) -> RSAKey:
    """A key for RS256. Its `kid` is its thumbprint (RFC 7638) unless one is given. Takes some 40 ms."""
    described: Any = {"use": "sig", "alg": "RS256", **parameters}
    return RSAKey.generate_key(2048, described, auto_kid=True)


def key_set(keys: Iterable[RSAKey]) -> Response:
    """The public halves as a JSON Web Key Set (RFC 7517 section 5)."""
    return JSONResponse(KeySet(list(keys)).as_dict(private=False))
