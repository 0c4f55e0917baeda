"""What is sealed comes back, to this app, for this purpose, letter by letter."""

from __future__ import annotations

import pytest
from msgspec import Struct

from auth.oauth import Seal
from tests.support.settings import KEY, OLDER_KEY


class Coin(Struct, frozen=True):
    value: int


class Note(Struct, frozen=True):
    value: str


COIN = Coin(7)


def mint(*keys: str, purpose: str = "coins", prefix: str = "coin-") -> Seal[Coin]:
    return Seal(Coin, keys=keys or (KEY,), purpose=purpose, prefix=prefix)


def test_what_is_sealed_comes_back_and_shows_nothing() -> None:
    text = Seal(Note, keys=(KEY,), purpose="notes", prefix="").seal(Note("readable"))
    assert text == Seal(Note, keys=(KEY,), purpose="notes", prefix="").seal(Note("readable"))
    assert "readable" not in text and text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    assert mint().open(mint().seal(COIN)) == COIN


def test_an_older_key_still_opens_and_seals_no_more() -> None:
    old = mint(OLDER_KEY).seal(COIN)
    assert mint(KEY, OLDER_KEY).open(old) == COIN
    assert mint(KEY, OLDER_KEY).seal(COIN) == mint(KEY).seal(COIN) != old


@pytest.mark.parametrize(
    "stranger",
    [
        mint(OLDER_KEY),
        mint(purpose="other coins"),
        Seal(Note, keys=(KEY,), purpose="coins", prefix="coin-"),
    ],
    ids=["another key", "another purpose", "another shape"],
)
def test_it_opens_for_nobody_else(stranger: Seal[object]) -> None:
    assert stranger.open(mint().seal(COIN)) is None


def test_every_change_of_a_letter_is_noticed() -> None:
    text = mint().seal(COIN)
    for place in range(len(text)):
        for letter in "Ab-_9":
            changed = text[:place] + letter + text[place + 1 :]
            assert changed == text or mint().open(changed) is None, (place, letter)


@pytest.mark.parametrize("text", ["", "coin-", "coin-AA", "coin-%", "coin-é", "coin-A", None, 7, b"coin-AA", "coin-=="])
def test_what_is_no_text_of_ours_is_nothing(text: object) -> None:
    assert mint().open(text) is None


@pytest.mark.parametrize("more", ["=", "==", "\n", " ", "A"])
def test_a_value_has_one_text(more: str) -> None:
    assert mint().open(mint().seal(COIN) + more) is None
    assert mint().open(mint().seal(COIN).removeprefix("coin-")) is None
