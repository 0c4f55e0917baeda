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
from authlib.integrations.starlette_client import OAuth
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
from auth.people.admission import groups_in
from auth.people.client import oauth_client, tell
from auth.people.discovery import Metadata, discover
from auth.people.id_token import signing_key, token_header, verify_id_token
from auth.people.logout_token import Logout, verify_logout_token
from auth.people.pending import BegunSignIn
from auth.settings import ProviderSettings
from auth.web import fetch_json

METADATA_SECONDS = 3600.0
RETRY_SECONDS = (0.25, 30.0)
"""First and longest pause after a failed discovery; each pause is twice the one before."""
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
        oauth: OAuth,
        tls: ssl.SSLContext,
        wants_groups: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = config.name
        self.label = config.label
        self.issuer = config.issuer
        self.client_id = config.client_id
        self.redirect_uri = redirect_uri
        self.problem: str | None = "not asked yet"
        self._groups_claim = config.groups_claim
        self._wants_groups = wants_groups
        self._http = http
        self._now = now
        self._metadata: Metadata | None = None
        self._keys: JwksCache[Key] | None = None
        self._signs_with: str | None = None
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        self._oauth = oauth_client(oauth, config, tls=tls)

    @property
    def ready(self) -> bool:
        """True when people can sign in with it, as far as is known."""
        return self._metadata is not None

    # -- metadata -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep metadata and keys fresh until cancelled."""
        pause = RETRY_SECONDS[0]
        keys: asyncio.Task[None] | None = None
        said: str | None = None
        try:
            while True:
                known = self._keys
                try:
                    async with self._asking:
                        await self._discover()
                    said = log_change(self.name, said, None, provider=self.name)
                except ProviderUnavailable as error:
                    said = log_change(self.name, said, error.reason, provider=self.name)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, RETRY_SECONDS[1])
                    continue
                pause = RETRY_SECONDS[0]
                if self._keys is not known or keys is None:
                    if keys:
                        keys.cancel()
                    assert self._keys is not None
                    keys = asyncio.create_task(self._keys.run())
                await asyncio.sleep(METADATA_SECONDS)
        finally:
            if keys:
                keys.cancel()

    async def metadata(self) -> Metadata:
        """What the provider says of itself: what is held, else asked for now.

        Raises:
            ProviderUnavailable: nothing is held and the provider does not answer as an OpenID provider would.
        """
        if self._metadata is None:
            async with self._asking:
                if self.problem and time.monotonic() - self._asked < RETRY_SECONDS[0]:
                    raise ProviderUnavailable(self.problem)
                if self._metadata is None:
                    await self._discover()
        assert self._metadata is not None
        return self._metadata

    async def _discover(self) -> None:
        self._asked = time.monotonic()
        try:
            metadata = await discover(self._http, self.issuer)
        except ProviderUnavailable as error:
            self.problem = error.reason
            raise
        if self._keys is None or self._keys.url != metadata.jwks_uri:
            self._keys = JwksCache(
                metadata.jwks_uri, fetch=lambda address: fetch_json(self._http, address), parse=signing_key
            )
        tell(self._oauth, metadata, now=self._now())
        self._metadata = metadata
        self.problem = None

    # -- the two steps ------------------------------------------------------------------------------------------------

    async def authorization_url(self, state: str, begun: BegunSignIn, *, choose_account: bool = False) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3).

        Args:
            choose_account: have the provider ask which account (OpenID Connect Core 3.1.2.1, prompt).

        Raises:
            ProviderUnavailable.
        """
        await self.metadata()
        request = await self._oauth.create_authorization_url(
            self.redirect_uri,
            state=state,
            nonce=begun.nonce,
            code_verifier=begun.code_verifier,
            **({"prompt": "select_account"} if choose_account else {}),
        )
        return str(request["url"])

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
            async with asyncio.timeout(ANSWER_SECONDS):
                token = await self._oauth.fetch_access_token(
                    redirect_uri=self.redirect_uri, code=code, code_verifier=begun.code_verifier
                )
                access_token = _access_token(token)
                claims = await verify_id_token(
                    token.get("id_token"),
                    keys=self._keys,
                    issuer=self.issuer,
                    client_id=self.client_id,
                    nonce=begun.nonce,
                    access_token=access_token,
                    algorithms=metadata.id_token_signing_alg_values_supported,
                    now=self._now,
                )
                self._signs_with = str(token_header(token["id_token"])["alg"])
                lacks_groups = self._wants_groups() and groups_in(claims, self._groups_claim) is None
                if metadata.userinfo_endpoint and (lacks_groups or not ("name" in claims and "email" in claims)):
                    found = await self._userinfo(metadata.userinfo_endpoint, token, claims["sub"])
                    if "email" in claims:  # what is said of one address says nothing of another
                        found.pop("email_verified", None)
                    if lacks_groups:  # whatever else stands there, such as the roles of another client
                        claims.pop(self._groups_claim.partition(".")[0], None)
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

    async def _userinfo(self, endpoint: str, token: Mapping[str, Any], subject: str) -> dict[str, Any]:
        response = await self._oauth.get(endpoint, token=token)
        response.raise_for_status()
        claims = response.json()
        if not isinstance(claims, dict):
            raise TokenResponseInvalid("userinfo is no JSON object")
        if claims.get("sub") != subject:  # OpenID Connect Core 5.3.2
            raise TokenResponseInvalid("userinfo's sub", actual=claims.get("sub"), expected=subject)
        return claims

    async def verify_logout(self, token: str) -> Logout:
        """What the provider says is over, from its logout token.

        Raises:
            ProviderUnavailable, TokenInvalid, KeysUnavailable.
        """
        metadata = await self.metadata()
        assert self._keys is not None
        # Back-Channel Logout 1.0 section 2.6 (3): the algorithm that its ID tokens for us have, where one was seen.
        algorithms = (self._signs_with,) if self._signs_with else metadata.id_token_signing_alg_values_supported
        return await verify_logout_token(
            token,
            keys=self._keys,
            issuer=self.issuer,
            client_id=self.client_id,
            algorithms=algorithms,
            now=self._now,
        )

    def end_session_url(self, post_logout_redirect_uri: str, state: str) -> str | None:
        """Where the person can sign out of the provider too (RP-Initiated Logout 1.0 section 2), None if nowhere."""
        endpoint = self._metadata.end_session_endpoint if self._metadata else None
        if endpoint is None:
            return None
        query = {"client_id": self.client_id, "post_logout_redirect_uri": post_logout_redirect_uri, "state": state}
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


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
