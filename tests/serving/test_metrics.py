"""What /metrics gives, to whom, and that the dashboard and the alert rules ask for what is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

import auth.assembly
from auth.errors import ScopeTooNarrow
from auth.events import EVENTS, observers
from auth.identity import Credential, Identity
from tests.support.app_server import AppServer
from tests.support.asgi import http_scope
from tests.support.forge import COGNITO, access_token, pool_jwks
from tests.support.provider import Provider
from tests.support.servers import ROOT, RedisServer, free_port, program
from tests.support.settings import sound_settings
from ui.serving.metrics import _may_read

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text("utf-8"))
ALERTS: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
SCOPE = "app/metrics"
Samples = dict[tuple[str, ...], float]


def good(**changes: Any) -> str:
    """A program's token, good just now."""
    now = int(time.time())
    return access_token(**{"iat": now, "auth_time": now, "exp": now + 3600} | changes)


@pytest.fixture(scope="module")
def served(providers: dict[str, Provider]) -> Iterator[AppServer]:
    """Where people come through `acme`, programs with tokens of the forge's pool, and sign-outs go through a Redis."""

    async def fetch(*_: object) -> dict[str, Any]:
        return pool_jwks()

    others = [*observers]
    with pytest.MonkeyPatch.context() as patch, RedisServer() as redis:
        patch.setattr(auth.assembly, "fetch_json", fetch)
        changes: dict[str, Any] = {"metrics": True, "metrics_scope": SCOPE, "redis_url": redis.url, **COGNITO}
        with AppServer({"acme": providers["acme"]}, allowed_domains="example.com", **changes) as server:
            yield server
    observers[:] = others


def get(server: AppServer, token: str = "", **headers: str) -> httpx2.Response:
    """As Prometheus does on the same machine."""
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.get(f"http://127.0.0.1:{server.port}/metrics", headers=sent | headers, trust_env=False)


def samples(server: AppServer) -> Samples:
    """By the name, and then the labels' values in the order of their names."""
    families = text_string_to_metric_families(get(server).raise_for_status().text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def event(name: str, provider: str = "", reason: str = "") -> tuple[str, ...]:
    return ("app_events_total", name, provider, reason)


def test_what_happens_is_counted_by_event_reason_and_provider(served: AppServer, acme: Provider) -> None:
    before = samples(served)
    with served.browser() as ada, served.browser() as eve:
        ada.sign_in("acme")
        with acme.signing_in(email="eve@elsewhere.example"):
            eve.sign_in("acme")
        eve.get("/login", params={"provider": "x" * 50})
        during = samples(served)
        ada.sign_out()
    get(served, good(scope="first"))
    get(served, good(exp=1))
    after = samples(served)
    happened = {name: after[name] - before.get(name, 0) for name in after if name[0] == "app_events_total"}
    assert {name: count for name, count in happened.items() if count} == {
        event("sign_in", "acme"): 1,
        event("sign_in_refused", "acme", "NotAllowed"): 1,
        event("sign_in_refused", "", "UnknownProvider"): 1,
        event("sign_out", "acme"): 1,
        event("token_accepted_first"): 1,
        event("token_refused", "", "TokenExpired"): 1,
    }
    assert during[("app_sessions",)] - before[("app_sessions",)] == 1
    assert after[("app_sessions",)] == before[("app_sessions",)]
    verified = ("app_verification_seconds_count",)
    assert after[verified] - before[verified] == 1
    assert 0 < after[("app_verification_seconds_sum",)] < 1
    assert after[("app_fetches_total", "acme", "ok", "metadata")] >= 1
    assert after[("app_fetches_total", "user pool", "ok", "keys")] >= 1
    assert after[("app_ready",)] == after[("app_sharing",)] == 1
    assert after[("app_problems",)] == 0


def test_a_sign_out_that_was_shared_is_counted_with_its_lag(served: AppServer) -> None:
    before = samples(served)
    with served.browser() as ada:
        ada.sign_in("acme")
        ada.sign_out()
    heard = ("app_shared_seconds_count",)
    for _ in range(100):
        if (after := samples(served))[heard] > before[heard]:
            break
    assert after[heard] > before[heard]


def test_a_stream_is_counted_while_it_is_open(served: AppServer) -> None:
    with served.browser() as ada:
        ada.sign_in("acme")
        before = samples(served)[("app_streams",)]
        own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
        with ada.stream("GET", "/gradio/gradio_api/heartbeat/abc", headers=own) as stream:
            pieces = stream.iter_raw()
            next(pieces)
            assert samples(served)[("app_streams",)] == before + 1


def test_no_label_holds_what_a_caller_chose(served: AppServer) -> None:
    with served.browser() as eve:
        eve.get("/login", params={"provider": "chosen-by-eve"})
        eve.get("/chosen-by-eve", headers={"User-Agent": "chosen-by-eve", "X-Request-ID": "chosen-by-eve"})
        eve.get("/auth/chosen-by-eve", params={"error": "chosen-by-eve", "state": "chosen-by-eve"})
        eve.get("/auth/acme", params={"error": "chosen-by-eve", "state": "chosen-by-eve"})
    get(served, "chosen-by-eve")
    assert "chosen-by-eve" not in get(served).text


HERE = {
    "on this machine": ("", {}, 200),
    "with a good token": (good(scope=SCOPE), {}, 200),
    "with a bad token": ("x.y.z", {}, 401),
}
FAR: dict[str, tuple[str, int]] = {
    "nobody": ("", 401),
    "with the scope": (good(scope=f"other {SCOPE}"), 200),
    "with another scope": (good(scope="app/metric"), 403),
    "without a scope": (good(scope=""), 403),
    "a bad token": (good(exp=1, scope=SCOPE), 401),
}
SIGNS = {
    "forwarded": {"X-Forwarded-For": "127.0.0.1"},
    "of a proxy's scheme": {"X-Forwarded-Proto": "https"},
    "via": {"Via": "1.1 proxy"},
    "another site's page": {"Origin": "https://app.example.com"},
}


@pytest.mark.parametrize(("token", "headers", "status"), HERE.values(), ids=HERE)
def test_programs_on_this_machine_may_read(served: AppServer, token: str, headers: dict[str, str], status: int) -> None:
    assert get(served, token, **headers).status_code == status


@pytest.mark.parametrize(("token", "status"), FAR.values(), ids=FAR)
@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS)
def test_others_need_the_scope(served: AppServer, sign: dict[str, str], token: str, status: int) -> None:
    answer = get(served, token, **sign)
    assert answer.status_code == status
    assert ("app_ready" in answer.text) is (status == 200)


