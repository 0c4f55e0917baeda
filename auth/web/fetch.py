"""One bounded way to get JSON from another host."""

import asyncio
from typing import Any

import httpx2
from msgspec.json import decode

DIRECT: dict[str, None] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
"""For a client's `mounts`: this machine is reached without the proxy that `HTTP_PROXY` names."""
LIMIT = 512 * 1024
DEADLINE = 5.0


class FetchFailed(Exception):
    """The other host did not answer with a JSON object. `str(error)` says why, and holds nothing of the body."""


async def fetch_json(
    client: httpx2.AsyncClient,
    url: str,
    *,
    limit: int = LIMIT,
    deadline: float = DEADLINE,
    connect_to: str | None = None,
) -> dict[str, Any]:
    """GET a JSON object. No redirect is followed; numbers are finite and the nesting is bounded.

    Args:
        limit: bytes of body that are read at most.
        deadline: seconds for all of it, from the name lookup to the last byte, so that a slow drip ends too.
        connect_to: the IP address of the host, which then is not looked up.

    Raises:
        FetchFailed: with the reason, as the end of a sentence that begins with the address.
    """
    try:
        async with asyncio.timeout(deadline):
            body = await _body(client, url, limit, connect_to)
    except TimeoutError as error:
        raise FetchFailed(f"did not answer within {deadline:g} s") from error
    except httpx2.TimeoutException as error:
        raise FetchFailed("timed out") from error
    except httpx2.ConnectError as error:
        raise FetchFailed(f"cannot be reached: {error}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FetchFailed(f"broke off: {type(error).__name__}") from error
    try:
        return decode(str(body, "utf-8"), type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise FetchFailed("is not a JSON object") from error


async def _body(client: httpx2.AsyncClient, url: str, limit: int, connect_to: str | None) -> bytes:
    # Unpacked, a few kilobytes may become gigabytes: the body is asked for, and read, as it is.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    address, extensions = httpx2.URL(url), {}
    if connect_to is not None:
        headers["Host"] = address.netloc.decode("ascii")
        extensions["sni_hostname"] = address.host  # whose name the certificate has to prove
        address = address.copy_with(host=connect_to)
    async with client.stream(
        "GET", address, headers=headers, extensions=extensions, follow_redirects=False
    ) as response:
        if response.status_code != httpx2.codes.OK:
            raise FetchFailed(f"answered {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise FetchFailed(f"is larger than {limit} bytes")
    return bytes(body)
