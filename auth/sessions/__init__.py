"""Sessions: the signed cookie, how long a session lives, and sessions ended early."""

from auth.sessions.cookie import SessionCookie, StepCookies, cookie_name, session_signer, validated
from auth.sessions.redis import RedisRevocations
from auth.sessions.revocations import MemoryRevocations, Revocations
from auth.sessions.session import Held, Person, Sessions

__all__ = [
    "Held",
    "MemoryRevocations",
    "Person",
    "RedisRevocations",
    "Revocations",
    "SessionCookie",
    "Sessions",
    "StepCookies",
    "cookie_name",
    "session_signer",
    "validated",
]
