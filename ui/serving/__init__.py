"""Runs the process: the server, how it stops, its log, and `python app.py token`."""

from ui.serving.doctor import check
from ui.serving.log import start_log
from ui.serving.server import serve
from ui.serving.start import say_loading, say_started, sharing_workers, taken_port
from ui.serving.stopping import Stopping
from ui.serving.token_command import token_command

__all__ = [
    "Stopping",
    "check",
    "say_loading",
    "say_started",
    "serve",
    "sharing_workers",
    "start_log",
    "taken_port",
    "token_command",
]
