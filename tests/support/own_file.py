"""Runs of somebody's file in this process, which change what a process has only once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest
import uvicorn


@contextmanager
def process_as_before() -> Iterator[None]:
    """In the end the process is as it was: working directory, module search path, arguments, modules, `launch()`."""
    folder, modules = Path.cwd(), sys.modules.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(sys, "argv", [*sys.argv])
        for owner, name in (
            (gr.Blocks, "launch"),
            (gr.Blocks, "block_thread"),
            (gr.Blocks, "close"),
            (uvicorn, "run"),
            (signal, "signal"),
        ):
            patch.setattr(owner, name, getattr(owner, name))
        try:
            yield
        finally:
            os.chdir(folder)
            for name in [name for name in sys.modules if name not in modules]:
                path = getattr(sys.modules[name], "__file__", None) or ""
                if "site-packages" not in path and "lib/python" not in path:
                    del sys.modules[name]
            sys.modules["__main__"] = modules["__main__"]
