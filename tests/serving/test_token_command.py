"""`python app.py token`: from a shell to a token by way of the person's browser, and what is kept of it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from gradio_client import Client

from tests.support.app_server import AppServer
from tests.support.program import consent
from tests.support.provider import Provider
from ui.serving import token_command
from ui.serving.token_command import Saved, Token

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, people_tokens=True) as server:
        yield server


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's own configuration folder."""
    monkeypatch.delenv("APPDATA", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


class Person:
    """Somebody in front of their browser, which the command opens."""

    def __init__(self, server: AppServer, *, say: str = "agree") -> None:
        self.server = server
        self.say = say
        self.opened: list[str] = []
        self.change: Callable[[str], str] = lambda location: location

    def __call__(self, address: str) -> None:
        self.opened.append(address)
        threading.Thread(target=self._walk, args=(address,)).start()

    def _walk(self, address: str) -> None:
        url = urlsplit(address)
        with self.server.browser() as browser:
            answer = consent(browser, f"{url.path}?{url.query}", say=self.say)
        httpx2.get(self.change(answer.headers["location"]))


@pytest.fixture
def person(server: AppServer) -> Person:
    return Person(server)


def run(capsys: pytest.CaptureFixture[str], person: Person, *arguments: str, wait: float = 20.0) -> tuple[int, str]:
    status = token_command(["--url", person.server.url, *arguments], open_browser=person, wait_seconds=wait)
    said = capsys.readouterr()
    return status, said.out.strip() or said.err.strip()


def test_a_token_is_got_once_and_then_kept(
    capsys: pytest.CaptureFixture[str], person: Person, folder: Path, server: AppServer
) -> None:
    status, token = run(capsys, person)
    assert status == 0 and "\n" not in token
    me = httpx2.get(f"{server.url}/user/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert me["subject"] == "alice-1" and me["client"].startswith("Shell on ")
    assert run(capsys, person) == (0, token)
    (file,) = folder.rglob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert len(person.opened) == 1


@pytest.mark.parametrize("left", [-600, 30], ids=["has ended", "is about to end"])
def test_it_renews_by_itself(capsys: pytest.CaptureFixture[str], person: Person, folder: Path, left: int) -> None:
    run(capsys, person)
    (file,) = folder.rglob("*.json")
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "expires_at": int(time.time()) + left}))
    status, token = run(capsys, person)
    renewed = json.loads(file.read_text())
    assert status == 0 and renewed["access_token"] == token
    assert renewed["refresh_token"] != kept["refresh_token"]
    assert len(person.opened) == 1


KEPT: dict[str, Any] = {"url": "x", "client_id": "x", "access_token": "x", "refresh_token": "y", "expires_at": 0}
SPOILED = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "nested": "[" * 100_000,
    "not all of it": json.dumps({"expires_at": 9_999_999_999}),
    "another type": json.dumps({**KEPT, "expires_at": "x"}),
    "another program's": json.dumps(KEPT),
}


@pytest.mark.parametrize("kept", SPOILED.values(), ids=SPOILED)
def test_what_is_spoiled_or_ended_is_asked_for_anew(
    capsys: pytest.CaptureFixture[str], person: Person, folder: Path, kept: str
) -> None:
    run(capsys, person)
    (file,) = folder.rglob("*.json")
    file.write_text(kept)
    assert run(capsys, person)[0] == 0
    assert len(person.opened) == 2


def test_json_says_when_it_ends(capsys: pytest.CaptureFixture[str], person: Person, server: AppServer) -> None:
    said = json.loads(run(capsys, person, "--json")[1])
    assert sorted(said) == ["access_token", "expires_at", "token_type", "url"]
    assert (said["url"], said["token_type"]) == (server.url, "Bearer")


def test_to_forget_ends_it_there_and_here(
    capsys: pytest.CaptureFixture[str], person: Person, folder: Path, server: AppServer
) -> None:
    token = run(capsys, person)[1]
    assert run(capsys, person, "--forget") == (0, "")
    assert not list(folder.rglob("*.json"))
    answer = httpx2.get(f"{server.url}/user/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_gradio_client_calls_as_the_person(
    capsys: pytest.CaptureFixture[str], person: Person, server: AppServer
) -> None:
    token = run(capsys, person)[1]
    client = Client(f"{server.url}/gradio/", headers={"Authorization": f"Bearer {token}"}, verbose=False)
    assert "Alice Example" in client.predict(api_name="/greet")
    client.close()


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_who_does_not_agree_gets_no_token(capsys: pytest.CaptureFixture[str], server: AppServer, folder: Path) -> None:
    status, said = run(capsys, Person(server, say="refuse"))
    assert (status, said.splitlines()[-1]) == (1, "Nothing was agreed to: access_denied.")
    assert not list(folder.rglob("*.json"))


def changed(name: str, value: str | None) -> Callable[[str], str]:
    def change(location: str) -> str:
        base, _, query = location.partition("?")
        params = {**dict(parse_qsl(query)), name: value}
        return f"{base}?" + "&".join(f"{key}={said}" for key, said in params.items() if said is not None)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (changed("state", "guess"), "Nobody agreed in time."),
        (changed("state", None), "Nobody agreed in time."),
        (changed("iss", "https://evil.example"), "The answer came from somebody else."),
        (changed("iss", None), "The answer came from somebody else."),
        (changed("code", "code-injected"), "The app did not take its own code. Please try again."),
    ],
    ids=["another state", "no state", "another issuer", "no issuer", "another code"],
)
def test_another_answer_than_the_apps_own_is_none(
    capsys: pytest.CaptureFixture[str], person: Person, folder: Path, change: Callable[[str], str], sentence: str
) -> None:
    """Mix-up and code injection (RFC 9700 sections 4.4 and 4.5)."""
    person.change = change
    status, said = run(capsys, person, wait=2.0)
    assert (status, said.splitlines()[-1]) == (1, sentence)
    assert not list(folder.rglob("*.json"))


