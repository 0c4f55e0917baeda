"""All that the servers of a test run have logged, and all that went through them which must never be logged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth.settings import Settings
from tests.support.log_lines import check_line
from ui.serving.log import JsonLines

SHORTEST = 16
"""Characters. What is shorter is none of an app's secrets, and may stand in a line by chance."""
SECRET_PARAMETERS = {"code", "state", "token", "access_token", "id_token", "refresh_token", "client_secret"}
SERVERS = ("auth", "app", "uvicorn", "stderr", "py", "gradio", "asyncio", "mcp")
"""First parts of the names of loggers. Those of test tools are left out."""


class RunLog(logging.Handler):
    """The lines, and the secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []
        self.secrets: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        # In this process nobody has set up access lines; those of other processes are read from their logs.
        if record.name.partition(".")[0] in SERVERS and record.name != "uvicorn.access":
            self.lines.append(self.format(record))

    def read(self, log: Path) -> None:
        """What another process has written."""
        self.lines += log.read_text("utf-8").splitlines()

    def note(self, *secrets: str) -> None:
        self.secrets.update(secret for secret in secrets if len(secret) >= SHORTEST and len(set(secret)) > 4)

    def note_settings(self, settings: Settings) -> None:
        self.note(settings.secret_key.get_secret_value())
        self.note(*(provider.client_secret.get_secret_value() for provider in settings.providers))

    def note_query(self, query: str) -> None:
        self.note(query, *(value for name, value in parse_qsl(query) if name in SECRET_PARAMETERS))

    def note_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        for name, value in headers:
            text = value.decode("latin-1")
            if name.lower() in (b"authorization", b"proxy-authorization"):
                self.note(text.rpartition(" ")[2])
            elif name.lower() in (b"cookie", b"set-cookie"):
                pairs = text.split(";")[: 1 if name.lower() == b"set-cookie" else None]  # attributes are no secrets
                self.note(*(pair.strip().partition("=")[2].strip('"') for pair in pairs))
            elif name.lower() == b"location":
                self.note_query(text.partition("?")[2])

    def watched(self, app: ASGIApp) -> ASGIApp:
        """`app`, and what goes in and out of it is noted."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self.note_headers(message["headers"])
                await send(message)

            if scope["type"] != "lifespan":
                self.note_query(scope["query_string"].decode("latin-1"))
                self.note_headers(scope["headers"])
            await app(scope, receive, noting)

        return watched

    def check(self) -> list[str]:
        """Each line that is not as it must be, or holds a secret."""
        ends: dict[str, list[str]] = {}
        for secret in self.secrets:
            ends.setdefault(secret[-SHORTEST:], []).append(secret)
        faults = []
        for line in self.lines:
            try:
                said = texts(check_line(line))
            except (AssertionError, ValueError) as error:
                faults.append(f"{error}: {line}")
                continue
            windows = {text[at : at + SHORTEST] for text in said for at in range(len(text) - SHORTEST + 1)}
            for end in windows.intersection(ends):
                faults += [f"{secret!r} is in {line}" for secret in ends[end] if any(secret in text for text in said)]
        return faults


def texts(value: Any) -> list[str]:
    """Every string in a line."""
    if isinstance(value, dict):
        return [text for member in value.values() for text in texts(member)]
    return [value] if isinstance(value, str) else []


RUN = RunLog()
