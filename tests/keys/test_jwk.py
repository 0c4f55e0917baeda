"""Which keys of a set are taken, what they have signed, and which text is base64url."""

from __future__ import annotations

import itertools
from hashlib import sha256
from string import ascii_letters, digits
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth.keys.jwk import rs256_key, unbase64url
from tests.support.forge import base64url, jwk, key, number, rs256

SOUND = jwk("one", key("one"))
ABSENT: Any = object()


def but(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (SOUND | changes).items() if value is not ABSENT}


USABLE = {
    "as Cognito publishes it": SOUND,
    "without use": but(use=ABSENT),
    "without alg": but(alg=ABSENT),
    "with key_ops": but(use=ABSENT, key_ops=["verify"]),
    "with members that nobody knows": but(x=1, x5c=["MIIB"]),
    "of 4096 bits": jwk("one", key("of 4096 bits", bits=4096)),
}
UNUSABLE = {
    "kid is missing": but(kid=ABSENT),
    "kid is empty": but(kid=""),
    "kid is a number": but(kid=1),
    "kty is missing": but(kty=ABSENT),
    "kty is EC": but(kty="EC"),
    "kty is oct": {"kid": "one", "kty": "oct", "k": "c2VjcmV0"},
    "use is enc": but(use="enc"),
    "use is null": but(use=None),
    "alg is RS512": but(alg="RS512"),
    "alg is RSA-OAEP": but(alg="RSA-OAEP"),
    "alg is null": but(alg=None),
    "key_ops are others": but(key_ops=["encrypt"]),
    "key_ops are more": but(key_ops=["verify", "encrypt"]),
    "key_ops is a string": but(key_ops="verify"),
    "n is missing": but(n=ABSENT),
    "n is a number": but(n=65537),
    "n is empty": but(n=""),
    "n is padded": but(n=SOUND["n"] + "=="),
    "n is base64": but(n="+/" + SOUND["n"][2:]),
    "n is not ASCII": but(n="é" + SOUND["n"][1:]),
    "n has 1024 bits": jwk("one", key("of 1024 bits", bits=1024)),
    "n has 2047 bits": but(n=number(2**2046 + 1)),
    "n has 16384 bits": but(n=number(2**16383 + 1)),
    "e is missing": but(e=ABSENT),
    "e is one": but(e=number(1)),
    "e is three": jwk("one", key("with the exponent three", exponent=3)),
    "e is even": but(e=number(65538)),
    "e has 33 bits": but(e=number(2**32 + 1)),
    "e is as long as n": but(e=SOUND["n"]),
}


@pytest.mark.parametrize("name", USABLE)
def test_a_key_for_rs256_signatures_is_taken(name: str) -> None:
    kid, taken = rs256_key(USABLE[name]) or pytest.fail("refused")

    numbers = taken.public.public_numbers()
    assert (kid, numbers.n) == ("one", int.from_bytes(unbase64url(USABLE[name]["n"])))
    assert isinstance(numbers, RSAPublicNumbers) and numbers.e == 65537
    assert taken.length == (taken.public.key_size + 7) // 8


@pytest.mark.parametrize("name", UNUSABLE)
def test_any_other_key_is_left_out(name: str) -> None:
    assert rs256_key(UNUSABLE[name]) is None


def test_a_signature_has_the_length_of_its_key_and_every_octet_counts() -> None:
    private = key("one")
    texts = (str(number).encode() for number in itertools.count())
    signed, signature = next((text, made) for text in texts if (made := rs256(private, text.decode()))[0] == 0)
    public, digest = rs256_key(SOUND)[1], sha256(signed).digest()

    assert public.has_signed(digest, signature)
    assert not public.has_signed(digest, signature[1:]), "the same number, without its leading zero"
    assert not public.has_signed(digest, b"\0" + signature)
    assert not public.has_signed(digest, b"")
    assert not public.has_signed(sha256(b"another text").digest(), signature)
    others = (signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :] for at in range(len(signature)))
    assert not any(public.has_signed(digest, other) for other in others)


# -- base64url --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [b"", b"f", b"fo", b"foo", b"\xfb\xff\xbf", bytes(range(256))])
def test_base64url_comes_back_as_the_octets_it_was_made_of(octets: bytes) -> None:
    assert unbase64url(base64url(octets)) == octets


def test_base64url_has_its_64_characters_and_no_other() -> None:
    def taken(character: str) -> bool:
        try:
            return len(unbase64url(f"Zm{character}v")) == 3
        except ValueError:
            return False

    assert {character for character in map(chr, range(256)) if taken(character)} == {*ascii_letters, *digits, "-", "_"}


@pytest.mark.parametrize(
    "text",
    [
        "Z",
        "Zm9vY",
        "Zg==",
        "Zm8=",
        "Zh",
        "Zm9",
        "+/+/",
        "Zm9v\n",
        " Zm9v",
        "Zm 9v",
        "Zm\0v",
        "Zm\\u0039v",
        'Zm9v"',
        "Zm9é",
    ],
)
def test_what_is_not_canonical_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unbase64url(text)
