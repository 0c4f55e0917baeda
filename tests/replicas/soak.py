"""A soak: `python -m tests.replicas.soak [seconds]` (300).

200 people at two replicas behind nginx run events, upload, leave and come back, while Redis is killed and brought back
in the middle. It fails on an answer that nobody expects, on an event that does not end, on somebody who is in after
having left, and when the replicas' memory at the end is more than a tenth above that after a fifth of the time.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2

from tests.replicas.conftest import House
from tests.replicas.servers import Replica
from tests.replicas.visitor import Visitor

PEOPLE = 200
THREADS = 12
PAUSE_SECONDS = 0.2
REDIS_AWAY_SECONDS = 10.0
GROWTH = 1.10
ANSWERED_IN_SECONDS = 1.0


class Soak:
    def __init__(self, house: House, seconds: float) -> None:
        self.house = house
        self.seconds = seconds
        self.stack = ExitStack()
        self.people = [self.stack.enter_context(Visitor(house.one, house.nginx)) for _ in range(PEOPLE)]
        self.locks = [threading.Lock() for _ in range(PEOPLE)]
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.redis_is_up = True
        self.took: list[float] = []

    def run(self) -> bool:
        """Whether all went as it should."""
        empty = memory(self.house)
        with self.stack, ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self._comes, self.people))
            print(f"{PEOPLE} people are in; {(memory(self.house) - empty) / PEOPLE / 1024:.1f} KB of memory for each")
            begun = time.monotonic()
            for _ in range(THREADS):
                threads.submit(self._live, begun + self.seconds)
            self._until(begun + self.seconds / 5)
            settled = memory(self.house)
            self._until(begun + self.seconds / 2)
            self.redis_is_up = False
            self.house.redis.kill()
            self._until(begun + self.seconds / 2 + min(REDIS_AWAY_SECONDS, self.seconds / 5))
            self.house.redis.start()
            time.sleep(5)
            self.redis_is_up = True
            self._until(begun + self.seconds)
        ended = memory(self.house)
        print(f"done: {dict(self.done)}")
        print(f"unexpected: {dict(self.wrong) or 'nothing'}")
        if self.took:
            self.took.sort()
            half, most = self.took[len(self.took) // 2], self.took[-1]
            print(f"sign-out to refusal on the other replica: median {half:.4f} s, maximum {most:.4f} s")
        print(f"memory: {settled / 2**20:.0f} MB after a fifth, {ended / 2**20:.0f} MB at the end")
        print(f"events lost: {self.done['events begun'] - self.done['events ended']}")
        return not self.wrong and ended <= settled * GROWTH

    def _until(self, moment: float) -> None:
        while (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, 10))
            print(f"  {memory(self.house) / 2**20:.0f} MB, {sum(self.done.values())} done", flush=True)

    def _live(self, until: float) -> None:
        acts: list[Callable[[Visitor], None]] = [self._asks, self._asks, self._uploads, self._leaves]
        choose = random.Random(threading.get_ident())
        while time.monotonic() < until:
            number = choose.randrange(PEOPLE)
            act = choose.choice(acts)
            if self.locks[number].acquire(blocking=False):
                try:
                    act(self.people[number])
                except (AssertionError, httpx2.HTTPError, KeyError, StopIteration) as error:
                    self.wrong[f"{act.__name__}: {type(error).__name__}: {str(error)[:200]}"] += 1
                finally:
                    self.locks[number].release()
            time.sleep(PAUSE_SECONDS * choose.random() * 2)

    def _comes(self, visitor: Visitor) -> None:
        visitor.get("/login-demo/")
        visitor.sign_in()
        assert visitor.who() is not None
        self.done["came"] += 1

    def _asks(self, visitor: Visitor) -> None:
        self.done["events begun"] += 1
        messages = visitor.run("count", 5, 0.02)
        assert [kind for kind, _ in messages] == ["generating"] * 5 + ["complete"], messages
        self.done["events ended"] += 1

    def _uploads(self, visitor: Visitor) -> None:
        content = random.Random(time.monotonic()).randbytes(20_000).hex()
        path = visitor.upload(content.encode())
        self.done["events begun"] += 1
        ((kind, value),) = visitor.run("look_at", {"path": path, "meta": {"_type": "gradio.FileData"}})
        assert (kind, value) == ("complete", [content])
        self.done["events ended"] += 1
        self.done["uploads"] += 1

    def _leaves(self, visitor: Visitor) -> None:
        with ExitStack() as stack:
            copies = []
            for replica in self.house.replicas:
                copy = stack.enter_context(Visitor(replica, replica))
                copy.cookie = visitor.cookie
                copies.append(copy)
            was_up = self.redis_is_up
            visitor.sign_out()
            begun = time.monotonic()
            refused = [copy.who() is None for copy in copies]
            assert any(refused), "in after sign-out, where that was"
            while was_up and self.redis_is_up and not all(refused):
                assert time.monotonic() - begun < ANSWERED_IN_SECONDS, "in after sign-out, on the other replica"
                refused = [copy.who() is None for copy in copies]
            if all(refused):
                self.took.append(time.monotonic() - begun)
        self.done["left"] += 1
        self._comes(visitor)


def memory(house: House) -> int:
    """Resident bytes of both replicas."""
    return sum(_resident(replica) for replica in house.replicas)


def _resident(replica: Replica) -> int:
    (line,) = (
        line for line in Path(f"/proc/{replica.pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) * 1024


def main() -> int:
    seconds = float(next(itertools.islice(sys.argv, 1, None), "300"))
    house = House()
    with ExitStack() as stack:
        for server in (house.provider, house.redis):
            stack.enter_context(server)
        for replica in house.replicas:
            stack.callback(replica.close)
            replica.start(wait=False)
        for replica in house.replicas:
            replica.wait()
        stack.enter_context(house.nginx)
        return 0 if Soak(house, seconds).run() else 1


if __name__ == "__main__":
    sys.exit(main())
