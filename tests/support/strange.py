"""A value of every JSON type and of some odd kinds, for a place where another was expected."""

from __future__ import annotations

import time
from typing import Any

STRANGE: dict[str, Any] = {
    "none": None,
    "true": True,
    "number": 7,
    "float": 7.5,
    "nan": float("nan"),
    "infinity": float("inf"),
    "negative-infinity": float("-inf"),
    "huge": 10**400,
    "far": 1e300,
    "negative": -1e300,
    "number-as-text": str(int(time.time())),
    "text": "x",
    "empty-text": "",
    "long-text": "x" * 3000,
    "lone-surrogate": "\ud800" * 20,
    "list": [],
    "nested-list": [[[["x"]]]],
    "object": {},
    "nested-object": {"x": {"y": {"z": []}}},
}
ANY_TEXT = ("number-as-text", "text", "empty-text", "long-text")
