"""Two replicas behind nginx are one app: whoever enters by one is in at both, and whoever leaves has left both."""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.replicas.conftest import PUBLIC_URL, House
from tests.replicas.visitor import API, OWN, Visitor
from tests.support.app_server import agree
from tests.support.clock import seconds_until

Visit = Callable[..., Visitor]


def test_a_sign_in_that_begins_on_one_finishes_on_the_other(house: House, visit: Visit) -> None:
    here = visit(house.one)
    callback = agree(here.begin())
    there = visit(house.two, cookie_of=here)
    assert there.come_back(callback).headers["location"] == f"{PUBLIC_URL}/gradio/"
    here.cookie = there.cookie
    assert here.who() == there.who() is not None


def test_a_sign_out_on_one_is_refused_on_the_other_within_a_second(
    house: House, visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    took = []
    here, there = visit(house.one), visit(house.two)
    for _ in range(30):
        here.sign_in()
        there.cookie = here.cookie
        assert there.who() is not None
        here.sign_out()
        took.append(seconds_until(lambda: there.who() is None))
    record_property("sign-out to refusal, median and maximum seconds", (statistics.median(took), max(took)))
    print(f"sign-out to refusal elsewhere: median {statistics.median(took):.4f} s, maximum {max(took):.4f} s")
    assert max(took) < 1


def test_signed_out_everywhere_is_signed_out_on_every_replica(house: House, visit: Visit) -> None:
    here, there = visit(house.one), visit(house.two)
    here.sign_in()
    there.sign_in()
    here.sign_out(everywhere="1")
    assert seconds_until(lambda: there.who() is None) < 1
    there.sign_in()
    assert there.who() is not None


def test_a_running_stream_on_one_is_cut_when_its_session_ends_on_the_other(house: House, visit: Visit) -> None:
    here = visit(house.one)
    here.sign_in()
    there = visit(house.two, cookie_of=here)
    with there.watch("count", there.start("count", 1000, 0.05)) as messages:
        next(messages)
        here.sign_out()
        begun = time.monotonic()
        assert len(list(messages)) < 200
        assert time.monotonic() - begun < 5


def test_through_nginx_each_visitor_stays_on_one_replica_and_all_events_run_to_their_end(
    house: House, visit: Visit
) -> None:
    visitors = [visit() for _ in range(12)]

    def three_events(visitor: Visitor) -> set[str]:
        visitor.get("/login-demo/")
        visitor.sign_in()
        return {
            "".join(value).split()[1]
            for _ in range(3)
            for kind, value in _complete(visitor.run("count", 5, 0.02), steps=5)
        }

    with ThreadPoolExecutor(6) as threads:
        processes = list(threads.map(three_events, visitors))
    assert all(len(of_one) == 1 for of_one in processes)
    assert set.union(*processes) == {str(replica.pid) for replica in house.replicas}


def _complete(messages: list[tuple[str, list[str]]], *, steps: int) -> list[tuple[str, list[str]]]:
    assert [kind for kind, _ in messages] == ["generating"] * steps + ["complete"], messages
    assert messages[-1][1][0].endswith(f" {steps}")
    return messages


def test_through_nginx_a_stream_comes_word_by_word(visit: Visit) -> None:
    visitor = visit()
    visitor.sign_in()
    with visitor.watch("count", visitor.start("count", 5, 0.3)) as messages:
        next(messages)
        begun = time.monotonic()
        list(messages)
        assert time.monotonic() - begun > 0.9


def test_through_nginx_an_upload_is_kept_and_read(visit: Visit) -> None:
    visitor = visit()
    visitor.get("/login-demo/")
    visitor.sign_in()
    content = b"0123456789" * 300_000
    path = visitor.upload(content)
    ((kind, value),) = visitor.run("look_at", {"path": path, "meta": {"_type": "gradio.FileData"}})
    assert (kind, value) == ("complete", [content.decode()])


def test_through_nginx_an_upload_of_a_stranger_is_refused_before_it_has_come(visit: Visit) -> None:
    stranger = visit()
    response = stranger.post(f"{API}/upload", content=b"x" * 60_000_000, headers={**OWN, "Content-Type": "text/plain"})
    assert response.status_code == 401


def test_only_a_trusted_proxy_says_where_a_request_comes_from(house: House, visit: Visit) -> None:
    def logged_clients(*visitors: Visitor) -> list[str]:
        before = {replica: len(replica.log.read_text()) for replica in house.replicas}
        for visitor in visitors:
            visitor.get("/logout?state=x", headers={"X-Forwarded-For": "203.0.113.9"})
        lines = "".join(replica.log.read_text()[before[replica] :] for replica in house.replicas).splitlines()
        about = [json.loads(line).get("about", {}) for line in lines]
        return [said["address"] for said in about if "event" in said and "address" in said]

    assert logged_clients(visit(house.one)) == ["203.0.113.9"]
    assert logged_clients(visit(house.two)) == ["127.0.0.1"]
    assert logged_clients(visit(), visit()) == ["127.0.0.1"] * 2


def test_redis_killed_and_brought_back_loses_no_sign_out_and_throws_nobody_out(house: House, visit: Visit) -> None:
    before, during, stays = visit(house.one), visit(house.one), visit(house.two)
    for visitor in (before, during, stays):
        visitor.sign_in()
    copies = {id(visitor): visit(house.two, cookie_of=visitor) for visitor in (before, during)}
    before.sign_out()
    seconds_until(lambda: copies[id(before)].who() is None)

    house.redis.kill()
    seconds_until(lambda: all("redis" in replica.readiness.text for replica in house.replicas))
    assert all(replica.readiness.status_code == 200 for replica in house.replicas)
    assert stays.who() is not None
    assert visit(house.one, cookie_of=stays).who() is not None
    assert copies[id(before)].who() is None
    copy_here = visit(house.one, cookie_of=during)
    during.sign_out()
    assert copy_here.who() is None, "sign-out does not work here"
    newcomer = visit(house.two)
    newcomer.sign_in()
    assert newcomer.who() is not None

    house.redis.start()
    assert seconds_until(lambda: copies[id(during)].who() is None) < 5
    assert copies[id(before)].who() is None
    assert stays.who() is not None
    seconds_until(lambda: not any("redis" in replica.readiness.text for replica in house.replicas))


def test_a_replica_killed_leaves_its_visitors_to_the_other_and_comes_back_knowing_who_has_left(
    house: House, visit: Visit
) -> None:
    visitors = [visit() for _ in range(6)]
    for visitor in visitors:
        visitor.sign_in()
    gone = visit(house.two)
    gone.sign_in()
    copy = visit(house.one, cookie_of=gone)
    house.one.kill()
    assert all(visitor.who() is not None for visitor in visitors)
    gone.sign_out()
    house.one.start()
    assert copy.who() is None
    assert visit(house.one, cookie_of=visitors[0]).who() is not None
    seconds_until(lambda: all(visitor.run("count", 1, 0)[-1][0] == "complete" for visitor in visitors))


def test_a_replica_that_starts_without_redis_neither_lets_in_nor_throws_out_whom_it_cannot_know(
    house: House, visit: Visit
) -> None:
    visitor = visit(house.two)
    visitor.sign_in()
    house.one.kill()
    house.redis.kill()
    house.one.start()
    waiting = visit(house.one, cookie_of=visitor)
    response = waiting.fetch("/user/me")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    page = waiting.get("/gradio/")
    assert page.status_code == 503
    assert "Try again in a moment" in page.text
    newcomer = visit(house.one)
    newcomer.sign_in()
    assert newcomer.who() is not None
    house.redis.start()
    seconds_until(lambda: waiting.fetch("/user/me").status_code == 200)


def test_a_stop_lets_running_events_finish(house: House, visit: Visit) -> None:
    visitor = visit(house.two)
    visitor.sign_in()
    with visitor.watch("count", visitor.start("count", 8, 0.25)) as messages:
        next(messages)
        house.two.send(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(httpx2.ConnectError):
            visit(house.two).get("/healthz")
        *_, last = messages
    assert last[0] == "complete"
    assert last[1][0].endswith(" 8")
    house.two.wait_for_end(15)
