from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from hashlib import sha256
from string import ascii_letters, digits
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth.errors import KeysUnavailable, UnknownKey
from auth.keys.jwk import rs256_key, unbase64url
from auth.keys.key_set import JwksCache
from auth.web.fetch import FetchFailed
from tests.support.forge import base64url, jwk, key, number, rs256

pytestmark = pytest.mark.anyio
SOUND = jwk("one", key("one"))
ABSENT: Any = object()


class Issuer:
    """A key set that a test changes, a clock that a test moves, and the times at which the set was asked for."""

    def __init__(self, *kids: str) -> None:
        self.now = 0.0
        self.document: dict[str, Any] = {"keys": [{"kid": kid} for kid in kids]}
        self.fault: Exception | None = None
        self.asked: list[float] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def fetch(self, url: str) -> dict[str, Any]:
        self.asked.append(self.now)
        await self.answers.wait()
        if self.fault:
            raise self.fault
        return self.document

    def keys(self) -> JwksCache[str]:
        return JwksCache("https://id.example/jwks", fetch=self.fetch, parse=named, now=lambda: self.now)


def named(jwk: Mapping[str, Any]) -> tuple[str, str] | None:
    return (jwk["kid"], f"the key {jwk['kid']}") if "kid" in jwk else None


@pytest.fixture
async def issuer() -> Issuer:
    return Issuer("one")


async def test_nothing_is_held_and_nothing_asked_before_the_first_step(issuer: Issuer) -> None:
    keys = issuer.keys()

    assert (dict(keys.keys), keys.get("one"), keys.ready, issuer.asked) == ({}, None, False, [])
    assert keys.problem == "https://id.example/jwks has not been asked yet; no keys are held"


async def test_the_first_step_loads_the_keys(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.refresh_when_due()

    assert (dict(keys.keys), keys.ready, keys.problem) == ({"one": "the key one"}, True, None)
    assert await keys.find("one") == keys.get("one") == "the key one"
    assert await keys.load() == keys.keys
    assert issuer.asked == [0]


async def test_what_is_no_object_in_a_set_is_passed_over(issuer: Issuer) -> None:
    issuer.document = {"keys": [None, 1, "kid", ["kid"], {"kid": "one"}]}

    assert await issuer.keys().load() == {"one": "the key one"}


async def test_what_is_held_cannot_be_changed_by_a_caller(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.refresh_when_due()

    with pytest.raises(TypeError):
        keys.keys["two"] = "mine"  # type: ignore[index]


async def test_the_keys_are_refreshed_every_five_minutes(issuer: Issuer) -> None:
    keys = issuer.keys()
    for second in range(0, 1000, 10):
        issuer.now = second
        await keys.refresh_when_due()

    assert issuer.asked == [0, 300, 600, 900]


async def test_load_asks_when_nothing_is_held_and_says_why_it_cannot_be_had(issuer: Issuer) -> None:
    keys = issuer.keys()
    assert await keys.load() == {"one": "the key one"}

    issuer.fault = FetchFailed("answered 500")
    with pytest.raises(KeysUnavailable, match="answered 500; no keys are held"):
        await issuer.keys().load()


async def test_an_unknown_kid_is_named_with_those_that_are_published(issuer: Issuer) -> None:
    keys = issuer.keys()

    with pytest.raises(UnknownKey) as caught:
        await keys.find("two")
    assert (caught.value.actual, caught.value.expected) == ("two", ["one"])


async def test_the_revision_changes_when_a_key_leaves_or_changes_and_only_then(issuer: Issuer) -> None:
    first, second, other = jwk("first", key("one")), jwk("second", key("two")), jwk("second", key("three"))
    documents = [[first], [first], [first, second], [second, first], [first, other], [other], [first, other]]
    revisions = []
    keys = JwksCache("https://id.example/jwks", fetch=issuer.fetch, parse=rs256_key, now=lambda: issuer.now)
    for document in documents:
        issuer.document, issuer.now = {"keys": document}, issuer.now + 300
        await keys.refresh_when_due()
        revisions.append(keys.revision)

    assert revisions == [0, 0, 0, 0, 1, 2, 2]


async def test_the_revision_changes_when_the_keys_have_become_too_old(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.refresh_when_due()
    issuer.fault = FetchFailed("answered 500")

    issuer.now = 24 * 3600 - 60
    await keys.refresh_when_due()
    assert (keys.revision, keys.ready) == (0, True)
    issuer.now = 24 * 3600
    await keys.refresh_when_due()
    assert (keys.revision, keys.ready) == (1, False)


async def test_keys_that_nothing_was_heard_of_for_a_day_are_not_held_even_where_nobody_asked(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.refresh_when_due()

    issuer.now = 24 * 3600 - 1
    assert (keys.get("one"), keys.ready) == ("the key one", True)
    issuer.now = 24 * 3600
    assert (keys.get("one"), keys.ready, dict(keys.keys)) == (None, False, {})


async def test_a_fetch_that_began_before_a_key_was_published_is_no_answer(issuer: Issuer) -> None:
    keys = issuer.keys()
    issuer.answers.clear()
    stale = asyncio.create_task(keys.refresh_when_due())
    await asyncio.sleep(0)
    found = asyncio.create_task(keys.find("two"))
    await asyncio.sleep(0)
    issuer.answers.set()
    await stale
    issuer.document = {"keys": [{"kid": "one"}, {"kid": "two"}]}

    assert await found == "the key two"
    assert len(issuer.asked) == 2


async def test_whatever_goes_wrong_in_a_fetch_is_told_and_the_next_one_is_made(issuer: Issuer) -> None:
    keys = issuer.keys()
    issuer.fault = RuntimeError("a fault of our own")
    await keys.refresh_when_due()
    assert keys.problem is not None and "a fault of our own" in keys.problem

    issuer.fault, issuer.now = None, 1.0
    await keys.refresh_when_due()
    assert keys.ready
    assert keys.problem is None


# -- one key ----------------------------------------------------------------------------------------------------------


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
