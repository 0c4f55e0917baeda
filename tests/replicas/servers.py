"""What stands between people and the app, and the app itself, as processes: nginx and replicas."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auth.providers import ProviderSettings
from auth.settings import Settings
from tests.support.run_log import RUN
from tests.support.servers import ROOT, Server, free_port, program
from ui.serving.server import HEAD_SECONDS

TEMP = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(Server):
    """nginx with `deploy/nginx.conf`, on ports and with a certificate of its own.

    Args:
        replicas: the ports of the two replicas.
        location: what stands there for `location /`; `passes_to`: what for `http://app`.
        port: where it listens for https; a free one where none is named.
        changes: what else stands there for something.
    """

    def __init__(
        self,
        *replicas: int,
        location: str = "/",
        passes_to: str = "http://app",
        port: int = 0,
        changes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        one, two = replicas
        port = port or free_port()
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
            **changes,
        }.items():
            assert text.count(theirs) == 1, theirs
            text = text.replace(theirs, ours)
        (self.folder / "nginx.conf").write_text(text)
        user = "user root; " if os.geteuid() == 0 else ""
        self._command = [program("nginx"), "-c", str(self.folder / "nginx.conf"), "-g", f"{user}daemon off;"]


class PlainNginx(Server):
    """nginx with one `proxy_pass` to a port of this machine.

    Args:
        also: what else its location says.
    """

    def __init__(self, to: int, *, also: str = "") -> None:
        port = free_port()
        super().__init__([], port=port)
        temp = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in TEMP)
        location = f"location / {{ proxy_pass http://127.0.0.1:{to}; {also} }}"
        (self.folder / "nginx.conf").write_text(
            f"worker_processes 1; pid {self.folder}/pid; error_log stderr warn; events {{}}\n"
            f"http {{ access_log off; {temp} server {{ listen 127.0.0.1:{port}; {location} }} }}\n"
        )
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
        head_seconds: how long the head of a request may take.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        provider: ProviderSettings,
        redis: str = "",
        trusts: str = "",
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        port = free_port()
        self.settings = settings
        self.url = settings.base_url
        name = provider.name.upper()
        super().__init__(
            [sys.executable, "app.py", "tests/replicas/replica.py"],
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
                "PEOPLE_TOKENS": "true",
                "FORWARDED_ALLOW_IPS": trusts,
                "REPLICA_HEAD_SECONDS": str(head_seconds),
            },
        )
        self._env["GRADIO_TEMP_DIR"] = str(self.folder / "gradio")

    def close(self) -> None:
        self.stop()
        RUN.note_settings(self.settings)
        if self.log.exists():
            RUN.read(self.log)
        super().close()

    @property
    def readiness(self) -> httpx2.Response:
        return httpx2.get(f"http://127.0.0.1:{self.port}/readyz", headers={"Host": urlsplit(self.url).netloc})
