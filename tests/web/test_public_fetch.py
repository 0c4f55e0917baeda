"""An address that a stranger names leads to the public internet or nowhere (server-side request forgery)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx2
import pytest

from auth.web import FetchFailed, PublicFetch
from auth.web.public_fetch import AT_ONCE, is_public

PUBLIC = "93.184.215.14"
DOCUMENT = "https://client.example/oauth/client.json"

pytestmark = pytest.mark.anyio


def unread(response: httpx2.Response) -> httpx2.Response:
    """As it comes from the network: nothing of its body has been read yet."""

    async def body() -> AsyncIterator[bytes]:
        yield response.content

    return httpx2.Response(response.status_code, headers=response.headers, content=body())


class Internet:
    """What a name leads to, and what was asked of whom."""

    def __init__(self, *answers: Sequence[str], respond: Callable[[httpx2.Request], Any] | None = None) -> None:
        self.answers = list(answers) or [(PUBLIC,)]
        self.looked_up: list[str] = []
        self.asked: list[httpx2.Request] = []
        self._respond = respond or (lambda request: httpx2.Response(200, json={"found": True}))

    async def resolve(self, host: str) -> Sequence[str]:
        self.looked_up.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def fetch(self, url: str = DOCUMENT) -> dict[str, Any]:
        async def respond(request: httpx2.Request) -> httpx2.Response:
            self.asked.append(request)
            answer = self._respond(request)
            return unread(await answer if asyncio.iscoroutine(answer) else answer)

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond), follow_redirects=True) as http:
            return await PublicFetch(http, resolve=self.resolve)(url)


async def test_the_connection_goes_to_the_address_that_was_looked_at() -> None:
    """A name that answers otherwise the second time (DNS rebinding) is not asked a second time."""
    internet = Internet((PUBLIC,), ("127.0.0.1",))
    assert await internet.fetch() == {"found": True}
    (asked,) = internet.asked
    assert (asked.url.host, asked.url.path) == (PUBLIC, "/oauth/client.json")
    assert asked.headers["host"] == asked.extensions["sni_hostname"] == "client.example"
    assert internet.looked_up == ["client.example"]


NEARER = {
    "this machine": "127.0.0.1",
    "this machine, elsewhere in its range": "127.8.8.8",
    "this machine by IPv6": "::1",
    "all addresses": "0.0.0.0",
    "all addresses by IPv6": "::",
    "a private network": "10.0.0.1",
    "another private network": "172.16.9.9",
    "a home network": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "a cloud's metadata": "169.254.169.254",
    "a cloud's metadata by IPv6": "fd00:ec2::254",
    "a link by IPv6": "fe80::1",
    "a unique local address": "fc00::1",
    "multicast": "224.0.0.1",
    "multicast by IPv6": "ff02::1",
    "broadcast": "255.255.255.255",
    "reserved": "240.0.0.1",
    "for documentation": "192.0.2.1",
    "for benchmarks": "198.18.0.1",
    "IPv4 in IPv6": "::ffff:127.0.0.1",
    "a private IPv4 in IPv6": "::ffff:10.0.0.1",
    "IPv4 by 6to4": "2002:7f00:1::",
    "IPv4 by NAT64": "64:ff9b::7f00:1",
    "IPv4 by a NAT64 of the network's own": "64:ff9b:1::7f00:1",
    "IPv4 at the end of IPv6": "::127.0.0.1",
    "IPv4 by SIIT": "::ffff:0:127.0.0.1",
    "a site by IPv6": "fec0::1",
    "IPv4 by Teredo": "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "no address": "localhost",
}


@pytest.mark.parametrize("address", NEARER.values(), ids=NEARER)
@pytest.mark.parametrize("among_public_ones", [False, True], ids=["alone", "among public ones"])
async def test_nothing_nearer_is_asked(address: str, among_public_ones: bool) -> None:
    assert not is_public(address)
    internet = Internet((PUBLIC, address) if among_public_ones else (address,))
    with pytest.raises(FetchFailed, match="public internet"):
        await internet.fetch()
    assert internet.asked == []


@pytest.mark.parametrize("address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "2002:101:101::1"])
async def test_what_anybody_can_reach_is_asked(address: str) -> None:
    assert is_public(address)
    internet = Internet((address,))
    assert await internet.fetch() == {"found": True}


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example/x",
        "ftp://client.example/x",
        "file:///etc/passwd",
        "https://client.example:8443/x",
        "https://client.example:22/x",
        "https://user@client.example/x",
        "https://:secret@client.example/x",
        "https:///x",
        "https://[::1/x",
        "//client.example/x",
        "",
    ],
)
async def test_only_https_on_its_own_port_is_asked(url: str) -> None:
    internet = Internet()
    with pytest.raises(FetchFailed):
        await internet.fetch(url)
    assert (internet.asked, internet.looked_up) == ([], [])


@pytest.mark.parametrize("address", ["https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest"])
async def test_an_address_in_place_of_a_name_is_looked_at_too(address: str) -> None:
    asked: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={})

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as http:
        with pytest.raises(FetchFailed):
            await PublicFetch(http)(address)
    assert asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    internet = Internet(respond=lambda _: httpx2.Response(status, headers={"Location": "https://other.example/"}))
    with pytest.raises(FetchFailed, match=str(status)):
        await internet.fetch()
    assert len(internet.asked) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"not json", b'"text"', b"{" * 5000, b'{"a": "' + b"x" * 17_000 + b'"}', b"\xff\xfe"],
    ids=["nothing", "a list", "no JSON", "text", "deep", "large", "not UTF-8"],
)
async def test_what_is_no_small_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(FetchFailed):
        await Internet(respond=lambda _: httpx2.Response(200, content=content)).fetch()


async def test_a_host_that_answers_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.web.public_fetch.DEADLINE", 0.05)
    with pytest.raises(FetchFailed):
        await Internet(respond=lambda _: asyncio.sleep(5)).fetch()


async def test_a_name_that_is_not_known_is_a_failure() -> None:
    async def unknown(host: str) -> Sequence[str]:
        raise OSError(host)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as http:
        with pytest.raises(FetchFailed, match="not known"):
            await PublicFetch(http, resolve=unknown)(DOCUMENT)


async def test_a_name_that_leads_nowhere_is_a_failure() -> None:
    internet = Internet(())
    with pytest.raises(FetchFailed, match="public internet"):
        await internet.fetch()
    assert internet.asked == []


async def test_only_a_few_are_asked_at_once() -> None:
    under_way = most = 0

    async def respond(request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return unread(httpx2.Response(200, json={}))

    async def resolve(host: str) -> Sequence[str]:
        return (PUBLIC,)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(respond)) as http:
        fetch = PublicFetch(http, resolve=resolve)
        await asyncio.gather(*(fetch(DOCUMENT) for _ in range(20)))
    assert most == AT_ONCE


async def test_a_name_service_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth.web.public_fetch.DEADLINE", 0.01)

    async def resolve(host: str) -> Sequence[str]:
        await asyncio.sleep(60)
        return ()

    async with httpx2.AsyncClient() as http, asyncio.timeout(10):
        with pytest.raises(FetchFailed, match="did not answer in time"):
            await PublicFetch(http, resolve=resolve)(DOCUMENT)


async def test_a_host_that_no_name_service_can_be_asked_for_is_not_known() -> None:
    """A label of more than 63 characters."""
    async with httpx2.AsyncClient() as http:
        with pytest.raises(FetchFailed, match="has a host that is not known"):
            await PublicFetch(http)(f"https://{'x' * 64}.example/client.json")