def test_a_person_who_is_signed_in_is_no_exception(served: AppServer) -> None:
    with served.browser() as ada:
        ada.sign_in("acme")
        answer = ada.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 401
    assert "app_ready" not in answer.text


@pytest.fixture(scope="module")
def deployed(providers: dict[str, Provider]) -> Iterator[AppServer]:
    """At an https address, where Redis is down; without a scope that opens the metrics to others."""
    others = [*observers]
    changes = {"public_url": "https://app.example.com", "redis_url": f"redis://127.0.0.1:{free_port()}"}
    with AppServer({"acme": providers["acme"]}, metrics=True, people_tokens=True, **changes) as server:
        yield server
    observers[:] = others


def test_behind_a_proxy_this_machine_is_still_told_from_others(deployed: AppServer) -> None:
    assert get(deployed).status_code == 200
    for sign in ({"Host": "app.example.com"}, *SIGNS.values()):
        assert get(deployed, **sign).status_code == 404, sign


def test_what_fails_shows(deployed: AppServer) -> None:
    found = samples(deployed)
    assert (found[("app_ready",)], found[("app_sharing",)]) == (1, 0)
    assert found[("app_problems",)] == 1


@pytest.mark.anyio
async def test_a_persons_program_may_not_read_whatever_scopes_the_api_has(served: AppServer) -> None:
    program = Identity(username="a", issuer="i", subject="a", kind="person", client="p", scopes=(SCOPE,), expires_at=0)
    scope = http_scope(
        "/metrics", state={"credential": Credential(token=b"gat_x", outcome=program), "proxy_sign": "via"}
    )
    with pytest.raises(ScopeTooNarrow):
        await _may_read(SCOPE)(Request(scope))


