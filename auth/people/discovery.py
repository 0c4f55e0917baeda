"""What a provider says of itself (OpenID Connect Discovery 1.0)."""

from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from auth.errors import ProviderMisconfigured, ProviderUnavailable
from auth.providers import ProviderSettings
from auth.urls import is_confidential, is_http_url
from auth.web import FetchFailed, fetch_json

PASSING = frozenset({408, 425, 429})
"""Client errors (RFC 9110 section 15.5, RFC 8470, RFC 6585) that may be over in a moment."""


class Metadata(BaseModel):
    """What is used of a provider's metadata (OpenID Connect Discovery 1.0 section 3, RFC 9207, RP-Initiated Logout)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    scopes_supported: tuple[str, ...] | None = None
    prompt_values_supported: tuple[str, ...] | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    userinfo_signing_alg_values_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False
    code_challenge_methods_supported: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, document: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in document.items() if value not in (None, "")}


ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint")


def metadata_url(issuer: str) -> str:
    """OpenID Connect Discovery 1.0 section 4."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


async def discover(http: httpx2.AsyncClient, config: ProviderSettings) -> Metadata:
    """The metadata of a provider, asked for now.

    Raises:
        ProviderUnavailable: it does not answer; says where and how.
        ProviderMisconfigured: its answer is not that of the provider that is configured.
    """
    url = metadata_url(config.issuer)
    try:
        metadata = Metadata.model_validate(await fetch_json(http, url))
    except FetchFailed as error:
        stays = error.status is not None and error.status < 500 and error.status not in PASSING
        raise (ProviderMisconfigured if stays else ProviderUnavailable)(f"{url} {error}") from None
    except ValidationError as error:
        names = sorted({str(fault["loc"][0]) for fault in error.errors()})
        raise ProviderMisconfigured(f"{url} lacks, or has of a wrong type: {', '.join(names)}") from None
    if not config.may_announce(metadata.issuer):  # OpenID Connect Discovery 1.0 section 4.3
        raise ProviderMisconfigured(
            f"{url} is of the issuer {metadata.issuer[:200]!r}, configured is {config.issuer!r}"
        )
    for name in ENDPOINTS:
        endpoint = getattr(metadata, name)
        if endpoint is not None and not (is_http_url(endpoint.partition("?")[0]) and is_confidential(endpoint)):
            raise ProviderMisconfigured(f"{url}: {name} is no https address")
    return metadata
