"""Values that only this app can make and read, as text: what would otherwise be a row in a database."""

import base64
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import MsgspecError, msgpack

Value = TypeVar("Value")

KEY_BYTES = 64


class Seal(Generic[Value]):
    """Seals values of one kind. The same value is the same text each time (AES-SIV, RFC 5297).

    Args:
        kind: the type of the values.
        keys: what the keys are derived from (RFC 5869), the one that seals first; the others still open.
        purpose: keeps apart what is sealed for different ends and by different apps with the same keys.
        prefix: what the text begins with.
    """

    def __init__(self, kind: type[Value], *, keys: Sequence[str], purpose: str, prefix: str) -> None:
        self._decoder: msgpack.Decoder[Value] = msgpack.Decoder(kind)
        self._prefix = prefix
        self._ciphers = [
            AESSIV(HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key.encode())) for key in keys
        ]

    def seal(self, value: Value) -> str:
        """URL-safe text (RFC 4648 section 5), without padding, after the prefix."""
        octets = self._ciphers[0].encrypt(msgpack.encode(value), None)
        return self._prefix + base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    def open(self, text: Any) -> Value | None:
        """What was sealed; None for anything else."""
        if not isinstance(text, str) or not text.startswith(self._prefix):
            return None
        encoded = text.removeprefix(self._prefix)
        try:
            octets = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError:
            return None
        if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != encoded:  # one text for each value
            return None
        for cipher in self._ciphers:
            try:
                return self._decoder.decode(cipher.decrypt(octets, None))
            except (InvalidTag, ValueError, MsgspecError):  # another key; too short; another version of this app
                continue
        return None
