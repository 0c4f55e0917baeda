"""The programs that people connect: what one says of itself, and where its answers may go."""

# mypy: allow-subclassing-any
# Authlib ships no types.

import re
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError
from msgspec import Struct, ValidationError, convert

from auth.grants.addresses import is_redirect_uri, is_same_redirect_uri, place_of
from auth.identity import one_line

NAME_AT_MOST = 60
REDIRECT_URIS_AT_MOST = 20
SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")
"""RFC 6749 section 3.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(ClientMixin):
    """An OAuth client without a secret.

    Attributes:
        name: what it calls itself, one line; None where it does not say.
        redirect_uris: where answers for it may go.
        host: who vouches for all this: the host of its metadata document; None for a client that registered itself.
        scopes: what every grant to it covers.
    """

    client_id: str
    name: str | None = None
    redirect_uris: tuple[str, ...] = ()
    host: str | None = None
    scopes: tuple[str, ...] = ()

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """It is named in every request."""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(is_same_redirect_uri(redirect_uri, registered) for registered in self.redirect_uris)

    def check_grant_type(self, *_: str) -> bool:
        """The server has what every program may use, and nothing else."""
        return True

    check_response_type = check_endpoint_auth_method = check_grant_type

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All there are, whichever are asked for (RFC 6749 section 3.3); None, which Authlib refuses, for no scope."""
        return " ".join(self.scopes) if not scope or SCOPE.fullmatch(scope) else None

    def called_at(self, redirect_uri: str) -> str:
        """What a person knows it by: its name, or where its answers go."""
        return self.name or self.host or place_of(redirect_uri)


class Metadata(Struct, frozen=True, kw_only=True):
    """What a program says of itself (RFC 7591 section 2). Other members are ignored."""

    redirect_uris: list[Any]
    client_name: str | None = None
    grant_types: list[str] | None = None
    response_types: list[str] | None = None


def read_metadata(document: object) -> tuple[str | None, tuple[str, ...]]:
    """The name of a program, and those of its redirect URIs that are ones here.

    Raises:
        InvalidClientMetadataError, InvalidRedirectURIError: RFC 7591 section 3.2.2.
    """
    try:
        metadata = convert(document, Metadata)
    except ValidationError as error:
        raise InvalidClientMetadataError(str(error)) from None
    if metadata.grant_types is not None and "authorization_code" not in metadata.grant_types:
        raise InvalidClientMetadataError("The grant type authorization_code is the one there is.")
    if metadata.response_types is not None and "code" not in metadata.response_types:
        raise InvalidClientMetadataError("The response type code is the one there is.")
    kept = tuple(dict.fromkeys(uri for uri in metadata.redirect_uris if isinstance(uri, str) and is_redirect_uri(uri)))
    if not kept:
        raise InvalidRedirectURIError(
            "A redirect URI has to be https, or http on this machine, or of a scheme of the program's own."
        )
    if len(kept) > REDIRECT_URIS_AT_MOST:
        raise InvalidRedirectURIError(f"More than {REDIRECT_URIS_AT_MOST} redirect URIs.")
    return (one_line(metadata.client_name) or "")[:NAME_AT_MOST].strip() or None, kept
