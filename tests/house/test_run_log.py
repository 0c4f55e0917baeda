"""That a fault in what the servers of a run log is found. The run's own log is checked at its end: see `run_log`."""

from __future__ import annotations

import json
import logging

import pytest

from tests.support.app_server import AppServer, Browser
from tests.support.run_log import RUN, RunLog


def test_what_servers_log_and_what_they_must_not_is_kept(app: AppServer, browser: Browser) -> None:
    browser.sign_in()
    browser.get("/auth/acme?code=a-code-that-is-not-one&state=a-state-that-is-not-one")
    browser.sign_out()
    assert len(RUN.lines) >= 3
    assert len(RUN.secrets) > 5
    assert {"a-code-that-is-not-one", "a-state-that-is-not-one", browser.cookie or "none"} & RUN.secrets
    faults = RUN.check()
    assert not faults, "\n".join(faults[:50])


@pytest.mark.parametrize("secret", ["a-secret-of-this-run", "code=abcdefghijkl&state=b"])
@pytest.mark.parametrize("where", ["message", "about", "exception"])
def test_a_secret_in_a_line_is_found(secret: str, where: str) -> None:
    run = RunLog()
    run.note(secret, "another-secret-of-this-run")
    made = logging.getLogger("auth").makeRecord("auth", logging.INFO, __file__, 1, "fine", (), None)
    run.emit(made)
    assert run.check() == []
    text = f'it was "{secret}", they say'
    made.msg = text if where == "message" else "fine"
    made.__dict__.update({"about": {"event": "sign_in", "reason": text}} if where == "about" else {})
    made.__dict__.update({"exception": text} if where == "exception" else {})
    run.emit(made)
    assert len(run.check()) == 1


SOUND = {"time": "2026-01-01T00:00:00+0000", "level": "INFO", "logger": "auth", "message": "x"}
BROKEN = {
    "text": "Traceback (most recent call last):",
    "list": "[]",
    "no-message": json.dumps({name: SOUND[name] for name in ("time", "level", "logger")}),
    "no-time": json.dumps(SOUND | {"time": "now"}),
    "unknown-member": json.dumps(SOUND | {"token": "x"}),
    "unknown-event": json.dumps(SOUND | {"about": {"event": "x"}}),
    "wrong-type": json.dumps(SOUND | {"about": {"who": 1}}),
    "not-ascii": json.dumps(SOUND | {"message": "\u2028"}, ensure_ascii=False),
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_line_that_is_none_of_the_contract_is_found(line: str) -> None:
    run = RunLog()
    run.lines = [json.dumps(SOUND), line]
    assert len(run.check()) == 1
