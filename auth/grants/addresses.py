"""The addresses that a program names: where its answers go, and what it wants to call."""

import re
from urllib.parse import SplitResult, urlsplit

from auth.urls import is_loopback

REDIRECT_URI_AT_MOST = 512
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
"""RFC 3986 without a fragment. What browsers make of anything else (a backslash, a tab) is not what is read here."""
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
BROWSERS_OWN = frozenset(
    (
        *("about", "blob", "content", "data", "file", "filesystem", "ftp", "http", "intent", "jar", "ws", "wss"),
        *("javascript", "livescript", "mocha", "vbscript", "view-source", "mailto", "sms", "tel", "resource"),
        *("chrome", "chrome-extension", "devtools", "edge", "moz-extension", "opera"),
    )
)
"""Schemes that a browser acts on itself."""


def is_redirect_uri(value: str) -> bool:
    """Whether an answer may be sent there: by https, to this machine, or to a program of the person's (RFC 8252)."""
    if len(value) > REDIRECT_URI_AT_MOST or not URI.fullmatch(value):
        return False
    try:
        url = urlsplit(value)
        host, _ = url.hostname or "", url.port
    except ValueError:
        return False
    if url.username is not None:
        return False
    if url.scheme in ("https", "http"):
        return HOST.fullmatch(host) is not None and (url.scheme == "https" or is_loopback(host))
    return url.scheme not in BROWSERS_OWN


def is_same_redirect_uri(asked: str, registered: str) -> bool:
    """Letter by letter, but for the port on loopback (RFC 8252 section 7.3)."""
    if asked == registered:
        return True
    if not (asked.startswith("http://") and registered.startswith("http://") and is_redirect_uri(asked)):
        return False
    ours, theirs = urlsplit(registered), urlsplit(asked)
    return (ours.hostname, ours.path, ours.query) == (theirs.hostname, theirs.path, theirs.query)


def place_of(redirect_uri: str) -> str:
    """Where an answer goes, as a person reads it: a host, or the scheme that a program on their device has."""
    url = urlsplit(redirect_uri)
    return url.netloc if url.scheme in ("http", "https") else f"{url.scheme}:"


def is_own_machine(redirect_uri: str) -> bool:
    """True where the answer stays on the person's own device."""
    return urlsplit(redirect_uri).scheme != "https"


def is_resource(address: str, base_url: str) -> bool:
    """Whether this is an address of this app (RFC 8707 section 2)."""
    try:
        ours, theirs = urlsplit(base_url), urlsplit(address)
        same_host = (theirs.scheme, theirs.hostname, _port(theirs)) == (ours.scheme, ours.hostname, _port(ours))
    except ValueError:
        return False
    if not same_host or theirs.username is not None or not URI.fullmatch(address):
        return False
    is_below = f"{theirs.path}/".startswith(f"{ours.path}/")
    return is_below and "%" not in theirs.path and {".", ".."}.isdisjoint(theirs.path.split("/"))


def _port(url: SplitResult) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)
