"""One JSON Web Key, and the base64url that JOSE is written in."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_letters, digits
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_ALPHABET = f"{ascii_letters}{digits}-_".encode()
_ONLY_ALPHABET = bytes(octet if octet in _ALPHABET else ord("!") for octet in range(256))
_base64url = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64")).validator.validate_json


def unbase64url(text: bytes) -> bytes:
    """The octets of canonical base64url (RFC 7515 section 2): no padding, no white space, spare bits zero.

    Raises:
        ValueError.
    """
    # pydantic decodes JSON strings, three times as fast as binascii, and is lenient about `+`, `/`, `=` and escapes:
    # all of these become "!", which it takes for nothing.
    return _base64url(b'"%b"' % text.translate(_ONLY_ALPHABET))  # type: ignore[no-any-return]


class JWK(BaseModel):
    """An RSA public key for RS256 signatures (RFC 7517 section 4, RFC 7518 section 6.3.1)."""

    model_config = ConfigDict(frozen=True, strict=True)

    kid: str = Field(min_length=1)
    kty: Literal["RSA"]
    use: Literal["sig"] = "sig"
    alg: Literal["RS256"] = "RS256"
    key_ops: list[Literal["verify"]] = ["verify"]
    n: str = Field(max_length=1366)  # 8192 bits: a longer one would take too long to verify with
    e: str


def rsa_key(jwk: Mapping[str, Any]) -> tuple[str, RSAPublicKey] | None:
    """`(kid, key)` of a JWK, None where it is not for RS256 signatures, shorter than 2048 bits or malformed."""
    try:
        described = JWK.model_validate(jwk)
        n, e = (int.from_bytes(unbase64url(text.encode())) for text in (described.n, described.e))
        key = RSAPublicNumbers(e, n).public_key()
    except ValueError:
        return None
    sane = key.key_size >= 2048 and 65537 <= e < 2**32  # SP 800-56B section 6.2 has 65537 as the least
    return (described.kid, key) if sane else None
