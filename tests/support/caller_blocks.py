"""Blocks with an event of every kind that Gradio has, each saying who called it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from auth import identity_of

ASK = """
element.querySelector("button").onclick = async () => {
  element.querySelector("output").textContent = await server.component_server("hello");
};
"""
STEP_SECONDS = 0.2


def signed(text: str, request: Any) -> str:
    """What an event answers: its text, who calls, and the name that Gradio gives them where it has a `gr.Request`."""
    return " | ".join((text, identity_of(request).display_name, getattr(request, "username", "")))


def queued(text: str, request: gr.Request) -> str:
    return signed(text, request)


def unqueued(text: str, request: gr.Request) -> str:
    return signed(text, request)


def streamed(text: str, request: gr.Request) -> Iterator[str]:
    for number in (1, 2, 3):
        yield signed(f"{text} {number} of 3", request)


def endless(request: gr.Request) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield signed(str(number), request)
        time.sleep(STEP_SECONDS)


def uploaded(path: str, request: gr.Request) -> str:
    return signed(Path(path).read_text("utf-8"), request)


def batched(texts: list[str], request: gr.Request) -> list[list[str]]:
    return [[signed(text, request) for text in texts]]


def component_server(sent: Any, request: gr.Request) -> str:
    """`sent`: what the script passed, or the fields and files of a form."""
    return signed(str(sent), request)


def caller_blocks() -> gr.Blocks:
    blocks = gr.Blocks()
    with blocks:
        text = gr.Textbox(label="Text", value="hello")
        file = gr.File(label="File")
        answer = gr.Textbox(label="Answer")
        gr.Button("queued").click(queued, text, answer)
        gr.Button("unqueued").click(unqueued, text, answer, queue=False)
        gr.Button("streamed").click(streamed, text, answer)
        gr.Button("endless").click(endless, None, answer)
        gr.Button("batched").click(batched, text, answer, batch=True, max_batch_size=4)
        file.upload(uploaded, file, answer)
        gr.HTML(
            "<button>component_server</button><output></output>",
            elem_id="asks",
            js_on_load=ASK,
            server_functions=[component_server],
        )
    return blocks
