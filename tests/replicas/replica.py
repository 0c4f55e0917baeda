"""What each replica serves: Blocks whose events take time and say where they ran."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gradio as gr

import ui.serving.server
from auth import identity_of


def count(steps: float, seconds: float, request: gr.Request) -> Iterator[str]:
    """Who calls, in which process, and how far it is; a step every so many seconds."""
    for step in range(1, int(steps) + 1):
        time.sleep(seconds)
        yield f"{identity_of(request).subject} {os.getpid()} {step}"


def look_at(path: str) -> str:
    """What stands in an uploaded file."""
    return Path(path).read_text("utf-8")


def main_blocks() -> gr.Blocks:
    blocks = gr.Blocks()
    with blocks:
        steps, seconds, counted = gr.Number(), gr.Number(), gr.Textbox()
        gr.Button().click(count, [steps, seconds], counted, api_name="count", concurrency_limit=20)
        file, text = gr.File(), gr.Textbox()
        gr.Button().click(look_at, file, text, api_name="look_at")
    return blocks


if __name__ == "__main__":
    ui.serving.server.HEAD_SECONDS = float(os.environ["REPLICA_HEAD_SECONDS"])
