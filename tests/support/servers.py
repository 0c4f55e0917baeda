"""Programs that the tests start, each on a free port with a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


def program(name: str) -> str:
    """Where a program of this machine is; the test is listed as not run where there is none, and fails under `CI`."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


class Server:
    """A program that listens on a port, for as long as the `with` lasts; its output is kept in `log`.

    Args:
        folder: where it runs; the top of the project where none is named.
    """

    def __init__(
        self, command: list[str], *, port: int, env: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self.port = port
        self._command = command
        self._cwd = folder
        self._env = {**os.environ, **(env or {})}
        self._folder = tempfile.TemporaryDirectory(prefix="server-")
        self.folder = Path(self._folder.name)
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._cwd, env=self._env, stdout=log, stderr=log)
        if wait:
            self.wait()
        return self

    def wait(self) -> None:
        """Until it accepts connections."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"{self._command[0]} ended: {self.log.read_text()[-3000:]}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise TimeoutError(f"{self._command[0]} does not listen: {self.log.read_text()[-3000:]}")

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait_for_end(self, seconds: float) -> int:
        """Its exit status."""
        assert self._process is not None
        return self._process.wait(seconds)

    def kill(self) -> None:
        """At once, with no word to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()


class RedisServer(Server):
    """Redis that keeps nothing on disk: killed and started again it is empty."""

    def __init__(self, *, password: str = "", port: int = 0) -> None:
        port = port or free_port()
        command = [
            program("redis-server"),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--daemonize",
            "no",
        ]
        super().__init__([*command, "--requirepass", password] if password else command, port=port)
        self.url = f"redis://:{password}@127.0.0.1:{port}/0" if password else f"redis://127.0.0.1:{port}/0"
