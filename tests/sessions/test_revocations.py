from __future__ import annotations

import pytest

from auth.sessions.revocations import SWEEP_SECONDS, MemoryRevocations
from tests.support.clock import NOW, Clock

HOUR = 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def revocations(clock: Clock) -> MemoryRevocations:
    return MemoryRevocations(now=clock)


def test_nothing_is_revoked_at_first(revocations: MemoryRevocations) -> None:
    assert not revocations.is_revoked(["one", "two"], begun=NOW)
    assert not revocations.is_revoked([], begun=NOW)


@pytest.mark.parametrize(
    ("begun", "ended"),
    [(NOW - HOUR, True), (NOW - 0.001, True), (NOW, True), (NOW + 0.001, False), (NOW + HOUR, False)],
)
def test_a_key_is_revoked_for_what_was_begun_up_to_that_moment(revocations, begun: float, ended: bool) -> None:
    revocations.revoke("one", at=NOW, until=NOW + HOUR)
    assert revocations.is_revoked(["one"], begun=begun) is ended


def test_without_a_moment_it_is_now(revocations: MemoryRevocations, clock: Clock) -> None:
    clock.advance(10)
    revocations.revoke("one", until=NOW + HOUR)
    assert revocations.is_revoked(["one"], begun=NOW + 10)
    assert not revocations.is_revoked(["one"], begun=NOW + 11)


@pytest.mark.parametrize(
    ("keys", "ended"),
    [(["one"], True), (["two", "one"], True), (iter(["two", "one"]), True), (["two"], False), (["on", "ones"], False)],
    ids=["itself", "one-of-several", "from-an-iterator", "another", "almost"],
)
def test_one_revoked_key_is_enough_and_no_other_counts(revocations, keys, ended: bool) -> None:
    revocations.revoke("one", at=NOW, until=NOW + HOUR)
    assert revocations.is_revoked(keys, begun=NOW) is ended


@pytest.mark.parametrize("moments", [(NOW, NOW + 10), (NOW + 10, NOW)], ids=["in-order", "out-of-order"])
def test_the_latest_moment_counts_whichever_is_heard_of_last(revocations, moments: tuple[float, float]) -> None:
    for at in moments:
        revocations.revoke("one", at=at, until=NOW + HOUR)
    assert revocations.is_revoked(["one"], begun=NOW + 10)
    assert not revocations.is_revoked(["one"], begun=NOW + 11)


@pytest.mark.parametrize("hours", [(2, 1), (1, 2)], ids=["longer-first", "longer-last"])
def test_a_revocation_is_kept_as_long_as_any_asked_for(revocations, clock: Clock, hours: tuple[int, int]) -> None:
    for each in hours:
        revocations.revoke("one", at=NOW, until=NOW + each * HOUR)
    clock.advance(2 * HOUR - 1)
    revocations.revoke("another", at=clock(), until=NOW + 3 * HOUR)
    assert revocations.is_revoked(["one"], begun=NOW)


def test_memory_is_given_back_once_the_sessions_would_have_ended(revocations: MemoryRevocations, clock: Clock) -> None:
    for number in range(1000):
        revocations.revoke(f"session-{number}", at=NOW, until=NOW + HOUR)
    clock.advance(HOUR - 1)
    revocations.revoke("last", at=clock(), until=NOW + 2 * HOUR)
    assert len(revocations._ended) == 1001
    clock.advance(SWEEP_SECONDS + 1)
    revocations.revoke("later", at=clock(), until=NOW + 2 * HOUR)
    assert set(revocations._ended) == {"last", "later"}
