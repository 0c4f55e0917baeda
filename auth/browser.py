"""What a request's headers tell of the page that sent it (Fetch Metadata, w3.org/TR/fetch-metadata)."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import Scope

from auth.headers import header


def is_page_load(scope: Scope) -> bool:
    """True when a browser asks for a page to show, so that a person will read the answer (Fetch Metadata)."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
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
