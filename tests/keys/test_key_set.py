"""A key set that is kept fresh: when it is asked for, what is held, and what is said while it cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from auth.errors import KeysUnavailable, UnknownKey
from auth.keys.jwk import rs256_key
from auth.keys.key_set import JwksCache
from auth.web.fetch import FetchFailed
from tests.support.forge import jwk, key

pytestmark = pytest.mark.anyio


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
