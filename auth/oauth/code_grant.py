"""The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636)."""

# mypy: allow-subclassing-any
# Authlib ships no types.

from typing import Any

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.errors import RequestNotSupportedError, RequestURINotSupportedError


class CodeGrant(AuthorizationCodeGrant):
    """What a code is, its server says: `make_code(request)` makes one for `request.user`, and `take_code(request,
    client)` says once what the one in a request is bound to."""

    def validate_authorization_request(self) -> str:
        redirect_uri: str = super().validate_authorization_request()
        asked = self.request.payload.data
        for name, error in {"request": RequestNotSupportedError, "request_uri": RequestURINotSupportedError}.items():
            if name in asked:  # OpenID Connect Core 6.1 and 6.2, RFC 9101 section 5
                raise error(redirect_uri=redirect_uri)
        if asked.get("response_mode", "query") != "query":
            raise InvalidRequestError("The response mode is not supported.", redirect_uri=redirect_uri)
        return redirect_uri

    def create_authorization_response(self, redirect_uri: str, grant_user: Any) -> tuple[int, Any, Any]:
        """In place of Authlib's own, which spells the redirect URI anew."""
        if not grant_user:
            raise AccessDeniedError(redirect_uri=redirect_uri)
        self.request.user = grant_user
        answer = {"code": self.server.make_code(self.request), "state": self.request.payload.state}
        return 303, "", [("Location", self.server.location(redirect_uri, answer))]

    def query_authorization_code(self, code: str, client: Any) -> Any:
        return self.server.take_code(self.request, client)

    def delete_authorization_code(self, authorization_code: Any) -> None:
        """`take_code` has."""

    def authenticate_user(self, authorization_code: Any) -> Any:
        return authorization_code.user


class S256(CodeChallenge):
    """RFC 7636, required of every client and by S256 alone."""

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        if grant.request.payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with the code challenge method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)