def test_where_metrics_are_off_there_are_none_and_nothing_of_them_is_loaded() -> None:
    code = (
        "import sys; from app import create_app; from tests.support.settings import sound_settings;"
        "app = create_app(sound_settings());"
        "assert not any(getattr(route, 'path', '') == '/metrics' for route in app.routes);"
        "sys.exit(' '.join({'prometheus_client', 'ui.serving.metrics'} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_off_is_how_it_is_unless_it_is_set() -> None:
    assert sound_settings().metrics is False


# -- the dashboard and the rules --------------------------------------------------------------------------------------

NAME = re.compile(r"\b(?:app|process)_[a-z_]+\b")


def test_every_metric_that_is_asked_for_is_there(served: AppServer) -> None:
    there = {name for name, *_ in samples(served)}
    for query in (*QUERIES, *(rule["expr"] for rule in RULES)):
        named = set(NAME.findall(query))
        assert named, query
        assert named <= there, query


def test_every_event_and_reason_that_is_asked_for_is_one() -> None:
    for query in (*QUERIES, *(rule["expr"] for rule in RULES)):
        for names in re.findall(r'event=~?"([^"]+)"', query):
            assert set(names.split("|")) <= EVENTS, query


def test_the_page_about_metrics_names_those_that_there_are(served: AppServer) -> None:
    page = (ROOT / "deploy" / "README.md").read_text("utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    named = {name for row in re.findall(r"^\| (`app_.*?) \|", page, re.MULTILINE) for name in NAME.findall(row)}
    there = {
        re.sub("_(bucket|sum|count)$", "", name)
        for name, *_ in samples(served)
        if name.startswith("app_") and not name.endswith("_created")
    }
    assert named == there


def test_the_dashboard_is_one_that_grafana_shows() -> None:
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]}
    assert len(places) == len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["type"] for panel in DASHBOARD["panels"]} == {"stat", "timeseries"}
    (source,) = (one["name"] for one in DASHBOARD["templating"]["list"] if one["type"] == "datasource")
    assert all(panel["datasource"]["uid"] == f"${{{source}}}" for panel in DASHBOARD["panels"])


def promtool(*arguments: object, text: str | None = None) -> None:
    command = [program("promtool"), *map(str, arguments)]
    ended = subprocess.run(command, input=text, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_takes_the_rules_the_queries_and_the_metrics(served: AppServer, tmp_path: Path) -> None:
    promtool("check", "rules", ROOT / "deploy" / "alerts.yml")
    queries = [query.replace("$__rate_interval", "5m") for query in QUERIES]
    rules = [{"record": f"query:number_{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "queries.yml")
    promtool("check", "metrics", text=get(served).text)


QUIET = {
    'app_ready{instance="a"}': "1x60",
    'app_problems{instance="a"}': "0x60",
    'app_sharing{instance="a"}': "1x60",
    'app_shared_seconds_bucket{le="1"}': "0+10x60",
    'app_shared_seconds_bucket{le="+Inf"}': "0+10x60",
    'app_fetches_total{outcome="failed",what="keys",of="acme"}': "0x60",
    'app_events_total{event="sign_in"}': "0+5x60",
    'app_events_total{event="sign_in_refused",reason="NotAllowed"}': "0+1x60",
    'app_events_total{event="token_refused",reason="TokenExpired"}': "0+1x60",
    'app_queue_events{state="waiting"}': "3x60",
}
LOUD = {
    "NotReady": {'app_ready{instance="a"}': "0x60"},
    "Gone": {'app_ready{instance="a"}': "_x60"},
    "SomethingFails": {'app_problems{instance="a"}': "1x60"},
    "SignOutsNotShared": {'app_sharing{instance="a"}': "0x60"},
    "SignOutsLate": {
        'app_shared_seconds_bucket{le="1"}': "0x60",
        'app_shared_seconds_bucket{le="30"}': "0+10x60",
    },
    "FetchesFail": {'app_fetches_total{outcome="failed",what="keys",of="acme"}': "0+1x60"},
    "SignInsRefused": {'app_events_total{event="sign_in_refused",reason="NotAllowed"}': "0+9x60"},
    "TokensRefused": {'app_events_total{event="token_refused",reason="TokenExpired"}': "0+50x60"},
    "QueueWaits": {'app_queue_events{state="waiting"}': "80x60"},
}


def test_each_rule_fires_at_what_it_is_for_and_at_nothing_else(tmp_path: Path) -> None:
    """With the rules as they are, but for what they say and add."""
    bare = [{"alert": rule["alert"], "expr": rule["expr"], "for": rule["for"]} for rule in RULES]
    assert LOUD.keys() == {rule["alert"] for rule in bare}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "rules", "rules": bare}]}))
    tests = []
    for loud, change in {"": {}, **LOUD}.items():
        series = [{"series": name, "values": values} for name, values in {**QUIET, **change}.items()]
        firing = {"expr": "count by (alertname) (ALERTS{alertstate='firing'})", "eval_time": "50m"}
        expected = [{"labels": f'{{alertname="{loud}"}}', "value": 1}] if loud else []
        tests.append(
            {"interval": "1m", "input_series": series, "promql_expr_test": [firing | {"exp_samples": expected}]}
        )
    tests_file = tmp_path / "tests.yml"
    tests_file.write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", tests_file)
