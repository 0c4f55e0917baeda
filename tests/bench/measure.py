"""How everything here is measured: processes, the CPU time that they take, and ratios over interleaved rounds."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from tests.support.servers import program


@dataclass(frozen=True, kw_only=True)
class Side:
    """A server that is measured.

    Attributes:
        pids: its processes, whose CPU time is added up.
        headers: what its caller sends with every request.
    """

    url: str
    pids: Sequence[int]
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of so many rounds, and the range that the middle half of them lies in."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
        return cls(median=median, low=low, high=high)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def resident_bytes(pids: Iterable[int]) -> int:
    """The memory that these processes hold (proc_pid_statm(5))."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) for pid in pids) * os.sysconf(
        "SC_PAGESIZE"
    )


def cpu_seconds(pids: Iterable[int]) -> float:
    """What all threads of these processes have used so far, in user and system (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def cpu_of(pids: Sequence[int], work: Callable[[], int]) -> float:
    """Seconds of CPU that one piece of work takes these processes; `work` says how many it has done."""
    before, count = cpu_seconds(pids), 0
    while not count:  # on a busy machine a second can pass without an answer
        count = work()
    return (cpu_seconds(pids) - before) / count


def rounds(work: Mapping[str, Callable[[], float]], number: int) -> dict[str, list[float]]:
    """What each contender takes in each round. All take part in every round, in turns first; one more goes before,
    which does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in work}
    for this in range(number + 1):
        for name in list(work)[:: 1 if this % 2 else -1]:
            seconds = work[name]()
            if this:
                taken[name].append(seconds)
    return taken


def ratio(taken: Sequence[float], limit: Sequence[float]) -> Spread:
    """`taken` as a multiple of `limit`, round by round."""
    return Spread.of([one / other for one, other in zip(taken, limit, strict=True)])


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one bench found.

    Attributes:
        about: what was done, and how.
        bars: for the plot: multiples of the first limit, by what and who.
    """

    about: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    bars: Mapping[str, Spread]

    def __str__(self) -> str:
        """Markdown."""
        table = [self.head, ["---"] * len(self.head), *self.lines]
        return f"{self.about.strip()}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in table) + "\n"


def section(
    about: str,
    taken: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    limits: Sequence[str],
    goals: Mapping[str, float],
) -> Section:
    """CPU time as a multiple of that of others.

    Args:
        taken: seconds in each round, by what was done and who did it.
        limits: those that the others are set beside.
        goals: by what was done, or that and who: the multiple of the first limit to reach.
    """
    lines, bars = [], {}
    for work, sides in taken.items():
        for name, seconds in sides.items():
            ratios = [ratio(seconds, sides[limit]) for limit in limits]
            goal = goals.get(f"{work}, {name}") or (goals.get(work) if name not in limits else None)
            microseconds = f"{statistics.median(seconds) * 1e6:.0f}"
            lines.append([work, name, microseconds, *map(str, ratios), f"{goal:.2f}" if goal else ""])
            if name not in limits:
                bars[f"{work}, {name}"] = ratios[0]
    head = ["what", "who", "us of CPU", *(f"of {limit}" for limit in limits), "goal"]
    return Section(about=about, head=head, lines=lines, bars=bars)


def wrk(side: Side, path: str, *, seconds: int = 1, connections: int = 4, script: Sequence[str] = ()) -> int:
    """The number of requests that were answered, all of them well.

    Args:
        script: a Lua script of wrk's, and its arguments.
    """
    headers = [part for name, value in side.headers.items() for part in ("-H", f"{name}: {value}")]
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", *headers]
    command += ["-s", script[0]] if script else []
    said = subprocess.run(
        [*command, f"{side.url}{path}", "--", *script[1:]], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"(\d+) requests in", said)
    assert found and "Non-2xx" not in said and "Socket errors" not in said, f"{side.url}{path}: {said}"
    return int(found[1])


def run(name: str) -> Section:
    """One bench of this folder."""
    found: Section = import_module(f"tests.bench.{name}").measure()
    return found


def machine() -> str:
    """One line."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores of {model or platform.machine()}, {platform.system()} {platform.release()}"


def versions(*names: str) -> str:
    """One line: Python, and these packages."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])
