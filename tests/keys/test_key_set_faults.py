"""An issuer's key endpoint, a real server, that fails in every way; the clock is the test's.

What is held goes on for a day, nobody who holds a known key waits, and no flood of requests becomes one of fetches.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from auth.errors import KeysUnavailable, TokenExpired, UnknownKey
from auth.keys.jwk import RS256Key, rs256_key
from auth.keys.key_set import JwksCache
from auth.programs.verifier import CognitoVerifier
from auth.web.fetch import FetchFailed, fetch_json
from tests.support.clock import NOW, Clock
from tests.support.forge import HEADER, ISSUER, KID, PERSON, jwk, key, pool_jwks, token, verifier

pytestmark = pytest.mark.anyio

DAY = 24 * 3600
NEW_KID = "made while nobody looked"

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(body: bytes, *, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def keys_of(*kids: str) -> bytes:
    return json.dumps({"keys": [jwk(kid, key(kid)) for kid in kids]}).encode()


class Endpoint(ThreadingHTTPServer):
    """Serves `answer`, counts and says when it is asked. `released` ends those answers that wait."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/jwks.json"
        self.answer: Answer = reply(json.dumps(pool_jwks()).encode())
        self.asked = 0
        self.reached = threading.Event()
        self.released = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """A client that stopped reading is what some of these tests are about."""

    def publish(self, *kids: str) -> None:
        self.answer = reply(keys_of(*kids))

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """The answer comes at the end of this block only."""
        at_once = self.answer

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.released.wait(10)
            at_once(handler)

        self.answer = answer
        try:
            yield
        finally:
            self.released.set()
            self.answer = at_once


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        if self.path == "/jwks.json":
            self.server.asked += 1
            self.server.reached.set()
            self.server.answer(self)
        else:
            reply(json.dumps(pool_jwks()).encode())(self)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    yield server
    server.released.set()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock(0)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(verify=False, trust_env=False) as client:  # plain http only
        yield client


@pytest.fixture
async def keys(endpoint: Endpoint, clock: Clock, client: httpx2.AsyncClient) -> JwksCache[RS256Key]:
    async def fetch(url: str) -> dict[str, Any]:
        return await fetch_json(client, url, deadline=0.3 if endpoint.answer in SLOW else 5)

    return JwksCache(endpoint.url, fetch=fetch, parse=rs256_key, now=clock)


@pytest.fixture
async def loaded(keys: JwksCache[RS256Key], endpoint: Endpoint) -> JwksCache[RS256Key]:
    """The same, loaded and long quiet."""
    await keys.refresh_when_due()
    endpoint.asked = 0
    endpoint.reached.clear()
    return keys


@pytest.fixture
async def tokens(keys: JwksCache[RS256Key], clock: Clock) -> CognitoVerifier:
    return verifier(key_sets={ISSUER: keys}, now=lambda: NOW + clock.now)


# -- the faults -------------------------------------------------------------------------------------------------------


