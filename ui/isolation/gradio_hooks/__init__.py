"""All that is private to Gradio: what it writes, reads, names and runs, it does in the room of whom it does it for."""

from ui.isolation.gradio_hooks.events import hide_faults, isolate_events, run_events_by
from ui.isolation.gradio_hooks.files import NOT_READ
from ui.isolation.gradio_hooks.links import has_deep_links, make_deep_link
from ui.isolation.gradio_hooks.mcp import call_tools_by
from ui.isolation.gradio_hooks.mounted import (
    forget_upload,
    is_in_space,
    limit_threads,
    moved_argument,
    served_folders,
    shorten_search,
)
from ui.isolation.gradio_hooks.oauth import OAuthSession, lead_to_sign_out
from ui.isolation.gradio_hooks.pages import share_pages, with_policy
from ui.isolation.gradio_hooks.process import hooks
from ui.isolation.gradio_hooks.queue import queue_lengths, queue_of, queue_problem
from ui.isolation.gradio_hooks.views import blocks_here, id_of, miss_if_probing, show_by_view

__all__ = [
    "NOT_READ",
    "OAuthSession",
    "blocks_here",
    "call_tools_by",
    "forget_upload",
    "has_deep_links",
    "hide_faults",
    "hooks",
    "id_of",
    "is_in_space",
    "isolate_events",
    "lead_to_sign_out",
    "limit_threads",
    "make_deep_link",
    "miss_if_probing",
    "moved_argument",
    "queue_lengths",
    "queue_of",
    "queue_problem",
    "run_events_by",
    "served_folders",
    "share_pages",
    "shorten_search",
    "show_by_view",
    "with_policy",
]
