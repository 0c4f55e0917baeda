"""What a provider says of itself (OpenID Connect Discovery 1.0)."""

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from auth.errors import ProviderUnavailable
from auth.urls import is_confidential, is_http_url
from auth.web import FetchFailed, fetch_json


class Metadata(BaseModel):
    """What is used of a provider's metadata (OpenID Connect Discovery 1.0 section 3, RFC 9207, RP-Initiated Logout)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint")


def metadata_url(issuer: str) -> str:
    """OpenID Connect Discovery 1.0 section 4."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


async def discover(http: httpx2.AsyncClient, issuer: str) -> Metadata:
    """The metadata of an issuer, asked for now.

    Raises:
        ProviderUnavailable: it does not answer as an OpenID provider would; says where and how.
    """
    url = metadata_url(issuer)
    try:
        metadata = Metadata.model_validate(await fetch_json(http, url))
    except FetchFailed as error:
        raise ProviderUnavailable(f"{url} {error}") from None
    except ValidationError as error:
        names = sorted({str(fault["loc"][0]) for fault in error.errors()})
        raise ProviderUnavailable(f"{url} lacks, or has of a wrong type: {', '.join(names)}") from None
    if metadata.issuer != issuer:  # OpenID Connect Discovery 1.0 section 4.3
        raise ProviderUnavailable(f"{url} is of the issuer {metadata.issuer[:200]!r}, configured is {issuer!r}")
    for name in ENDPOINTS:
        endpoint = getattr(metadata, name)
        if endpoint is not None and not (is_http_url(endpoint.partition("?")[0]) and is_confidential(endpoint)):
            raise ProviderUnavailable(f"{url}: {name} is no https address")
    return metadata
