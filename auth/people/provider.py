"""The OpenID providers that people sign in with. Google is one of them, by its issuer alone."""

import asyncio
import logging
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    NonceMissing,
    NonceUnsupported,
    ProviderMixedUp,
    ProviderRefused,
    ProviderUnavailable,
    SignInError,
    TokenResponseInvalid,
    WrongIssuer,
)
from auth.events import log_change, log_event
from auth.keys import JwksCache
from auth.pauses import Pauses, Sleep, repeat
from auth.people.admission import groups_in
from auth.people.client import ANSWER_BYTES, oauth_client
from auth.people.discovery import Metadata, discover
from auth.people.id_token import check_audience, signed_claims, signing_key, verify_id_token
from auth.people.logout_token import Logout, verify_logout_token
from auth.people.pending import BegunSignIn
from auth.providers import ProviderSettings
from auth.web import FetchFailed, fetch_body, fetch_json, json_object

METADATA_SECONDS = 3600.0
FAILURE_PAUSES = (0.25, 30.0)
"""First and longest pause after a discovery that failed."""
ANSWER_SECONDS = 15.0
"""The longest a sign-in waits for the provider's token endpoint and keys."""
SCOPES = ("openid", "email", "profile")
AUTH_METHODS = ("client_secret_basic", "client_secret_post")
DENIALS = frozenset({"access_denied", "consent_required", "user_cancelled_authorize", "user_cancelled_login"})
"""RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6, and as Apple and LinkedIn say it."""
WORDS_AT_MOST = 200
"""Characters of a provider's description of an error that are repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """What a sign-in comes to.

    Attributes:
        claims: the verified ones of the ID token, and from userinfo what it lacks.
        id_token: as it came; to be shown to its provider when the person signs out there.
    """

    claims: dict[str, Any]
    id_token: str = field(repr=False)


class Provider:
    """One provider: its metadata and keys, kept fresh, and the two steps of a sign-in with it.

    Args:
        wants_groups: whether a rule names a group, so that userinfo is asked where the ID token says nothing of groups.

    Attributes:
        issuer: the one that it names in its metadata; until that is known, the one that is configured.
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
        self.redirect_uri = redirect_uri
        self._failure: ProviderUnavailable | None = ProviderUnavailable("not asked yet")
        self._logged_problem: str | None = None
        self._wants_groups = wants_groups
        self._http = http
        self._tls = tls
        self._now = now
        self._monotonic = monotonic
        self._metadata: Metadata | None = None
        self._keys: JwksCache[Key] | None = None
        self._auth_method: str | None = None
        self._asking = asyncio.Lock()
        self.fetches: Counter[str] = Counter()
        self._asked = self._due = float("-inf")

    @property
    def issuer(self) -> str:
        return self._metadata.issuer if self._metadata else self.config.issuer

    @property
    def ready(self) -> bool:
        """True when people can sign in with it, as far as is known."""
        return self._keys is not None and self._keys.ready

    @property
    def problem(self) -> str | None:
        """What is wrong, as one line for the operator."""
        if self._failure:
            return self._failure.reason
        return self._keys.problem if self._keys else None

    @property
    def key_set(self) -> JwksCache[Key] | None:
        """The keys that its tokens are verified with, None where its metadata is not known yet."""
        return self._keys

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
                if self._failure and self._monotonic() - self._asked < FAILURE_PAUSES[0]:
                    raise type(self._failure)(self._failure.reason)
                if self._metadata is None:
                    await self._discover()
        assert self._metadata is not None
        return self._metadata

    async def _discover(self) -> None:
        self._asked = self._monotonic()
        try:
            metadata = await discover(self._http, self.config)
        except Exception as error:
            self._failure = error if isinstance(error, ProviderUnavailable) else ProviderUnavailable(repr(error))
            self._log_problem()
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
        self._failure = None
        self._log_problem()

    def _log_problem(self) -> None:
        self.fetches["failed" if self._failure else "ok"] += 1
        reason = self._failure.reason if self._failure else None
        self._logged_problem = log_change(self.name, self._logged_problem, reason, provider=self.name)

    async def load_keys(self) -> Mapping[str, Key]:
        """The keys that ID tokens are verified with, asked for where none are held.

        Raises:
            ProviderUnavailable, KeysUnavailable.
        """
        await self.metadata()
        assert self._keys is not None
        return await self._keys.load()

    async def try_credentials(self) -> tuple[str, str]:
        """What the token endpoint says to this app with a code that is none: the error and its description.

        "invalid_grant" means that the credentials are accepted (RFC 6749 section 5.2).

        Raises:
            ProviderUnavailable.
        """
        metadata = await self.metadata()
        said = ("no error", "a code that is none was accepted")
        for method in self._auth_methods(metadata):
            said = await self._try_credentials_by(method, metadata)
            if said[0] != "invalid_client":
                break
        return said

    async def _try_credentials_by(self, method: str, metadata: Metadata) -> tuple[str, str]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._client(method) as client:
                await client.fetch_token(metadata.token_endpoint, code="none", code_verifier="n" * 43)
        except OAuthError as error:
            return str(error.error)[:60], str(error.description or "")[:WORDS_AT_MOST]
        except httpx2.HTTPStatusError as error:
            unauthorized = error.response.status_code == httpx2.codes.UNAUTHORIZED
            return ("invalid_client" if unauthorized else "no error"), _describe(error)
        except (TimeoutError, httpx2.HTTPError, FetchFailed, ValueError, TypeError, AttributeError) as error:
            raise ProviderUnavailable(f"{metadata.token_endpoint}: {_describe(error)}") from None
        return "no error", "a code that is none was accepted"

    # -- the two steps ------------------------------------------------------------------------------------------------

    async def authorization_url(self, state: str, begun: BegunSignIn, *, choose_account: bool = False) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3).

        Args:
            choose_account: have the provider ask which account (OpenID Connect Core 3.1.2.1, prompt).

        Raises:
            ProviderUnavailable.
        """
        metadata = await self.metadata()
        async with self._client() as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                scope=self._scope(metadata),
                state=state,
                nonce=begun.nonce,
                code_verifier=begun.code_verifier,
                prompt=_prompt(metadata) if choose_account else None,
                response_mode=None if self.config.response_mode == "query" else self.config.response_mode,
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
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise ProviderMixedUp("iss of the callback", actual=issuer, expected=metadata.issuer)
        if issuer is not None and issuer != metadata.issuer and not self.config.is_template(metadata.issuer):
            raise ProviderMixedUp("iss of the callback", actual=issuer, expected=metadata.issuer)
        if "error" in params:
            raise _refusal(params["error"], params.get("error_description"))

    async def redeem(self, code: str, begun: BegunSignIn) -> SignedIn:
        """Who signed in.

        Raises:
            ClientRefused, ProviderRefused, ProviderUnavailable, TokenResponseInvalid.
        """
        metadata = await self.metadata()
        assert self._keys is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                token = await self._token(metadata, code, begun)
                access_token = _access_token(token)
                claims = await verify_id_token(
                    token.get("id_token"),
                    keys=self._keys,
                    issuer=lambda claims: self.config.token_issuer(metadata.issuer, claims),
                    client_id=self.config.client_id,
                    nonce=begun.nonce,
                    access_token=access_token,
                    algorithms=metadata.id_token_signing_alg_values_supported,
                    now=self._now,
                )
        except OAuthError as error:
            if type(error) is not OAuthError:  # Authlib's own, of an answer that it cannot use
                raise TokenResponseInvalid(f"token response: {type(error).__name__}") from None
            raise _refusal(str(error.error), error.description) from None
        except (TimeoutError, httpx2.HTTPError) as error:
            raise ProviderUnavailable(f"token endpoint: {_describe(error)}") from None
        except FetchFailed as error:
            raise TokenResponseInvalid(f"the token response {error}") from None
        except KeysUnavailable as error:
            raise ProviderUnavailable(f"keys: {error}") from None
        except NonceMissing as error:
            raise NonceUnsupported("the ID token has no nonce") from error
        except BearerError as error:
            raise TokenResponseInvalid(f"ID token: {type(error).__name__}: {error}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise TokenResponseInvalid(f"token response: {type(error).__name__}") from None
        lacks_groups = self._wants_groups() and groups_in(claims, self.config.groups_claim) is None
        if lacks_groups or not ("name" in claims and "email" in claims):
            found = await self._userinfo(metadata, access_token, claims["sub"])
            of_address = claims if "email" in claims else found  # what one says of its address is of no other
            if lacks_groups and found:  # whatever else stands there, such as the roles of another client
                claims.pop(self.config.groups_claim.partition(".")[0], None)
            claims = {**found, **claims}
            claims |= {name: of_address.get(name) for name in ("email", "email_verified")}
        return SignedIn(claims=claims, id_token=token["id_token"])

    async def _token(self, metadata: Metadata, code: str, begun: BegunSignIn) -> Mapping[str, Any]:
        """The token response. An app may be registered for one way alone to prove itself, and then not for the first
        that the provider announces."""
        method, *others = self._auth_methods(metadata)
        try:
            return await self._token_by(method, metadata, code, begun)
        except OAuthError as error:
            if error.error != "invalid_client" or not others:
                raise
            try:
                return await self._token_by(others[0], metadata, code, begun)
            except OAuthError:
                raise error from None  # whatever comes of a code that was sent before

    async def _token_by(self, method: str, metadata: Metadata, code: str, begun: BegunSignIn) -> Mapping[str, Any]:
        async with self._client(method) as client:
            token: Mapping[str, Any] = await client.fetch_token(
                metadata.token_endpoint, code=code, code_verifier=begun.code_verifier
            )
        self._auth_method = method
        return token

    def _auth_methods(self, metadata: Metadata) -> list[str]:
        """In the order in which they are tried."""
        if self.config.token_auth_method:
            return [self.config.token_auth_method]
        announced = [name for name in AUTH_METHODS if name in metadata.token_endpoint_auth_methods_supported]
        accepted = [self._auth_method] if self._auth_method else []
        return list(dict.fromkeys([*accepted, *announced, *AUTH_METHODS]))

    async def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> dict[str, Any]:
        """What userinfo says of the person (OpenID Connect Core 5.3): nothing, where it does not answer.

        Raises:
            TokenResponseInvalid: it is about somebody else, or signed by somebody else.
        """
        if metadata.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json, application/jwt"}
        try:
            kind, body = await fetch_body(self._http, metadata.userinfo_endpoint, headers=headers, limit=ANSWER_BYTES)
            claims = await self._signed_userinfo(metadata, body) if kind == "application/jwt" else json_object(body)
        except (FetchFailed, KeysUnavailable) as error:
            log_event(
                "provider_fault",
                f"{self.name}: userinfo {error}",
                level=logging.WARNING,
                provider=self.name,
                reason=f"{metadata.userinfo_endpoint} {error}",
            )
            return {}
        except BearerError as error:
            raise TokenResponseInvalid(f"userinfo: {type(error).__name__}: {error}") from error
        if claims.get("sub") != subject:  # OpenID Connect Core 5.3.2
            raise TokenResponseInvalid("userinfo's sub", actual=claims.get("sub"), expected=subject)
        return claims

    async def _signed_userinfo(self, metadata: Metadata, body: bytes) -> dict[str, Any]:
        """OpenID Connect Core 5.3.2."""
        assert self._keys is not None
        algorithms = metadata.userinfo_signing_alg_values_supported + metadata.id_token_signing_alg_values_supported
        token = body.decode("ascii", "replace").strip()
        if token.count(".") == 4:  # RFC 7516 section 3.1
            raise FetchFailed("is encrypted, and this app has no key for that")
        _, claims = await signed_claims(token, keys=self._keys, algorithms=algorithms, at_most=ANSWER_BYTES)
        expected = self.config.token_issuer(metadata.issuer, claims)
        if claims.get("iss", expected) != expected:
            raise WrongIssuer("iss", actual=claims["iss"], expected=expected)
        if "aud" in claims:
            check_audience(claims, self.config.client_id)
        return claims

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
            issuer=metadata.issuer,
            client_id=self.config.client_id,
            algorithms=metadata.id_token_signing_alg_values_supported,
            now=self._now,
        )

    @property
    def wants_id_token(self) -> bool:
        """Whether an ID token is of use when the person signs out."""
        return self.config.way_out == "oidc" and bool(self._metadata and self._metadata.end_session_endpoint)

    def end_session_url(self, home: str, *, back: str, state: str, id_token: str) -> str | None:
        """Where the person can sign out of the provider too, None if nowhere.

        Args:
            home, back: addresses of this app to come back to, without and with `state` and so noticed.
            id_token: that of their sign-in, or empty.
        """
        if self._metadata is None or self.config.way_out == "none":
            return None
        endpoint, client = self._metadata.end_session_endpoint, {"client_id": self.config.client_id}
        if self.config.way_out == "cognito":  # docs.aws.amazon.com/cognito, "Logout endpoint"
            endpoint = endpoint or self._metadata.authorization_endpoint.replace("/oauth2/authorize", "/logout")
            query = {**client, "logout_uri": home}
        else:  # RP-Initiated Logout 1.0 section 2
            hint = {"id_token_hint": id_token} if id_token else {}
            query = {**client, **hint, "post_logout_redirect_uri": back, "state": state}
        if endpoint is None:
            return None
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def _client(self, auth_method: str = AUTH_METHODS[0]) -> AsyncOAuth2Client:
        return oauth_client(self.config, redirect_uri=self.redirect_uri, tls=self._tls, auth_method=auth_method)

    def _scope(self, metadata: Metadata) -> str:
        """Those configured; else of the usual ones those that the provider knows."""
        announced = metadata.scopes_supported or SCOPES
        scopes = self.config.scopes or ["openid", *(name for name in SCOPES[1:] if name in announced)]
        return " ".join(scopes)


def _prompt(metadata: Metadata) -> str:
    """Has the provider ask which account to use, in a way that it knows."""
    known = metadata.prompt_values_supported
    return "select_account" if known is None or "select_account" in known else "login"


def _access_token(token: Mapping[str, Any]) -> str:
    """The access token of a token response (OpenID Connect Core 3.1.3.3)."""
    token_type, access_token = token.get("token_type"), token.get("access_token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TokenResponseInvalid("token_type", actual=token_type, expected="Bearer")
    if not isinstance(access_token, str) or not re.fullmatch("[ -~]+", access_token):  # RFC 6749 appendix A.12
        raise TokenResponseInvalid("the token response has no access_token")
    return access_token


def _refusal(error: str, description: object = None) -> SignInError:
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


def _describe(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"answered {error.response.status_code}"
    return type(error).__name__
