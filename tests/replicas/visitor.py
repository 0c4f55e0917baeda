"""Somebody in front of the replicas: through nginx, or straight to one of them as nginx would pass it on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.replicas.servers import Nginx
from tests.support.app_server import Browser, Served

OWN = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}
API = "/gradio/gradio_api"


class Visitor(Browser):
    """A browser that is led to `through`, and runs the events of `tests.replicas.replica`."""

    def __init__(self, app: Served, through: Served | Nginx) -> None:
        super().__init__(app, port=through.port, scheme="https" if isinstance(through, Nginx) else "http")
        self.tab = secrets.token_hex(8)

    def start(self, event: str, *data: object) -> str:
        """Have an event of the main Blocks begin.

        Returns:
            Its id.
        """
        response = self.post(f"{API}/call/{event}", json={"data": data, "session_hash": self.tab}, headers=OWN)
        assert response.status_code == 200, f"{event}: {response.status_code} {response.text[:300]}"
        return str(response.json()["event_id"])

    @contextmanager
    def watch(self, event: str, event_id: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """What an event that was begun says, as (kind, value) one by one."""
        with self.stream("GET", f"{API}/call/{event}/{event_id}", headers=OWN) as response:
            assert response.status_code == 200, f"{event}: {response.status_code} {response.read()[:300]!r}"
            yield _messages(response)

    def run(self, event: str, *data: object) -> list[tuple[str, Any]]:
        """All that an event says, but for signs of life."""
        with self.watch(event, self.start(event, *data)) as messages:
            return [message for message in messages if message[0] != "heartbeat"]

    def upload(self, content: bytes) -> str:
        """Where the app keeps it."""
        response = self.post(f"{API}/upload", files={"files": ("a.txt", content)}, headers=OWN)
        assert response.status_code == 200, f"upload: {response.status_code} {response.text[:300]}"
        return str(response.json()[0])


def _messages(response: httpx2.Response) -> Iterator[tuple[str, Any]]:
    kind = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, json.loads(value)
