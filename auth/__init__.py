"""Sign-in for people, tokens for programs: see README.md beside this file."""

from auth.access import Access
from auth.assembly import Auth
from auth.errors import AuthError
from auth.gate import JWTAuthorizationCredentials, JWTBearer, require_identity
from auth.identity import Identity, identity_of
from auth.settings import NotStarted, Settings, SettingsError

__all__ = [
    "Access",
    "Auth",
    "AuthError",
    "Identity",
    "JWTAuthorizationCredentials",
    "JWTBearer",
    "NotStarted",
    "Settings",
    "SettingsError",
    "identity_of",
    "require_identity",
]
