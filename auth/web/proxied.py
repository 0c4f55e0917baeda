"""Signs that a request did not come from a program on this machine, but through a proxy on it."""

import ipaddress
from contextlib import suppress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import Scope

from auth.urls import is_loopback
from auth.web.headers import header

ADDED = frozenset(
    b"forwarded via x-real-ip x-original-host x-original-url client-ip x-client-ip x-cluster-client-ip true-client-ip "
    b"cf-connecting-ip cf-ray cdn-loop fastly-client-ip fly-client-ip x-envoy-external-address x-amzn-trace-id "
    b"x-cloud-trace-context x-azure-clientip x-arr-log-id x-appengine-user-ip x-varnish x-scheme x-proxy-id".split()
)
"""Headers that proxies add, besides those that begin with `X-Forwarded`."""


def note_proxy(scope: Scope) -> None:
    """Keep for `proxy_sign` what the headers say, before those that mislead are taken off."""
    scope.setdefault("state", {})["proxy_sign"] = _sign(scope)


def proxy_sign(scope: Scope) -> str:
    """By what the request was seen to come through a proxy; "" where nothing shows."""
    return str(scope.get("state", {}).get("proxy_sign", "headers, which nobody looked at"))


def _sign(scope: Scope) -> str:
    for name, _ in scope["headers"]:
        if name in ADDED or name.startswith(b"x-forwarded"):
            return str(name, "latin-1")
    if scope.get("http_version") == "1.0":
        return "HTTP/1.0"  # no browser speaks it; nginx does to what it passes on to, unless told otherwise
    pages = [header(scope, b"origin"), header(scope, b"referer")]  # a browser's, and a proxy lets them through
    for name, address in zip(("origin", "referer", "host"), (*pages, f"//{header(scope, b'host')}"), strict=True):
        if _names_another(address):
            return name
    host, _ = scope.get("client") or ("", 0)
    return "address" if _is_elsewhere(host) else ""


@lru_cache(maxsize=256)
def _names_another(address: str) -> bool:
    """Of an address: it has a host, which is not this machine."""
    with suppress(ValueError):
        host = urlsplit(address).hostname
        return not is_loopback(host) if host else False
    return False


@lru_cache(maxsize=256)
def _is_elsewhere(host: str) -> bool:
    """Of the address of a connection's other end: on another machine. False where there is none."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
