"""HTTP: how requests are read, and how errors are answered."""

from auth.web.answers import REASONS, Answers
from auth.web.body import read_body
from auth.web.fetch import DIRECT, PLAIN, FetchFailed, bounded, encoding_of, fetch_body, fetch_json, json_object
from auth.web.headers import READ, has_body, header, is_page_load, is_persons_wish, is_same_origin
from auth.web.lingering_close import LingeringClose
from auth.web.pages import TEMPLATES, Pages
from auth.web.proxied import proxy_sign
from auth.web.public_address import PublicAddress
from auth.web.public_fetch import PublicFetch, public_host
from auth.web.request_id import RequestId
from auth.web.resources import ProtectedResources
from auth.web.security_headers import PagePolicy, SecurityHeaders

__all__ = [
    "DIRECT",
    "PLAIN",
    "READ",
    "REASONS",
    "TEMPLATES",
    "Answers",
    "FetchFailed",
    "LingeringClose",
    "PagePolicy",
    "Pages",
    "ProtectedResources",
    "PublicAddress",
    "PublicFetch",
    "RequestId",
    "SecurityHeaders",
    "bounded",
    "encoding_of",
    "fetch_body",
    "fetch_json",
    "has_body",
    "header",
    "is_page_load",
    "is_persons_wish",
    "is_same_origin",
    "json_object",
    "proxy_sign",
    "public_host",
    "read_body",
]
