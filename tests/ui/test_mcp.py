"""The Blocks' functions as MCP tools: for callers with an identity, each call by its own, and led nowhere by headers.

Most calls are single requests, as the protocol's stateless form allows; the official client is held to it too.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import httpx2
import pytest
from mcp import ClientSession
from mcp.client.auth.utils import extract_field_from_www_auth, extract_resource_metadata_from_www_auth
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

import tests.support.app_server
from app import create_app
from auth import Settings
from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.support.app_server import AppServer
from tests.support.caller_blocks import caller_blocks, signed
from tests.support.provider import Provider

MCP = "/gradio/gradio_api/mcp/"
HF_TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"
PEOPLE = [f"person-{number}" for number in range(20)]
ACCEPT = {"Accept": "application/json, text/event-stream"}
KINDS = ("queued", "unqueued", "streamed", "batched")
BEGUN, ENDED = threading.Event(), threading.Event()


def slow(text: str, request: gr.Request) -> str:
    time.sleep(0.02)
    return signed(text, request)


def until_hung_up(request: gr.Request) -> Iterator[str]:
    try:
        while True:
            BEGUN.set()
            yield signed("on and on", request)
            time.sleep(0.05)
    finally:
        ENDED.set()


def in_steps(text: str, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
    for number in range(3):
        progress((number, 3), desc="Reading")
        time.sleep(0.1)
    return signed(text, request)


def written(text: str, request: gr.Request) -> str:
    file = Path(gr.utils.get_upload_folder()) / "letter.txt"
    file.write_text(signed(text, request), "utf-8")
    return str(file)


def failing(text: str) -> str:
    raise ValueError(f"secret-of-the-app {text}")


def failing_in_words(text: str) -> str:
    raise gr.Error(f"There is no {text}.")


def failing_at_once(text: str) -> str:
    raise ValueError(f"secret-of-the-app {text}")


def failing_at_once_in_words(text: str) -> str:
    raise gr.Error(f"There is no {text}.")


@gr.mcp.resource("letter://{text}")
def letter(text: str, request: gr.Request) -> str:
    return signed(text, request)


@gr.mcp.prompt()
def advice(text: str, request: gr.Request) -> str:
    return signed(text, request)


def tool_blocks() -> gr.Blocks:
    with caller_blocks() as blocks:
        text, answer, file = gr.Textbox(), gr.Textbox(), gr.File()
        for function in (slow, in_steps, failing, failing_in_words, letter, advice):
            gr.Button().click(function, text, answer)
        for function in (failing_at_once, failing_at_once_in_words):
            gr.Button().click(function, text, answer, queue=False)
        gr.Button().click(until_hung_up, None, answer)
        gr.Button().click(written, text, file)
    return blocks


class Recorder:
    """ASGI middleware: the outermost, so that it sees each request as it was sent."""

    def __init__(self, app: ASGIApp, *, seen: list[tuple[str, Headers]]) -> None:
        self._app = app
        self._seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._seen.append((scope["path"], Headers(scope=scope)))
        await self._app(scope, receive, send)


SEEN: list[tuple[str, Headers]] = []


def recorded_app(settings: Settings, **options: Any) -> Any:
    app = create_app(settings, **options)
    app.add_middleware(Recorder, seen=SEEN)
    return app


def build(providers: Mapping[str, Provider], **settings: Any) -> AppServer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tests.support.app_server, "create_app", recorded_app)
        return AppServer(providers, main_blocks=tool_blocks, mcp_server=True, **settings)


@pytest.fixture(scope="module")
def served(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """The app, on a machine whose owner has a Hugging Face token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", HF_TOKEN)
        with build(providers) as server:
            yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[AppServer]:
    """An app whose tokens need a scope."""
    with build({}, api_scopes=("tools/call",)) as server:
        yield server


def tokens(server: AppServer, username: str = "", **form: str) -> dict[str, str]:
    """What the local issuer gives a person of that name, or a program."""
    person = {"grant_type": "password", "username": username, "password": "any"}
    form |= person if username else {"grant_type": "client_credentials"}
    answer = httpx2.post(f"{server.url}/local/oauth2/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    return dict(answer.json())


def bearer(server: AppServer, username: str = "") -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens(server, username)['access_token']}"}


def cookie_of(server: AppServer) -> dict[str, str]:
    with server.browser() as browser:
        browser.sign_in()
        return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)}


