"""Revocations that several replicas share through Redis, without asking it while anybody waits.

Each replica answers from its own memory. What it ends, it tells Redis and the others; what the others end, it hears
within moments; on every connection, and every half minute, it reads all there is and writes back what is missing. So
Redis may be away, slow or come back empty: nobody comes back in, nobody is thrown out, and word gets around later.

Redis holds facts in one sorted set: the member says up to which moment a key's sessions are ended, the score when that
can be forgotten, both in epoch seconds. To add a fact twice changes nothing, and the latest moment of a key counts, so
replicas need no agreed order. A moment is that of the replica where the sign-out happened: with clocks that differ by
a second, a session ended everywhere within a second of its beginning may live on.
"""

import asyncio
import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from pydantic import FiniteFloat, TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from auth.errors import SessionUnchecked
from auth.pauses import Pauses, Sleep, repeat
from auth.sessions.revocations import MemoryRevocations

log = logging.getLogger("auth")

ANSWER_SECONDS = 2.0
"""How long Redis may take to answer before it counts as gone."""
QUIET_SECONDS = 1.0
"""After this long without a message Redis is asked whether it is still there."""
COMPARE_SECONDS = 30.0
PAUSES = (0.1, 3.0)
"""First and longest pause before connecting anew."""
SKEW_SECONDS = 5.0
BATCH = 500

_FACTS = TypeAdapter(dict[str, FiniteFloat])


