"""Keeps what one signed-in person's calls make from every other person: each identity has a room of its own."""

from ui.isolation.assembly import isolate, rooms_of
from ui.isolation.gradio_hooks import (
    OAuthSession,
    call_tools_by,
    hide_faults,
    lead_to_sign_out,
    limit_threads,
    moved_argument,
    queue_lengths,
    queue_of,
    share_pages,
    with_policy,
)
from ui.isolation.limits import Limits
from ui.isolation.probe import prove

__all__ = [
    "Limits",
    "OAuthSession",
    "call_tools_by",
    "hide_faults",
    "isolate",
    "lead_to_sign_out",
    "limit_threads",
    "moved_argument",
    "prove",
    "queue_lengths",
    "queue_of",
    "rooms_of",
    "share_pages",
    "with_policy",
]
