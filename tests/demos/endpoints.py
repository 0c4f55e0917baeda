"""A function for programs alone, also as a tool."""

import gradio as gr


def add(first: int, second: int) -> int:
    """Add two numbers.

    Args:
        first: the one.
        second: the other.
    """
    return first + second


with gr.Blocks() as demo:
    gr.Markdown("For programs")
    gr.api(add, api_name="add")

app, local_url, share_url = demo.launch(mcp_server=True, prevent_thread_lock=True)
demo.block_thread()