class RedisRevocations(MemoryRevocations):
    """Revocations of all replicas with the same Redis and the same `name`.

    Memory: that of `MemoryRevocations`; nothing is queued while Redis is away.

    Args:
        url: redis://, rediss:// or unix://, with user and password as needed.
        name: tells this app's facts from those of others in the same Redis.
        compare_seconds: how often what is known here and what Redis holds are compared.
        now: wall-clock time in epoch seconds.

    Attributes:
        observe: told of each fact that was heard, this replica's own among them, by the seconds since its moment; None
            for nobody.

    Raises:
        ValueError: `url` is none.
    """

    observe: Callable[[float], None] | None = None

    def __init__(
        self,
        url: str,
        *,
        name: str,
        compare_seconds: float = COMPARE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(now=now)
        parse_url(url)
        self._url = url
        self._name = f"sessions:{name}:ended"
        self._compare_seconds = compare_seconds
        self._born = now()
        self._loaded = False
        self._fault: str | None = "Redis has not been asked yet"
        self._skew = 0.0
        self._pauses = Pauses(*PAUSES)
        self._unsent: dict[str, float] = {}
        self._redis: Redis | None = None
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()

    # -- what the session asks ----------------------------------------------------------------------------------------

    def revoke(self, key: str, *, until: float, at: float | None = None) -> None:
        super().revoke(key, until=until, at=at)
        self._settled.clear()
        if self._fault is None:  # otherwise the comparison on connecting finds it
            self._unsent[self._fact(key)] = until
            self._wake.set()

    def is_revoked(self, keys: Iterable[str], *, begun: float) -> bool:
        """As the protocol says.

        Raises:
            SessionUnchecked: the session is older than this process, which never yet heard who was signed out before.
        """
        if super().is_revoked(keys, begun=begun):
            return True
        if not self._loaded and begun < self._born:
            raise SessionUnchecked(self._fault or "")
        return False

    async def claim(self, key: str, *, at: float, until: float) -> float | None:
        """As the protocol says. While Redis is away, of this replica and what it has heard of the others."""
        claimed, name = self.moment(key), f"{self._name}:{key}"
        if claimed is None and self._redis is not None:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    if not await self._redis.set(name, at, nx=True, exat=math.ceil(until)):
                        claimed = float(await self._redis.get(name) or at)
        known = await super().claim(key, at=at if claimed is None else claimed, until=until)
        return known if claimed is None else claimed

    @property
    def problem(self) -> str | None:
        """What is wrong, as one line for the operator; None while sign-outs are shared."""
        if self._fault:
            return f"{self._fault}; sign-outs here reach the other replicas once it answers"
        if abs(self._skew) > SKEW_SECONDS:
            return f"this machine's clock is {self._skew:+.0f} s off Redis's; replicas' clocks have to agree"
        return None

    async def settled(self, within: float) -> None:
        """Wait until Redis and this replica know the same, for `within` seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._settled.wait()

    # -- behind it ----------------------------------------------------------------------------------------------------

    async def run(self, *, sleep: Sleep = asyncio.sleep) -> None:
        """Share until cancelled."""
        await repeat(self._share_while_connected, pauses=self._pauses, sleep=sleep)

    async def _share_while_connected(self) -> float:
        """Raises what ended the connection."""
        try:
            # Each time in a task of its own: up to Python 3.11.2, the next timeout that runs out in a task whose
            # TaskGroup has failed is a cancellation.
            await asyncio.create_task(self._share())
        except* Exception as faults:
            self._report(faults)
            raise
        return 0.0

    async def _share(self) -> None:
        """As long as a connection holds."""
        async with self._client() as redis, redis.pubsub() as channel:
            # Listening begins before reading does, so that nothing falls between the two.
            async with asyncio.timeout(ANSWER_SECONDS):
                await channel.subscribe(self._name)
                await channel.get_message(timeout=None)
            await self._compare(redis)
            self._report(None)
            self._pauses.reset()
            self._redis = redis
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._send(redis))
                    both.create_task(self._listen(channel))
            finally:
                self._redis = None

    def _client(self) -> Redis:
        return Redis.from_url(
            self._url,
            decode_responses=True,
            encoding_errors="replace",
            socket_timeout=None,  # it swallows a cancellation now and then (asyncio.wait_for of Python 3.11)
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # a lost connection is a gap in what was heard: `run` begins anew
        )

    def _report(self, faults: BaseExceptionGroup[BaseException] | None) -> None:
        fault = None
        while faults is not None:
            first = faults.exceptions[0]
            faults = first if isinstance(first, BaseExceptionGroup) else None
            fault = f"{type(first).__name__}: {str(first)[:200].rstrip('.') or 'no answer'}"
        if fault != self._fault:
            log.log(logging.WARNING if fault else logging.INFO, "Redis: %s", fault or "sign-outs are shared")
        self._fault = fault

    async def _compare(self, redis: Redis) -> None:
        """Learn every fact there is, and get ready to send those that are missing."""
        async with asyncio.timeout(ANSWER_SECONDS):
            await redis.zremrangebyscore(self._name, "-inf", self._now())
            seconds, microseconds = await redis.time()
        self._skew = self._now() - seconds - microseconds / 1e6
        held: set[str] = set()
        cursor = None
        while cursor != 0:
            async with asyncio.timeout(ANSWER_SECONDS):
                cursor, page = await redis.zscan(self._name, cursor or 0, count=BATCH)
            for fact, until in page:
                held.add(str(fact))
                self._learn(str(fact), float(until))
        self._loaded = True
        known = {self._fact(key): until for key, (_, until) in self._ended.items() if until > self._now()}
        self._unsent = {fact: until for fact, until in known.items() if fact not in held}

    async def _send(self, redis: Redis) -> None:
        while True:
            while batch := dict(itertools.islice(self._unsent.items(), BATCH)):
                async with asyncio.timeout(ANSWER_SECONDS), redis.pipeline(transaction=True) as step:
                    known = (until for _, until in self._ended.values())
                    step.zadd(self._name, batch)
                    step.expireat(self._name, math.ceil(max(*batch.values(), *known)))
                    step.publish(self._name, json.dumps(batch))
                    await step.execute()
                for fact in batch:
                    self._unsent.pop(fact, None)
            self._settled.set()
            self._wake.clear()
            try:
                async with asyncio.timeout(self._compare_seconds):
                    await self._wake.wait()
            except TimeoutError:
                await self._compare(redis)

    async def _listen(self, channel: PubSub) -> None:
        while True:
            message = await channel.get_message(timeout=QUIET_SECONDS)
            if message is None:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await channel.ping()
                    message = await channel.get_message(timeout=None)
            if message["type"] == "message":
                with suppress(ValidationError):
                    for fact, until in _FACTS.validate_json(message["data"]).items():
                        at = self._learn(fact, until)
                        if self.observe and at is not None:
                            self.observe(max(0.0, self._now() - at))

    def _fact(self, key: str) -> str:
        return f"{self._ended[key][0]!r} {key}"

    def _learn(self, fact: str, until: float) -> float | None:
        """The moment that it is of, None where it is no fact."""
        moment, _, key = fact.partition(" ")
        with suppress(ValueError):
            at = float(moment)
            if math.isfinite(at) and math.isfinite(until):
                super().revoke(key, at=at, until=until)
                return at
        return None
