"""What `/openapi.json` says of the API is what the API does, whatever it is sent."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openapi_spec_validator import validate

from auth.local.cognito import CLIENT_ID, CLIENT_SECRET
from tests.support.app_server import AppServer

ROUTES = {"/user/me", "/secure"}
CONFIG = """
# It takes any text after "Bearer" for a sound request. With a space or a comma in it, it is none (RFC 6750, 2.1).
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403"]
"""


@pytest.fixture(scope="module")
def served() -> Iterator[AppServer]:
    with AppServer({}, api_scopes=("api/read",)) as server:
        yield server


def bearer(server: AppServer, **form: str) -> dict[str, str]:
    issued = httpx2.post(f"{server.url}/local/oauth2/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    return {"Authorization": f"Bearer {issued.json()['access_token']}"}


@pytest.fixture(scope="module")
def program(served: AppServer) -> dict[str, str]:
    return bearer(served, grant_type="client_credentials")


@pytest.fixture(scope="module")
def too_narrow(served: AppServer) -> dict[str, str]:
    return bearer(served, grant_type="password", username="ada", password="any")


@pytest.fixture
def nobody() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def document(served: AppServer, program: dict[str, str]) -> dict[str, Any]:
    return dict(httpx2.get(f"{served.url}/openapi.json", headers=program).raise_for_status().json())


def test_the_document_is_one(document: dict[str, Any]) -> None:
    validate(document)


def test_it_describes_the_routes_of_the_api_and_no_others(document: dict[str, Any]) -> None:
    assert document["paths"].keys() == ROUTES


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_a_guarded_route_names_its_scheme_and_its_refusals(document: dict[str, Any], route: str) -> None:
    operation = document["paths"][route]["get"]
    ((scheme, _),) = operation["security"][0].items()
    assert document["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    for status in ("400", "401", "403", "503"):
        refusal = operation["responses"][status]
        assert refusal["description"]
        assert refusal["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


def test_its_routes_are_at_the_public_address(served: AppServer, document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": served.url}]


@pytest.mark.parametrize("who", ["program", "too_narrow", "nobody"])
def test_it_answers_everybody_as_described(
    served: AppServer, document: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path, who: str
) -> None:
    """By schemathesis: no answer of 500 and above, of another status or of another shape than the document says."""
    (tmp_path / "openapi.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "schemathesis.toml").write_text(CONFIG, "utf-8")
    headers = request.getfixturevalue(who)
    command = [
        f"{sysconfig.get_path('scripts')}/schemathesis",
        "run",
        "openapi.json",
        "--url",
        served.url,
        "--no-color",
    ]
    command += ["--max-examples", "50", *(f"--header={name}: {value}" for name, value in headers.items())]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"Tested: {len(ROUTES)}" in run.stdout
    assert ("only 401/403" in run.stdout) == (who != "program")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
@pytest.mark.parametrize("who", ["program", "anybody"])
def test_the_description_is_for_callers_with_an_identity(served: AppServer, program, path: str, who: str) -> None:
    answer = httpx2.get(f"{served.url}{path}", headers=program if who == "program" else {})
    assert answer.status_code == (200 if who == "program" else 401)
