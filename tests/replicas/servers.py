"""Real servers for the tests, each on a free port with a folder of its own: Redis, nginx, and any program of ours."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auth.settings import ProviderSettings, Settings

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
TEMP = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


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
    """A program that listens on a port, for as long as the `with` lasts; its output is kept in `log`."""

    def __init__(self, command: list[str], *, port: int, env: Mapping[str, str] | None = None) -> None:
        self.port = port
        self._command = command
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
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
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


class Nginx(Server):
    """nginx with `deploy/nginx.conf`, on ports and with a certificate of its own.

    Args:
        replicas: the ports of the two replicas.
        location: what stands there for `location /`; `passes_to`: what for `http://app`.
    """

    def __init__(self, *replicas: int, location: str = "/", passes_to: str = "http://app") -> None:
        one, two = replicas
        port = free_port()
        super().__init__([], port=port)
        self.plain_port = free_port()
        self.certificate = self.folder / "fullchain.pem"
        make_certificate(self.certificate, self.folder / "privkey.pem")
        text = (ROOT / "deploy/nginx.conf").read_text("utf-8")
        for theirs, ours in {
            "worker_processes auto;": f"worker_processes 1; pid {self.folder}/pid; error_log stderr warn;",
            "access_log off;": "access_log off; "
            + " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in TEMP),
            "server app-1:8000": f"server 127.0.0.1:{one}",
            "server app-2:8000": f"server 127.0.0.1:{two}",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "/etc/nginx/certs/fullchain.pem": str(self.certificate),
            "/etc/nginx/certs/privkey.pem": str(self.folder / "privkey.pem"),
            "location / {": f"location {location} {{",
            "proxy_pass http://app;\n        }": f"proxy_pass {passes_to};\n        }}",
        }.items():
            assert text.count(theirs) == 1, theirs
            text = text.replace(theirs, ours)
        (self.folder / "nginx.conf").write_text(text)
        user = "user root; " if os.geteuid() == 0 else ""
        self._command = [program("nginx"), "-c", str(self.folder / "nginx.conf"), "-g", f"{user}daemon off;"]


def make_certificate(certificate: Path, key: Path) -> None:
    """One that nobody vouches for, for app.example.com and this machine."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app.example.com")])
    now = datetime.now(UTC)
    names = [x509.DNSName("app.example.com"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class Replica(Server):
    """A process of the app. `url`, `port` and `settings` are what `tests.support.app_server.Browser` asks of an app.

    Args:
        trusts: the proxy whose forwarded headers count; nginx of this machine where none is named.
    """

    def __init__(self, settings: Settings, *, provider: ProviderSettings, redis: str = "", trusts: str = "") -> None:
        port = free_port()
        self.settings = settings
        self.url = settings.base_url
        name = provider.name.upper()
        super().__init__(
            [sys.executable, "-m", "tests.replicas.replica"],
            port=port,
            env={
                "PORT": str(port),
                "PUBLIC_URL": settings.base_url,
                "SECRET_KEY": settings.secret_key.get_secret_value(),
                "PROVIDERS": provider.name,
                f"{name}_ISSUER": provider.issuer,
                f"{name}_CLIENT_ID": provider.client_id,
                f"{name}_CLIENT_SECRET": provider.client_secret.get_secret_value(),
                "REDIS_URL": redis,
                "FORWARDED_ALLOW_IPS": trusts,
            },
        )
        self._env["GRADIO_TEMP_DIR"] = str(self.folder / "gradio")

    @property
    def readiness(self) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", headers={"Host": urlsplit(self.url).netloc})
