"""What every line of the app's log has to look like, and what must be in none."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

from auth.events import EVENTS

MEMBERS = {"time", "level", "logger", "message", "about", "exception"}
ABOUT = {
    "event": str,
    "who": str,
    "provider": str,
    "client": str,
    "address": str,
    "user_agent": str,
    "request_id": str,
    "reason": str,
    "code": str,
    "path": str,
    "method": str,
    "status": int,
    "error": str,
    "cause": str,
}


def check_line(text: str) -> dict[str, Any]:
    """The line, which must be one JSON object as the contract has it."""
    assert text.isprintable() and text.isascii(), text
    line = json.loads(text)
    assert isinstance(line, dict), text
    assert set(line) - {"about", "exception"} == {"time", "level", "logger", "message"}, text
    assert set(line) <= MEMBERS, text
    assert datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S%z").tzinfo is not None
    assert line["level"] in logging.getLevelNamesMapping()
    assert isinstance(line["logger"], str) and isinstance(line["message"], str)
    assert "exception" not in line or isinstance(line["exception"], str)
    about = line.get("about", {})
    assert all(type(value) is ABOUT.get(name) for name, value in about.items()), text
    assert "event" not in about or about["event"] in EVENTS, text
    assert "event" in about or line["logger"] != "auth" or not about, text
    return line
