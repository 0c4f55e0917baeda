"""What `python app.py` says, on a terminal and into a log, and how it ends where it cannot start."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from tests.support.servers import ROOT, Server, free_port
from tests.support.settings import sound_settings
from ui.serving.start import introduction, sharing_workers, taken_port

LONG_ENOUGH = 60.0


class OnTerminal:
    """`python app.py` in front of a terminal, with nothing configured but the port."""

    def __init__(self, port: int, folder: Path) -> None:
        self._here, there = pty.openpty()
        self.text = ""
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PORT": str(port)}
        command = [sys.executable, str(ROOT / "app.py")]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=there, stdout=there, stderr=there, start_new_session=True
        )
        os.close(there)

    def read_until(self, text: str) -> str:
        deadline = time.monotonic() + LONG_ENOUGH
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text
        return self.text

    def rest(self) -> str:
        while self._read():
            pass
        return self.text

    def _read(self) -> bool:
        try:
            part = os.read(self._here, 65536)
        except OSError:  # nothing is at the other end any more
            return False
        self.text += part.decode().replace("\r\n", "\n")
        return bool(part)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._here)


@contextmanager
def on_terminal(port: int, folder: Path) -> Iterator[OnTerminal]:
    started = OnTerminal(port, folder)
    try:
        yield started
    finally:
        started.end()


def until_ready(port: int) -> None:
    """Until the app has asked its own issuers, which it would log if it could not."""
    deadline = time.monotonic() + LONG_ENOUGH
    while httpx2.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).json()["problems"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_on_a_terminal_it_says_that_something_happens_then_where_it_is_and_nothing_twice(tmp_path: Path) -> None:
    port = free_port()
    with on_terminal(port, tmp_path) as app:
        assert app.read_until("Loading Gradio").count("\n") <= 1
        text = app.read_until("local issuer (for development)\n")
        block = text[text.index("Open") :].splitlines()
        assert block[0] == f"Open http://127.0.0.1:{port} in a browser."
        with socket.create_connection(("127.0.0.1", port), timeout=5):  # it is said once it is so
            pass
        until_ready(port)
        app.process.send_signal(signal.SIGINT)
        text = app.rest()
        assert app.process.wait(LONG_ENOUGH) == 0
    assert text.count("http://127.0.0.1") == 1
    assert "Traceback" not in text
    said = [line for line in text.splitlines() if line.strip()]
    assert len(said) == len(set(said))
    assert len(said) <= 8


def test_ctrl_c_while_gradio_is_imported_is_quiet(tmp_path: Path) -> None:
    with on_terminal(free_port(), tmp_path) as app:
        app.read_until("Loading Gradio")
        app.process.send_signal(signal.SIGINT)
        assert app.process.wait(10) == 128 + signal.SIGINT
        assert app.rest().strip() == "Loading Gradio, which takes some seconds ..."


def test_a_taken_port_is_one_sentence_before_gradio_is_imported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with on_terminal(port, tmp_path) as app:
            text = app.rest()
            assert app.process.wait(LONG_ENOUGH) == 1
        assert text.startswith(f"Port {port} of 127.0.0.1 is taken")
        assert text.count("\n") == 1
        assert taken_port("127.0.0.1", port)
        assert taken_port("localhost", port)
        assert taken_port("0.0.0.0", port)
    assert taken_port("127.0.0.1", port) is None


WORKERS = """
import uvicorn
if __name__ == "__main__":
    uvicorn.run("app:create_app", factory=True, workers=2, port={port}, timeout_worker_healthcheck=15)
