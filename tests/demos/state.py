"""A list of one's own, kept for as long as the tab is open."""

import gradio as gr


def add(item, kept):
    kept = [*kept, item]
    return kept, ", ".join(kept)


with gr.Blocks() as demo:
    kept = gr.State([])
    item = gr.Textbox(label="Item")
    shown = gr.Textbox(label="Kept")
    item.submit(add, [item, kept], [kept, shown])

demo.launch(state_session_capacity=100)
