"""Runs the process: the server, how it stops, and its log."""

from ui.serving.log import start_log
from ui.serving.server import serve
from ui.serving.start import say_loading, say_started, sharing_workers, taken_port
from ui.serving.stopping import Stopping

__all__ = ["Stopping", "say_loading", "say_started", "serve", "sharing_workers", "start_log", "taken_port"]
