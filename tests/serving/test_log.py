from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.log_lines import check_line
from ui.serving.log import AccessLines, JsonLines, TextLines

ROOT = Path(__file__).parents[2]


def record(message: object = "hello", *args: object, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("auth").makeRecord("auth", level, __file__, 1, message, args, None, extra=extra)


def line_of(made: logging.LogRecord) -> dict[str, Any]:
    text = JsonLines().format(made)
    assert "\n" not in text
    assert text.isascii()
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_says_when_how_grave_who_and_what() -> None:
    line = line_of(record("%s of %s", 1, 2, level=logging.WARNING))
    assert {name: line[name] for name in ("level", "logger", "message")} == {
        "level": "WARNING",
        "logger": "auth",
        "message": "1 of 2",
    }
    assert datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S%z").tzinfo is not None


def test_what_a_line_is_about_is_a_member_of_its_own() -> None:
    assert line_of(record(about={"status": 401, "client": None}))["about"] == {"status": 401, "client": None}
    assert "about" not in line_of(record())


VALUES = [
    "\n",
    "\r\n",
    '"',
    "\\",
    "\0",
    "\x1b[2J",
    "\u2028",
    "\u202e",
    "\ud800",
    "é",
    '","level":"INFO',
    object(),
    b"x",
    {1, 2},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_breaks_out_of_its_line(value: object) -> None:
    line = line_of(record("about %s", value, about={"value": value}))
    assert line["message"] == f"about {value}"
    assert line["level"] == "INFO"


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_no_value_breaks_out_of_its_line_of_text(value: object) -> None:
    made = record("about %s", value, about={"value": value})
    made.exception = f"Traceback\nValueError: {value}\n12:00:00 INFO     forged"
    first, *traced = TextLines().format(made).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO     about .*  value=.*", first)
    assert traced and all(line.startswith("    ") for line in traced)
    assert not {"\x1b", "\0", "\r"}.intersection(TextLines().format(made))


def test_a_fault_is_logged_with_its_traceback_on_the_same_line() -> None:
    try:
        raise ZeroDivisionError("one\ntwo")
    except ZeroDivisionError:
        made = record()
        made.exc_info = sys.exc_info()
    line = line_of(made)
    assert "ZeroDivisionError: one\ntwo" in line["exception"]
    assert "Traceback" in line["exception"]


def test_a_line_without_a_fault_has_no_traceback() -> None:
    assert "exception" not in line_of(record())


@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_a_record_whose_arguments_do_not_fit_is_a_line_all_the_same(form: type[logging.Formatter]) -> None:
    assert "%d of them" in form().format(record("%d of them", "x"))


PATHS = {
    "/auth?code=hush&state=hush": "/auth",
    "/auth/acme?code=hush": "/auth/acme",
    "/auth?": "/auth",
    "/a?b?code=hush": "/a",
}
LOGGED = """
import json, logging, sys, threading, traceback, warnings
from ui.serving import start_log
start_log()
for path in json.loads(sys.argv[1]):
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", 303)
logging.getLogger("uvicorn.access").info("what? %s", "this")
logging.getLogger("httpx2").info("HTTP Request: GET https://id.example/userinfo?access_token=hush")
logging.getLogger("auth").info("one\\ntwo")
logging.getLogger("uvicorn.error").warning("three")
logging.getLogger("anything.else").error("four %d", "x")
logging.getLogger("anything.else").debug("not this")
"""
FORGED = '{"time":"2026-01-01T00:00:00+0000","level":"INFO","logger":"auth","message":"forged"}'
PRINTED = (
    LOGGED
    + f"""
class Fault(ValueError):
    pass

def fail(forged='''\\n{FORGED}\\n'''):
    raise Fault(forged)

try:
    fail()
except Fault:
    traceback.print_exc()
    traceback.print_exception(*sys.exc_info())
    traceback.TracebackException(*sys.exc_info()).print(colorize=False)  # as Python prints one from 3.13 on
    logging.getLogger("auth").exception("a function failed")
warnings.warn("deprecated\\n" + {FORGED!r})
print("one", "two\\n", {FORGED!r}, file=sys.stderr)
sys.stderr.write("in ")
sys.stderr.write("parts\\n")
sys.stderr.write("\\r10%\\r50%")
sys.stderr.write("\\r100%\\n")
sys.stderr.flush()
thread = threading.Thread(target=fail)
thread.start()
thread.join()

class Ends:
    def __del__(self):
        fail()

Ends()
fail()
"""
)


def run(program: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(list(PATHS))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    for line in done.stderr.splitlines():
        check_line(line)
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def test_the_apps_log_is_one_json_object_a_line_without_queries() -> None:
    status, lines = run(LOGGED)
    access = [f'127.0.0.1:5 - "GET {shown} HTTP/1.1" 303' for shown in PATHS.values()]
    unfit = "four %d (its arguments cannot be shown)"
    assert [line["message"] for line in lines] == [*access, "what? this", "one\ntwo", "three", unfit]
    assert status == 0


def test_what_is_printed_beside_the_log_is_one_object_each_too() -> None:
    status, lines = run(PRINTED)
    assert status == 1
    assert "forged" not in [line["message"] for line in lines]  # what was printed is inside a line, never one itself
    traced = [line for line in lines if "exception" in line]
    assert len(traced) == 7  # printed three times, logged once, in a thread, in __del__, and the one that ended it
    assert all("in fail" in line["exception"] and FORGED in line["exception"] for line in traced)
    said = [line["message"] for line in lines if line["logger"] == "stderr" and "exception" not in line]
    assert said == ["one two", FORGED, "in parts", "100%"]
    (warning,) = [line["message"] for line in lines if line["logger"] == "py.warnings"]
    assert "deprecated" in warning


def test_on_a_terminal_it_is_text() -> None:
    here, there = pty.openpty()
    command = [sys.executable, "-c", LOGGED, json.dumps(list(PATHS))]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=there, check=True)
    os.close(there)
    text = b""
    while part := read(here):
        text += part
    lines = text.decode().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO     127.0.0.1:5 - \"GET /auth HTTP/1.1\" 303  .*", lines[0])
    assert r"one\ntwo" in lines[5]
    assert "hush" not in text.decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nothing is at the other end any more
        os.close(terminal)
        return b""


def access_line(path: str, status: int) -> logging.LogRecord:
    return record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", status)


ASKED_FOR_BY_ITSELF = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/app/healthz",
    "/favicon.ico",
    "/gradio/theme.css?v=1",
    "/gradio/assets/index.js",
    "/login-demo/static/img/logo.svg",
    "/docs/assets/swagger-ui.css",
    "/gradio/gradio_api/heartbeat/abc",
    "/gradio/gradio_api/startup-events",
    "/local/.well-known/openid-configuration",
    "/local/local_pool/.well-known/jwks.json",
]


