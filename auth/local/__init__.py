"""An OpenID provider and a Cognito-like issuer for this machine only, when none is configured."""

from auth.local.cognito import LocalCognito
from auth.local.provider import LocalProvider
from auth.local.this_machine import ThisMachine

__all__ = ["LocalCognito", "LocalProvider", "ThisMachine"]
