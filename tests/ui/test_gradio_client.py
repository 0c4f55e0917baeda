"""Events behind the gate, as programs call them: with a token, and with a person's cookie."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AuthenticationError

from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.support.app_server import AppServer
from tests.support.caller_blocks import caller_blocks
from tests.support.provider import ALICE, Provider, but

BOB = {"sub": "bob-2", "name": "Bob Example"}


class Caller:
    """Somebody with credentials. `name` is what their events are to say, `username` what Gradio is to call them."""

    def __init__(self, server: AppServer, name: str, username: str, headers: Mapping[str, str]) -> None:
        self.name, self.username = name, username
        self.client = Client(f"{server.url}/gradio/", headers=dict(headers), verbose=False, analytics_enabled=False)
        self.http = httpx2.Client(base_url=f"{server.url}/gradio", headers=headers)

    def signs(self, text: str) -> str:
        return f"{text} | {self.name} | {self.username}"

    def close(self) -> None:
        self.client.close()
        self.http.close()


@pytest.fixture(scope="module")
def server(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=caller_blocks) as server:
        yield server


def cookie_of(server: AppServer) -> dict[str, str]:
    with server.browser() as browser:
        browser.sign_in()
        return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)}


@pytest.fixture(scope="module")
def alice(server: AppServer, acme: Provider) -> Iterator[Caller]:
    caller = Caller(server, str(ALICE["name"]), f"{acme.issuer}#{ALICE['sub']}", cookie_of(server))
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def bob(server: AppServer, acme: Provider) -> Iterator[Caller]:
    with acme.faulty(claims=but(**BOB), userinfo=but(**BOB)):
        cookie = cookie_of(server)
    caller = Caller(server, BOB["name"], f"{acme.issuer}#{BOB['sub']}", cookie)
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def program(server: AppServer) -> Iterator[Caller]:
    answer = httpx2.post(
        f"{server.url}/local/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(CLIENT_ID, CLIENT_SECRET),
    )
    token = answer.json()["access_token"]
    username = f"{server.url}/local/local_pool#{CLIENT_ID}"
    caller = Caller(server, CLIENT_ID, username, {"Authorization": f"Bearer {token}"})
    yield caller
    caller.close()


@pytest.fixture(params=["alice", "program"])
def caller(request: pytest.FixtureRequest) -> Caller:
    """A person with a cookie, and then a program with a token."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Caller)
    return found


@pytest.mark.parametrize("event", ["queued", "unqueued", "batched"])
def test_an_event_knows_its_caller(caller: Caller, event: str) -> None:
    assert caller.client.predict("hello", api_name=f"/{event}") == caller.signs("hello")


def test_a_stream_knows_its_caller_in_each_of_its_answers(caller: Caller) -> None:
    answers = list(caller.client.submit("hello", api_name="/streamed"))
    assert answers == [caller.signs(f"hello {number} of 3") for number in (1, 2, 3)]


def test_an_uploaded_file_comes_to_an_event_that_knows_its_caller(caller: Caller, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("what it says", "utf-8")
    assert caller.client.predict(handle_file(file), api_name="/uploaded") == caller.signs("what it says")


@pytest.mark.parametrize("event", ["queued", "streamed", "batched"])
def test_an_event_called_without_a_library_knows_its_caller(caller: Caller, event: str) -> None:
    begun = caller.http.post(f"/gradio_api/call/{event}", json={"data": ["hello"]})
    answer = caller.http.get(f"/gradio_api/call/{event}/{begun.json()['event_id']}").text
    last = answer.strip().splitlines()[-1]
    text = "hello 3 of 3" if event == "streamed" else "hello"
    assert json.loads(last.removeprefix("data: ")) == [caller.signs(text)]


@pytest.mark.parametrize("sent_as", ["json", "form"])
def test_a_component_server_call_knows_its_caller(caller: Caller, sent_as: str) -> None:
    """Here Gradio hands out a request of Starlette's, which has no username."""
    components = caller.http.get("/config").json()["components"]
    (component,) = (c["id"] for c in components if c["props"].get("elem_id") == "asks")
    fields = {"component_id": component, "session_hash": uuid4().hex, "fn_name": "component_server", "data": "hello"}
    sent = {"json": fields} if sent_as == "json" else {"data": fields, "files": {"file": b"x"}}
    answer = caller.http.post("/gradio_api/component_server/", **sent)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer.json().split(" | ")[1] == caller.name


def test_callers_of_one_batch_are_not_taken_for_one_another(alice: Caller, bob: Caller, program: Caller) -> None:
    """They come faster than they are worked on, so that Gradio has several to put together."""
    callers = (alice, bob, program) * 4
    jobs = [caller.client.submit(str(number), api_name="/batched") for number, caller in enumerate(callers)]
    answers = [job.result(timeout=30) for job in jobs]
    assert answers == [caller.signs(str(number)) for number, caller in enumerate(callers)]


def test_a_stream_ends_with_its_session_and_makes_room_for_the_next(server: AppServer, program: Caller) -> None:
    """An event that nobody receives any more would otherwise hold the queue's only place for its function."""
    with server.browser() as browser:
        browser.sign_in()
        own = {"Sec-Fetch-Site": "same-origin"}
        session = uuid4().hex
        functions = browser.fetch("/gradio/config").json()["dependencies"]
        (index,) = (function["id"] for function in functions if function["api_name"] == "endless")
        event = {"data": [], "fn_index": index, "session_hash": session}
        browser.post("/gradio/gradio_api/queue/join", json=event, headers=own).raise_for_status()
        with browser.stream("GET", f"/gradio/gradio_api/queue/data?session_hash={session}", headers=own) as stream:
            lines = stream.iter_lines()
            assert any("process_generating" in line for line in lines)
            browser.sign_out()
            signed_out = time.monotonic()
            for _ in lines:
                assert time.monotonic() - signed_out < 5
    job = program.client.submit(api_name="/endless")
    assert next(iter(job)) == program.signs("1")
    job.cancel()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer not-a-token"}], ids=["no token", "a bad token"])
def test_without_a_valid_token_the_client_says_what_is_missing(server: AppServer, headers: dict[str, str]) -> None:
    with pytest.raises(AuthenticationError, match="credentials were not provided"):
        Client(f"{server.url}/gradio/", headers=headers, verbose=False)
    answer = httpx2.get(f"{server.url}/gradio/config", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["detail"].endswith(".")
