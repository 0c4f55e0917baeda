"""What people let programs do holds on every replica: used on one is used on all, ended on one is ended on all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.replicas.conftest import House
from tests.replicas.visitor import Visitor
from tests.support.clock import seconds_until
from tests.support.program import OWN_PAGE, Program

Visit = Callable[..., Visitor]


@pytest.fixture
def here(house: House) -> Iterator[Program]:
    with Program(house.one) as program:
        yield program


@pytest.fixture
def there(house: House, here: Program) -> Iterator[Program]:
    """The same program, at the other replica."""
    with Program(house.two) as program:
        program.client_id, program.verifier = here.client_id, here.verifier
        yield program


@pytest.fixture
def ada(house: House, visit: Visit) -> Visitor:
    visitor = visit(house.one)
    visitor.sign_in()
    return visitor


def is_in(program: Program, token: str) -> bool:
    return program.call(token).status_code == 200


def pair(answer: httpx2.Response) -> tuple[str, str]:
    """The tokens of an answer."""
    tokens = answer.json()
    return tokens["access_token"], tokens["refresh_token"]


def test_what_one_replica_gave_is_good_on_the_other(here: Program, there: Program, ada: Visitor) -> None:
    tokens = there.redeem(here.code(ada)).json()
    assert is_in(here, tokens["access_token"]) and is_in(there, tokens["access_token"])
    again = here.refresh(tokens["refresh_token"]).json()
    assert is_in(there, again["access_token"])


def test_a_code_used_on_one_is_refused_on_the_other(here: Program, there: Program, ada: Visitor) -> None:
    """At once, and what it gave has ended on both within a second."""
    for _ in range(10):
        code = here.code(ada)
        tokens = here.redeem(code).json()
        assert there.redeem(code).json()["error"] == "invalid_grant"
        assert seconds_until(lambda token=tokens["access_token"]: not is_in(here, token)) < 1
        assert not is_in(there, tokens["access_token"])


def test_a_code_that_comes_to_both_at_once_is_good_once(here: Program, there: Program, ada: Visitor) -> None:
    for _ in range(10):
        code = here.code(ada)
        with ThreadPoolExecutor(2) as both:
            answers = [answer.result().status_code for answer in [both.submit(it.redeem, code) for it in (here, there)]]
        assert sorted(answers) in ([200, 400], [400, 400])


def test_a_refresh_token_used_on_one_gets_the_same_on_the_other(here: Program, there: Program, ada: Visitor) -> None:
    """At once, before it can have heard of it, and later."""
    first = here.tokens(ada)["refresh_token"]
    tokens = here.refresh(first).json()
    for pause in (0, 1):
        time.sleep(pause)
        assert pair(there.refresh(first)) == (tokens["access_token"], tokens["refresh_token"])


def test_a_refresh_token_that_comes_to_both_at_once_has_one_pair_of_successors(
    here: Program, there: Program, ada: Visitor
) -> None:
    """RFC 9700 section 4.14.2: two pairs would be two families, of which a thief could keep one."""
    token = here.tokens(ada)["refresh_token"]
    for _ in range(20):
        with ThreadPoolExecutor(8) as all_at_once:
            answers = [all_at_once.submit(it.refresh, token) for it in (here, there) * 4]
        (successors,) = {pair(answer.result()) for answer in answers}
        token = successors[1]


@pytest.mark.parametrize(
    "end",
    [
        lambda ada, here, tokens: ada.sign_out(everywhere="1"),
        lambda ada, here, tokens: ada.post("/oauth/end-all", headers=OWN_PAGE),
        lambda ada, here, tokens: here.revoke(tokens["refresh_token"]),
    ],
    ids=["sign out everywhere", "end all", "revocation"],
)
def test_what_is_ended_on_one_is_refused_on_the_other_within_a_second(
    here: Program,
    there: Program,
    ada: Visitor,
    end: Callable[[Visitor, Program, dict[str, str]], httpx2.Response],
) -> None:
    tokens = here.tokens(ada)
    assert is_in(there, tokens["access_token"])
    end(ada, here, tokens)
    assert seconds_until(lambda: not is_in(there, tokens["access_token"])) < 1
    assert there.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_without_redis_a_replica_still_refuses_what_it_has_seen_used(house: House, here: Program, ada: Visitor) -> None:
    code = here.code(ada)
    house.redis.stop()
    try:
        assert here.redeem(code).status_code == 200
        assert here.redeem(code).json()["error"] == "invalid_grant"
    finally:
        house.redis.start()
    assert seconds_until(lambda: house.one.readiness.json()["problems"] == [], 10.0) < 10
