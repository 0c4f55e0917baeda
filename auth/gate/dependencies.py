"""What guards a route or a router: FastAPI dependencies."""

import base64
import json
from typing import Any

from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from auth.errors import BearerMalformed, ScopeTooNarrow, TokenAbsent, TokenUnwanted
from auth.identity import Identity, credential_in, identity_in


class JWTAuthorizationCredentials(HTTPAuthorizationCredentials):
    """A verified Bearer token: `credentials` is the token itself, `header` and `claims` are what it says (RFC 7519).

    The token of a person's program has no header.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    identity: Identity


class JWTBearer(HTTPBearer):
    """`Depends(JWTBearer())` lets in who comes with a verified access token; a session cookie does not count.

    The token was verified when the request came in; asking again, on a route and on its router, costs nothing more.

    Args:
        scopes: all of them must be in the token's `scope`.
        auto_error: False lets in who comes without a Bearer token too, with None for credentials.
    """

    def __init__(self, *, scopes: tuple[str, ...] = (), auto_error: bool = True) -> None:
        super().__init__(
            bearerFormat="JWT",
            scheme_name="CognitoAccessToken",
            description="An access token of the user pool.",
            auto_error=auto_error,
        )
        self._scopes = scopes

    async def __call__(self, request: HTTPConnection) -> JWTAuthorizationCredentials | None:
        """Raises AuthError, which the app's handler answers in the terms of RFC 6750."""
        credential = credential_in(request.scope)
        token = credential.token
        if token is None:
            if self.auto_error:
                raise TokenAbsent
            return None
        identity = require_scopes(credential.identity, self._scopes)
        header, claims = _contents(token, identity)
        return JWTAuthorizationCredentials(
            scheme="Bearer", credentials=token.decode(), header=header, claims=claims, identity=identity
        )


def _contents(token: bytes, identity: Identity) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims; of a token that is sealed, what it names in the words of RFC 7519."""
    if identity.client is None:
        header, claims, _ = token.split(b".")
        return _part(header), _part(claims)
    scope = {"scope": " ".join(identity.scopes)} if identity.scopes else {}
    return {}, {"iss": identity.issuer, "sub": identity.subject, "exp": identity.expires_at, **scope}


def _part(segment: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + b"=="))
    return content


def require_scopes(identity: Identity, scopes: tuple[str, ...]) -> Identity:
    """The same identity, if it is a person's session or a token that has all of `scopes`.

    The token of a person's program has those of `API_SCOPES`, which people need not have.

    Raises:
        ScopeTooNarrow.
    """
    if identity.session_id is None and scopes and not set(scopes).issubset(identity.scopes):
        raise ScopeTooNarrow("scope", actual=identity.scopes, expected=scopes)
    return identity


async def require_identity(request: HTTPConnection) -> Identity:
    """FastAPI dependency: the caller, person or program.

    Raises:
        AuthError: answered by the app's handler.
    """
    return identity_in(request.scope)


async def for_people(request: HTTPConnection) -> None:
    """FastAPI dependency of routes that need the session.

    Raises:
        TokenUnwanted: a Bearer token decides alone, so that the request has none.
    """
    credential = credential_in(request.scope)
    if isinstance(credential.outcome, BearerMalformed):
        raise credential.outcome
    if credential.token is not None:
        raise TokenUnwanted
