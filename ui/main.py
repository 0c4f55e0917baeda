"""Your app: this is the file to replace. Keep `main_blocks`; the host mounts what it returns at /gradio.

Only people who have signed in, and programs with a token, get here. The host (`ui/look.py`) puts around these Blocks
what every page has: the bar with the person's name and Sign out, the title, the icon and the theme.
"""

import gradio as gr

from auth import identity_of
from ui.look import heading


def greet(request: gr.Request) -> str:
    """Greet whoever is calling, a person or a program."""
    # Gradio fills in an argument annotated with gr.Request by itself; callers do not send it.
    return f"Hello, {identity_of(request).display_name}"


def answer(message: str, request: gr.Request) -> str:
    """Say who wrote the message."""
    # Names change and repeat. What belongs to somebody is kept under `issuer` and `subject`.
    return f"{identity_of(request).display_name} wrote: {message}"


def main_blocks() -> gr.Blocks:
    """The main Blocks. A name is text that somebody chose: for a Textbox or `heading`, not for Markdown or HTML."""
    blocks = gr.Blocks()
    with blocks:
        greeting = heading()
        gr.Markdown("Write something: the app knows who sent it, because each event can ask who is calling.")
        message = gr.Textbox(label="Message", placeholder="Good morning", max_length=500)
        send = gr.Button("Send", variant="primary")
        reply = gr.Textbox(label="Answer", interactive=False)

        blocks.load(greet, outputs=greeting, api_name="greet", show_progress="hidden")
        gr.on([send.click, message.submit], answer, message, reply, api_name="answer")
    return blocks
