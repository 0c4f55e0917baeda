"""A request's headers as ASGI hands them on: read without a copy, and what they say of the page that sent it.

Fetch Metadata: w3.org/TR/fetch-metadata.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Scope

READ = ["GET", "HEAD"]
"""RFC 9110 section 9.1: whatever may be read, of that the head alone may be asked for."""


def header(carrier: Mapping[str, Any], name: bytes) -> str:
    """A header of a request's scope or an answer's start, the first of that name (lower case), "" where there is none.

    Starlette's `Headers` reads the same in twice the time, and every request is asked for several.
    """
    for key, value in carrier["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def has_body(scope: Scope) -> bool:
    """RFC 9112 section 6.3."""
    return header(scope, b"content-length") not in ("", "0") or header(scope, b"transfer-encoding") != ""


def is_page_load(scope: Scope) -> bool:
    """True when a browser asks for a page to show, so that a person will read the answer (Fetch Metadata)."""
    if scope["type"] != "http" or scope["method"] not in READ:
        return False
    mode = header(scope, b"sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in header(scope, b"accept")


def is_same_origin(scope: Scope, base_url: str) -> bool:
    """True unless a browser says that another site's page sent this request (Fetch Metadata, else Origin, Referer)."""
    site = header(scope, b"sec-fetch-site")
    if site:
        return site in ("same-origin", "none")
    sender = header(scope, b"origin") or header(scope, b"referer")
    if not sender:
        return True
    try:
        ours, theirs = urlsplit(base_url), urlsplit(sender)
    except ValueError:
        return False
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


def is_persons_wish(scope: Scope) -> bool:
    """False where a browser says that it reads this for a picture, a script or a frame: what stands in a page may be
    somebody else's (Fetch Metadata).
    """
    return scope["method"] not in READ or header(scope, b"sec-fetch-dest") in ("", "document")
