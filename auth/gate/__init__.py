"""Who is calling, established once per request, and what is refused without an identity."""

from auth.gate.authentication import Authentication
from auth.gate.dependencies import JWTAuthorizationCredentials, JWTBearer, for_people, require_identity
from auth.gate.gate import CHECK_SECONDS, Gate

__all__ = [
    "CHECK_SECONDS",
    "Authentication",
    "Gate",
    "JWTAuthorizationCredentials",
    "JWTBearer",
    "for_people",
    "require_identity",
]
