"""The cookie: Starlette's signed session cookie, its name, and the keys that seal it."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner
from msgspec import convert
from msgspec.json import decode, encode
from starlette.middleware.sessions import SessionMiddleware
from starlette.types import ASGIApp

from auth.settings import Settings

KNOWN_COOKIES = 512

Shape = TypeVar("Shape")


class _Signer(TimestampSigner):
    """Takes only what is a JSON object inside: Starlette itself would fail on an authentic cookie of another shape.

    A cookie that was unsealed lately is known again, for a browser sends the same one many times; its age counts anew.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = lru_cache(maxsize=KNOWN_COOKIES)(self._unsealed)

    def _unsealed(self, signed_value: str | bytes) -> tuple[bytes, float]:
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        try:
            content = json.loads(base64.b64decode(value))
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise BadSignature("the cookie holds no JSON object")
        return value, signed_at.timestamp()

    def unsign(self, signed_value: str | bytes, max_age: int | None = None, *_: Any, **__: Any) -> Any:
        value, signed_at = self._known(signed_value)
        if max_age is not None and not 0 <= self.get_timestamp() - signed_at <= max_age:
            raise SignatureExpired("the cookie is too old, or from the future", payload=value)
        return value


def shaped(stored: object, kind: type[Shape]) -> Shape | None:
    """What the cookie holds, None where it is of another shape: it may be authentic and of another version.

    By way of JSON: to Python a lone surrogate is text and NaN is a number, and to nothing else.
    """
    try:
        return decode(encode(convert(stored, kind)), type=kind)
    except (ValueError, RecursionError):
        return None


def cookie_name(settings: Settings) -> str:
    """`__Host-` on https (RFC 6265bis section 4.1.3.2); apart for each app of one host, which share their cookies."""
    url = urlsplit(settings.base_url)
    place = url.path.strip("/").replace("/", "-") if settings.is_https else str(url.port or 80)
    return ("__Host-session" if settings.is_https else "session") + (f"-{place}" if place else "")


class SessionCookie(SessionMiddleware):
    """Starlette's session middleware with this app's cookie: several keys, of which the newest signs."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        super().__init__(
            app,
            secret_key="",
            session_cookie=cookie_name(settings),
            max_age=int(settings.session_hours * 3600),
            same_site=settings.cookie_samesite,
            https_only=settings.is_https,
            partitioned=settings.cookie_samesite == "none",
        )
        self.signer = session_signer(settings)


def session_signer(settings: Settings) -> TimestampSigner:
    return _Signer(settings.signing_keys, salt="session-cookie", digest_method=hashlib.sha256)
