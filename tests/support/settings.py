"""Sound settings for tests to change, and cookies as an app of such settings seals them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from pydantic import SecretStr

from auth.sessions import cookie_name, session_signer
from auth.settings import ProviderSettings, Settings

KEY = "kQ7vX2mPz9RtB4nWc6LyH8sDf3GjA5eU"
OLDER_KEY = "T3bYw8KxN5dMq7ZpVr2JhF6uEs9LgC4a"
ACME = ProviderSettings(
    name="acme",
    issuer="https://id.acme.example",
    client_id="the-app",
    client_secret=SecretStr("hush-provider-secret"),
    label="Acme",
)


def sound_settings(**changes: Any) -> Settings:
    """Settings of an app on this machine that people enter through `acme`; nothing is read from a file."""
    chosen = {"host": "127.0.0.1", "port": 8000, "public_url": "", "secret_key": KEY, "providers": (ACME,)} | changes
    return Settings(_env_file=None, **chosen)


def seal(settings: Settings, content: object) -> str:
    """A session cookie's value that the app itself could have made, whatever is in it."""
    return str(session_signer(settings).sign(b64encode(json.dumps(content).encode())), "ascii")


def unseal(settings: Settings, cookie: str) -> dict[str, Any]:
    return dict(json.loads(b64decode(session_signer(settings).unsign(cookie))))


def signed_cookie(settings: Settings, content: object) -> str:
    """The same as a `Cookie` header."""
    return f"{cookie_name(settings)}={seal(settings, content)}"
