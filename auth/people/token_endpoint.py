"""A provider's token endpoint: this app's credentials, and the tokens that a code is redeemed for."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from auth.errors import (
    ClientRefused,
    ConsentDenied,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    TokenResponseInvalid,
)
from auth.people.client import oauth_client
from auth.people.discovery import Metadata
from auth.providers import ProviderSettings
from auth.web import FetchFailed

ANSWER_SECONDS = 15.0
"""The longest a sign-in waits for the provider's token endpoint and keys."""
AUTH_METHODS = ("client_secret_basic", "client_secret_post")
DENIALS = frozenset({"access_denied", "consent_required", "user_cancelled_authorize", "user_cancelled_login"})
"""RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6, and as Apple and LinkedIn say it."""
WORDS_AT_MOST = 200
"""Characters of a provider's description of an error that are repeated."""


class TokenEndpoint:
    """An app may be registered for one way alone to prove itself, and then not for the first that the provider
    announces: the way that was accepted is kept.
    """

    def __init__(self, config: ProviderSettings, *, redirect_uri: str, tls: ssl.SSLContext) -> None:
        self._config = config
        self._redirect_uri = redirect_uri
        self._tls = tls
        self._accepted: str | None = None

    def client(self, auth_method: str = AUTH_METHODS[0]) -> AsyncOAuth2Client:
        return oauth_client(self._config, redirect_uri=self._redirect_uri, tls=self._tls, auth_method=auth_method)

    async def tokens(self, metadata: Metadata, code: str, code_verifier: str) -> Mapping[str, Any]:
        """The token response (RFC 6749 section 4.1.4).

        Raises:
            OAuthError, httpx2.HTTPError, FetchFailed, ValueError, TypeError, AttributeError: from Authlib.
        """
        method, *others = self._auth_methods(metadata)
        try:
            return await self._tokens_by(method, metadata, code, code_verifier)
        except OAuthError as error:
            if error.error != "invalid_client" or not others:
                raise
            try:
                return await self._tokens_by(others[0], metadata, code, code_verifier)
            except OAuthError:
                raise error from None  # whatever comes of a code that was sent before

    async def _tokens_by(self, method: str, metadata: Metadata, code: str, code_verifier: str) -> Mapping[str, Any]:
        async with self.client(method) as client:
            tokens: Mapping[str, Any] = await client.fetch_token(
                metadata.token_endpoint, code=code, code_verifier=code_verifier
            )
        self._accepted = method
        return tokens

    def _auth_methods(self, metadata: Metadata) -> list[str]:
        """In the order in which they are tried."""
        if self._config.token_auth_method:
            return [self._config.token_auth_method]
        announced = [name for name in AUTH_METHODS if name in metadata.token_endpoint_auth_methods_supported]
        accepted = [self._accepted] if self._accepted else []
        return list(dict.fromkeys([*accepted, *announced, *AUTH_METHODS]))

    async def try_credentials(self, metadata: Metadata) -> tuple[str, str]:
        """What the token endpoint says to this app with a code that is none: the error and its description.

        "invalid_grant" means that the credentials are accepted (RFC 6749 section 5.2).

        Raises:
            ProviderUnavailable.
        """
        said = ("no error", "a code that is none was accepted")
        for method in self._auth_methods(metadata):
            said = await self._try_credentials_by(method, metadata)
            if said[0] != "invalid_client":
                break
        return said

    async def _try_credentials_by(self, method: str, metadata: Metadata) -> tuple[str, str]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self.client(method) as client:
                await client.fetch_token(metadata.token_endpoint, code="none", code_verifier="n" * 43)
        except OAuthError as error:
            return str(error.error)[:60], str(error.description or "")[:WORDS_AT_MOST]
        except httpx2.HTTPStatusError as error:
            unauthorized = error.response.status_code == httpx2.codes.UNAUTHORIZED
            return ("invalid_client" if unauthorized else "no error"), describe(error)
        except (TimeoutError, httpx2.HTTPError, FetchFailed, ValueError, TypeError, AttributeError) as error:
            raise ProviderUnavailable(f"{metadata.token_endpoint}: {describe(error)}") from None
        return "no error", "a code that is none was accepted"


def access_token_of(token: Mapping[str, Any]) -> str:
    """The access token of a token response (OpenID Connect Core 3.1.3.3)."""
    token_type, access_token = token.get("token_type"), token.get("access_token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenResponseInvalid("token_type", actual=token_type, expected="Bearer")
    if not isinstance(access_token, str) or not re.fullmatch("[ -~]+", access_token):  # RFC 6749 appendix A.12
        raise TokenResponseInvalid("the token response has no access_token")
    return access_token


def refusal_of(error: str, description: object = None) -> SignInError:
    """What a provider's error code means (RFC 6749 sections 4.1.2.1 and 5.2), and its own words if short."""
    words = description if isinstance(description, str) and description.isprintable() else ""
    said = f"the provider says {error[:60]!r}" + (f": {words[:WORDS_AT_MOST]!r}" if words else "")
    if error in DENIALS:
        refusal: SignInError = ConsentDenied(said)
    elif error in ("invalid_client", "unauthorized_client"):
        refusal = ClientRefused(f"{said}; check the client id and secret")
    elif error == "temporarily_unavailable":
        refusal = ProviderUnavailable(said)
    else:
        refusal = ProviderRefused(said)
    refusal.description = words.strip() if len(words) <= WORDS_AT_MOST else ""
    return refusal


def describe(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"answered {error.response.status_code}"
    return type(error).__name__