@pytest.mark.parametrize("url", ["http://app.example.com", "app.example.com", "https://x@app.example.com", "ftp://x"])
def test_an_address_where_a_token_could_be_read_on_the_way_is_refused(
    capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert token_command(["--url", url]) == 1
    assert "is no https address" in capsys.readouterr().err


def test_an_app_that_connects_nothing_says_so(
    capsys: pytest.CaptureFixture[str], app: AppServer, server: AppServer
) -> None:
    assert token_command(["--url", app.url]) == 1
    assert "PEOPLE_TOKENS is off" in capsys.readouterr().err
    other_name = server.url.replace("127.0.0.1", "localhost")
    assert token_command(["--url", other_name]) == 1
    assert f"calls itself {server.url}" in capsys.readouterr().err


NESTED = b'{"x": ' + b"[" * 100_000


class OddApp(ThreadingHTTPServer):
    """Answers what it is told to: `described` where it describes itself, `answer` to all that is posted."""

    described: object = None
    answer: tuple[int, object] = (200, {})

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _OddAnswer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        names = ("authorization", "token", "registration", "revocation")
        self.sound = {"issuer": self.url} | {f"{name}_endpoint": f"{self.url}/{name}" for name in names}


class _OddAnswer(BaseHTTPRequestHandler):
    server: OddApp

    def do_GET(self) -> None:
        self._say(200, self.server.described)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(*self.server.answer)

    def _say(self, status: int, content: object) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def odd() -> Iterator[OddApp]:
    with OddApp() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def complaint(capsys: pytest.CaptureFixture[str], url: str, *arguments: str) -> str:
    assert token_command(["--url", url, *arguments], open_browser=lambda url: None, wait_seconds=0.05) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    return said.err.strip()


@pytest.mark.parametrize("described", [b"<html>", [], None, "x", {}, b"\xff", pytest.param(NESTED, id="nested")])
def test_what_is_no_such_app_is_one_sentence(
    capsys: pytest.CaptureFixture[str], odd: OddApp, described: object
) -> None:
    odd.described = described
    assert complaint(capsys, odd.url) == f"What answers at {odd.url} is no such app."


@pytest.mark.parametrize("endpoint", ["::", 7, None, "relative"])
def test_so_is_one_that_names_no_addresses(capsys: pytest.CaptureFixture[str], odd: OddApp, endpoint: object) -> None:
    odd.described = odd.sound | {"registration_endpoint": endpoint}
    assert odd.url in complaint(capsys, odd.url)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((201, b"<html>"), "What answers at {} is no such app."),
        ((201, []), "What answers at {} is no such app."),
        ((201, {}), "What answers at {} is no such app."),
        ((429, {}), "The app at {} answered 429. Please try again later."),
        ((503, b""), "The app at {} answered 503. Please try again later."),
    ],
)
def test_so_is_an_answer_that_is_none(
    capsys: pytest.CaptureFixture[str], odd: OddApp, answer: tuple[int, object], sentence: str
) -> None:
    odd.described, odd.answer = odd.sound, answer
    assert complaint(capsys, odd.url) == sentence.format(odd.url)


def test_what_could_not_be_ended_is_not_forgotten(capsys: pytest.CaptureFixture[str], odd: OddApp) -> None:
    odd.described, odd.answer = odd.sound, (503, b"")
    kept = Saved(odd.url)
    kept.write(Token(**KEPT))
    assert "answered 503" in complaint(capsys, odd.url, "--forget")
    assert kept.path.exists()
    odd.answer = (400, {"error": "invalid_client"})  # it knows nothing of it any more
    assert token_command(["--url", odd.url, "--forget"]) == 0
    assert not kept.path.exists()


@pytest.mark.timeout(30)
def test_a_connection_that_says_nothing_holds_nobody_up(capsys: pytest.CaptureFixture[str], person: Person) -> None:
    with ExitStack() as held:

        def open_browser(address: str) -> None:
            callback = urlsplit(dict(parse_qsl(urlsplit(address).query))["redirect_uri"])
            held.enter_context(socket.create_connection(("127.0.0.1", callback.port)))
            person(address)

        assert token_command(["--url", person.server.url], open_browser=open_browser, wait_seconds=20.0) == 0
    assert capsys.readouterr().out.startswith("person-token-")


def test_a_token_that_cannot_be_kept_is_printed(
    capsys: pytest.CaptureFixture[str], person: Person, folder: Path
) -> None:
    (folder / "gradio-app-tokens").write_text("in the way")
    assert token_command(["--url", person.server.url], open_browser=person, wait_seconds=20.0) == 0
    said = capsys.readouterr()
    assert said.out.startswith("person-token-") and "not kept for the next time" in said.err


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str], server: AppServer) -> None:
    def give_up(address: str) -> None:
        raise KeyboardInterrupt

    assert token_command(["--url", server.url], open_browser=give_up) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_address_of_other_letters_is_that_of_its_host() -> None:
    assert Saved("https://bücher.example").url == "https://xn--bcher-kva.example"


def test_it_is_a_command_of_the_app(server: AppServer) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "token", "--help"], cwd=ROOT, env={**os.environ}, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--url" in done.stdout and "--forget" in done.stdout and "--json" in done.stdout
