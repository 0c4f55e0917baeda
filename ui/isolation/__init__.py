"""Keeps what one signed-in person's calls make from every other person: each identity has a room of its own."""

from ui.isolation.assembly import isolate, rooms_of
from ui.isolation.gradio_hooks import with_policy
from ui.isolation.limits import Limits
from ui.isolation.probe import prove

__all__ = [
    "Limits",
    "isolate",
    "prove",
    "rooms_of",
    "with_policy",
]
