"""The OpenID providers that people sign in with. Google is one of them, by its issuer alone."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError

from auth.errors import (
    BearerError,
    KeysUnavailable,
    NonceMissing,
    NonceUnsupported,
    ProviderMixedUp,
    ProviderUnavailable,
    TokenResponseInvalid,
)
from auth.people.admission import groups_in
from auth.people.discovery import Metadata
from auth.people.id_token import verify_id_token
from auth.people.logout_token import Logout, verify_logout_token
from auth.people.pending import BegunSignIn
from auth.people.published import Published
from auth.people.token_endpoint import ANSWER_SECONDS, TokenEndpoint, access_token_of, describe, refusal_of
from auth.people.userinfo import userinfo
from auth.providers import ProviderSettings
from auth.web import FetchFailed

SCOPES = ("openid", "email", "profile")


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
    """One provider: the two steps of a sign-in with it, and the way out.

    Args:
        wants_groups: whether a rule names a group, so that userinfo is asked where the ID token says nothing of groups.

    Attributes:
        published: its metadata and keys.
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
        self.published = Published(config, http=http, monotonic=monotonic)
        self.token_endpoint = TokenEndpoint(config, redirect_uri=redirect_uri, tls=tls)
        self._wants_groups = wants_groups
        self._http = http
        self._now = now

    @property
    def issuer(self) -> str:
        known = self.published.known
        return known.issuer if known else self.config.issuer

    async def authorization_url(self, state: str, begun: BegunSignIn, *, choose_account: bool = False) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3).

        Args:
            choose_account: have the provider ask which account (OpenID Connect Core 3.1.2.1, prompt).

        Raises:
            ProviderUnavailable.
        """
        metadata = await self.published.metadata()
        async with self.token_endpoint.client() as client:
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
        metadata = await self.published.metadata()
        issuer = params.get("iss")
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise ProviderMixedUp("iss of the callback", actual=issuer, expected=metadata.issuer)
        if issuer is not None and issuer != metadata.issuer and not self.config.is_template(metadata.issuer):
            raise ProviderMixedUp("iss of the callback", actual=issuer, expected=metadata.issuer)
        if "error" in params:
            raise refusal_of(params["error"], params.get("error_description"))

    async def redeem(self, code: str, begun: BegunSignIn) -> SignedIn:
        """Who signed in.

        Raises:
            ClientRefused, ProviderRefused, ProviderUnavailable, TokenResponseInvalid.
        """
        metadata, keys = await self.published.metadata(), await self.published.keys()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                token = await self.token_endpoint.tokens(metadata, code, begun.code_verifier)
                access_token = access_token_of(token)
                claims = await verify_id_token(
                    token.get("id_token"),
                    keys=keys,
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
            raise refusal_of(str(error.error), error.description) from None
        except (TimeoutError, httpx2.HTTPError) as error:
            raise ProviderUnavailable(f"token endpoint: {describe(error)}") from None
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
            found = await userinfo(
                self.config, metadata, http=self._http, keys=keys, access_token=access_token, subject=claims["sub"]
            )
            of_address = claims if "email" in claims else found  # what one says of its address is of no other
            if lacks_groups and found:  # whatever else stands there, such as the roles of another client
                claims.pop(self.config.groups_claim.partition(".")[0], None)
            claims = {**found, **claims}
            claims |= {name: of_address.get(name) for name in ("email", "email_verified")}
        return SignedIn(claims=claims, id_token=token["id_token"])

    async def verify_logout(self, token: str) -> Logout:
        """What the provider says is over, from its logout token.

        Raises:
            ProviderUnavailable, TokenInvalid, KeysUnavailable.
        """
        metadata, keys = await self.published.metadata(), await self.published.keys()
        return await verify_logout_token(
            token,
            keys=keys,
            issuer=metadata.issuer,
            client_id=self.config.client_id,
            algorithms=metadata.id_token_signing_alg_values_supported,
            now=self._now,
        )

    @property
    def wants_id_token(self) -> bool:
        """Whether an ID token is of use when the person signs out."""
        return self.config.way_out == "oidc" and bool(
            self.published.known and self.published.known.end_session_endpoint
        )

    def end_session_url(self, home: str, *, back: str, state: str, id_token: str) -> str | None:
        """Where the person can sign out of the provider too, None if nowhere.

        Args:
            home, back: addresses of this app to come back to, without and with `state` and so noticed.
            id_token: that of their sign-in, or empty.
        """
        known = self.published.known
        if known is None or self.config.way_out == "none":
            return None
        endpoint, client = known.end_session_endpoint, {"client_id": self.config.client_id}
        if self.config.way_out == "cognito":  # docs.aws.amazon.com/cognito, "Logout endpoint"
            endpoint = endpoint or known.authorization_endpoint.replace("/oauth2/authorize", "/logout")
            query = {**client, "logout_uri": home}
        else:  # RP-Initiated Logout 1.0 section 2
            hint = {"id_token_hint": id_token} if id_token else {}
            query = {**client, **hint, "post_logout_redirect_uri": back, "state": state}
        if endpoint is None:
            return None
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def _scope(self, metadata: Metadata) -> str:
        """Those configured; else of the usual ones those that the provider knows."""
        announced = metadata.scopes_supported or SCOPES
        scopes = self.config.scopes or ["openid", *(name for name in SCOPES[1:] if name in announced)]
        return " ".join(scopes)


def _prompt(metadata: Metadata) -> str:
    """Has the provider ask which account to use, in a way that it knows."""
    known = metadata.prompt_values_supported
    return "select_account" if known is None or "select_account" in known else "login"
