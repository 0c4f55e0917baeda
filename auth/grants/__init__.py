"""What a person lets a program do: this app as an OAuth 2.1 authorization server for itself."""

from auth.grants.addresses import is_own_machine, place_of
from auth.grants.asked import AskedRequests
from auth.grants.documents import Documents
from auth.grants.grant import TOKEN_PREFIX, Grants
from auth.grants.server import GrantServer

__all__ = [
    "TOKEN_PREFIX",
    "AskedRequests",
    "Documents",
    "GrantServer",
    "Grants",
    "is_own_machine",
    "place_of",
]
