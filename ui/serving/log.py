"""The operator's log: JSON, one object a line, or text on a terminal. No query is in it, for those may hold codes."""

import io
import json
import logging
import logging.config
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import partial
from traceback import TracebackException
from typing import Any, Literal, TextIO, cast

from auth.events import AT_MOST

NOISE = re.compile(
    r"/(healthz|readyz|metrics|favicon\.ico|theme\.css|startup-events|openid-configuration|jwks\.json)$"
    r"|/(assets|static|svelte|heartbeat)/"
)
"""Paths that a watcher or a page asks for by itself. Their access lines are left out while all is well with them."""
CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
"""For `str.translate`: what would break a line or move a terminal's cursor, written out."""
COLOURS = {"WARNING": "\033[33m{}\033[0m", "ERROR": "\033[31m{}\033[0m", "CRITICAL": "\033[31m{}\033[0m"}
PRINTED_AT_MOST = 8192
"""Characters of one print to stderr that are kept in a line."""


class _Lines(logging.Formatter):
    """What both forms share: a record that cannot be formatted is still one line."""

    def message(self, record: logging.LogRecord) -> str:
        try:
            return record.getMessage()
        except Exception:  # the arguments do not fit the message, or one of them cannot be shown
            return f"{record.msg} (its arguments cannot be shown)"

    def exception(self, record: logging.LogRecord) -> str:
        """The traceback, "" where there is none."""
        return self.formatException(record.exc_info) if record.exc_info else str(getattr(record, "exception", ""))


class JsonLines(_Lines):
    """Time, level, logger and message; `about`, as logged with `extra={"about": {...}}`; `exception`, a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.message(record),
        }
        if about := getattr(record, "about", None):
            line["about"] = about
        if exception := self.exception(record):
            line["exception"] = exception
        return json.dumps(line, default=str)


class TextLines(_Lines):
    """The same as text. A traceback is indented, so that nothing in it looks like a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        about: Mapping[str, object] = getattr(record, "about", {})
        members = " ".join(f"{name}={value}" for name, value in about.items() if name not in ("event", "reason"))
        text = f"{self.message(record)}  {members}".rstrip().translate(CONTROLS)
        level = COLOURS.get(record.levelname, "{}").format(f"{record.levelname:8}")
        traced = "".join(f"\n    {line.translate(CONTROLS)}" for line in self.exception(record).splitlines())
        return f"{self.formatTime(record, '%H:%M:%S')} {level} {text}{traced}"


class AccessLines(logging.Filter):
    """uvicorn's access lines without the query, which in a callback holds an authorization code.

    Args:
        which: "brief" leaves out what `NOISE` names, "none" leaves out all.
    """

    def __init__(self, which: Literal["all", "brief", "none"]) -> None:
        super().__init__()
        self._which = which

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        address, method, target, version, status = record.args
        path = str(target).partition("?")[0]
        record.args = (address, method, path, version, status)
        record.about = {"address": address, "method": method, "path": path[:AT_MOST], "status": status}
        if self._which == "brief":
            return not (isinstance(status, int) and status < 400 and NOISE.search(path))
        return self._which == "all"


class Printed(io.TextIOBase):
    """Stands for `sys.stderr`: what is printed there becomes a line of the log, however many lines it has itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unfinished = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        # A progress bar writes itself anew after each \r: what it says last counts.
        written = (getattr(self._unfinished, "text", "") + text)[-PRINTED_AT_MOST:]
        if not written.endswith("\n"):
            self._unfinished.text = written.rpartition("\r")[2]
            return len(text)
        self._unfinished.text = ""
        if shown := written.strip().rpartition("\r")[2]:
            logging.getLogger("stderr").info("%s", shown)
        return len(text)


def start_log(*, access: Literal["all", "brief", "none"] = "brief") -> None:
    """Log to stderr from now on: as text where that is a terminal, else as JSON and with all that is printed there."""
    terminal = sys.stderr.isatty()
    logging.config.dictConfig(log_config(terminal=terminal, access=access))
    logging.raiseExceptions = False  # a fault in writing the log is not to be written to it
    logging.captureWarnings(True)
    if not terminal:
        sys.stderr = cast("TextIO", _take_over(sys.stderr))


def log_config(*, terminal: bool = False, access: Literal["all", "brief", "none"] = "brief") -> dict[str, Any]:
    """In the form of `logging.config.dictConfig`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": TextLines if terminal else JsonLines}},
        "filters": {"access": {"()": partial(AccessLines, access)}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "loggers": {
            "uvicorn.access": {"filters": ["access"]},
            "uvicorn.error": {"level": "WARNING"},  # what it says of start and stop, the app says itself
            **{chatty: {"level": "WARNING"} for chatty in ("httpx", "httpx2", "matplotlib", "mcp")},
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
    }


def _take_over(stream: TextIO) -> Printed:
    """Have tracebacks that Python or a library would print to `stream` logged, each as one line.

    Gradio prints that of a function that fails, line by line: a line break in its message would forge a log line.

    Returns:
        What stands for `stream` from now on.
    """
    printed = Printed(stream)
    print_to_file = TracebackException.print

    def print_or_log(self: TracebackException, *, file: Any = None, chain: bool = True, **how: Any) -> None:
        if (sys.stderr if file is None else file) is printed:
            what = "".join(self.format_exception_only()).strip()[:500]
            logging.getLogger("stderr").error("%s", what, extra={"exception": "".join(self.format(chain=chain))})
        else:
            print_to_file(self, file=file, chain=chain, **how)  # Python 3.13 has colours

    TracebackException.print = print_or_log  # type: ignore[method-assign]
    sys.excepthook = traceback.print_exception
    sys.unraisablehook = lambda found: traceback.print_exception(found.exc_value)
    threading.excepthook = lambda found: traceback.print_exception(found.exc_value)
    return printed
