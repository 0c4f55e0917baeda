"""One bounded way to read what another host answers."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx2
from msgspec.json import decode

DIRECT: dict[str, None] = {f"all://{host}": None for host in ("127.0.0.1", "localhost", "[::1]")}
"""For a client's `mounts`: this machine is reached without the proxy that `HTTP_PROXY` names."""
LIMIT = 512 * 1024
DEADLINE = 5.0
PLAIN = {"Accept-Encoding": "identity"}
"""Asks for a body that is not compressed; some hosts compress it all the same."""
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""For zlib (RFC 9110 section 8.4.1)."""


class FetchFailed(Exception):
    """The other host did not answer as it should. `str(error)` says why, and holds nothing of the body.

    Attributes:
        status: of the answer, None where none came.
    """

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


async def fetch_body(
    client: httpx2.AsyncClient,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    limit: int = LIMIT,
    deadline: float = DEADLINE,
    connect_to: str | None = None,
) -> tuple[str, bytes]:
    """GET what is there: its media type and its body. No redirect is followed.

    Args:
        limit: bytes of body that are read at most, once they are decompressed.
        deadline: seconds for all of it, from the name lookup to the last byte, so that a slow drip ends too.
        connect_to: the IP address of the host, which then is not looked up.

    Raises:
        FetchFailed: with the reason, as the end of a sentence that begins with the address.
    """
    sent = {"Accept": "application/json", **PLAIN, **(headers or {})}
    try:
        async with asyncio.timeout(deadline), _get(client, url, sent, connect_to) as response:
            if response.status_code != httpx2.codes.OK:
                raise FetchFailed(f"answered {response.status_code}", status=response.status_code)
            body = b"".join([part async for part in bounded(response.aiter_raw(), encoding_of(response), limit)])
            return response.headers.get("content-type", "").partition(";")[0].strip().lower(), body
    except TimeoutError as error:
        raise FetchFailed(f"did not answer within {deadline:g} s") from error
    except httpx2.TimeoutException as error:
        raise FetchFailed("timed out") from error
    except httpx2.ConnectError as error:
        raise FetchFailed(f"cannot be reached: {error}") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FetchFailed(f"broke off: {type(error).__name__}") from error


async def fetch_json(
    client: httpx2.AsyncClient,
    url: str,
    *,
    limit: int = LIMIT,
    deadline: float = DEADLINE,
    connect_to: str | None = None,
) -> dict[str, Any]:
    """GET a JSON object, as `fetch_body`.

    Raises:
        FetchFailed: also where it is none.
    """
    _, body = await fetch_body(client, url, limit=limit, deadline=deadline, connect_to=connect_to)
    return json_object(body)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Numbers are finite and the nesting is bounded.

    Raises:
        FetchFailed.
    """
    try:
        return decode(str(body, "utf-8"), type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise FetchFailed("is not a JSON object") from error


def _get(
    client: httpx2.AsyncClient, url: str, headers: dict[str, str], connect_to: str | None
) -> AbstractAsyncContextManager[httpx2.Response]:
    address, extensions = httpx2.URL(url), {}
    if connect_to is not None:
        headers["Host"] = address.netloc.decode("ascii")
        extensions["sni_hostname"] = address.host  # whose name the certificate has to prove
        address = address.copy_with(host=connect_to)
    return client.stream("GET", address, headers=headers, extensions=extensions, follow_redirects=False)


def encoding_of(response: httpx2.Response) -> str:
    return response.headers.get("content-encoding", "").strip().lower()


async def bounded(chunks: AsyncIterator[bytes], encoding: str, limit: int) -> AsyncIterator[bytes]:
    """A body, decompressed a little at a time: a few kilobytes may stand for gigabytes.

    Raises:
        FetchFailed: it is larger than `limit` bytes, or compressed in a way that is not known.
    """
    if encoding not in ("", "identity", *WINDOW_BITS):
        raise FetchFailed(f"is compressed as {encoding[:20]!r}")
    unpacked = zlib.decompressobj(WINDOW_BITS[encoding]) if encoding in WINDOW_BITS else None
    read = 0
    async for chunk in chunks:
        try:
            part = unpacked.decompress(chunk, limit - read + 1) if unpacked else chunk
        except zlib.error:
            raise FetchFailed(f"is not compressed as {encoding}, which it says") from None
        read += len(part)
        if read > limit:
            raise FetchFailed(f"is larger than {limit} bytes")
        yield part
    if unpacked and not unpacked.eof:
        raise FetchFailed("broke off within what is compressed")
