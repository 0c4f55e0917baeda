"""Sound settings for tests to change, and cookies as an app of such settings seals them."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from pydantic import SecretStr
from starlette.types import ASGIApp

from auth.providers import ProviderSettings
from auth.sessions import Revocations, SessionCookie, Sessions, cookie_name, session_signer
from auth.settings import Settings

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


def sessions_of(settings: Settings, revocations: Revocations, **options: Any) -> Sessions:
    """As an app of these settings has them."""
    chosen = {
        "entrance": [
            sorted(settings.allowed_emails),
            sorted(settings.allowed_domains),
            sorted(settings.allowed_groups),
        ],
        "lifetime": settings.session_hours * 3600,
        "idle": settings.session_idle_minutes * 60,
        "pictures": settings.profile_pictures,
    }
    return Sessions({one.name: one for one in settings.providers}, revocations, **chosen | options)


def session_cookie_of(settings: Settings, app: ASGIApp, **options: Any) -> SessionCookie:
    """The cookie's middleware, likewise."""
    return SessionCookie(
        app,
        site=settings.site,
        keys=settings.signing_keys,
        lifetime=settings.session_hours * 3600,
        same_site=settings.cookie_samesite,
        **options,
    )


def seal(settings: Settings, content: object) -> str:
    """A session cookie's value that the app itself could have made, whatever is in it."""
    return str(session_signer(settings.signing_keys).sign(b64encode(json.dumps(content).encode())), "ascii")


def unseal(settings: Settings, cookie: str) -> dict[str, Any]:
    return dict(json.loads(b64decode(session_signer(settings.signing_keys).unsign(cookie))))


def signed_cookie(settings: Settings, content: object) -> str:
    """The same as a `Cookie` header."""
    return f"{cookie_name(settings.site)}={seal(settings, content)}"
