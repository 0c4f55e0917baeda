"""JSON from an address that a stranger names: from the public internet by https, and from nowhere nearer."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from auth.web.fetch import FetchFailed, fetch_json

LIMIT = 16 * 1024
DEADLINE = 5.0
AT_ONCE = 4
NAT64 = ipaddress.ip_network("64:ff9b::/96")
UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is routed on the public internet (RFC 4291 section 2.4, and IANA's registry)."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]


async def resolve(host: str) -> Sequence[str]:
    """The IP addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]


class PublicFetch:
    """Fetches JSON objects, a few at a time.

    The host is looked up once, and the connection goes to the address that was looked at (a name that answers otherwise
    the second time gains nothing); TLS still proves the host's name.

    Args:
        http: goes where it is told. A proxy between here and there is given the address, not the name.
    """

    def __init__(self, http: httpx2.AsyncClient, *, resolve: Resolve = resolve) -> None:
        self._http = http
        self._resolve = resolve
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, url: str) -> dict[str, Any]:
        """
        Raises:
            FetchFailed: with the reason, as the end of a sentence that begins with the address.
        """
        host = public_host(url)
        if host is None:
            raise FetchFailed("is no https address of a host")
        try:
            async with asyncio.timeout(2 * DEADLINE), self._turns:
                return await self._fetch(url, host)
        except TimeoutError:
            raise FetchFailed("did not answer in time") from None

    async def _fetch(self, url: str, host: str) -> dict[str, Any]:
        try:
            addresses = await self._resolve(host)
        except (OSError, UnicodeError):
            raise FetchFailed("has a host that is not known") from None
        if not addresses or not all(map(is_public, addresses)):
            raise FetchFailed("is not on the public internet")
        return await fetch_json(self._http, url, limit=LIMIT, connect_to=addresses[0])


def public_host(url: str) -> str | None:
    """The host of an https URL on the usual port, without credentials; None for any other."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or port not in (None, 443) or parts.username is not None:
        return None
    return parts.hostname


def is_public(address: str) -> bool:
    """True for an IP address that anybody on the internet could reach too, whatever IPv6 address wraps it."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip.sixtofour
        return is_public(str(wrapped)) if wrapped is not None else ip in UNICAST and ip.is_global
    return ip.is_global and not ip.is_multicast
