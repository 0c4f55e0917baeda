"""HTTP: how requests are read, and how errors are answered."""

from auth.web.answers import REASONS, Answers
from auth.web.body import read_body
from auth.web.fetch import DIRECT, FetchFailed, fetch_json
from auth.web.headers import has_body, header, is_page_load, is_same_origin
from auth.web.lingering_close import LingeringClose
from auth.web.pages import TEMPLATES, Pages
from auth.web.public_address import PublicAddress
from auth.web.public_fetch import PublicFetch, public_host
from auth.web.resources import ProtectedResources

__all__ = [
    "DIRECT",
    "REASONS",
    "TEMPLATES",
    "Answers",
    "FetchFailed",
    "LingeringClose",
    "Pages",
    "ProtectedResources",
    "PublicAddress",
    "PublicFetch",
    "fetch_json",
    "has_body",
    "header",
    "is_page_load",
    "is_same_origin",
    "public_host",
    "read_body",
]
