"""What a provider's userinfo endpoint says of a person (OpenID Connect Core 5.3)."""

import logging
from typing import Any

import httpx2
from joserfc.jwk import Key

from auth.errors import BearerError, KeysUnavailable, TokenResponseInvalid, WrongIssuer
from auth.events import log_event
from auth.keys import JwksCache
from auth.people.client import ANSWER_BYTES
from auth.people.discovery import Metadata
from auth.people.id_token import check_audience, signed_claims
from auth.providers import ProviderSettings
from auth.web import FetchFailed, fetch_body, json_object


async def userinfo(
    config: ProviderSettings,
    metadata: Metadata,
    *,
    http: httpx2.AsyncClient,
    keys: JwksCache[Key],
    access_token: str,
    subject: str,
) -> dict[str, Any]:
    """The claims; none, where it does not answer.

    Raises:
        TokenResponseInvalid: it is about somebody else, or signed by somebody else.
    """
    if metadata.userinfo_endpoint is None:
        return {}
    headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json, application/jwt"}
    try:
        kind, body = await fetch_body(http, metadata.userinfo_endpoint, headers=headers, limit=ANSWER_BYTES)
        claims = await _signed(config, metadata, keys, body) if kind == "application/jwt" else json_object(body)
    except (FetchFailed, KeysUnavailable) as error:
        log_event(
            "provider_fault",
            f"{config.name}: userinfo {error}",
            level=logging.WARNING,
            provider=config.name,
            reason=f"{metadata.userinfo_endpoint} {error}",
        )
        return {}
    except BearerError as error:
        raise TokenResponseInvalid(f"userinfo: {type(error).__name__}: {error}") from error
    if claims.get("sub") != subject:  # OpenID Connect Core 5.3.2
        raise TokenResponseInvalid("userinfo's sub", actual=claims.get("sub"), expected=subject)
    return claims


async def _signed(config: ProviderSettings, metadata: Metadata, keys: JwksCache[Key], body: bytes) -> dict[str, Any]:
    """OpenID Connect Core 5.3.2."""
    algorithms = metadata.userinfo_signing_alg_values_supported + metadata.id_token_signing_alg_values_supported
    token = body.decode("ascii", "replace").strip()
    if token.count(".") == 4:  # RFC 7516 section 3.1
        raise FetchFailed("is encrypted, and this app has no key for that")
    _, claims = await signed_claims(token, keys=keys, algorithms=algorithms, at_most=ANSWER_BYTES)
    expected = config.token_issuer(metadata.issuer, claims)
    if claims.get("iss", expected) != expected:
        raise WrongIssuer("iss", actual=claims["iss"], expected=expected)
    if "aud" in claims:
        check_audience(claims, config.client_id)
    return claims
