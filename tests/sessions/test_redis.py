"""Revocations shared through a real Redis that is killed, hung, emptied and locked."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from auth.errors import SessionUnchecked
from auth.sessions.redis import RedisRevocations
from tests.support.servers import ROOT, RedisServer, free_port

pytestmark = pytest.mark.anyio

NAME = "https://app.example.com"
KEY = "https://accounts.example.com#alice"
HOUR = 3600.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as redis:
        yield redis


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    """The server, emptied, as somebody else sees it."""
    async with Redis.from_url(server.url, decode_responses=True) as client:
        await client.flushall()
        yield client


@asynccontextmanager
async def replica(
    url: str, *, compare_seconds: float = 30.0, now: Callable[[], float] = time.time
) -> AsyncIterator[RedisRevocations]:
    """One that shares for as long as the `async with` lasts."""
    revocations = RedisRevocations(url, name=NAME, compare_seconds=compare_seconds, now=now)
    sharing = asyncio.create_task(revocations.run())
    try:
        yield revocations
    finally:
        sharing.cancel()
        await asyncio.gather(sharing, return_exceptions=True)


async def soon(happened: Callable[[], bool], within: float = 10.0) -> float:
    """Wait for it.

    Returns:
        The seconds that it took.
    """
    begun = time.monotonic()
    while not happened():
        assert time.monotonic() - begun < within, "it did not happen"
        await asyncio.sleep(0.002)
    return time.monotonic() - begun


def revoke(revocations: RedisRevocations, key: str = KEY) -> float:
    """End every session of `key`.

    Returns:
        When such a session might have begun.
    """
    begun = time.time()
    revocations.revoke(key, until=begun + HOUR)
    return begun


@pytest.mark.usefixtures("redis")
async def test_what_one_replica_ends_the_other_refuses_well_within_a_second(server: RedisServer) -> None:
    async with replica(server.url) as one, replica(server.url) as other:
        await asyncio.gather(one.settled(5), other.settled(5))
        for number in range(20):
            begun = revoke(one, f"session-{number}")
            assert one.is_revoked([f"session-{number}"], begun=begun)
            took = await soon(lambda n=number, at=begun: other.is_revoked([f"session-{n}"], begun=at))  # type: ignore[misc]
            assert took < 0.5
        assert not other.is_revoked(["another"], begun=begun)


@pytest.mark.usefixtures("redis")
async def test_a_session_begun_after_the_sign_out_stands_on_every_replica(server: RedisServer) -> None:
    async with replica(server.url) as one, replica(server.url) as other:
        await asyncio.gather(one.settled(5), other.settled(5))
        begun = revoke(one)
        await soon(lambda: other.is_revoked([KEY], begun=begun))
        assert not other.is_revoked([KEY], begun=time.time())


@pytest.mark.usefixtures("redis")
async def test_a_replica_that_starts_later_knows_all_before_its_first_answer(server: RedisServer) -> None:
    async with replica(server.url) as one:
        await one.settled(5)
        begun = revoke(one)
        for number in range(3000):
            revoke(one, f"session-{number}")
        await one.settled(5)
    async with replica(server.url) as late:
        await late.settled(5)
        assert late.is_revoked([KEY], begun=begun)
        assert all(late.is_revoked([f"session-{number}"], begun=begun) for number in range(3000))


async def test_what_was_ended_twice_counts_from_the_later_time_whichever_is_heard_last(
    server: RedisServer, redis: Redis
) -> None:
    now = time.time()
    earlier, later = f"{now - 60!r} {KEY}", f"{now - 10!r} {KEY}"
    await redis.zadd(f"sessions:{NAME}:ended", {later: now + HOUR, earlier: now + HOUR})
    async with replica(server.url) as one:
        await one.settled(5)
        assert one.is_revoked([KEY], begun=now - 30)
        await redis.publish(f"sessions:{NAME}:ended", f'{{"{earlier}": {now + HOUR}, "{now!r} heard": {now + HOUR}}}')
        await soon(lambda: one.is_revoked(["heard"], begun=now))
        assert one.is_revoked([KEY], begun=now - 30)
        assert not one.is_revoked([KEY], begun=now - 5)


async def test_redis_keeps_nothing_longer_than_the_sessions_would_have_lasted(
    server: RedisServer, redis: Redis
) -> None:
    async with replica(server.url) as one:
        await one.settled(5)
        revoke(one)
        await one.settled(5)
        assert await redis.zcard(f"sessions:{NAME}:ended") == 1
        assert 0 < await redis.ttl(f"sessions:{NAME}:ended") <= HOUR + 1
    async with replica(server.url, now=lambda: time.time() + HOUR + 1) as later:
        await later.settled(5)
        assert await redis.zcard(f"sessions:{NAME}:ended") == 0


@pytest.mark.usefixtures("redis")
async def test_apps_that_share_a_redis_end_no_sessions_of_each_other(server: RedisServer) -> None:
    async with replica(server.url) as one:
        await one.settled(5)
        begun = revoke(one)
        await one.settled(5)
        neighbour = RedisRevocations(server.url, name="https://other.example.com")
        sharing = asyncio.create_task(neighbour.run())
        await neighbour.settled(5)
        assert not neighbour.is_revoked([KEY], begun=begun)
        sharing.cancel()
        await asyncio.gather(sharing, return_exceptions=True)


async def test_redis_killed_and_back_empty_lets_nobody_in_and_hears_what_was_ended_meanwhile() -> None:
    with RedisServer() as server:
        async with replica(server.url) as one, replica(server.url) as other:
            await asyncio.gather(one.settled(5), other.settled(5))
            before = revoke(one)
            await soon(lambda: other.is_revoked([KEY], begun=before))
            server.kill()
            await soon(lambda: bool(one.problem and other.problem))
            meanwhile = revoke(one, "meanwhile")
            assert one.is_revoked(["meanwhile"], begun=meanwhile)
            assert other.is_revoked([KEY], begun=before)
            assert not other.is_revoked(["somebody else"], begun=before)
            server.start()
            await soon(lambda: other.is_revoked(["meanwhile"], begun=meanwhile))
            await soon(lambda: not one.problem and not other.problem)
        async with replica(server.url) as late:
            await late.settled(5)
            assert late.is_revoked([KEY], begun=before)
            assert late.is_revoked(["meanwhile"], begun=meanwhile)


async def test_redis_emptied_under_our_hands_is_filled_again(server: RedisServer, redis: Redis) -> None:
    async with replica(server.url, compare_seconds=0.1) as one:
        await one.settled(5)
        begun = revoke(one)
        await one.settled(5)
        await redis.flushall()
        async with replica(server.url, compare_seconds=0.1) as late:
            await soon(lambda: late.problem is None and late.is_revoked([KEY], begun=begun))


async def test_what_was_said_while_a_replica_was_cut_off_is_learnt_on_connecting_anew(
    server: RedisServer, redis: Redis
) -> None:
    async with replica(server.url) as one:
        await one.settled(5)
        now = time.time()
        # In one transaction the listener is cut off and the fact is written: nobody hears the message.
        async with redis.pipeline(transaction=True) as step:
            step.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            step.zadd(f"sessions:{NAME}:ended", {f"{now!r} {KEY}": now + HOUR})
            await step.execute()
        await soon(lambda: one.is_revoked([KEY], begun=now))


async def test_a_redis_that_hangs_while_nobody_leaves_is_noticed_and_nobody_waits_for_it() -> None:
    with RedisServer() as server:
        async with replica(server.url) as one:
            await one.settled(5)
            server.send(signal.SIGSTOP)
            await soon(lambda: one.problem is not None)
            begun = revoke(one)
            assert one.is_revoked([KEY], begun=begun)
            server.send(signal.SIGCONT)
            await soon(lambda: one.problem is None)
            await one.settled(5)
        async with replica(server.url) as late:
            await late.settled(5)
            assert late.is_revoked([KEY], begun=begun)


async def test_a_wrong_password_is_named_without_being_told_and_sign_outs_work_here() -> None:
    with RedisServer(password="the right one") as server:
        async with replica(f"redis://:not-this-one@127.0.0.1:{server.port}/0") as one:
            await soon(lambda: one.problem is not None and "password" in one.problem)
            assert "not-this-one" not in (one.problem or "")
            begun = revoke(one)
            assert one.is_revoked([KEY], begun=begun)
            assert not one.is_revoked(["somebody else"], begun=begun)
        async with replica(f"redis://:the%20right%20one@127.0.0.1:{server.port}/0") as one:
            await one.settled(5)
            assert one.problem is None


async def test_a_user_who_may_do_no_more_than_is_asked_for_suffices(server: RedisServer, redis: Redis) -> None:
    commands = re.search(r"needs the commands `([A-Z\s]+)`", (ROOT / "deploy/README.md").read_text("utf-8"))
    assert commands is not None
    allowed = [f"+{command.lower()}" for command in commands[1].split()]
    await redis.execute_command("ACL", "SETUSER", "app", "on", ">hush", "~sessions:*", "&sessions:*", "-@all", *allowed)
    async with replica(f"redis://app:hush@127.0.0.1:{server.port}/0") as one:
        await one.settled(5)
        revoke(one)
        await one.settled(5)
        assert one.problem is None
    assert await redis.zcard(f"sessions:{NAME}:ended") == 1


async def test_a_replica_that_never_reached_redis_says_of_older_sessions_that_it_cannot_know() -> None:
    port, started = free_port(), time.time()
    async with replica(f"redis://127.0.0.1:{port}/0") as one:
        await soon(lambda: one.problem is not None and "Error" in one.problem)
        with pytest.raises(SessionUnchecked):
            one.is_revoked(["older"], begun=started - 60)
        assert not one.is_revoked(["newer"], begun=time.time())
        with RedisServer(port=port):
            await soon(lambda: one.problem is None)
            assert not one.is_revoked(["older"], begun=started - 60)


@pytest.mark.parametrize(
    "fact", ["", "nan " + KEY, "inf " + KEY, "-inf " + KEY, "yesterday " + KEY, KEY, "1e999 " + KEY, "\udcff"]
)
async def test_what_is_no_fact_changes_nothing(server: RedisServer, redis: Redis, fact: str) -> None:
    now = time.time()
    await redis.zadd(f"sessions:{NAME}:ended", {fact.encode(errors="surrogateescape"): now + HOUR})
    await redis.zadd(f"sessions:{NAME}:ended", {f"{now!r} forever": "+inf"})
    async with replica(server.url) as one:
        await one.settled(5)
        begun = revoke(one)
        await one.settled(5)
        for message in (
            "",
            "null",
            "[]",
            '{"1 a": "x"}',
            '{"1 a": NaN}',
            b"\xff",
            f'{{"{now!r} heard": {now + HOUR}}}',
        ):
            await redis.publish(f"sessions:{NAME}:ended", message)
        await soon(lambda: one.is_revoked(["heard"], begun=now))
        assert one.problem is None
        assert one.is_revoked([KEY], begun=begun)
        assert not one.is_revoked([KEY], begun=time.time())


@pytest.mark.usefixtures("redis")
async def test_a_clock_that_is_off_is_reported(server: RedisServer) -> None:
    async with replica(server.url, now=lambda: time.time() - 30) as late:
        await late.settled(5)
        assert late.problem is not None
        assert "-30 s" in late.problem


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis://localhost:port", "redis://localhost:70000"]
)
async def test_what_is_no_redis_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RedisRevocations(url, name=NAME)
