"""Many signed-in people, each with queued events, beside bare Gradio on the same parts.

Each person joins the queue and reads the stream of their event until it has completed. What the machine has left
decides the throughput, so the CPU time of an event is told too: with replicas it is the same if they cost nothing.
Replicas share Redis and one machine; people are spread over them as by a proxy that keeps each at one.

At the end one person with fifty events: alone, beside another who always has one, and beside another who sends as many
as eight connections take, with the longest in place of p99. The goal for the last is twice the time of the others, at
most, and no error.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.measure import Section, Side, Spread, cpu_seconds, resident_bytes
from tests.bench.ours import Callers, ours, peer, side
from tests.support.servers import RedisServer, program

PEOPLE = (1, 10, 100, 500)
EVENTS = 200
"""At least so many in all."""
REPLICAS = (2, 4)
SECONDS_AT_MOST = 150.0
HONEST_EVENTS = 50
JOIN = "/gradio/gradio_api/queue/join"
FLOOD = """
local number = 0
wrk.headers["Content-Type"] = "application/json"
function request()
  number = number + 1
  local call = '{"data": ["x"], "event_data": null, "fn_index": 0, "session_hash": "' .. number .. '"}'
  return wrk.format("POST", nil, nil, call)
end
"""


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
    joined = await ask(side.url, headers, JOIN, json.dumps(call).encode())
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


async def honest(side: Side, headers: Mapping[str, str], busy: Mapping[str, str] | None = None) -> list[str]:
    """A line of the table, for events with a pause after each; `busy` always has one meanwhile."""

    async def events() -> None:
        assert busy
        while True:
            await event(side, busy, f"busy{time.time_ns()}")

    other = asyncio.ensure_future(events()) if busy else None
    cpu, taken = cpu_seconds(side.pids), []
    for number in range(HONEST_EVENTS):
        taken.append(await event(side, headers, f"honest{number}{time.time_ns()}"))
        await asyncio.sleep(0.05)
    if other:
        other.cancel()
    share = "" if busy else f"{(cpu_seconds(side.pids) - cpu) / len(taken) * 1e3:.2f}"
    return ["", f"{statistics.median(taken) * 1e3:.0f}", f"{max(taken) * 1e3:.0f}", "0", share, ""]


def beside_a_flood(side: Side, headers: Mapping[str, str], other: Mapping[str, str]) -> tuple[int, list[str]]:
    """How many events the other has sent meanwhile, and the line."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "flood.lua")
        script.write_text(FLOOD, "utf-8")
        sent = [part for name, value in other.items() for part in ("-H", f"{name}: {value}")]
        command = [program("wrk"), "-t1", "-c8", "-d300s", "-s", str(script), *sent, f"{side.url}{JOIN}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
            time.sleep(1)
            line = asyncio.run(honest(side, headers))
            flood.send_signal(signal.SIGINT)
            said, _ = flood.communicate()
    (number,) = re.findall(r"(\d+) requests in", said)
    return int(number), [*line[:4], "", ""]


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
        bob, other = callers.session("bob"), callers.session("other")
        alone, beside = (asyncio.run(honest(side(app), bob, busy)) for busy in (None, other))
        sent, flooded = beside_a_flood(side(app), bob, other)
        fifty = {"alone": alone, "beside one event": beside, f"beside {sent} sent": flooded}
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        replicas = [stack.enter_context(ours(REDIS_URL=redis.url)) for _ in range(max(REPLICAS))]
        for count in REPLICAS:
            # A cookie is of one address: each person has that of the replica where a proxy would keep them.
            callers_of = [Callers(replica.port) for replica in replicas[:count]]
            people = [callers_of[number % count].session(f"person-{number}") for number in range(100)]
            line = asyncio.run(all_of_them([side(replica) for replica in replicas[:count]], people))
            lines.append(["100", f"{count} replicas with Redis", *line])
    lines += [["1", f"this app, {name}", *line] for name, line in fifty.items()]
    head = ["people", "who", "events/s", "p50 ms", "p99 ms", "errors", "CPU ms an event", "KiB more a person"]
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    print(measure())
