"""One JSON Web Key, and the base64url that JOSE is written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

decode_base64 = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64")).validator.validate_json
"""The octets of a JSON string in base64url: three times as fast as binascii, spare bits have to be zero (RFC 4648
section 3.5), but `+`, `/`, `=` and JSON's own escapes are taken too: see `is_base64url`."""


def is_base64url(text: str) -> bool:
    """False for the characters that base64url does not have (RFC 7515 section 2) and `decode_base64` takes."""
    return not ("+" in text or "/" in text or "=" in text or "\\" in text)


def unbase64url(text: str) -> bytes:
    """The octets of canonical base64url: no padding, no white space, no spare bit set.

    Raises:
        ValueError.
    """
    if not is_base64url(text):
        raise ValueError("not base64url")
    return decode_base64(f'"{text}"')  # type: ignore[no-any-return]


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
        n, e = (int.from_bytes(unbase64url(text)) for text in (described.n, described.e))
        key = RSAPublicNumbers(e, n).public_key()
    except ValueError:
        return None
    sane = key.key_size >= 2048 and 65537 <= e < 2**32  # SP 800-56B section 6.2 has 65537 as the least
    return (described.kid, key) if sane else None
