"""An OpenID provider and a Cognito-like issuer for this machine only, when none is configured."""

from auth.local.cognito import LocalCognito
from auth.local.provider import LocalProvider

__all__ = ["LocalCognito", "LocalProvider"]
