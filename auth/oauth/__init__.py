"""Authlib's authorization server on Starlette: what every issuer in this app is built on."""

from auth.oauth.code_grant import S256, CodeGrant
from auth.oauth.seal import Seal
from auth.oauth.server import OAuthRequest, OAuthServer, body_of, params_of

__all__ = [
    "S256",
    "CodeGrant",
    "OAuthRequest",
    "OAuthServer",
    "Seal",
    "body_of",
    "params_of",
]
