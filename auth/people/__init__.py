"""People: signing in and out with an OpenID provider (OpenID Connect Core 1.0)."""

from auth.people.admission import admit
from auth.people.examination import examine_provider
from auth.people.id_token import TOKEN_BYTES
from auth.people.links import Links
from auth.people.pending import NEXT_AT_MOST, begin_sign_in, take_sign_in
from auth.people.provider import Provider

__all__ = [
    "NEXT_AT_MOST",
    "TOKEN_BYTES",
    "Links",
    "Provider",
    "admit",
    "begin_sign_in",
    "examine_provider",
    "take_sign_in",
]
