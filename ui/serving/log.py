"""The operator's log: one JSON object a line, without queries, for those may hold codes."""

import json
import logging
from typing import Any


class JsonLines(logging.Formatter):
    """Time, level, logger and message, and what was logged with `extra={"about": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "about", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class WithoutQuery(logging.Filter):
    """Takes the query off the path of uvicorn's access lines: a callback's holds an authorization code."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            record.args = (client, method, str(path).partition("?")[0], version, status)
        return True


def log_config() -> dict[str, Any]:
    """For `uvicorn.run(log_config=...)`, in the form of `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines}},
        "filters": {"without_query": {"()": WithoutQuery}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {
            "uvicorn.access": {"filters": ["without_query"]},
            **{chatty: {"level": "WARNING"} for chatty in ("httpx", "httpx2", "mcp")},
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }
