"""Loops that live as long as the process: whatever fails, and for however long, they go on and recover."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from auth.errors import KeysUnavailable
from auth.keys import JwksCache
from auth.pauses import Pauses, repeat
from auth.people import Provider
from auth.people.discovery import Metadata
from auth.sessions import RedisRevocations
from auth.sessions.redis import PAUSES
from auth.web import FetchFailed
from tests.support.clock import Clock
from tests.support.forge import signing_key
from tests.support.servers import RedisServer
from tests.support.settings import ACME

pytestmark = pytest.mark.anyio

FAILURES = 10_000


class Unforeseen(Exception):
    """Of no kind that anybody catches by name."""


KINDS: tuple[Callable[[], BaseException], ...] = (
    lambda: FetchFailed("answered 500"),
    lambda: Unforeseen("what nobody thought of"),
    lambda: RecursionError("maximum recursion depth exceeded"),
    lambda: MemoryError(),
    lambda: KeyError("member"),
    lambda: OverflowError(34, "Numerical result out of range"),
    lambda: ExceptionGroup("two at once", [ValueError("one"), OSError("other")]),
    lambda: asyncio.CancelledError(),
    lambda: TimeoutError(),
)


class Trouble:
    """Something elsewhere that fails in every way, one after the other, until it is well."""

    def __init__(self) -> None:
        self.failed = 0
        self.well = False
        self._kinds = itertools.cycle(KINDS)

    def strike(self) -> None:
        if not self.well:
            self.failed += 1
            raise next(self._kinds)()


class Sleeper:
    """Sleeps no time: the clock moves instead. After so many sleeps the trouble is over."""

    def __init__(self, clock: Clock, trouble: Trouble) -> None:
        self.slept: list[float] = []
        self._clock = clock
        self._trouble = trouble

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._clock.advance(seconds)
        await asyncio.sleep(0)
        if self._trouble.failed >= FAILURES:
            self._trouble.well = True


async def published_keys(request: httpx2.Request) -> httpx2.Response:
    document = json.dumps({"keys": [signing_key("RSA", "one").as_dict(private=False)]})
    return httpx2.Response(200, stream=httpx2.ByteStream(document.encode()))


@asynccontextmanager
async def running(loop: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop)
    try:
        yield task
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), f"the loop died of {ended!r}"


async def until(happened: Callable[[], object], task: asyncio.Task[None], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not happened():
            assert not task.done(), "the loop is over"
            await asyncio.sleep(0.001)


def test_a_pause_doubles_up_to_the_longest_for_ever() -> None:
    pauses = Pauses(1.0, 30.0)
    assert [pauses.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert {pauses.next() for _ in range(FAILURES)} == {30}
    pauses.reset()
    assert pauses.next() == 1


async def test_what_is_repeated_goes_on_after_any_failure_and_stops_when_it_is_told_to() -> None:
    clock, trouble = Clock(0), Trouble()
    sleeper = Sleeper(clock, trouble)

    async def step() -> float:
        trouble.strike()
        return 77.0

    async with running(repeat(step, pauses=Pauses(1.0, 30.0), sleep=sleeper)) as task:
        await until(lambda: sleeper.slept[-1:] == [77.0], task)
    assert trouble.failed == FAILURES
    assert sleeper.slept[:6] == [1, 2, 4, 8, 16, 30]


async def test_a_key_set_that_failed_ten_thousand_times_is_loaded_at_last() -> None:
    clock, trouble = Clock(0), Trouble()
    sleeper = Sleeper(clock, trouble)

    async def fetch(url: str) -> dict[str, Any]:
        trouble.strike()
        return {"keys": [{"kid": "one"}]}

    keys: JwksCache[str] = JwksCache(
        "https://id.example", fetch=fetch, parse=lambda jwk: (jwk["kid"], "key"), now=clock
    )
    async with running(keys.run(sleep=sleeper)) as task:
        await until(lambda: trouble.failed >= FAILURES // 5, task)
        with pytest.raises(KeysUnavailable):
            await keys.find("one")
        await until(lambda: keys.ready, task)
    assert trouble.failed >= FAILURES
    assert max(sleeper.slept[:FAILURES]) == 30
    assert await keys.find("one") == "key"


async def test_a_provider_that_failed_ten_thousand_times_is_found_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, trouble = Clock(0), Trouble()
    sleeper = Sleeper(clock, trouble)
    published = Metadata(
        issuer=ACME.issuer,
        authorization_endpoint=f"{ACME.issuer}/authorize",
        token_endpoint=f"{ACME.issuer}/token",
        jwks_uri=f"{ACME.issuer}/jwks",
    )

    async def discover(*_: object) -> Metadata:
        trouble.strike()
        return published

    monkeypatch.setattr("auth.people.published.discover", discover)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(published_keys)) as http:
        tls = httpx2.create_ssl_context()
        provider = Provider(ACME, redirect_uri="https://app.example/auth", http=http, tls=tls, monotonic=clock)
        async with running(provider.published.run(sleep=sleeper)) as task:
            await until(lambda: trouble.failed >= FAILURES // 5, task)
            assert not provider.published.ready
            assert provider.published.problem
            await until(lambda: provider.published.ready, task)
        assert trouble.failed >= FAILURES
        assert max(sleeper.slept[:FAILURES]) == 30
        assert await provider.published.metadata() == published


async def test_revocations_that_failed_ten_thousand_times_are_shared_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, trouble = Clock(0), Trouble()
    sleeper = Sleeper(clock, trouble)
    with RedisServer() as redis:
        revocations = RedisRevocations(redis.url, name="app")
        connected = revocations._client

        def client() -> Any:
            trouble.strike()
            return connected()

        monkeypatch.setattr(revocations, "_client", client)
        async with running(revocations.run(sleep=sleeper)) as task:
            await until(lambda: trouble.failed >= FAILURES // 5, task)
            assert revocations.problem
            await until(lambda: revocations.problem is None, task)
    assert trouble.failed == FAILURES
    assert max(sleeper.slept) == PAUSES[1]
