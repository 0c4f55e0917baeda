"""What an address has to be: well formed, safe to send a secret to, spelled as browsers spell it."""

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import httpx2


class Site:
    """The address that people type (`PUBLIC_URL`), whole and in parts. None of them ends in a slash.

    Attributes:
        base_url: all of it, such as https://example.com/app.
        origin: without the path, such as https://example.com.
        prefix: the path alone, such as /app, empty where there is none.
    """

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        self.base_url = base_url
        self.scheme = url.scheme
        self.netloc = url.netloc
        self.hostname = url.hostname or ""
        self.port = url.port
        self.prefix = url.path
        self.origin = base_url.removesuffix(url.path)
        self.is_https = url.scheme == "https"
        self.is_loopback = is_loopback(self.hostname)


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and the names that RFC 6761 section 6.3 keeps for them."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_http_url(value: str) -> bool:
    """True for an absolute http(s) URL with a host and without credentials, query or fragment."""
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        return False
    return (
        url.scheme in ("http", "https")
        and bool(url.hostname)
        and url.username is None
        and value.isascii()
        and value.isprintable()
        and not set(value).intersection(" ?#")
    )


def http_url(value: str) -> str:
    """The same, where it is empty or an http(s) URL; letters beyond ASCII as they are sent (RFC 5891, RFC 3986).

    Raises:
        ValueError.
    """
    if not value.isascii():
        with suppress(httpx2.InvalidURL):
            value = str(httpx2.URL(value))
    if value and not is_http_url(value):
        raise ValueError("must be an address such as https://app.example.com, without query or fragment")
    return value


def is_confidential(url: str) -> bool:
    """True when what is sent to this http(s) URL is not to be read on the way: by https, or within this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def as_browsers_spell(url: str) -> str:
    """An http(s) URL with its origin as browsers send it: in lower case, without a port where it is the scheme's own.

    No slash is left at the end.
    """
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port not in (None, {"http": 80, "https": 443}[parts.scheme]) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
