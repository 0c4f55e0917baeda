"""Rules: whom they allow, and that a function which is kept for some looks to Gradio as it did before."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any

import gradio as gr
import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from gradio.helpers import special_args
from gradio.utils import check_function_inputs_match
from msgspec.structs import replace

from auth.access import Access, named_groups
from auth.errors import AuthError, NotPermitted, NotSignedIn
from auth.identity import Credential, Identity, calling

ADA = Identity(
    username="ada",
    email="ada@example.com",
    issuer="https://id.example",
    subject="ada-1",
    kind="person",
    groups=("admins", "staff"),
    expires_at=2_000_000_000,
    email_verified=True,
    domain="example.com",
)
BOB = replace(ADA, subject="bob-1", email="bob@example.org", domain="example.org", groups=())
PROGRAM = replace(BOB, kind="program", email=None, email_verified=False, domain=None)
ADMINS = Access(emails=["ada@example.com"])


def as_caller(identity: Identity) -> Any:
    return calling(Credential(outcome=identity))


ALLOWED = {
    "group": ({"groups": ["admins"]}, ADA),
    "any group": ({"groups": ["x", "staff"]}, ADA),
    "email": ({"emails": ["ada@example.com"]}, ADA),
    "email in capitals": ({"emails": ["ADA@Example.com"]}, replace(ADA, email="Ada@EXAMPLE.com")),
    "domain": ({"domains": ["example.com"]}, ADA),
    "domain in capitals": ({"domains": ["Example.COM"]}, ADA),
    "domain with an at": ({"domains": ["@example.com"]}, ADA),
    "kind": ({"kinds": ["person"]}, ADA),
    "program": ({"kinds": ["program"]}, PROGRAM),
    "any of two sorts": ({"groups": ["x"], "kinds": ["person"]}, ADA),
    "group of a program": ({"groups": ["bots"]}, replace(PROGRAM, groups=("bots",))),
}
REFUSED = {
    "no group": ({"groups": ["admins"]}, BOB),
    "group in another case": ({"groups": ["Admins"]}, ADA),
    "group by name": ({"groups": ["bob"]}, replace(BOB, name="bob", username="bob", subject="bob")),
    "email of another": ({"emails": ["ada@example.com"]}, BOB),
    "email unverified": ({"emails": ["ada@example.com"]}, replace(ADA, email_verified=False)),
    "email none": ({"emails": ["ada@example.com"]}, PROGRAM),
    "email with the Kelvin sign": ({"emails": ["kate@example.com"]}, replace(ADA, email="\u212aate@example.com")),
    "domain unverified": ({"domains": ["example.com"]}, replace(ADA, email_verified=False)),
    "domain that does not count": ({"domains": ["example.com"]}, replace(ADA, domain=None)),
    "subdomain": ({"domains": ["example.com"]}, replace(ADA, domain="mail.example.com")),
    "kind": ({"kinds": ["program"]}, ADA),
    "scope is no group": ({"groups": ["admins"]}, replace(PROGRAM, scopes=("admins",))),
}


@pytest.mark.parametrize(("rule", "identity"), ALLOWED.values(), ids=ALLOWED)
def test_who_has_any_of_what_a_rule_names_is_allowed(rule: dict[str, Any], identity: Identity) -> None:
    assert Access(**rule).allows(identity)
    assert Access(**rule).check(identity) is identity


@pytest.mark.parametrize(("rule", "identity"), REFUSED.values(), ids=REFUSED)
def test_who_has_none_of_it_is_not(rule: dict[str, Any], identity: Identity) -> None:
    assert not Access(**rule).allows(identity)
    with pytest.raises(NotPermitted):
        Access(**rule).check(identity)


NO_RULES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty": {"groups": [], "emails": ()},
    "a text is many letters": {"groups": "admins"},
    "a text in parentheses": {"emails": ("ada@example.com")},
    "an empty name": {"groups": [""]},
    "a blank name": {"groups": ["admins", " "]},
    "no text": {"groups": [None]},
    "an address without at": {"emails": ["ada"]},
    "a domain with a name": {"domains": ["ada@example.com"]},
    "an empty domain": {"domains": ["@"]},
    "a kind that nobody is": {"kinds": ["people"]},
    "an unhashable one": {"groups": [["admins"]]},
}


@pytest.mark.parametrize("names", NO_RULES.values(), ids=NO_RULES)
def test_a_rule_that_lets_nobody_in_is_a_mistake(names: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^Access "):
        Access(**names)


def test_groups_that_rules_name_are_known_as_soon_as_the_rules_are_made() -> None:
    assert "named-just-now" not in named_groups()
    Access(groups=["named-just-now"], kinds=["program"])
    assert "named-just-now" in named_groups()


# -- functions --------------------------------------------------------------------------------------------------------


def plain(text: str, request: gr.Request, more: int = 2) -> str:
    """What it does."""
    return f"{text} {more}"


async def later(text: str) -> str:
    return text


def results(text: str) -> Iterator[str]:
    yield text
    yield text * 2


async def results_later(text: str) -> AsyncIterator[str]:
    yield text
    yield text * 2


class Tool:
    def method(self, text: str, request: gr.Request) -> str:
        return text

    @ADMINS.only
    def guarded(self, text: str) -> str:
        return text

    @ADMINS.only
    @staticmethod
    def static(text: str) -> str:
        return text

    @classmethod
    @ADMINS.only
    def of_class(cls, text: str) -> str:
        return text

    def __call__(self, text: str, request: gr.Request) -> str:
        return text


def every_shape(
    text: str,
    request: gr.Request,
    event: gr.SelectData,
    profile: gr.OAuthProfile | None,
    token: gr.OAuthToken | None,
    number: int = 3,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - as Gradio has it
) -> str:
    return text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "async": later,
    "generator": results,
    "async generator": results_later,
    "lambda": lambda text: text,
    "method": Tool().method,
    "callable": Tool(),
    "partial": functools.partial(lambda text, more: text, more=3),
    "built-in": str.upper,
    "every argument": every_shape,
}
KINDS = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_kept_function_looks_to_gradio_as_it_did(function: Callable[..., Any]) -> None:
    kept = ADMINS.only(function)
    assert kept is not function
    assert inspect.signature(kept) == inspect.signature(function)
    assert [kind(kept) for kind in KINDS] == [kind(function) for kind in KINDS]
    assert kept.__name__ == getattr(function, "__name__", type(function).__name__)
    assert kept.__doc__ == (function.__call__ if isinstance(function, Tool) else function).__doc__
    request, event = object(), gr.EventData(None, {"index": 1, "value": 2})
    filled = [special_args(each, ["text"], request, event)[0] for each in (kept, function)]  # type: ignore[arg-type]
    of_kept, of_function = [[type(argument) for argument in arguments] for arguments in filled]
    assert of_kept == of_function
    assert check_function_inputs_match(kept, ["x"], False) == check_function_inputs_match(function, ["x"], False)


@pytest.mark.parametrize("shape", ["plain", "async", "generator", "async generator"])
def test_a_kept_function_runs_for_those_whom_the_rule_allows_and_for_no_others(shape: str) -> None:
    ran: list[str] = []

    def note(text: str) -> str:
        ran.append(text)
        return text

    async def note_later(text: str) -> str:
        return note(text)

    def notes(text: str) -> Iterator[str]:
        yield note(text)

    async def notes_later(text: str) -> AsyncIterator[str]:
        yield note(text)

    kept = ADMINS.only({"plain": note, "async": note_later, "generator": notes, "async generator": notes_later}[shape])

    async def run() -> Any:
        outcome: Any = kept("x")
        if shape == "async":
            return await outcome
        if shape == "generator":
            return list(outcome)
        return [result async for result in outcome] if shape == "async generator" else outcome

    with as_caller(BOB), pytest.raises(NotPermitted):
        asyncio.run(run())
    with pytest.raises(NotSignedIn):  # nobody asked
        asyncio.run(run())
    assert ran == []
    with as_caller(ADA):
        assert asyncio.run(run()) in ("x", ["x"])
    assert ran == ["x"]


def test_methods_are_kept_too() -> None:
    for call in (Tool().guarded, Tool.static, Tool().static, Tool.of_class):
        with as_caller(ADA):
            assert call("x") == "x"
        with as_caller(BOB), pytest.raises(NotPermitted):
            call("x")


def test_a_stream_that_is_left_ends_the_one_within() -> None:
    ended = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.append("plain")

    async def endless_later() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.append("async")

    async def leave() -> None:
        stream = ADMINS.only(endless_later)()
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]

    with as_caller(ADA):
        stream = ADMINS.only(endless)()
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        asyncio.run(leave())
    assert ended == ["plain", "async"]


def test_two_rules_on_one_function_must_both_allow() -> None:
    kept = ADMINS.only(Access(kinds=["program"]).only(lambda: "ran"))
    with as_caller(ADA), pytest.raises(NotPermitted):
        kept()
    with as_caller(replace(ADA, kind="program")):
        assert kept() == "ran"


def test_a_caller_is_known_in_what_a_request_waits_for_and_forgotten_after_it() -> None:
    async def in_a_thread() -> str:
        return await asyncio.to_thread(ADMINS.only(lambda: "ran"))

    with as_caller(ADA):
        assert asyncio.run(in_a_thread()) == "ran"
        later_on = copy_context()
        with as_caller(BOB), pytest.raises(NotPermitted):
            asyncio.run(in_a_thread())
    with pytest.raises(NotSignedIn):
        asyncio.run(in_a_thread())
    with pytest.raises(NotPermitted):  # in a worker's copy of another's context whoever starts an event says for whom
        later_on.run(lambda: _run_for(BOB, ADMINS.only(lambda: "ran")))


def _run_for(identity: Identity, function: Callable[[], Any]) -> Any:
    with as_caller(identity):
        return function()


def test_a_part_cannot_be_kept_where_nobody_guards_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "guard_part", None)
    with pytest.raises(RuntimeError, match=r"use Access\.allows"):
        ADMINS.only()


# -- routes -----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize(("identity", "status"), [(ADA, 200), (BOB, 403), (None, 401)], ids=["in", "out", "nobody"])
@pytest.mark.parametrize("path", ["/route", "/router", "/identity"])
async def test_a_rule_guards_a_route_and_a_router(path: str, identity: Identity | None, status: int) -> None:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(ADMINS)])

    @app.middleware("http")
    async def establish(request: Request, call_next: Any) -> Any:
        if identity:
            request.state.credential = Credential(outcome=identity)
        return await call_next(request)

    @app.exception_handler(AuthError)
    async def answer(request: Request, error: AuthError) -> Any:
        return gr.routes.JSONResponse(error.sentence, error.status)

    @app.get("/route", dependencies=[Depends(ADMINS)])
    async def route() -> str:
        return "in"

    @router.get("/router")
    async def routed() -> str:
        return "in"

    @app.get("/identity")
    async def known(identity: Identity = Depends(ADMINS)) -> str:  # noqa: B008 - as FastAPI has it
        return identity.subject

    app.include_router(router)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
        answered = await client.get(path)
    assert answered.status_code == status
    assert answered.json() in ("in", ADA.subject, NotPermitted.sentence, NotSignedIn.sentence)
