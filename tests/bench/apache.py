"""Apache with mod_auth_openidc, from Debian's packages, in front of a server that knows nothing of sign-in."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers import Server, free_port, program

MODULES = ("mpm_event", "authn_core", "authz_core", "authz_user", "headers", "proxy", "proxy_http")
SETTINGS = """
{modules}
LoadModule auth_openidc_module /usr/lib/apache2/modules/mod_auth_openidc.so
User nobody
Group nogroup
ServerName 127.0.0.1
ServerRoot {folder}
PidFile {folder}/pid
Listen 127.0.0.1:{port}
ErrorLog {folder}/errors
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {client_secret}
OIDCScope "openid email profile"
OIDCPKCEMethod S256
OIDCRedirectURI http://127.0.0.1:{port}/callback
OIDCCryptoPassphrase {secret}
OIDCCookie session
<Location />
  AuthType openid-connect
  Require valid-user
  RequestHeader set X-Forwarded-Host 127.0.0.1:{port}
  ProxyPass http://127.0.0.1:{behind}/ flushpackets=on
  ProxyPassReverse http://127.0.0.1:{behind}/
</Location>
"""


class Apache(Server):
    """In front of what listens at the port `behind`."""

    def __init__(self, behind: int, **provider: str) -> None:
        port = free_port()
        super().__init__([program("apache2"), "-DFOREGROUND", "-f", "httpd.conf"], port=port)
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
        text = SETTINGS.format(modules=modules, folder=self.folder, port=port, behind=behind, **provider)
        (self.folder / "httpd.conf").write_text(text)
        self._command[-1] = str(self.folder / "httpd.conf")

    @property
    def pids(self) -> list[int]:
        """Its first process, and those that answer."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii")
        return [self.pid, *map(int, children.split())]
