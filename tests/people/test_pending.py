"""Sign-ins under way: what is kept of them in the browser's cookie, how long, and what else may stand in its place."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from auth.errors import SignInTimedOut, SignInUnknown
from auth.people.pending import begin_sign_in, take_sign_in
from tests.support.clock import NOW
from tests.support.house import House
from tests.support.strange import ANY_TEXT, STRANGE


@pytest.fixture
def house() -> House:
    return House()


def test_a_sign_in_comes_back_with_what_it_was_begun_with(house: House) -> None:
    session: dict[str, Any] = {}
    state, begun = begin_sign_in(session, "acme", "/gradio/?x=1", now=house.clock())
    assert (begun.provider, begun.next, begun.at) == ("acme", "/gradio/?x=1", NOW)
    assert take_sign_in(session, state, "acme", now=house.clock()) == begun


def test_what_binds_a_sign_in_to_the_browser_is_new_each_time_and_well_formed(house: House) -> None:
    begun = [begin_sign_in({}, "acme", "", now=house.clock()) for _ in range(50)]
    assert len({state for state, _ in begun}) == len({one.code_verifier for _, one in begun}) == 50
    assert len({one.nonce for _, one in begun}) == 50
    for state, one in begun:
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", one.code_verifier)  # RFC 7636 section 4.1
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", one.nonce)
        assert len(state) >= 22
        for shown in (one.nonce.encode(), base64.urlsafe_b64decode(one.nonce + "==")):
            assert shown not in one.code_verifier.encode()
        assert state not in one.code_verifier


def test_a_sign_in_is_used_once(house: House) -> None:
    session: dict[str, Any] = {}
    state, _ = begin_sign_in(session, "acme", "", now=house.clock())
    take_sign_in(session, state, "acme", now=house.clock())
    with pytest.raises(SignInUnknown):
        take_sign_in(session, state, "acme", now=house.clock())


@pytest.mark.parametrize("state", ["", "another", "provider", "0"])
def test_a_state_that_was_never_sent_is_unknown(house: House, state: str) -> None:
    session: dict[str, Any] = {}
    begin_sign_in(session, "acme", "", now=house.clock())
    with pytest.raises(SignInUnknown):
        take_sign_in(session, state, "acme", now=house.clock())


def test_a_sign_in_belongs_to_the_browser_that_began_it(house: House) -> None:
    state, _ = begin_sign_in({}, "acme", "", now=house.clock())
    with pytest.raises(SignInUnknown):
        take_sign_in({}, state, "acme", now=house.clock())


def test_a_sign_in_ends_with_the_provider_it_was_begun_with(house: House) -> None:
    session: dict[str, Any] = {}
    state, begun = begin_sign_in(session, "acme", "", now=house.clock())
    with pytest.raises(SignInUnknown):
        take_sign_in(session, state, "other", now=house.clock())
    assert take_sign_in(session, state, "acme", now=house.clock()) == begun


def test_a_sign_in_has_a_quarter_of_an_hour(house: House) -> None:
    session: dict[str, Any] = {}
    first, _ = begin_sign_in(session, "acme", "", now=house.clock())
    second, _ = begin_sign_in(session, "acme", "", now=house.clock())
    house.clock.advance(15 * 60)
    assert take_sign_in(session, first, "acme", now=house.clock())
    house.clock.advance(1)
    with pytest.raises(SignInTimedOut):
        take_sign_in(session, second, "acme", now=house.clock())
    with pytest.raises(SignInUnknown):
        take_sign_in(session, second, "acme", now=house.clock())


def test_twenty_sign_ins_at_once_are_kept_and_the_oldest_makes_room_for_more(house: House) -> None:
    session: dict[str, Any] = {}
    states = [begin_sign_in(session, "acme", "", now=house.clock())[0] for _ in range(21)]
    with pytest.raises(SignInUnknown):
        take_sign_in(session, states[0], "acme", now=house.clock())
    for state in states[1:]:
        assert take_sign_in(session, state, "acme", now=house.clock())


def test_long_addresses_to_return_to_leave_the_newest_sign_ins(house: House) -> None:
    session: dict[str, Any] = {}
    states = [begin_sign_in(session, "acme", "/" + "x" * 1023, now=house.clock())[0] for _ in range(5)]
    assert len(take_sign_in(session, states[-1], "acme", now=house.clock()).next) == 1024
    with pytest.raises(SignInUnknown):
        take_sign_in(session, states[0], "acme", now=house.clock())


def test_an_address_to_return_to_that_is_too_long_costs_no_sign_in(house: House) -> None:
    session: dict[str, Any] = {}
    state, _ = begin_sign_in(session, "acme", "/" + "x" * 5000, now=house.clock())
    assert take_sign_in(session, state, "acme", now=house.clock())


def test_sign_ins_and_the_session_do_not_touch_each_other(house: House) -> None:
    session = house.sign_in()
    state, _ = begin_sign_in(session, "acme", "", now=house.clock())
    assert house.read(session)
    house.sessions.end(session)
    assert take_sign_in(session, state, "acme", now=house.clock())


# -- authentic, and of another shape ----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)
def test_sign_ins_of_another_type_are_none_and_do_not_stop_a_new_one(house: House, value: object) -> None:
    session = {"begun": json.loads(json.dumps(value))}
    with pytest.raises(SignInUnknown):
        take_sign_in(session, "x", "acme", now=house.clock())
    state, _ = begin_sign_in(session, "acme", "", now=house.clock())
    assert take_sign_in(session, state, "acme", now=house.clock())


BEGUN = ["acme", NOW, "s" * 43, "/gradio/"]
SOUND_BEGUN = {
    *((1, kind) for kind in ("number", "float", "negative", "far")),
    (2, "long-text"),
    *((3, kind) for kind in ANY_TEXT),
}


@pytest.mark.parametrize(
    "value",
    [*STRANGE.values(), BEGUN[:3], [*BEGUN[:3], None], BEGUN[::-1]],
    ids=[*STRANGE, "too-short", "next-is-null", "backwards"],
)
def test_a_sign_in_of_another_type_is_unknown(house: House, value: object) -> None:
    with pytest.raises(SignInUnknown):
        take_sign_in({"begun": {"state": value}}, "state", "acme", now=house.clock())


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(place, value, id=f"{place}-{kind}")
        for place in range(4)
        for kind, value in STRANGE.items()
        if (place, kind) not in SOUND_BEGUN
    ],
)
def test_a_sign_in_with_a_field_of_another_type_is_unknown(house: House, place: int, value: object) -> None:
    stored = [*BEGUN[:place], value, *BEGUN[place + 1 :]]
    with pytest.raises(SignInUnknown):
        take_sign_in({"begun": {"state": stored}}, "state", "acme", now=house.clock())