"""
UVICORN = ["uvicorn", "--factory", "app:create_app", "--port", "{port}", "--timeout-worker-healthcheck", "15"]
"""On a busy machine a worker takes longer to start than the 5 s after which it would be started anew, for ever."""

SERVERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "uvicorn": ([*UVICORN, "--workers", "2"], {}),
    "uvicorn by environment": (UVICORN, {"WEB_CONCURRENCY": "2"}),
    "uvicorn by function": (["serve"], {}),
    "gunicorn": (
        ["gunicorn", "app:create_app()", "-k", "uvicorn_worker.UvicornWorker", "-b", "127.0.0.1:{port}"],
        {"WEB_CONCURRENCY": "2"},
    ),
    "gunicorn that loads the app first": (
        ["gunicorn", "app:create_app()", "--preload", "-k", "asgi", "-w", "3", "-b", "127.0.0.1:{port}"],
        {},
    ),
}


@pytest.mark.parametrize(("module", "more"), SERVERS.values(), ids=SERVERS)
def test_several_workers_are_refused_in_words(tmp_path: Path, module: list[str], more: dict[str, str]) -> None:
    port = free_port()
    (tmp_path / "serve.py").write_text(WORKERS.format(port=port))
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}:{tmp_path}", **more}
    done = subprocess.run(
        [sys.executable, "-m", *(argument.format(port=port) for argument in module)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "The app runs in one worker: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_several_workers_of_granian_are_too(monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """Its workers are forks of the process that holds this."""

    class MPServer:
        def __init__(self) -> None:
            self.workers = workers

    monkeypatch.setitem(sys.modules, "granian.server.mp", SimpleNamespace(MPServer=MPServer))
    held = MPServer()
    assert bool(sharing_workers()) is (held.workers > 1)


def test_one_worker_of_gunicorn_serves() -> None:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "app:create_app()", "-k", "uvicorn_worker.UvicornWorker"]
    with Server([*command, "-b", f"127.0.0.1:{port}"], port=port):
        assert httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=60, trust_env=False).status_code == 200


def test_the_app_says_who_may_come_in_how() -> None:
    settings = sound_settings(
        public_url="https://app.example.com",
        allowed_emails=("ada@example.com",),
        allowed_domains=("corp.example",),
        allowed_groups=("staff",),
    )
    assert introduction(settings) == [
        "People: Acme",
        "May enter: ada@example.com, addresses in corp.example, the group staff",
        "Programs: none: no user pool is set",
    ]
    assert introduction(sound_settings(providers=())) == [
        "People: local accounts (for development: anybody can sign in as anybody)",
        "May enter: everybody who can sign in",
        "Programs: tokens of the local issuer (for development)",
    ]


def test_in_the_log_the_start_is_an_event_and_what_is_odd_a_warning(tmp_path: Path) -> None:
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(port), "ALLOWED_DOMAIN": "corp.com"}
    with subprocess.Popen(
        [sys.executable, str(ROOT / "app.py")], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as app:
        assert app.stderr is not None
        lines = []
        for line in app.stderr:
            lines.append(json.loads(line))
            if lines[-1]["level"] == "WARNING":
                break
        until_ready(port)
        app.terminate()
        lines += [json.loads(line) for line in app.stderr]
    (started,) = [line for line in lines if line.get("about") == {"event": "started"}]
    assert started["message"] == f"Open http://127.0.0.1:{port} in a browser."
    (warning,) = [line["message"] for line in lines if line["level"] == "WARNING"]
    assert re.fullmatch("ALLOWED_DOMAIN in the environment is no setting: ALLOWED_DOMAINS is.", warning)
    assert [line["about"]["event"] for line in lines if "event" in line.get("about", {})] == ["started", "stopping"]


def test_a_mistake_is_at_its_line_of_ones_own_file_with_this_host_in_a_folder_beside_it(tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    shutil.copy(ROOT / "app.py", host)
    for name in ("auth", "ui"):
        shutil.copytree(ROOT / name, host / name)
    (tmp_path / "demo.py").write_text("import gradio as gr\n\ngr.Interface(str, 'text', 'text').launch(none_such=1)\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORT": str(free_port())}
    command = [sys.executable, "host/app.py", "demo.py"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LONG_ENOUGH)
    assert "demo.py, line 3: TypeError: got an unexpected keyword argument 'none_such'" in ended.stderr


def test_without_its_libraries_it_says_where_to_get_them() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "app.py")], capture_output=True, text=True
    )  # no site-packages
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"No module named 'fastapi'. Install what it needs: {sys.executable} -m pip install -r {ROOT}" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_so_it_does_with_another_gradio_which_is_imported_once_the_settings_are_read(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "gradio").mkdir()
    (tmp_path / "gradio" / "__init__.py").touch()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "PORT": str(free_port())}
    command = [sys.executable, str(ROOT / "app.py"), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and "gradio" in done.stderr and f"pip install -r {ROOT}" in done.stderr
    done = subprocess.run(command, cwd=tmp_path, env=environment | {"PORT": "x"}, capture_output=True, text=True)
    assert "PORT=x: " in done.stdout + done.stderr and "gradio" not in done.stderr
