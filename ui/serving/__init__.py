"""Runs the process: the server, how it stops, and its log."""

from ui.serving.log import start_log
from ui.serving.server import serve
from ui.serving.stopping import Stopping

__all__ = ["Stopping", "serve", "start_log"]
