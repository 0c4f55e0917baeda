"""LemonLDAP::NG, in Perl, from Debian's packages: a certified OpenID provider, with people of its own to sign in as.

Of the providers that tests start it differs most from the others: it announces `none` and HMAC among its algorithms and
`client_secret_post` before Basic, and says `consent_required` where others say `access_denied`.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.servers import Server, program

PORTAL = Path("/usr/share/lemonldap-ng/portal")
APPLICATION = f"""
use Plack::Builder;
use Lemonldap::NG::Portal;
builder {{
    enable "Static", path => qr{{^/static/}}, root => "{PORTAL}/htdocs/";
    enable "Static", path => qr{{^/javascript/}}, root => "/usr/share/";
    Lemonldap::NG::Portal->run({{}});
}};
"""
SETTINGS = """
[all]
logLevel = info
checkTime = 1
[configuration]
type = File
dirName = {folder}
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'configuration', 'cache_root' => '{folder}/cache', 'cache_depth' => 1 }}
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
"""
NAME = "dwho"
"""Of one of the people of its demonstration, and their password."""


class LemonLdap(Server):
    """One with a client: `the-app`, at `app`."""

    def __init__(self, app: str, *, client_secret: str, issuer: str) -> None:
        port = int(issuer.rpartition(":")[2])
        line = [program("starman"), "--listen", f"127.0.0.1:{port}", "--workers", "2", "app.psgi"]
        super().__init__(line, port=port)
        self._cwd = self.folder
        self._env["LLNG_DEFAULTCONFFILE"] = str(self.folder / "settings.ini")
        self.issuer = issuer
        self._app = app
        self._client_secret = client_secret
        self._number = 0
        for name in ("sessions", "persistent"):
            (self.folder / name / "lock").mkdir(parents=True)
        (self.folder / "app.psgi").write_text(APPLICATION)
        (self.folder / "settings.ini").write_text(SETTINGS.format(folder=self.folder))
        self.take_new_key()

    def take_new_key(self) -> None:
        """It signs with another key from now on, and publishes that one alone."""
        self._number += 1
        private, public = (self.folder / name for name in ("private.pem", "public.pem"))
        subprocess.run(["openssl", "genrsa", "-out", str(private), "2048"], check=True, capture_output=True)
        subprocess.run(
            ["openssl", "rsa", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True
        )
        text = json.dumps(self._configuration(private.read_text(), public.read_text()))
        (self.folder / f"lmConf-{self._number}.json").write_text(text)

    def _configuration(self, private: str, public: str) -> dict[str, Any]:
        def kept(name: str) -> dict[str, str]:
            return {"Directory": f"{self.folder}/{name}", "LockDirectory": f"{self.folder}/{name}/lock"}

        client = {
            "ClientID": "the-app",
            "ClientSecret": self._client_secret,
            "IDTokenSignAlg": "RS256",
            "RedirectUris": f"{self._app}/auth/lemon",
            "PostLogoutRedirectUris": f"{self._app}/logout",
            "RequirePKCE": 1,
            "UserIDAttr": "uid",
            "LogoutBypassConfirm": 1,
        }
        return {
            "cfgNum": self._number,
            "cfgDate": int(time.time()),
            "key": "a-key-for-its-own-cookies",
            "domain": "localhost",
            "portal": f"{self.issuer}/",
            "authentication": "Demo",
            "userDB": "Same",
            "demoExportedVars": {"cn": "cn", "mail": "mail", "uid": "uid"},
            "globalStorage": "Apache::Session::File",
            "globalStorageOptions": kept("sessions"),
            "persistentStorage": "Apache::Session::File",
            "persistentStorageOptions": kept("persistent"),
            "localSessionStorage": "Cache::FileCache",
            "localSessionStorageOptions": {"namespace": "sessions", "cache_root": f"{self.folder}/cache"},
            "locationRules": {"localhost": {"default": "accept"}},
            "issuerDBOpenIDConnectActivation": 1,
            "issuerDBOpenIDConnectPath": "^/oauth2/",
            "oidcServiceMetaDataIssuer": self.issuer,
            "oidcServicePrivateKeySig": private,
            "oidcServicePublicKeySig": public,
            "oidcServiceKeyIdSig": f"key-{self._number}",
            "oidcServiceAllowAuthorizationCodeFlow": 1,
            "oidcRPMetaDataOptions": {"app": {f"oidcRPMetaDataOptions{name}": value for name, value in client.items()}},
            "oidcRPMetaDataExportedVars": {"app": {"name": "cn", "email": "mail"}},
        }
