"""A whole sign-in, from the address that begins it to the page behind it, beside others.

One provider stands in for all, apart from them. CPU time of the app, and of Apache where that stands in front of it;
their answers, and the bytes of these. The first sight of the sign-in page is Chromium's first contentful paint, with
nothing kept from before; the guide and mod_auth_openidc have no such page, and bare Gradio's page stands for any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from urllib.parse import urljoin, urlsplit

import httpx2
from playwright.sync_api import sync_playwright

from tests.bench.apache import Apache
from tests.bench.measure import Section, Side, Spread, cpu_seconds, ratio
from tests.bench.ours import BROWSER, ours, peer, side
from tests.support.provider import CLIENT_ID, CLIENT_SECRET, Provider

ROUNDS = 9
PAGE = {**BROWSER, "Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
STARTS = {
    "this app": "/login",
    "Gradio's guide": "/login",
    "gradiologin": "/login/acme",
    "mod_auth_openidc": "/gradio/",
}
SIGHTS = {"this app": "/login-demo/", "gradiologin": "/login", "bare Gradio, its page": "/gradio/"}


def walk(app: Side, start: str) -> tuple[float, int, int, str]:
    """Seconds of CPU, answers and bytes of the app, for one new browser; the cookie that it has then."""
    answers = size = 0
    before, address = cpu_seconds(app.pids), f"{app.url}{start}"
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
        cookie = "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar if one.path == "/")
    return cpu_seconds(app.pids) - before, answers, size, cookie


@contextmanager
def behind_apache(provider: Provider) -> Iterator[Side]:
    """Bare Gradio, with Apache in front."""
    with ExitStack() as stack:
        bare = stack.enter_context(peer("mounted", "plain"))
        secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "secret": CLIENT_SECRET}
        apache = Apache(bare.port, issuer=provider.issuer, **secrets)
        stack.enter_context(apache)
        yield Side(url=f"http://127.0.0.1:{apache.port}", pids=[bare.pid, *apache.pids], headers=BROWSER)


@contextmanager
def sides() -> Iterator[dict[str, Side]]:
    with ExitStack() as stack:
        provider = stack.enter_context(Provider())
        settings = {"ISSUER": provider.issuer, "CLIENT_ID": CLIENT_ID, "CLIENT_SECRET": CLIENT_SECRET}
        named = {f"ACME_{name}": value for name, value in settings.items()}
        yield {
            "this app": side(stack.enter_context(ours(PROVIDERS="acme", **named))),
            "Gradio's guide": side(stack.enter_context(peer("guide", "plain", **settings))),
            "gradiologin": side(stack.enter_context(peer("gradiologin", "plain", **settings))),
            "mod_auth_openidc": stack.enter_context(behind_apache(provider)),
            "bare Gradio, its page": side(stack.enter_context(peer("mounted", "plain"))),
        }


def sights(apps: Mapping[str, Side], number: int) -> dict[str, Spread]:
    """Milliseconds to the first contentful paint."""
    taken: dict[str, list[float]] = {name: [] for name in SIGHTS}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for this in range(number + 1):
            for name, path in SIGHTS.items():
                page = browser.new_context().new_page()
                page.goto(f"{apps[name].url}{path}")
                page.wait_for_function(PAINT)
                if this:
                    taken[name].append(page.evaluate(PAINT))
                page.context.close()
        browser.close()
    return {name: Spread.of(milliseconds) for name, milliseconds in taken.items()}


def measure(number: int = ROUNDS) -> Section:
    with sides() as apps:
        cpu: dict[str, list[float]] = {name: [] for name in STARTS}
        sizes = {}
        for this in range(number + 1):
            for name, start in STARTS.items():
                seconds, *sizes[name], _ = walk(apps[name], start)
                if this:
                    cpu[name].append(seconds)
        seen = sights(apps, number)
    lines = []
    for name in apps:
        answers, size = sizes.get(name, ("", 0))
        taken = f"{Spread.of(cpu[name]).median * 1e3:.1f}" if name in cpu else ""
        sight = f"{seen[name].median:.0f} ({seen[name].low:.0f} to {seen[name].high:.0f})" if name in seen else ""
        lines.append([name, taken, str(answers), f"{size / 1024:.1f}" if size else "", sight])
    head = ["who", "ms of CPU", "answers", "KiB with heads", "ms to the first sight of the sign-in page"]
    bars = {"sign-in": ratio(cpu["this app"], cpu["Gradio's guide"])}
    return Section(about=__doc__ or "", head=head, lines=lines, bars=bars)


if __name__ == "__main__":
    print(measure())
