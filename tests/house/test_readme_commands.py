"""What the README tells people to type does what it says, typed into a shell, against the app as they start it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from auth.settings import Settings
from tests.support.run_log import RUN

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"
"""As the README has it; the tests put a free port in its place."""


class Started:
    """`python app.py`, with nothing configured but the port, and what it writes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log"
        names = {name.upper() for name in Settings.model_fields}
        environ = {name: value for name, value in os.environ.items() if name not in names}
        command = README_START.replace("python", sys.executable, 1).split()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environ | {"PORT": str(port)}, stderr=log)

    def wait(self) -> None:
        until = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < until:
            try:
                httpx2.get(f"{self.url}/readyz", trust_env=False).raise_for_status()
                return
            except httpx2.HTTPError:
                time.sleep(0.2)
        raise AssertionError(self.log.read_text())


README_START = "python app.py"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    app = Started(tmp_path_factory.mktemp("started"))
    try:
        app.wait()
        yield app
    finally:
        app.process.terminate()
        app.process.wait(30)
        RUN.read(app.log)


def test_the_plain_lines_end_with_the_command_that_is_tested_here() -> None:
    lines = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert any(block.rstrip().endswith(f".venv/bin/{README_START}") for block in lines)
    assert README_START in (ROOT / "Makefile").read_text("utf-8")


def test_the_address_that_it_prints_is_where_it_is(started: Started) -> None:
    messages = [json.loads(line)["message"] for line in started.log.read_text().splitlines()]
    assert f"Open {started.url} in a browser." in messages


def test_one_curl_is_let_in_and_one_is_refused(started: Started) -> None:
    (block,) = (text for text in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in text)
    typed = block.replace(ADDRESS, started.url).replace("python3", sys.executable).replace("curl -H", "curl -s -H")
    done = subprocess.run(["bash", "-ec", typed.replace("#", "; echo #")], capture_output=True, text=True, check=True)
    let_in, refused = done.stdout.split("\n", 1)
    assert let_in == "true"
    assert json.loads(refused)["error"] == "invalid_token"


def test_the_log_of_a_sign_in_is_json_and_holds_no_code_no_state_and_no_token(started: Started) -> None:
    with httpx2.Client(base_url=started.url, trust_env=False) as browser:
        begun = browser.get("/login").headers["location"]
        choice = {"person": "ada@example.com"}
        back = browser.post(f"{started.url}/local/choose?{urlsplit(begun).query}", data=choice).headers["location"]
        assert browser.get(back).headers["location"] == f"{started.url}/gradio/"
        assert browser.get(back, headers={"Accept": "text/html"}).status_code == 400
        cookie = "".join(browser.cookies.values())
    lines = [json.loads(line) for line in started.log.read_text().splitlines()]
    events = {line["about"].get("event"): line["about"] for line in lines if "about" in line}
    assert events["sign_in"]["who"].startswith(f"{started.url}/local#")
    assert events["sign_in_refused"]["code"] == "sign_in_unknown"
    values = [part.partition("=")[2] for part in urlsplit(back).query.split("&") if not part.startswith("iss=")]
    for secret in (*values, cookie):
        assert secret not in started.log.read_text()
