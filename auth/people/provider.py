"""The OpenID providers that people sign in with. Google is one of them, by its issuer alone."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.jwk import Key

from auth.errors import (
    BearerError,
    ClientRefused,
    ConsentDenied,
    KeysUnavailable,
    ProviderMixedUp,
    ProviderRefused,
    ProviderUnavailable,
    TokenResponseInvalid,
)
from auth.events import log_change
from auth.keys import JwksCache
from auth.pauses import Pauses, Sleep, repeat
from auth.people.admission import groups_in
from auth.people.client import oauth_client
from auth.people.discovery import Metadata, discover
from auth.people.id_token import signing_key, verify_id_token
from auth.people.logout_token import Logout, verify_logout_token
from auth.people.pending import BegunSignIn
from auth.settings import ProviderSettings
from auth.web import fetch_json

METADATA_SECONDS = 3600.0
FAILURE_PAUSES = (0.25, 30.0)
"""First and longest pause after a discovery that failed."""
ANSWER_SECONDS = 15.0
"""The longest a sign-in waits for the provider's token and userinfo endpoints together."""


class Provider:
    """One provider: its metadata and keys, kept fresh, and the two steps of a sign-in with it.

    Args:
        wants_groups: whether a rule names a group, so that userinfo is asked where the ID token says nothing of groups.
    """

    def __init__(
        self,
        config: ProviderSettings,
        *,
        redirect_uri: str,
        http: httpx2.AsyncClient,
        tls: ssl.SSLContext,
        wants_groups: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.name = config.name
        self.label = config.label
        self.issuer = config.issuer
        self.redirect_uri = redirect_uri
        self.problem: str | None = "not asked yet"
        self._logged_problem: str | None = None
        self._wants_groups = wants_groups
        self._http = http
        self._tls = tls
        self._now = now
        self._monotonic = monotonic
        self._metadata: Metadata | None = None
        self._keys: JwksCache[Key] | None = None
        self._asking = asyncio.Lock()
        self._asked = self._due = float("-inf")

    @property
    def ready(self) -> bool:
        """True when people can sign in with it, as far as is known."""
        return self._metadata is not None

    # -- metadata -----------------------------------------------------------------------------------------------------

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Keep metadata and keys fresh until cancelled."""
        await repeat(self.refresh_when_due, pauses=Pauses(*FAILURE_PAUSES), sleep=sleep)

    async def refresh_when_due(self) -> float:
        """Fetch what of metadata and keys is old.

        Returns:
            The seconds until this is to be called again.

        Raises:
            ProviderUnavailable.
        """
        if self._monotonic() >= self._due:
            async with self._asking:
                await self._discover()
        assert self._keys is not None
        return min(await self._keys.refresh_when_due(), max(self._due - self._monotonic(), 0))

    async def metadata(self) -> Metadata:
        """What the provider says of itself: what is held, else asked for now.

        Raises:
            ProviderUnavailable: nothing is held and the provider does not answer as an OpenID provider would.
        """
        if self._metadata is None:
            async with self._asking:
                if self.problem and self._monotonic() - self._asked < FAILURE_PAUSES[0]:
                    raise ProviderUnavailable(self.problem)
                if self._metadata is None:
                    await self._discover()
        assert self._metadata is not None
        return self._metadata

    async def _discover(self) -> None:
        self._asked = self._monotonic()
        try:
            metadata = await discover(self._http, self.issuer)
        except Exception as error:
            self.problem = error.reason if isinstance(error, ProviderUnavailable) else repr(error)
            self._logged_problem = log_change(self.name, self._logged_problem, self.problem, provider=self.name)
            raise
        if self._keys is None or self._keys.url != metadata.jwks_uri:
            self._keys = JwksCache(
                metadata.jwks_uri,
                fetch=lambda address: fetch_json(self._http, address),
                parse=signing_key,
                now=self._monotonic,
            )
        self._metadata = metadata
        self._due = self._monotonic() + METADATA_SECONDS
        self.problem = None
        self._logged_problem = log_change(self.name, self._logged_problem, None, provider=self.name)

    def _client(self, metadata: Metadata) -> AsyncOAuth2Client:
        return oauth_client(self.config, metadata, redirect_uri=self.redirect_uri, tls=self._tls)

    # -- the two steps ------------------------------------------------------------------------------------------------

    async def authorization_url(self, state: str, begun: BegunSignIn, *, choose_account: bool = False) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3).

        Args:
            choose_account: have the provider ask which account (OpenID Connect Core 3.1.2.1, prompt).

        Raises:
            ProviderUnavailable.
        """
        metadata = await self.metadata()
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=state,
                nonce=begun.nonce,
                code_verifier=begun.code_verifier,
                prompt="select_account" if choose_account else None,
            )
        return str(url)

    async def check_response(self, params: Mapping[str, str]) -> None:
        """The authorization response before its code is used.

        Raises:
            ProviderMixedUp: RFC 9207 section 2.4. ConsentDenied, ProviderRefused, ClientRefused,
            ProviderUnavailable: the provider sent an error (RFC 6749 section 4.1.2.1).
        """
        metadata = await self.metadata()
        issuer = params.get("iss")
        if issuer != self.issuer and (issuer is not None or metadata.authorization_response_iss_parameter_supported):
            raise ProviderMixedUp("iss of the callback", actual=issuer, expected=self.issuer)
        if "error" in params:
            raise _refusal(params["error"])

    async def redeem(self, code: str, begun: BegunSignIn) -> dict[str, Any]:
        """The verified claims of the person who signed in: the ID token's, and from userinfo what it lacks.

        Raises:
            ClientRefused, ProviderRefused, ProviderUnavailable, TokenResponseInvalid.
        """
        metadata = await self.metadata()
        assert self._keys is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._client(metadata) as client:
                token = await client.fetch_token(metadata.token_endpoint, code=code, code_verifier=begun.code_verifier)
                access_token = _access_token(token)
                claims = await verify_id_token(
                    token.get("id_token"),
                    keys=self._keys,
                    issuer=self.issuer,
                    client_id=self.config.client_id,
                    nonce=begun.nonce,
                    access_token=access_token,
                    algorithms=metadata.id_token_signing_alg_values_supported,
                    now=self._now,
                )
                lacks_groups = self._wants_groups() and groups_in(claims, self.config.groups_claim) is None
                if metadata.userinfo_endpoint and (lacks_groups or not ("name" in claims and "email" in claims)):
                    found = await _userinfo(client, metadata.userinfo_endpoint, claims["sub"])
                    if "email" in claims:  # what is said of one address says nothing of another
                        found.pop("email_verified", None)
                    if lacks_groups:  # whatever else stands there, such as the roles of another client
                        claims.pop(self.config.groups_claim.partition(".")[0], None)
                    claims = {**found, **claims}
                return claims
        except OAuthError as error:
            raise _refusal(str(error.error)) from None
        except (TimeoutError, httpx2.HTTPError) as error:
            raise ProviderUnavailable(f"token or userinfo endpoint: {_describe(error)}") from None
        except KeysUnavailable as error:
            raise ProviderUnavailable(f"keys: {error}") from None
        except BearerError as error:
            raise TokenResponseInvalid(f"ID token: {type(error).__name__}: {error}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise TokenResponseInvalid(f"token or userinfo response: {type(error).__name__}") from None

    async def verify_logout(self, token: str) -> Logout:
        """What the provider says is over, from its logout token.

        Raises:
            ProviderUnavailable, TokenInvalid, KeysUnavailable.
        """
        metadata = await self.metadata()
        assert self._keys is not None
        return await verify_logout_token(
            token,
            keys=self._keys,
            issuer=self.issuer,
            client_id=self.config.client_id,
            algorithms=metadata.id_token_signing_alg_values_supported,
            now=self._now,
        )

    def end_session_url(self, post_logout_redirect_uri: str, state: str) -> str | None:
        """Where the person can sign out of the provider too (RP-Initiated Logout 1.0 section 2), None if nowhere."""
        endpoint = self._metadata.end_session_endpoint if self._metadata else None
        if endpoint is None:
            return None
        query = {
            "client_id": self.config.client_id,
            "post_logout_redirect_uri": post_logout_redirect_uri,
            "state": state,
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


async def _userinfo(client: AsyncOAuth2Client, endpoint: str, subject: str) -> dict[str, Any]:
    response = await client.get(endpoint)
    response.raise_for_status()
    claims = response.json()
    if not isinstance(claims, dict):
        raise TokenResponseInvalid("userinfo is no JSON object")
    if claims.get("sub") != subject:  # OpenID Connect Core 5.3.2
        raise TokenResponseInvalid("userinfo's sub", actual=claims.get("sub"), expected=subject)
    return claims


def _access_token(token: Mapping[str, Any]) -> str:
    """The access token of a token response (OpenID Connect Core 3.1.3.3)."""
    token_type, access_token = token.get("token_type"), token.get("access_token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenResponseInvalid("token_type", actual=token_type, expected="Bearer")
    if not isinstance(access_token, str) or not re.fullmatch("[ -~]+", access_token):  # RFC 6749 appendix A.12
        raise TokenResponseInvalid("the token response has no access_token")
    return access_token


def _refusal(error: str) -> ConsentDenied | ProviderRefused | ProviderUnavailable:
    if error == "access_denied":
        return ConsentDenied("the provider says access_denied")
    if error in ("invalid_client", "unauthorized_client"):
        return ClientRefused(f"the provider says {error}: check the client id and secret")
    if error == "temporarily_unavailable":
        return ProviderUnavailable(f"the provider says {error}")
    return ProviderRefused(f"the provider says {error[:60]!r}")


def _describe(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"answered {error.response.status_code}"
    return type(error).__name__