def hang(handler: BaseHTTPRequestHandler) -> None:
    handler.server.released.wait(10)  # type: ignore[attr-defined]


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A sound answer, but for its pace: each octet comes well within any timeout between two of them."""
    handler.send_response(200)
    handler.end_headers()
    for octet in json.dumps(pool_jwks()).encode():
        handler.wfile.write(bytes([octet]))
        if handler.server.released.wait(0.02):  # type: ignore[attr-defined]
            return


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(1000):
        handler.wfile.write(f"X-{number}: x\r\n".encode())
        if handler.server.released.wait(0.02):  # type: ignore[attr-defined]
            return


def close(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    handler.wfile.write(b'{"keys": [')


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(160):
        handler.wfile.write(b" " * 65536)


SLOW = (hang, drip, drip_headers)
PADDED = json.dumps(pool_jwks() | {"padding": "x" * 10_000_000}).encode()
FAULTS: dict[str, tuple[Answer, str]] = {
    "500": (reply(b"{}", status=500), "answered 500"),
    "404": (reply(b"{}", status=404), "answered 404"),
    "429": (reply(b"{}", status=429), "answered 429"),
    "204": (reply(b"", status=204), "answered 204"),
    "a sound set under 203": (reply(json.dumps(pool_jwks()).encode(), status=203), "answered 203"),
    "a redirect to a sound set": (reply(b"", status=302, Location="/elsewhere.json"), "answered 302"),
    "HTML": (reply(b"<!doctype html><title>Sign in to the hotel</title>", kind="text/html"), "is not a JSON object"),
    "nothing": (reply(b""), "is not a JSON object"),
    "an array": (reply(json.dumps([pool_jwks()]).encode()), "is not a JSON object"),
    "a string": (reply(b'"keys"'), "is not a JSON object"),
    "null": (reply(b"null"), "is not a JSON object"),
    "JSON that is nested deep": (reply(b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "is not a JSON object"),
    "JSON with NaN": (reply(json.dumps(pool_jwks() | {"x": float("nan")}).encode()), "is not a JSON object"),
    "JSON that is not UTF-8": (reply(json.dumps(pool_jwks()).encode("utf-16")), "is not a JSON object"),
    "gzip of more than is read": (reply(gzip.compress(bytes(2**20)), Content_Encoding="gzip"), "is larger than"),
    "gzip that is cut short": (
        reply(gzip.compress(json.dumps(pool_jwks()).encode())[:-12], Content_Encoding="gzip"),
        "broke off within what is compressed",
    ),
    "no gzip, though it says so": (
        reply(json.dumps(pool_jwks()).encode(), Content_Encoding="gzip"),
        "is not compressed as gzip",
    ),
    "compressed as nobody asked for": (
        reply(json.dumps(pool_jwks()).encode(), Content_Encoding="br"),
        "is compressed as 'br'",
    ),
    "no keys": (reply(b"{}"), "is not a key set"),
    "keys that are no list": (reply(json.dumps({"keys": pool_jwks()}).encode()), "is not a key set"),
    "keys that are null": (reply(b'{"keys": null}'), "is not a key set"),
    "an empty set": (reply(b'{"keys": []}'), "holds no usable key"),
    "a set of numbers": (reply(b'{"keys": [1, 2]}'), "holds no usable key"),
    "a set of keys for another use": (
        reply(json.dumps({"keys": [jwk(KID, key("one")) | {"use": "enc"}]}).encode()),
        "holds no usable key",
    ),
    "10 MB": (reply(PADDED), "is larger than 524288 bytes"),
    "10 MB without a length": (endless, "is larger than 524288 bytes"),
    "nothing at all": (hang, "did not answer within 0.3 s"),
    "a sound set, an octet at a time": (drip, "did not answer within 0.3 s"),
    "headers without end": (drip_headers, "did not answer within 0.3 s"),
    "the end of the connection": (close, "broke off"),
    "half a body": (cut_off, "broke off"),
    "another protocol": (no_http, "broke off"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_with_a_failing_endpoint_known_keys_go_on_and_the_fault_is_told(
    name: str, loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    await tokens.verify(token())
    endpoint.answer, reason = FAULTS[name]
    clock.now = 300
    await loaded.refresh_when_due()

    assert endpoint.asked == 1
    assert loaded.problem is not None
    assert reason in loaded.problem
    assert loaded.problem.endswith("; the keys held serve for another 23.9 h")
    assert loaded.ready
    assert (await tokens.verify(token())).username == "ada"
    with pytest.raises(KeysUnavailable):
        await tokens.verify(token(header={**HEADER, "kid": NEW_KID}))


@pytest.mark.parametrize("name", FAULTS)
async def test_without_a_key_the_answer_is_that_keys_cannot_be_had(
    name: str, tokens: CognitoVerifier, endpoint: Endpoint
) -> None:
    endpoint.answer, reason = FAULTS[name]

    with pytest.raises(KeysUnavailable, match=reason) as caught:
        await tokens.verify(token())
    assert caught.value.status == 503
    assert str(caught.value).endswith("; no keys are held")


@pytest.mark.parametrize("name", FAULTS)
async def test_an_endpoint_that_is_sound_again_is_found_without_a_restart(
    name: str, keys: JwksCache[RS256Key], endpoint: Endpoint, clock: Clock
) -> None:
    sound, endpoint.answer = endpoint.answer, FAULTS[name][0]
    await keys.refresh_when_due()
    assert not keys.ready

    endpoint.answer, clock.now = sound, 30
    await keys.refresh_when_due()
    assert (keys.ready, keys.problem) == (True, None)


async def test_a_port_where_nobody_listens_is_told(client: httpx2.AsyncClient) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))

        with pytest.raises(FetchFailed, match="cannot be reached"):
            await fetch_json(client, f"http://127.0.0.1:{deaf.getsockname()[1]}/jwks.json")


@pytest.mark.parametrize(
    "address", ["", "jwks.json", "ftp://127.0.0.1/jwks.json", "http://", "http://[::1", "http://a\0b/"]
)
async def test_an_address_that_is_none_is_told(client: httpx2.AsyncClient, address: str) -> None:
    with pytest.raises(FetchFailed):
        await fetch_json(client, address)


async def test_what_an_endpoint_says_in_its_fault_is_not_repeated(
    keys: JwksCache[RS256Key], endpoint: Endpoint
) -> None:
    endpoint.answer = reply(b"the password is hunter2", status=500)
    await keys.refresh_when_due()

    assert keys.problem is not None and "hunter2" not in keys.problem


async def test_one_bad_key_does_not_spoil_the_set(keys: JwksCache[RS256Key], endpoint: Endpoint) -> None:
    bad: list[Any] = [
        None,
        1,
        "x",
        [],
        {},
        {"kid": KID},
        {"kid": "x", "kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "oct", "k": ""},
    ]
    endpoint.answer = reply(json.dumps({"keys": [*bad, *pool_jwks()["keys"], *bad]}).encode())
    await keys.refresh_when_due()

    assert list(keys.keys) == [entry["kid"] for entry in pool_jwks()["keys"]]


# -- who asks, and how often ------------------------------------------------------------------------------------------


async def test_fifty_cold_callers_cause_one_fetch(tokens: CognitoVerifier, endpoint: Endpoint) -> None:
    async with endpoint.held_up():
        callers = [asyncio.create_task(tokens.verify(token())) for _ in range(50)]
        await asyncio.to_thread(endpoint.reached.wait)
    identities = await asyncio.gather(*callers)

    assert {identity.username for identity in identities} == {"ada"}
    assert endpoint.asked == 1


async def test_a_caller_who_goes_away_takes_the_fetch_from_nobody(tokens: CognitoVerifier, endpoint: Endpoint) -> None:
    async with endpoint.held_up():
        first, *others = (asyncio.create_task(tokens.verify(token())) for _ in range(5))
        await asyncio.to_thread(endpoint.reached.wait)
        first.cancel()
        await asyncio.sleep(0)
    identities = await asyncio.gather(*others)

    assert first.cancelled()
    assert len(identities) == 4
    assert endpoint.asked == 1


async def test_a_new_key_is_accepted_at_its_first_use(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint
) -> None:
    endpoint.publish(NEW_KID)

    identity = await tokens.verify(token(header={**HEADER, "kid": NEW_KID}, private=key(NEW_KID)))
    assert identity.username == "ada"
    assert endpoint.asked == 1


async def test_a_new_key_waits_where_an_unknown_one_caused_a_fetch_in_the_last_ten_seconds(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    with pytest.raises(UnknownKey):
        await loaded.find("nobody's")
    endpoint.publish(NEW_KID)
    text = token(header={**HEADER, "kid": NEW_KID}, private=key(NEW_KID))

    clock.now = 9.9
    with pytest.raises(UnknownKey):
        await tokens.verify(text)
    clock.now = 10
    assert (await tokens.verify(text)).username == "ada"
    assert endpoint.asked == 2


async def test_two_hundred_unknown_keys_cause_a_fetch_in_ten_seconds(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    for number in range(200):
        clock.now = number * 0.2
        with pytest.raises(UnknownKey):
            await tokens.verify(token(header={**HEADER, "kid": f"nobody's {number}"}))

    assert endpoint.asked == 4


async def test_two_hundred_unknown_keys_at_once_share_a_fetch_and_delay_nobody(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint
) -> None:
    async with endpoint.held_up():
        strangers = [asyncio.create_task(loaded.find(f"nobody's {number}")) for number in range(200)]
        await asyncio.to_thread(endpoint.reached.wait)
        assert tokens.verify_now(token()).username == "ada"
        assert (await tokens.verify(token())).username == "ada"
        assert not any(stranger.done() for stranger in strangers)
    outcomes = await asyncio.gather(*strangers, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {UnknownKey}
    assert endpoint.asked == 1


async def test_a_failing_endpoint_is_asked_with_pauses_that_grow_to_thirty_seconds(
    keys: JwksCache[RS256Key], endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = reply(b"", status=500)
    times = []
    for second in range(160):
        clock.now, before = second, endpoint.asked
        await keys.refresh_when_due()
        times += [second] * (endpoint.asked - before)

    assert times == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151]


async def test_requests_do_not_ask_a_failing_endpoint_while_its_pause_lasts(
    tokens: CognitoVerifier, keys: JwksCache[RS256Key], endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = reply(b"", status=500)
    for second in (0, 1, 3, 7, 15):
        clock.now = second
        await keys.refresh_when_due()

    for tenth in range(150, 310, 5):
        clock.now = tenth / 10
        with pytest.raises(KeysUnavailable):
            await tokens.verify(token())
    assert endpoint.asked == 5


async def test_the_pauses_begin_anew_after_an_answer(
    keys: JwksCache[RS256Key], endpoint: Endpoint, clock: Clock
) -> None:
    sound, failing = endpoint.answer, reply(b"", status=500)
    for second, answer in ((0, failing), (1, failing), (3, failing), (7, sound), (307, failing), (308, sound)):
        endpoint.answer, clock.now = answer, second
        await keys.refresh_when_due()

    assert endpoint.asked == 6
    assert keys.problem is None


# -- keys that go -----------------------------------------------------------------------------------------------------


async def test_known_keys_go_on_for_a_day_and_no_longer(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    endpoint.answer = reply(b"", status=500)
    text = token({**PERSON, "exp": NOW + 2 * DAY})
    for hour in range(24):
        clock.now = hour * 3600
        await loaded.refresh_when_due()
        assert (await tokens.verify(text)).username == "ada"

    clock.now = DAY - 1
    assert (await tokens.verify(text)).username == "ada"
    assert tokens.is_still_valid(text)
    clock.now = DAY
    await loaded.refresh_when_due()
    assert not tokens.is_still_valid(text)
    with pytest.raises(KeysUnavailable, match="answered 500; no keys are held"):
        await tokens.verify(text)
    assert (loaded.ready, dict(loaded.keys)) == (False, {})


async def test_a_key_that_left_the_set_is_refused_after_the_next_refresh_and_so_are_tokens_seen_before(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    text = token()
    await tokens.verify(text)
    endpoint.publish(NEW_KID)
    clock.now = 299
    await loaded.refresh_when_due()
    assert (await tokens.verify(text)).username == "ada"

    clock.now = 300
    await loaded.refresh_when_due()
    assert not tokens.is_still_valid(text)
    with pytest.raises(UnknownKey):
        await tokens.verify(text)


async def test_a_key_that_another_took_the_kid_of_is_refused_and_so_are_tokens_seen_before(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint, clock: Clock
) -> None:
    text = token()
    await tokens.verify(text)
    endpoint.publish(KID)
    clock.now = 300
    await loaded.refresh_when_due()

    assert not tokens.is_still_valid(text)
    assert tokens.is_still_valid(token(private=key(KID)))


# -- the loop ---------------------------------------------------------------------------------------------------------


async def test_the_loop_loads_ahead_of_the_first_request_and_outlives_a_failing_endpoint(
    endpoint: Endpoint, client: httpx2.AsyncClient
) -> None:
    answered = asyncio.Event()

    async def fetch(url: str) -> dict[str, Any]:
        try:
            return await fetch_json(client, url)
        finally:
            answered.set()

    sound, endpoint.answer = endpoint.answer, reply(b"", status=500)
    keys = JwksCache(endpoint.url, fetch=fetch, parse=rs256_key)
    loop = asyncio.create_task(keys.run())
    await answered.wait()
    endpoint.answer = sound
    answered.clear()
    await asyncio.wait_for(answered.wait(), 3)  # the first pause is a second of the real clock
    await asyncio.sleep(0.01)

    assert (keys.ready, keys.problem, endpoint.asked) == (True, None, 2)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_an_expired_token_is_refused_without_asking_for_keys(
    loaded: JwksCache[RS256Key], tokens: CognitoVerifier, endpoint: Endpoint
) -> None:
    with pytest.raises(TokenExpired):
        await tokens.verify(token({**PERSON, "exp": NOW - 1}))
    assert endpoint.asked == 0
