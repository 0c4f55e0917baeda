from __future__ import annotations

import pickle
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection, Request

from auth.errors import AuthError, NotSignedIn, SessionExpired, TokenExpired
from auth.identity import Credential, Identity, identity_of
from tests.support.asgi import http_scope
from tests.support.clock import NOW

ADA = Identity(
    username="ada",
    name="Ada Lovelace",
    email="ada@example.com",
    issuer="https://id.acme.example",
    subject="ada-1",
    kind="person",
    expires_at=int(NOW),
    session_id="hush-session",
)


def but(**changes: Any) -> Identity:
    kept = {name: getattr(ADA, name) for name in Identity.__struct_fields__}
    return Identity(**kept | changes)


@pytest.mark.parametrize(
    ("changes", "greeted"),
    [
        ({}, "Ada Lovelace"),
        ({"name": None}, "ada@example.com"),
        ({"name": ""}, "ada@example.com"),
        ({"name": None, "email": None}, "ada"),
        ({"name": None, "email": "", "username": ""}, "ada-1"),
    ],
    ids=["name", "no-name", "empty-name", "username", "subject"],
)
def test_whoever_comes_is_greeted_by_the_best_name_there_is(changes: dict[str, Any], greeted: str) -> None:
    assert but(**changes).display_name == greeted


def test_a_person_is_the_issuer_and_the_subject_and_nothing_else() -> None:
    assert ADA.identity == "https://id.acme.example#ada-1"
    assert but(name="Bob", email="bob@example.com", username="bob", session_id="x").identity == ADA.identity
    assert but(subject="ada-2").identity != ADA.identity
    assert but(issuer="https://id.other.example").identity != ADA.identity


def test_no_issuer_can_name_a_person_of_another() -> None:
    assert but(issuer="https://id.acme.example", subject="a#b").identity.partition("#")[0] == "https://id.acme.example"


def test_an_identity_does_not_change_and_takes_nothing_else_on() -> None:
    with pytest.raises(AttributeError):
        ADA.subject = "bob-1"
    with pytest.raises((AttributeError, TypeError)):
        ADA.anything = 1
    assert hash(ADA) == hash(but())


def test_a_session_id_is_not_in_the_repr() -> None:
    assert "hush" not in repr(ADA)


def test_an_identity_survives_what_gradio_pickles_of_a_request() -> None:
    assert pickle.loads(pickle.dumps(ADA)) == ADA


def test_an_identity_is_made_by_keyword_only() -> None:
    with pytest.raises(TypeError):
        Identity("ada", "issuer", "subject", "person", 0)


REQUESTS = {
    "starlette": Request,
    "starlette-connection": HTTPConnection,
    "gradio": lambda scope: gr.Request(Request(scope)),
}


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
def test_the_identity_is_read_from_any_request(request_of) -> None:
    assert identity_of(request_of(http_scope(state={"credential": Credential(outcome=ADA)}))) is ADA


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("error", [SessionExpired("over"), TokenExpired("exp"), NotSignedIn("")], ids=repr)
def test_what_stands_in_the_way_of_an_identity_is_raised_as_it_is(request_of, error: AuthError) -> None:
    with pytest.raises(AuthError) as raised:
        identity_of(request_of(http_scope(state={"credential": Credential(outcome=error)})))
    assert raised.value is error


@pytest.mark.parametrize(
    "state", [{}, {"credential": None}, {"credential": "ada"}, {"credential": ADA}, {"identity": ADA}], ids=repr
)
@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS)
def test_where_nobody_was_established_there_is_nobody(request_of, state: dict[str, Any]) -> None:
    with pytest.raises(NotSignedIn):
        identity_of(request_of(http_scope(state=state)))


@pytest.mark.parametrize(
    "thing",
    [None, "ada", {"state": {"credential": Credential(outcome=ADA)}}, object()],
    ids=["none", "text", "scope", "object"],
)
def test_what_is_no_request_has_no_identity(thing: object) -> None:
    with pytest.raises(NotSignedIn):
        identity_of(thing)


def test_a_route_that_answers_an_identity_is_described_by_that_name_and_without_its_session() -> None:
    app = FastAPI()

    @app.get("/")
    async def caller() -> Identity:
        return ADA

    document = app.openapi()
    answer = document["paths"]["/"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/Identity"}
    shown = [*document["components"]["schemas"]["Identity"]["properties"]]
    assert [*shown, "email_verified", "domain", "session_id"] == [*Identity.__struct_fields__]
