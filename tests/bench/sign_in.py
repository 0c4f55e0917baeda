"""A whole sign-in, from `/login` to the page behind it, beside the one in Gradio's guide.

One provider stands in for both, apart from them. The app's own CPU time; its answers, and their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urljoin, urlsplit

import httpx2

from tests.bench.measure import Section, Side, Spread, cpu_seconds, ratio
from tests.bench.ours import BROWSER, ours, peer, side
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider

ROUNDS = 9
PAGE = {**BROWSER, "Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def walk(app: Side) -> tuple[float, int, int]:
    """Seconds of CPU, answers and bytes of the app, for one new browser."""
    answers = size = 0
    before, address = cpu_seconds(app.pids), f"{app.url}/login"
    with httpx2.Client(headers=PAGE, trust_env=False, timeout=30) as browser:
        while address:
            answer = browser.get(address)
            assert answer.status_code < 400, (address, answer.status_code, answer.text[:300])
            if address.startswith(app.url):
                answers += 1
                size += len(answer.content) + sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
            location = answer.headers.get("location", "")
            address = urljoin(address, location) if location else ""
        assert urlsplit(str(answer.url)).path == "/gradio/", answer.url
    return cpu_seconds(app.pids) - before, answers, size


@contextmanager
def both() -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        provider = stack.enter_context(Provider())
        settings = {"ISSUER": provider.issuer, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}
        named = {f"ACME_{name}": value for name, value in settings.items()}
        app = stack.enter_context(ours(PROVIDERS="acme", **named))
        guide = stack.enter_context(peer("guide", **settings))
        yield {"this app": side(app), "Gradio's guide": side(guide)}


def measure(number: int = ROUNDS) -> Section:
    with both() as sides:
        taken: dict[str, list[tuple[float, int, int]]] = {name: [] for name in sides}
        for this in range(number + 1):
            for name, app in sides.items():
                made = walk(app)
                if this:
                    taken[name].append(made)
    cpu = {name: [seconds for seconds, _, _ in made] for name, made in taken.items()}
    lines = [
        [name, f"{Spread.of(cpu[name]).median * 1e3:.1f}", str(answers), f"{size / 1024:.1f}"]
        for name, made in taken.items()
        for _, answers, size in made[-1:]
    ]
    head = ["who", "ms of the app's CPU", "answers", "KiB with heads"]
    bars = {"sign-in": ratio(cpu["this app"], cpu["Gradio's guide"])}
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    print(measure())