def request_for(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def arguments_of(kind: str, text: str) -> dict[str, str]:
    return {"texts" if kind == "batched" else "text": text}


async def post(client: httpx2.AsyncClient, name: str, arguments: Mapping[str, Any], **more: str) -> httpx2.Response:
    return await client.post(MCP, json=request_for(name, arguments), headers=ACCEPT | more)


def result_of(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    (line,) = (line for line in answer.text.splitlines() if line.startswith("data: "))
    return dict(json.loads(line.removeprefix("data: "))["result"])


def text_of(answer: httpx2.Response) -> str:
    result = result_of(answer)
    assert not result["isError"], result
    return str(result["content"][0]["text"])


def client_of(server: AppServer, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=headers, timeout=60.0)


@asynccontextmanager
async def official(server: AppServer, headers: Mapping[str, str]) -> AsyncIterator[ClientSession]:
    """The official client, over streamable HTTP."""
    async with (
        httpx.AsyncClient(headers=headers, timeout=60.0) as http,
        streamable_http_client(f"{server.url}{MCP}", http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


# -- who is calling ---------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("username", "name"), [("ada", "ada"), ("", CLIENT_ID)], ids=["a person's token", "a program's token"]
)
async def test_the_official_client_lists_and_calls_tools_that_know_their_caller(served, username, name) -> None:
    async with official(served, bearer(served, username)) as session:
        listed = {tool.name for tool in (await session.list_tools()).tools}
        assert listed >= {*KINDS, "uploaded", "in_steps"}
        for kind in KINDS:
            answer = await session.call_tool(kind, arguments_of(kind, "hello"))
            (content,) = answer.content
            text = "hello 3 of 3" if kind == "streamed" else "hello"
            assert content.text.startswith(f"{text} | {name} | ")


@pytest.mark.anyio
async def test_the_official_client_is_told_how_a_call_gets_on(served: AppServer) -> None:
    told: list[str] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with official(served, bearer(served, "ada")) as session:
        answer = await session.call_tool("in_steps", {"text": "hello"}, progress_callback=tell)
    assert answer.content[0].text.startswith("hello | ada | ")
    assert told[0].startswith("In queue.")
    assert any(message.startswith("Progress Reading: Step") for message in told)


@pytest.mark.anyio
async def test_a_resource_and_a_prompt_know_their_caller(served: AppServer) -> None:
    async with official(served, bearer(served, "ada")) as session:
        (template,) = (await session.list_resource_templates()).resourceTemplates
        (prompt,) = (await session.list_prompts()).prompts
        resource = await session.read_resource(template.uriTemplate.replace("{text}", "hello"))
        advised = await session.get_prompt(prompt.name, {"text": "hello"})
    assert resource.contents[0].text.startswith("hello | ada | ")
    assert advised.messages[0].content.text.startswith("hello | ada | ")


@pytest.mark.anyio
async def test_the_older_transport_knows_its_caller_too(served: AppServer) -> None:
    url = f"{served.url}{MCP}sse"
    async with sse_client(url, headers=bearer(served, "ada")) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for kind in KINDS:
            answer = await session.call_tool(kind, arguments_of(kind, "hello"))
            assert " | ada | " in answer.content[0].text


@pytest.mark.anyio
async def test_nobody_else_speaks_in_a_session_of_the_older_transport(served: AppServer) -> None:
    said = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    async with (
        client_of(served, bearer(served, "ada")) as ada,
        client_of(served, bearer(served, "bob")) as bob,
        ada.stream("GET", f"{MCP}sse") as stream,
    ):
        lines = stream.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        address = line.removeprefix("data: ")
        assert (await ada.post(address, json=said)).status_code == 202
        assert (await bob.post(address, json=said)).status_code == 404


@pytest.mark.anyio
async def test_a_cookie_is_an_identity_for_own_pages_and_not_for_those_of_other_sites(served: AppServer) -> None:
    async with client_of(served, cookie_of(served)) as client:
        for kind in KINDS:
            answer = await post(client, kind, arguments_of(kind, "hello"), **{"Sec-Fetch-Site": "same-origin"})
            assert " | Alice Example" in text_of(answer)
        for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://other.example"}):
            assert (await post(client, "queued", {"text": "hello"}, **foreign)).status_code == 401


@pytest.mark.anyio
async def test_twenty_at_once_are_never_taken_for_one_another(served: AppServer) -> None:
    async def call(client: httpx2.AsyncClient, person: str, kind: str) -> None:
        text = text_of(await post(client, kind, arguments_of(kind, person)))
        assert text.startswith(person)
        assert f" | {person} | " in text

    people = {person: client_of(served, bearer(served, person)) for person in PEOPLE}
    await asyncio.gather(*(call(client, person, kind) for person, client in people.items() for kind in KINDS))
    for client in people.values():
        await client.aclose()


@pytest.mark.anyio
async def test_a_call_is_one_request_and_leaves_nothing_behind(served: AppServer) -> None:
    blocks = blocks_of(served)
    queue, states = blocks._queue, blocks.state_holder
    kept = (queue.pending_messages_per_session, queue.pending_event_ids_session, states.session_data)
    sizes, threads = [*map(len, kept)], threading.active_count()
    async with client_of(served, bearer(served, "ada")) as client:
        before = len(SEEN)
        for _ in range(10):
            await asyncio.gather(*(post(client, kind, arguments_of(kind, "hello")) for kind in KINDS * 5))
    assert [path for path, _ in SEEN[before:]] == [MCP] * 200
    assert [*map(len, kept)] == sizes
    assert threading.active_count() < threads + 45  # one pool, in which Gradio runs functions, has 40


@pytest.mark.anyio
async def test_more_waiting_calls_than_there_are_threads_stop_nobody(served: AppServer) -> None:
    async with client_of(served, bearer(served, "ada")) as client:
        answers = await asyncio.gather(*(post(client, "slow", {"text": str(number)}) for number in range(60)))
    assert [text_of(answer).split(" ")[0] for answer in answers] == [str(number) for number in range(60)]


@pytest.mark.anyio
@pytest.mark.parametrize("told", [{}, {"_meta": {"progressToken": "one"}}], ids=["unwatched", "with progress"])
async def test_a_call_ends_when_its_caller_hangs_up(served: AppServer, told: dict[str, Any]) -> None:
    BEGUN.clear()
    ENDED.clear()
    body = request_for("until_hung_up", {})
    body["params"] |= told
    async with client_of(served, bearer(served, "ada") | ACCEPT) as client:
        call = asyncio.create_task(client.post(MCP, json=body))
        assert await asyncio.to_thread(BEGUN.wait, 30)
        call.cancel()
        assert await asyncio.to_thread(ENDED.wait, 30)


@pytest.mark.anyio
@pytest.mark.parametrize("failing", ["failing", "failing_at_once"])
async def test_of_a_fault_only_what_was_meant_to_be_said_is_said(served: AppServer, failing: str) -> None:
    async with client_of(served, bearer(served, "ada")) as client:
        fault = result_of(await post(client, failing, {"text": "hello"}))
        meant = result_of(await post(client, f"{failing}_in_words", {"text": "letter"}))
    said = fault["content"][0]["text"]
    assert fault["isError"] and re.fullmatch(r"The app made a mistake\. It has been logged as [0-9a-f]{32}\.", said)
    assert (meant["isError"], meant["content"][0]["text"]) == (True, "There is no letter.")


# -- nobody without an identity ---------------------------------------------------------------------------------------

CLOSED = [("POST", MCP), ("GET", MCP), ("GET", f"{MCP}sse"), ("POST", f"{MCP}messages/"), ("GET", f"{MCP}schema")]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_who_comes_without_a_token_is_told_where_to_get_one(served: AppServer, method: str, path: str) -> None:
    answer = httpx.request(method, f"{served.url}{path}", json=request_for("queued", {"text": "hello"}))
    assert answer.status_code == 401
    url = extract_resource_metadata_from_www_auth(answer)
    own = path.rstrip("/").endswith(("/mcp", "/sse"))  # what clients call is described on its own (RFC 9728)
    assert url == f"{served.url}/.well-known/oauth-protected-resource{path if own else ''}"
    metadata = ProtectedResourceMetadata.model_validate_json(httpx.get(url).content)
    assert check_resource_allowed(f"{served.url}{path if own else MCP}", str(metadata.resource))
    issuers = [str(issuer) for issuer in metadata.authorization_servers]
    assert issuers == [f"{served.url}/", f"{served.url}/local/local_pool"]  # people's programs ask this app itself
    assert metadata.bearer_methods_supported == ["header"]


@pytest.mark.anyio
@pytest.mark.parametrize("spoil", ["not a token", "an ID token", "another's signature", "no signature"])
async def test_a_bad_token_calls_nothing(served: AppServer, spoil: str) -> None:
    sound, other = tokens(served, "ada"), tokens(served, "bob")
    signed_part, _, _ = sound["access_token"].rpartition(".")
    spoiled = {
        "not a token": "x",
        "an ID token": sound["id_token"],
        "another's signature": f"{signed_part}.{other['access_token'].rpartition('.')[2]}",
        "no signature": f"{signed_part}.",
    }[spoil]
    async with client_of(served, {"Authorization": f"Bearer {spoiled}"}) as client:
        answer = await post(client, "queued", {"text": "hello"})
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert "resource_metadata=" in answer.headers["www-authenticate"]


@pytest.mark.anyio
async def test_a_token_that_has_the_scopes_calls(strict: AppServer) -> None:
    async with client_of(strict, bearer(strict)) as program:
        assert text_of(await post(program, "queued", {"text": "hello"})).startswith(f"hello | {CLIENT_ID} | ")


def test_a_token_without_the_scopes_is_told_them(strict: AppServer) -> None:
    answer = httpx.post(f"{strict.url}{MCP}", json={}, headers=bearer(strict, "ada"))
    assert answer.status_code == 403
    assert extract_field_from_www_auth(answer, "error") == "insufficient_scope"
    assert extract_field_from_www_auth(answer, "scope") == "tools/call"
    metadata = httpx.get(str(extract_resource_metadata_from_www_auth(answer))).json()
    assert metadata["scopes_supported"] == ["tools/call"]


def test_it_is_served_only_where_it_is_asked_for(app: AppServer) -> None:
    answer = httpx.post(f"{app.url}{MCP}", json=request_for("greet", {}), headers=bearer(app, "ada"))
    assert answer.status_code in (404, 405)


# -- led nowhere ------------------------------------------------------------------------------------------------------


class Catcher:
    """Listens on a port of this machine and keeps what comes."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.caught: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(1)
                self.caught.append(connection.recv(65536))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    catcher = Catcher()
    yield catcher
    catcher.close()


MISLEADING = {
    "Host": "{address}",
    "X-Forwarded-Host": "{address}",
    "X-Forwarded-Server": "{address}",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Prefix": "//{address}",
    "Forwarded": "host={address};proto=http",
    "X-Original-Host": "{address}",
    "X-Original-URL": "http://{address}/",
    "X-Gradio-Server": "http://{address}/",
    "X-Gradio-User": "http://{address}/",
    "Origin": "http://{address}",
    "Referer": "http://{address}/",
    "X-HF-Authorization": "Bearer x",
    "X-IP-Token": "x",
}


@pytest.mark.anyio
@pytest.mark.parametrize("header", MISLEADING)
async def test_no_header_leads_the_server_elsewhere(served: AppServer, catcher: Catcher, header: str) -> None:
    misleading = {header: MISLEADING[header].format(address=catcher.address)}
    before = len(SEEN)
    async with client_of(served, bearer(served, "ada")) as client:
        for kind in KINDS:
            answer = await post(client, kind, arguments_of(kind, "hello"), **misleading)
            assert " | ada | " in text_of(answer)
        schema = await client.get(f"{MCP}schema", headers=misleading)
        assert schema.status_code == 200
        assert catcher.address not in schema.text
    assert not catcher.caught
    after = [(path, headers) for path, headers in SEEN[before:] if not path.startswith("/local/")]
    assert len(after) == len(KINDS) + 1
    assert not any(HF_TOKEN in value for _, headers in after for value in headers.values())
    assert header == "X-HF-Authorization" or not any("x-hf-authorization" in headers for _, headers in after)


HOSTILE_PATHS = (
    "",
    "http",
    "%3C/script%3E%3Cscript%3Ealert(1)%3C/script%3E/gradio_api/mcp",
    "%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E/gradio_api/mcp/",
    "x/gradio_api/mcp/http",
    "messages/x/gradio_api/mcp",
    "sse/x/gradio_api/mcp",
)


@pytest.mark.anyio
@pytest.mark.parametrize("path", HOSTILE_PATHS)
@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json", "text/html, text/event-stream"])
async def test_no_page_is_made_from_an_address(served: AppServer, path: str, accept: str) -> None:
    async with (
        client_of(served, bearer(served, "ada")) as client,
        client.stream("GET", MCP + path, headers={"Accept": accept}) as answer,
    ):
        if path.strip("/") in ("", "http") and "text/event-stream" in accept:
            assert answer.headers["content-type"].startswith("text/event-stream")  # a program, which speaks it
            return
        await answer.aread()
    assert answer.status_code == 404
    assert "<script" not in answer.text


@pytest.mark.anyio
async def test_a_name_of_another_site_for_this_machine_is_refused(served: AppServer) -> None:
    async with client_of(served, bearer(served, "ada")) as client:
        assert (await post(client, "queued", {"text": "hello"}, Host="rebound.example")).status_code == 421


@pytest.mark.anyio
async def test_a_body_in_pieces_is_a_call_like_any_other(served: AppServer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for octet in json.dumps(request_for("queued", {"text": "hello"})).encode():
            yield bytes([octet])

    headers = ACCEPT | {"Content-Type": "application/json"}
    async with client_of(served, bearer(served, "ada")) as client:
        assert text_of(await client.post(MCP, content=pieces(), headers=headers)).startswith("hello | ada | ")


# -- no argument is a file of this machine ----------------------------------------------------------------------------


def file_object(path: object) -> dict[str, Any]:
    return {"path": str(path), "orig_name": "x.txt", "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret.txt"
    file.write_text("secret-of-the-machine", "utf-8")
    return file


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["letter", "advice", "queued", "unqueued", "uploaded"])
async def test_no_call_reads_a_file_that_its_argument_names(served: AppServer, secret: Path, name: str) -> None:
    argument = {"path" if name == "uploaded" else "text": file_object(secret)}
    async with client_of(served, bearer(served, "ada")) as client:
        result = result_of(await post(client, name, argument))
    assert result["isError"]
    assert "secret-of-the-machine" not in str(result)


@pytest.mark.anyio
@pytest.mark.parametrize("address", ["/etc/hostname", "file:///etc/hostname", "{own}/gradio/config", "ftp://x/y"])
async def test_no_address_reads_a_file_of_this_machine(served: AppServer, address: str) -> None:
    async with client_of(served, bearer(served, "ada")) as client:
        result = result_of(await post(client, "uploaded", {"path": address.format(own=served.url)}))
    assert result["isError"]


@pytest.mark.anyio
async def test_a_file_comes_within_the_call(served: AppServer) -> None:
    content = base64.b64encode(b"what it says").decode()
    async with client_of(served, bearer(served, "ada")) as client:
        answer = await post(client, "uploaded", {"path": f"data:text/plain;base64,{content}"})
    assert text_of(answer).startswith("what it says | ada | ")


@pytest.mark.anyio
@pytest.mark.parametrize("function", ["queued", "unqueued", "uploaded"])
async def test_no_event_reads_a_file_that_its_argument_names(served: AppServer, secret: Path, function: str) -> None:
    """The same, for callers without MCP."""
    async with client_of(served, bearer(served, "ada")) as client:
        called = await client.post(f"/gradio/gradio_api/call/{function}", json={"data": [file_object(secret)]})
        run = await client.post(f"/gradio/gradio_api/run/{function}", json={"data": [file_object(secret)]})
    for answer in (called, run):
        assert answer.status_code == 404
        assert "secret" not in answer.text


# -- several apps -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_two_apps_in_one_process_have_each_their_own_callers(served: AppServer, strict: AppServer) -> None:
    for server, name in ((served, "ada"), (strict, ""), (served, "")):
        async with client_of(server, bearer(server, name)) as client:
            text = text_of(await post(client, "queued", {"text": "hello"}))
            assert text.endswith(f"{server.url}/local/local_pool#{text.partition('#')[2]}")
    async with client_of(strict, bearer(served)) as stranger:
        assert (await post(stranger, "queued", {"text": "hello"})).status_code == 401


@pytest.fixture(scope="module")
def public(served: AppServer, providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    """As on a server, behind a proxy; its pool is the local issuer of another app."""
    pool = {"cognito_issuer": f"{served.url}/local/local_pool", "cognito_client_ids": (CLIENT_ID,)}
    with build(providers, public_url="https://app.example.com/some/app", **pool) as server:
        yield server


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["", "/some/app"], ids=["stripped by the proxy", "left in"])
async def test_behind_a_prefix_every_address_is_the_public_one(served: AppServer, public: AppServer, prefix) -> None:
    async with client_of(public, bearer(served, "ada")) as client:
        client.base_url = f"http://127.0.0.1:{public.port}{prefix}"
        for kind in KINDS:
            assert " | ada | " in text_of(await post(client, kind, arguments_of(kind, "hello")))
        address = text_of(await post(client, "written", {"text": "hello"}))
        refused = await client.get(MCP, headers={"Authorization": "Bearer x"})
    assert address.startswith(f"{public.url}/gradio/gradio_api/file=")
    assert f'"{public.url}/.well-known/oauth-protected-resource{MCP}"' in refused.headers["www-authenticate"]


def blocks_of(server: AppServer) -> gr.Blocks:
    (mounted,) = (route.app for route in server.app.routes if getattr(route, "path", "") == "/gradio")
    return mounted.get_blocks()
