from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ui.serving.log import JsonLines, WithoutQuery

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


def test_what_a_line_is_about_stands_beside_it() -> None:
    assert line_of(record(about={"status": 401, "client": None}))["status"] == 401


@pytest.mark.parametrize(
    "value",
    [
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
        pytest.param(object(), id="object"),
        b"x",
        {1, 2},
    ],
    ids=repr,
)
def test_no_value_breaks_out_of_its_line(value: object) -> None:
    line = line_of(record("about %s", value, about={"value": value}))
    assert line["message"] == f"about {value}"
    assert line["level"] == "INFO"


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


PATHS = {
    "/auth?code=hush&state=hush": "/auth",
    "/auth/acme?code=hush": "/auth/acme",
    "/auth?": "/auth",
    "/a?b?code=hush": "/a",
    "/healthz": "/healthz",
}
PROGRAM = """
import json, logging, logging.config, sys
from ui.serving.log import log_config
logging.config.dictConfig(log_config())
for path in json.loads(sys.argv[1]):
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", 303)
logging.getLogger("uvicorn.access").info("what? %s", "this")
logging.getLogger("httpx2").info("HTTP Request: GET https://id.example/userinfo?access_token=hush")
logging.getLogger("auth").info("one\\ntwo")
logging.getLogger("uvicorn.error").warning("three")
logging.getLogger("anything.else").error("four")
logging.getLogger("anything.else").debug("not this")
"""


def test_the_apps_log_is_one_json_object_a_line_without_queries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(list(PATHS))], cwd=ROOT, capture_output=True, text=True, check=True
    )
    access = [f'127.0.0.1:5 - "GET {shown} HTTP/1.1" 303' for shown in PATHS.values()]
    messages = [json.loads(line)["message"] for line in done.stderr.splitlines()]
    assert messages == [*access, "what? this", "one\ntwo", "three", "four"]
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments", [(), (1,), ({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5},)], ids=["none", "one", "named"]
)
def test_the_filter_leaves_other_records_as_they_are(arguments: tuple[object, ...]) -> None:
    made = record("x", *arguments)
    before = made.args
    assert WithoutQuery().filter(made)
    assert made.args == before
