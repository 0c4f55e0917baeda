"""Many signed-in people, each with queued events, beside bare Gradio on the same parts.

Each person joins the queue and reads the stream of their event until it has completed. What the machine has left
decides the throughput, so the CPU time of an event is told too: with replicas it is the same if they cost nothing.
Replicas share Redis and one machine; people are spread over them as by a proxy that keeps each at one.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

from tests.bench.measure import Section, Side, Spread, cpu_seconds, resident_bytes
from tests.bench.ours import Callers, ours, peer, side
from tests.support.servers import RedisServer

PEOPLE = (1, 10, 100, 500)
EVENTS = 200
"""At least so many in all."""
REPLICAS = (2, 4)
SECONDS_AT_MOST = 150.0


async def ask(url: str, headers: Mapping[str, str], path: str, body: bytes = b"") -> bytes:
    """The whole answer, head and all, on a connection of its own."""
    reader, writer = await asyncio.open_connection(*urlsplit(url).netloc.split(":"))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    length = ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    method = "POST" if body else "GET"
    head = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", "Connection: close", *lines, *length]
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
    try:
        return await reader.read()
    finally:
        writer.close()


async def event(side: Side, headers: Mapping[str, str], session: str) -> float:
    """Seconds that it took, from joining the queue to the end of the stream.

    Raises:
        AssertionError, OSError: it did not come to a good end.
    """
    start = time.perf_counter()
    call = {"data": ["Good morning"], "event_data": None, "fn_index": 0, "session_hash": session}
    joined = await ask(side.url, headers, "/gradio/gradio_api/queue/join", json.dumps(call).encode())
    assert b" 200 " in joined[:16], joined[:300]
    said = await ask(side.url, headers, f"/gradio/gradio_api/queue/data?session_hash={session}")
    assert b'"success":true' in said.replace(b" ", b""), said[-300:]
    return time.perf_counter() - start


async def all_of_them(sides: Sequence[Side], people: Sequence[Mapping[str, str]]) -> list[str]:
    """A line of the table: throughput, latencies, errors, CPU of an event, memory. Each person stays at one side."""
    pids = [pid for side in sides for pid in side.pids]
    taken: list[float] = []
    errors = 0

    async def person(number: int, headers: Mapping[str, str]) -> None:
        nonlocal errors
        for _ in range(max(1, EVENTS // len(people))):
            try:
                taken.append(await event(sides[number % len(sides)], headers, f"session{number}"))
            except (AssertionError, OSError):
                errors += 1

    memory, cpu, start = resident_bytes(pids), cpu_seconds(pids), time.perf_counter()
    async with asyncio.timeout(SECONDS_AT_MOST), asyncio.TaskGroup() as group:
        for number, headers in enumerate(people):
            group.create_task(person(number, headers))
    seconds = time.perf_counter() - start
    *_, last = statistics.quantiles(taken, n=100)
    return [
        f"{len(taken) / seconds:.0f}",
        f"{statistics.median(taken) * 1e3:.0f}",
        f"{last * 1e3:.0f}",
        str(errors),
        f"{(cpu_seconds(pids) - cpu) / len(taken) * 1e3:.2f}",
        f"{(resident_bytes(pids) - memory) / len(people) / 1024:.0f}",
    ]


def measure() -> Section:
    lines, bars = [], {}
    with ExitStack() as stack:
        app, bare = stack.enter_context(ours()), stack.enter_context(peer("mounted"))
        callers = Callers(app.port)
        for server in (bare, app):  # once, uncounted: the first event loads what the others find loaded
            asyncio.run(all_of_them([side(server)], [callers.session("first")]))
        for count in PEOPLE:
            people = [callers.session(f"person-{number}") for number in range(count)]
            runs = {"bare Gradio": [side(bare)], "this app": [side(app)]}
            found = {name: asyncio.run(all_of_them(sides, people)) for name, sides in runs.items()}
            lines += [[str(count), name, *line] for name, line in found.items()]
            share = float(found["this app"][0]) / float(found["bare Gradio"][0])
            bars[f"{count} people, time"] = Spread(median=1 / share, low=1 / share, high=1 / share)
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        replicas = [stack.enter_context(ours(REDIS_URL=redis.url)) for _ in range(max(REPLICAS))]
        for count in REPLICAS:
            # A cookie is of one address: each person has that of the replica where a proxy would keep them.
            callers_of = [Callers(replica.port) for replica in replicas[:count]]
            people = [callers_of[number % count].session(f"person-{number}") for number in range(100)]
            line = asyncio.run(all_of_them([side(replica) for replica in replicas[:count]], people))
            lines.append(["100", f"{count} replicas with Redis", *line])
    head = ["people", "who", "events/s", "p50 ms", "p99 ms", "errors", "CPU ms an event", "KiB more a person"]
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    print(measure())
