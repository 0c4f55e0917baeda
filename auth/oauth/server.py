"""The authorization server, and a request as Authlib takes it."""

# mypy: allow-subclassing-any
# Authlib ships no types.

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidClientError, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from auth.web import read_body

BODY_BYTES = 16 * 1024
BODY_SECONDS = 10.0
REPEATED = "resource"
"""The one parameter that may be there more than once (RFC 8707 section 2)."""


class OAuthRequest(OAuth2Request):
    """A request as Authlib takes it, with parameters that have been read."""

    def __init__(self, request: Request, params: QueryParams) -> None:
        # Authlib wants the address only to refuse http off loopback, and takes app.localhost for that.
        super().__init__(request.method, "http://localhost", headers=request.headers)
        self.payload = BasicOAuth2Payload(params)

    @property
    def form(self) -> QueryParams:
        params: QueryParams = self.payload.data
        return params


async def body_of(request: Request) -> bytes:
    """
    Raises:
        BodyTooLarge: it is longer than `BODY_BYTES`.
        InvalidRequestError: it has no end.
    """
    try:
        return await read_body(request.receive, at_most=BODY_BYTES, within=BODY_SECONDS)
    except (TimeoutError, ClientDisconnect):
        raise InvalidRequestError("The request did not come to its end.") from None


async def params_of(request: Request) -> QueryParams:
    """What a POST has in its body, as `application/x-www-form-urlencoded`, and a GET in its query.

    Raises:
        BodyTooLarge: as `body_of`.
        InvalidRequestError: also where a parameter is there twice (RFC 6749 sections 3.1 and 3.2).
    """
    params = QueryParams(await body_of(request)) if request.method == "POST" else request.query_params
    once = [name for name, _ in params.multi_items() if name != REPEATED]
    if len(once) != len(set(once)):
        raise InvalidRequestError("A parameter is there twice.")
    return params


class OAuthServer(AuthorizationServer):
    """Authlib's authorization server, for requests that have been read.

    Args:
        issuer: who answers (RFC 9207).
    """

    def __init__(self, issuer: str) -> None:
        super().__init__()
        self.issuer = issuer

    def location(self, redirect_uri: str, answer: Mapping[str, str | None]) -> str:
        """A redirect URI, letter by letter as it was registered, with an answer (RFC 6749 sections 4.1.2, 4.1.2.1)."""
        params = {name: value for name, value in {**answer, "iss": self.issuer}.items() if value}
        return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(params)}"

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        return request

    def handle_response(self, status: int, body: Any, headers: Iterable[tuple[str, str]]) -> Response:
        if location := dict(headers).get("Location"):
            return RedirectResponse(location, 303, {"Cache-Control": "no-store"})  # RFC 9700 section 4.12: 303
        return JSONResponse(body, status, dict(headers))

    def handle_error_response(self, request: Any, error: OAuth2Error) -> Response:
        """RFC 6749 section 4.1.2.1 where the client is to be told by way of the browser, else section 5.2."""
        if error.redirect_uri:
            location = self.location(error.redirect_uri, dict(error.get_body()))
            return self.handle_response(303, "", [("Location", location)])
        if isinstance(error, InvalidClientError) and request and "authorization" in request.headers:
            error.status_code = 401  # section 5.2, with a challenge
        response: Response = super().handle_error_response(request, error)
        return response

    def send_signal(self, *_: Any, **__: Any) -> None:
        """Nobody listens."""

    def save_token(self, token: dict[str, Any], request: OAuthRequest) -> None:
        """Tokens are signed or sealed, and not kept."""

    async def token_response(self, request: Request) -> Response:
        """The token endpoint's answer (RFC 6749 sections 5.1 and 5.2)."""
        response: Response
        try:
            asked = OAuthRequest(request, await params_of(request))
            if not asked.payload.grant_type:
                raise InvalidRequestError("Missing 'grant_type' in request.")
            response = self.create_token_response(await self.prepared(asked))
        except OAuth2Error as error:
            response = self.handle_error_response(None, error)
        except ValueError:  # what Authlib makes of Basic credentials that are not base64 or not UTF-8
            response = self.handle_error_response(None, InvalidRequestError())
        return response

    async def prepared(self, request: OAuthRequest) -> OAuthRequest:
        """The same request, after whatever has to be waited for: Authlib's own steps do not wait."""
        return request
