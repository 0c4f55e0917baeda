"""Authlib's authorization server on Starlette: what the two local issuers share."""

# mypy: allow-subclassing-any
# Authlib ships no types.

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from joserfc.jwk import KeySet, RSAKey
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
BODY_BYTES = 16 * 1024


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


class OAuthRequest(OAuth2Request):
    """A request as Authlib takes it, with parameters that have been read."""

    def __init__(self, request: Request, params: QueryParams) -> None:
        # Authlib wants the address only to refuse http off loopback, and takes app.localhost for that.
        super().__init__(request.method, "http://localhost", headers=request.headers)
        self.payload = BasicOAuth2Payload(params)

    @property
    def form(self) -> Any:
        return self.payload.data


async def params_of(request: Request) -> QueryParams:
    """What a POST has in its body, as `application/x-www-form-urlencoded`, and a GET in its query.

    Raises:
        HTTPException: 413, the body is longer than `BODY_BYTES`.
        InvalidRequestError: a parameter is there twice (RFC 6749 sections 3.1 and 3.2).
    """
    params, body = request.query_params, b""
    if request.method == "POST":
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise HTTPException(413)
        params = QueryParams(body)
    if len(params.multi_items()) != len(params):
        raise InvalidRequestError("A parameter is there twice.")
    return params


class LocalServer(AuthorizationServer):
    """Authlib's authorization server for one client and requests that have been read."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.client = client

    def query_client(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        return request

    def handle_response(self, status: int, body: Any, headers: Iterable[tuple[str, str]]) -> Response:
        return JSONResponse(body, status, dict(headers))

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Tokens that are signed are not kept."""

    async def token_response(self, request: Request) -> Response:
        """The token endpoint's answer (RFC 6749 sections 5.1 and 5.2)."""
        response: Response
        try:
            response = self.create_token_response(OAuthRequest(request, await params_of(request)))
        except OAuth2Error as error:
            response = self.handle_error_response(None, error)
        except ValueError:  # what Authlib makes of Basic credentials that are not base64 or not UTF-8
            response = self.handle_error_response(None, InvalidRequestError())
        return response


def new_key(**parameters: str) -> RSAKey:
    """A key for RS256. Its `kid` is its thumbprint (RFC 7638) unless one is given. Takes some 40 ms."""
    described: Any = {"use": "sig", "alg": "RS256", **parameters}
    return RSAKey.generate_key(2048, described, auto_kid=True)


def key_set(keys: Iterable[RSAKey]) -> Response:
    """The public halves as a JSON Web Key Set (RFC 7517 section 5)."""
    return JSONResponse(KeySet(list(keys)).as_dict(private=False))
