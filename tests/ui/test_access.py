"""What a rule keeps for some, against the running app: guarded however it is called, and shown to nobody else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import gradio as gr
import httpx2
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from auth import Access
from auth.errors import NotPermitted
from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.support.app_server import AppServer, Browser
from tests.support.kept_blocks import RAN, SECRET, kept_blocks
from tests.support.provider import Provider

pytestmark = [
    pytest.mark.filterwarnings("ignore:SSR mode is not supported with multi-page apps"),
    pytest.mark.filterwarnings("ignore:This MCP server includes a tool that has a gr.State input"),
]
SENTENCE = NotPermitted.sentence
OWN = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
MCP = {"Accept": "application/json, text/event-stream", "Sec-Fetch-Site": "same-origin"}

DECORATED = ("plain", "later", "results", "results_later", "batched", "cached", "calls_a_kept_one", "unqueued")
IN_A_PART = (
    "in_part",
    "part_unqueued",
    "validated",
    "part_load",
    "outside",
    "follows",
    "load_example",
    "apply_1",
)
BESIDE_A_PART = ("writes", "reads", "remembers")
ON_A_PAGE = ("staff", "both", "admin")
NOT_IN_THE_CONFIG = ("part_api",)


@pytest.fixture(scope="module")
def server(providers: Mapping[str, Provider]) -> Iterator[AppServer]:
    with AppServer(providers, main_blocks=kept_blocks, mcp_server=True) as server:
        yield server


@contextmanager
def entered(server: AppServer, acme: Provider, **claims: object) -> Iterator[Browser]:
    with server.browser() as browser:
        with acme.signing_in(**claims):
            assert browser.sign_in().status_code == 303
        yield browser


@pytest.fixture(scope="module")
def ada(server: AppServer, acme: Provider) -> Iterator[Browser]:
    """An admin."""
    with entered(server, acme, sub="ada", groups=["admins", "else"]) as browser:
        yield browser


@pytest.fixture(scope="module")
def sam(server: AppServer, acme: Provider) -> Iterator[Browser]:
    """Of the staff."""
    with entered(server, acme, sub="sam", groups=["staff"]) as browser:
        yield browser


@pytest.fixture(scope="module")
def bob(server: AppServer, acme: Provider) -> Iterator[Browser]:
    """In no group that a rule names, and not for want of trying."""
    claims = {"groups": ["else", "Admins", "admins,staff"], "name": "admins", "roles": ["admins"], "scope": "admins"}
    with entered(server, acme, sub="bob", **claims) as browser:
        yield browser


@pytest.fixture(scope="module")
def program(server: AppServer) -> Iterator[Browser]:
    """With a token, in a group that no rule names."""
    form = {"grant_type": "client_credentials"}
    answer = httpx2.post(f"{server.url}/local/oauth2/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    with server.browser() as browser:
        browser.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield browser


@pytest.fixture(params=["bob", "program"])
def outsider(request: pytest.FixtureRequest) -> Browser:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Browser)
    return found


@pytest.fixture(scope="module")
def functions(ada: Browser) -> dict[str, dict[str, Any]]:
    """All there are, by API name, as an admin is shown them."""
    return {one["api_name"]: one for one in ada.fetch("/gradio/config").json()["dependencies"]}


@pytest.fixture(autouse=True)
def ran() -> list[str]:
    """What has run since the test began."""
    RAN.clear()
    return RAN


# -- ways to call a function ------------------------------------------------------------------------------------------


def arguments(function: dict[str, Any]) -> list[Any]:
    return [0] if function["api_name"] == "load_example" else ["x"] * len(function["inputs"])


def outcome(browser: Browser, session: str) -> dict[str, Any]:
    """How a queued event ended: its last message."""
    with browser.stream("GET", f"/gradio/gradio_api/queue/data?session_hash={session}", headers=OWN) as stream:
        for line in stream.iter_lines():
            if '"process_completed"' in line:
                return dict(json.loads(line.removeprefix("data: ")))
    raise AssertionError("the event did not end")


def post(browser: Browser, path: str, document: object) -> httpx2.Response:
    return browser.post(f"/gradio/gradio_api/{path}", json=document, headers=OWN)


def by_queue(browser: Browser, name: str, function: dict[str, Any], **more: Any) -> str:
    session = uuid4().hex
    event = {"data": arguments(function), "fn_index": function["id"], "session_hash": session, **more}
    joined = post(browser, "queue/join", event)
    if joined.status_code != 200:
        return joined.text
    message = outcome(browser, session)
    assert message["success"] is False
    return str(message["output"]["error"])


def by_another_trigger(browser: Browser, name: str, function: dict[str, Any]) -> str:
    return by_queue(browser, name, function, trigger_id=2, event_data={"value": 1})


def by_call(browser: Browser, name: str, function: dict[str, Any]) -> str:
    begun = post(browser, f"call/{name}", {"data": arguments(function)})
    if begun.status_code != 200:
        return begun.text
    return browser.get(f"/gradio/gradio_api/call/{name}/{begun.json()['event_id']}", headers=OWN).text


def by_call_v2(browser: Browser, name: str, function: dict[str, Any]) -> str:
    begun = post(browser, f"call/v2/{name}", {"text": "x"})
    if begun.status_code != 200:
        return begun.text
    return browser.get(f"/gradio/gradio_api/call/v2/{name}/{begun.json()['event_id']}", headers=OWN).text


def by_run(browser: Browser, name: str, function: dict[str, Any]) -> str:
    answer = post(browser, f"run/{name}", {"data": arguments(function), "session_hash": uuid4().hex})
    assert answer.status_code == 403
    return answer.text


def by_run_without_a_session(browser: Browser, name: str, function: dict[str, Any]) -> str:
    answer = post(browser, f"run/{name}/", {"data": arguments(function)})
    assert answer.status_code == 403
    return answer.text


def by_run_of_another(browser: Browser, name: str, function: dict[str, Any]) -> str:
    document = {"data": arguments(function), "fn_index": function["id"], "session_hash": uuid4().hex}
    answer = post(browser, "run/anybodys", document)
    assert answer.status_code == 403
    return answer.text


def by_the_old_api(browser: Browser, name: str, function: dict[str, Any]) -> str:
    answer = post(browser, f"api/{name}", {"data": arguments(function), "batched": False})
    assert answer.status_code == 403
    return answer.text


Call = Callable[[Browser, str, dict[str, Any]], str]
CALLS: tuple[Call, ...] = (
    by_queue,
    by_another_trigger,
    by_call,
    by_run,
    by_run_without_a_session,
    by_run_of_another,
    by_the_old_api,
)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("name", (*DECORATED, *IN_A_PART, *BESIDE_A_PART, *ON_A_PAGE))
def test_what_is_kept_is_refused_with_a_sentence_however_it_is_called(outsider, functions, ran, call, name) -> None:
    told = call(outsider, name, functions[name])
    assert SENTENCE in told
    assert SECRET not in told
    assert ran == []


@pytest.mark.parametrize("name", (*DECORATED, *IN_A_PART, *BESIDE_A_PART, *ON_A_PAGE, *NOT_IN_THE_CONFIG))
def test_what_is_kept_is_not_run_by_its_name_with_named_arguments_either(outsider, functions, ran, name: str) -> None:
    """What somebody is not shown is nothing there to call: the name of an API without a function."""
    told = by_call_v2(outsider, name, functions.get(name, {"inputs": []}))
    assert SENTENCE in told or "check its name and arguments" in told
    assert SECRET not in told
    assert ran == []


@pytest.mark.parametrize("name", (*DECORATED, *IN_A_PART, "writes", "staff", "both", "admin"))
def test_who_may_can(ada: Browser, functions: dict[str, dict[str, Any]], ran: list[str], name: str) -> None:
    session = uuid4().hex
    event = {"data": arguments(functions[name]), "fn_index": functions[name]["id"], "session_hash": session}
    assert post(ada, "queue/join", event).status_code == 200
    assert outcome(ada, session)["success"] is True
    assert ran or name in ("apply_1", "load_example")


@pytest.mark.parametrize("call", [by_queue, by_run], ids=lambda call: call.__name__)
def test_rules_within_one_another_must_both_allow(sam: Browser, functions, ran, call: Call) -> None:
    assert SENTENCE in call(sam, "both", functions["both"])
    assert ran == []
    done = post(sam, "run/staff", {"data": ["x"], "fn_index": functions["staff"]["id"]})
    assert (done.status_code, ran) == (200, ["in_part x"])


@pytest.mark.parametrize("name", ["anybodys", "either"])
def test_what_is_not_kept_is_for_all(outsider: Browser, functions: dict[str, dict[str, Any]], name: str) -> None:
    answer = post(outsider, f"run/{name}", {"data": ["x"]})
    assert (answer.status_code, answer.json()["data"]) == (200, ["for all: x"])


def test_a_kept_component_is_no_target_of_an_event(bob: Browser, ada: Browser, functions: dict[str, Any]) -> None:
    function = functions["anybodys_with_target"]
    (kept,) = [one for one in ada.fetch("/gradio/config").json()["components"] if one["props"].get("label") == "Kept"]
    document = {"data": ["x"], "fn_index": function["id"], "trigger_id": kept["id"], "session_hash": uuid4().hex}
    assert SECRET in post(ada, "run/predict", document).text
    refused = post(bob, "run/predict", {**document, "session_hash": uuid4().hex})
    assert (refused.status_code, SECRET in refused.text) == (403, False)


@pytest.mark.parametrize("sent_as", ["json", "form"])
def test_a_component_server_of_a_kept_part_is_for_those_who_may(ada, bob, ran: list[str], sent_as: str) -> None:
    components = ada.fetch("/gradio/config").json()["components"]
    (number,) = [one["id"] for one in components if one["props"].get("elem_id") == "vault-server"]
    for browser, status in ((bob, 403), (ada, 200)):
        fields = {"component_id": number, "session_hash": uuid4().hex, "fn_name": "component_server", "data": "x"}
        sent = {"json": fields} if sent_as == "json" else {"data": fields, "files": {"file": b"x"}}
        answer = browser.post("/gradio/gradio_api/component_server/", headers=OWN, **sent)
        assert answer.status_code == status
        assert (SENTENCE in answer.text, SECRET in answer.text, len(ran)) == (
            status == 403,
            status == 200,
            status == 200,
        )


# -- gradio_client and MCP --------------------------------------------------------------------------------------------


def client_of(browser: Browser) -> Client:
    headers = {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)}
    return Client(f"{browser.app.url}/gradio/", headers=headers, verbose=False, analytics_enabled=False)


@pytest.mark.parametrize("name", DECORATED)
def test_gradio_client_is_told_the_sentence(ada: Browser, bob: Browser, ran: list[str], name: str) -> None:
    client = client_of(bob)
    with pytest.raises(AppError, match=re.escape(SENTENCE)):
        client.predict("x", api_name=f"/{name}")
    assert ran == []
    client.close()
    client = client_of(ada)
    assert SECRET in client.predict("x", api_name=f"/{name}")
    client.close()


def test_gradio_client_is_not_shown_what_it_may_not_call(ada: Browser, bob: Browser) -> None:
    client = client_of(bob)
    shown = set(client.view_api(return_format="dict")["named_endpoints"])
    assert shown.isdisjoint({f"/{name}" for name in (*IN_A_PART, *BESIDE_A_PART, *ON_A_PAGE, *NOT_IN_THE_CONFIG)})
    assert {"/anybodys", "/plain"} <= shown
    client.close()


def ask_mcp(browser: Browser, method: str, **params: Any) -> str:
    document = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = browser.post("/gradio/gradio_api/mcp/", json=document, headers=MCP)
    assert answer.status_code == 200
    return answer.text


def tools_of(browser: Browser) -> dict[str, dict[str, str]]:
    """The name of each tool, and arguments for it."""
    told = ask_mcp(browser, "tools/list")
    tools = json.loads(told.partition("data: ")[2] or told)["result"]["tools"]
    return {tool["name"]: dict.fromkeys(tool["inputSchema"]["properties"], "x") for tool in tools}


def test_mcp_lists_what_its_caller_may_call_and_refuses_the_rest(ada: Browser, outsider: Browser, ran) -> None:
    tools, shown = tools_of(ada), tools_of(outsider)
    hidden = tools.keys() - shown
    assert len(hidden) >= len((*IN_A_PART, *BESIDE_A_PART, *ON_A_PAGE)) - len(("load_example", "apply_1"))
    assert SECRET in ask_mcp(ada, "tools/list")
    assert SECRET not in ask_mcp(outsider, "tools/list")
    assert shown.keys() >= {"anybodys", "plain"}
    for tool in (*hidden, "plain", "later", "results", "results_later", "cached", "calls_a_kept_one"):
        told = ask_mcp(outsider, "tools/call", name=tool, arguments=tools[tool])
        assert '"isError":true' in told
        assert SENTENCE in told, tool
        assert (SECRET in told, ran) == (False, [])
    assert SECRET in ask_mcp(ada, "tools/call", name="in_part", arguments={"text": "x"})


# -- what is shown ----------------------------------------------------------------------------------------------------

SHOWN = (
    "/gradio/",
    "/gradio/?view=api",
    "/gradio/open",
    "/gradio/config",
    "/gradio/config/",
    "/gradio/config?deep_link=x",
    "/gradio/gradio_api/info",
    "/gradio/gradio_api/info/",
    "/gradio/gradio_api/info?all_endpoints=true",
    "/gradio/gradio_api/openapi.json",
    "/gradio/gradio_api/mcp/schema",
)


@pytest.mark.parametrize("path", SHOWN)
def test_nothing_of_what_is_kept_is_sent_to_who_may_not_see_it(ada, sam, outsider, path: str) -> None:
    """Whoever came first: what Gradio works out once it keeps for all."""
    for browser in (ada, outsider, sam, outsider, ada):
        text = browser.get(path, headers=OWN).text
        if browser is outsider:
            assert SECRET not in text
            assert "Vault" not in text
            assert not re.search(r'"/?(admin|staff)"', text), "a page is named"
    assert SECRET in ada.get("/gradio/config", headers=OWN).text


@pytest.mark.parametrize("path", ["config", "config/", "", "gradio_api/info", "gradio_api/openapi.json"])
@pytest.mark.parametrize("query", ["page=admin", "page=&page=admin", "page=%61dmin", "page=staff"])
def test_a_kept_page_is_refused_by_its_name_too(outsider: Browser, path: str, query: str) -> None:
    answer = outsider.get(f"/gradio/{path}?{query}", headers=OWN)
    assert (answer.status_code, SECRET in answer.text) == (403, False)


@pytest.mark.parametrize("path", ["admin", "staff", "admin/", "admin?deep_link=x", "/admin", "%61dmin"])
def test_a_kept_page_is_refused(outsider: Browser, path: str) -> None:
    opened = outsider.get(f"/gradio/{path}")
    assert opened.status_code in (403, 404)
    assert SECRET not in opened.text
    assert opened.status_code == 404 or NotPermitted.title in opened.text


def test_a_page_is_open_to_those_whom_its_rule_allows(ada: Browser, sam: Browser) -> None:
    assert SECRET in ada.get("/gradio/admin").text
    assert SECRET in ada.get("/gradio/staff").text
    assert SECRET in sam.get("/gradio/staff").text
    assert sam.get("/gradio/admin").status_code == 403


def test_the_navbar_leads_to_pages_that_one_may_open(ada: Browser, sam: Browser, bob: Browser) -> None:
    for browser, pages, entries in ((ada, 4, 2), (sam, 3, 1), (bob, 2, 1)):
        config = browser.fetch("/gradio/config").json()
        (navbar,) = [one for one in config["components"] if one["type"] == "navbar"]
        assert (len(config["pages"]), len(config["page"]), len(navbar["props"]["value"])) == (pages, pages, entries)


def test_what_is_left_of_a_page_is_whole(bob: Browser) -> None:
    """Everything that it refers to is there: the frontend fails at a component that is not."""
    config = bob.fetch("/gradio/config").json()
    components = {component["id"] for component in config["components"]}

    def laid_out(node: dict[str, Any]) -> Iterator[int]:
        for child in node.get("children", ()):
            yield child["id"]
            yield from laid_out(child)

    assert set(laid_out(config["layout"])) <= components
    for page in config["page"].values():
        assert {*page["components"], *laid_out(page["layout"])} <= components
    for function in config["dependencies"]:
        targets = {target for target, _ in function["targets"] if target is not None}
        assert {*function["inputs"], *function["outputs"]} <= components
        assert targets <= {*components, config["layout"]["id"]}


def test_a_deep_link_shows_nothing_of_what_is_kept(ada: Browser, bob: Browser, functions: dict[str, Any]) -> None:
    session = uuid4().hex
    event = {"data": ["x"], "fn_index": functions["writes"]["id"], "session_hash": session}
    post(ada, "queue/join", event)
    assert outcome(ada, session)["success"] is True
    link = ada.get(f"/gradio/gradio_api/deep_link?session_hash={session}", headers=OWN).json()
    assert SECRET in ada.get(f"/gradio/config?deep_link={link}", headers=OWN).text
    for path in (
        "/gradio/?",
        "/gradio/config?",
        "/gradio/config?page=&",
        "/gradio/open?",
    ):
        answer = bob.get(f"{path}deep_link={link}", headers=OWN)
        assert answer.status_code == 200, path
        assert SECRET not in answer.text
    assert bob.get(f"/gradio/admin?deep_link={link}").status_code == 403


# -- what is rendered later -------------------------------------------------------------------------------------------


def rendered(browser: Browser, functions: Mapping[str, Any], session: str) -> dict[str, Any]:
    """What the first of the functions that render has rendered for this session."""
    event = {"data": ["x"], "fn_index": functions["apply"]["id"], "session_hash": session}
    assert post(browser, "queue/join", event).status_code == 200
    message = outcome(browser, session)
    assert message["success"], message
    return dict(message["output"]["render_config"])


def test_a_part_is_kept_where_it_is_rendered(ada: Browser, bob: Browser, functions, ran: list[str]) -> None:
    for browser, is_shown in ((ada, True), (bob, False)):
        session = uuid4().hex
        config = rendered(browser, functions, session)
        names = {one["api_name"]: one["id"] for one in config["dependencies"]}
        assert (SECRET in json.dumps(config), "rendered_kept" in names) == (is_shown, is_shown)
        assert "rendered_open" in names
        number = names["rendered_open"] - 1  # the one before it, whoever is told of it
        event = {"data": ["x"], "fn_index": number, "session_hash": session}
        post(browser, "queue/join", event)
        assert (outcome(browser, session)["success"], ran) == (is_shown, ["in_part x"] if is_shown else [])
        ran.clear()
        event["fn_index"] = names["rendered_open"]
        post(browser, "queue/join", event)
        assert outcome(browser, session)["output"]["data"] == ["for all: x"]


def test_what_was_rendered_in_a_kept_part_is_kept_from_who_has_lost_the_right(server, acme, functions, ran) -> None:
    session = uuid4().hex
    with entered(server, acme, sub="eve", groups=["admins"]) as eve:
        event = {"data": ["x"], "fn_index": functions["apply_1"]["id"], "session_hash": session}
        post(eve, "queue/join", event)
        (function,) = outcome(eve, session)["output"]["render_config"]["dependencies"]
        event["fn_index"] = function["id"]
        post(eve, "queue/join", event)
        assert outcome(eve, session)["success"] is True
        eve.sign_out()
    ran.clear()
    with entered(server, acme, sub="eve", groups=[]) as eve:
        post(eve, "queue/join", event)
        assert outcome(eve, session)["output"]["error"] == SENTENCE
    assert ran == []


# -- several at once, and earlier sessions ----------------------------------------------------------------------------


def test_a_batch_runs_for_nobody_who_may_not(ada: Browser, bob: Browser, functions, ran: list[str]) -> None:
    function = functions["batched"]
    sessions = [(browser, uuid4().hex) for _ in range(4) for browser in (ada, bob)]
    for number, (browser, session) in enumerate(sessions):
        event = {"data": [f"{number}"], "fn_index": function["id"], "session_hash": session}
        assert post(browser, "queue/join", event).status_code == 200
    for browser, session in sessions:
        assert outcome(browser, session)["success"] is (browser is ada)
    assert sorted(ran) == [f"batched {number}" for number in (0, 2, 4, 6)]


def ruled_blocks() -> gr.Blocks:
    rule = Access(groups=["admins"])
    with gr.Blocks() as blocks, rule.only():
        gr.Textbox(SECRET)
    return blocks


def test_a_session_from_before_a_rule_was_made_has_ended(acme: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not say who is in the group; without the rule it was no worse than any."""
    monkeypatch.setattr("auth.access._named_groups", set())
    with AppServer({"acme": acme}) as before, entered(before, acme, sub="ada", groups=["admins"]) as browser:
        assert browser.who() is not None
        cookie = browser.cookie
    with AppServer({"acme": acme}, main_blocks=ruled_blocks) as after, after.browser() as browser:
        browser.cookie = cookie
        assert browser.who() is None
        assert (
            browser.get("/gradio/", headers={"Sec-Fetch-Site": "none"})
            .headers["location"]
            .endswith("reason=session_expired")
        )
        with acme.signing_in(sub="ada", groups=["admins"]):
            browser.sign_in()
        assert SECRET in browser.get("/gradio/").text


