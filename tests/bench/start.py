"""The start, and memory at rest, beside bare Gradio: `python demo.py` with `launch()`, on the same parts.

CPU time from the start of the process to its first good answer, and the memory that it then holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx2

from tests.bench.measure import Section, Spread, cpu_seconds, ratio, resident_bytes
from tests.bench.ours import ours, peer
from tests.support.servers import Server

ROUNDS = 4
GOAL = 1.05


def started(make: Callable[[], AbstractContextManager[Server]], path: str) -> tuple[float, float, float]:
    """Seconds of CPU, seconds by the clock, bytes."""
    begun = time.perf_counter()
    with make() as server:
        httpx2.get(f"http://127.0.0.1:{server.port}{path}", timeout=60, trust_env=False).raise_for_status()
        return cpu_seconds([server.pid]), time.perf_counter() - begun, float(resident_bytes([server.pid]))


def measure(number: int = ROUNDS) -> Section:
    taken: dict[str, list[tuple[float, float, float]]] = {"bare Gradio": [], "this app": []}
    for this in range(number + 1):
        for name, made in {
            "bare Gradio": started(lambda: peer("launched"), "/"),
            "this app": started(ours, "/login-demo/"),
        }.items():
            if this:
                taken[name].append(made)
    lines, bars = [], {}
    for index, (what, unit) in enumerate({"CPU": 1.0, "clock": 1.0, "memory": 2.0**20}.items()):
        app, bare = ([one[index] for one in taken[name]] for name in ("this app", "bare Gradio"))
        bars[f"start, {what}"] = multiple = ratio(app, bare)
        ours_, theirs = (Spread.of(values).median / unit for values in (app, bare))
        lines.append([what, "MiB" if unit > 1 else "s", f"{ours_:.2f}", f"{theirs:.2f}", str(multiple), f"{GOAL}"])
    head = ["what", "in", "this app", "bare Gradio", "multiple", "goal"]
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    print(measure())
