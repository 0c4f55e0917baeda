"""Headers as ASGI hands them on, read without a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Scope


def header(carrier: Mapping[str, Any], name: bytes) -> str:
    """A header of a request's scope or an answer's start, the first of that name (lower case), "" where there is none.

    Starlette's `Headers` reads the same in twice the time, and every request is asked for several.
    """
    for key, value in carrier["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def has_body(scope: Scope) -> bool:
    """RFC 9112 section 6.3."""
    return header(scope, b"content-length") not in ("", "0") or header(scope, b"transfer-encoding") != ""