@pytest.mark.parametrize("stage", ["claims", "userinfo"])
def test_groups_come_from_the_id_token_or_from_userinfo(acme: Provider, providers, stage: str) -> None:
    lean = providers["lean"] if stage == "userinfo" else acme
    with AppServer({"acme": lean}, main_blocks=ruled_blocks) as server:
        for groups, is_in in ((["admins"], True), (["else"], False), (None, False)):
            with entered(server, lean, sub="ada", groups=groups) as browser:
                assert browser.person["groups"] == (["admins"] if is_in else [])
                assert (SECRET in browser.get("/gradio/").text) is is_in


def test_who_may_enter_at_all_can_be_a_group(acme: Provider) -> None:
    with AppServer({"acme": acme}, allowed_groups=("staff",)) as server, server.browser() as browser:
        with acme.signing_in(groups=["else"]):
            refused = browser.sign_in()
        assert (refused.status_code, "not on the list" in refused.text) == (403, True)
        link = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x.example"}}}
        with acme.signing_in(groups=None, **link):
            refused = browser.sign_in()
        assert (refused.status_code, "more groups than your provider lists" in refused.text) == (403, True)
        with acme.signing_in(groups=["staff"]):
            assert browser.sign_in().status_code == 303
        assert browser.person["groups"] == ["staff"]