@pytest.mark.parametrize("path", ASKED_FOR_BY_ITSELF)
def test_health_checks_and_assets_are_left_out_while_all_is_well(path: str) -> None:
    assert not AccessLines("brief").filter(access_line(path, 200))
    assert AccessLines("brief").filter(access_line(path, 503))
    assert AccessLines("all").filter(access_line(path, 200))


@pytest.mark.parametrize(
    "path", ["/", "/login", "/healthz/x", "/gradio/", "/gradio/gradio_api/call/greet", "/x?/assets/"]
)
def test_other_requests_are_logged(path: str) -> None:
    assert AccessLines("brief").filter(access_line(path, 200))
    assert not AccessLines("none").filter(access_line(path, 200))


def test_an_access_line_says_what_it_is_about() -> None:
    made = access_line("/auth?code=hush", 303)
    AccessLines("brief").filter(made)
    about = line_of(made)["about"]
    assert about == {"address": "127.0.0.1:5", "method": "GET", "path": "/auth", "status": 303}


@pytest.mark.parametrize(
    "arguments", [(), (1,), ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},)], ids=["none", "one", "named"]
)
def test_the_filter_leaves_other_records_as_they_are(arguments: tuple[object, ...]) -> None:
    made = record("x", *arguments)
    before = made.args
    assert AccessLines("none").filter(made)
    assert made.args == before
