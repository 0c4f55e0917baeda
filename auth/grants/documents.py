"""Client ids that are addresses: the program's metadata document (draft-ietf-oauth-client-id-metadata-document)."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error

from auth.errors import ProgramUnknown
from auth.grants.program import Program, read_metadata
from auth.web import FetchFailed, public_host

KEPT_SECONDS = 300.0
KEPT_DOCUMENTS = 64
URL_AT_MOST = 512


class Documents:
    """Fetches them, and keeps the last ones for a while.

    Args:
        fetch: gets a JSON object from the public internet; raises `FetchFailed`.
        now: epoch seconds.
    """

    def __init__(self, fetch: Callable[[str], Awaitable[dict[str, Any]]], *, now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._kept: dict[str, tuple[float, Program]] = {}

    def known(self, client_id: str) -> Program | None:
        """The program of an address that was fetched lately."""
        until, program = self._kept.get(client_id, (0.0, None))
        return program if self._now() < until else None

    async def find(self, client_id: str) -> Program:
        """
        Raises:
            ProgramUnknown: the document cannot be had, or does not describe a program that can be connected.
        """
        if program := self.known(client_id):
            return program
        try:
            document = await self._fetch(client_id)
        except FetchFailed as error:
            raise ProgramUnknown(f"the client metadata document {error}") from None
        program = _described(client_id, document)
        while len(self._kept) >= KEPT_DOCUMENTS:
            del self._kept[next(iter(self._kept))]
        self._kept[client_id] = (self._now() + KEPT_SECONDS, program)
        return program


def is_document_address(client_id: str) -> bool:
    """Section 3: https, with a path, and spelled in one way only."""
    if not client_id.startswith("https://") or len(client_id) > URL_AT_MOST or not public_host(client_id):
        return False
    path = urlsplit(client_id).path
    plain = client_id.isascii() and client_id.isprintable() and not {" ", "#", "\\"}.intersection(client_id)
    return plain and path not in ("", "/") and {".", ".."}.isdisjoint(path.split("/"))


def _described(client_id: str, document: dict[str, Any]) -> Program:
    if document.get("client_id") != client_id:  # section 4.1: the document is the client's own word for itself
        raise ProgramUnknown("client_id", actual=document.get("client_id"), expected=client_id)
    method = document.get("token_endpoint_auth_method", "none")
    if method != "none" or "client_secret" in document:
        raise ProgramUnknown("the program would prove itself in a way that is not known here", actual=method)
    try:
        name, redirect_uris = read_metadata(document)
    except OAuth2Error as error:
        raise ProgramUnknown(f"the client metadata document: {error.description}") from None
    host = urlsplit(client_id).hostname
    return Program(client_id=client_id, name=name, redirect_uris=redirect_uris, host=host)
