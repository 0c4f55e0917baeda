"""One JSON Web Key, and the base64url that JOSE is written in."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

_OCTETS = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
decode_base64: Callable[[str], bytes] = _OCTETS.validator.validate_strings  # type: ignore[assignment]
"""The octets of base64url: five times as fast as binascii, and spare bits have to be zero (RFC 4648 section 3.5). But
`+`, `/` and `=` are taken too: see `is_base64url`."""


def is_base64url(text: str) -> bool:
    """False for the characters that base64url does not have (RFC 7515 section 2) and `decode_base64` takes."""
    return not ("+" in text or "/" in text or "=" in text)


def unbase64url(text: str) -> bytes:
    """The octets of canonical base64url: no padding, no white space, no spare bit set.

    Raises:
        ValueError.
    """
    if not is_base64url(text):
        raise ValueError("not base64url")
    return decode_base64(text)


PKCS1 = PKCS1v15()
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
"""What stands before a SHA-256 digest in a signature (RFC 8017 section 9.2, note 1)."""


class RS256Key(Struct, frozen=True, kw_only=True, gc=False):
    """A key for RS256 signatures (RFC 7518 section 3.3), and how many octets each of them has."""

    public: RSAPublicKey
    length: int

    def has_signed(self, digest: bytes, signature: bytes) -> bool:
        """Whether this is the signature of what has that SHA-256 digest.

        What it holds is compared with the one thing that it may hold, as RFC 8017 section 8.2.2 has it: nothing of it
        is parsed, and it takes a tenth less time than `verify`, which would hash once more.
        """
        if len(signature) != self.length:  # without a leading zero it would be the same number, and another text
            return False
        try:
            return self.public.recover_data_from_signature(signature, PKCS1, None) == SHA256_INFO + digest
        except InvalidSignature:
            return False


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


def rs256_key(jwk: Mapping[str, Any]) -> tuple[str, RS256Key] | None:
    """`(kid, key)` of a JWK, None where it is not for RS256 signatures, shorter than 2048 bits or malformed."""
    try:
        described = JWK.model_validate(jwk)
        n, e = (int.from_bytes(unbase64url(text)) for text in (described.n, described.e))
        key = RSAPublicNumbers(e, n).public_key()
    except ValueError:
        return None
    sane = key.key_size >= 2048 and 65537 <= e < 2**32  # SP 800-56B section 6.2 has 65537 as the least
    return (described.kid, RS256Key(public=key, length=-(-key.key_size // 8))) if sane else None
