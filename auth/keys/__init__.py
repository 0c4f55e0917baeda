"""The keys that issuers sign with (RFC 7517), fetched ahead of use and kept fresh."""

from auth.keys.jwk import RS256Key, decode_base64, is_base64url, rs256_key, unbase64url
from auth.keys.key_set import JwksCache

__all__ = ["JwksCache", "RS256Key", "decode_base64", "is_base64url", "rs256_key", "unbase64url"]
