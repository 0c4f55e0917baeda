"""Functions that fail."""

import gradio as gr


def fail():
    raise ValueError("the shelf is empty")


with gr.Blocks() as demo:
    out = gr.Textbox(label="Out")
    gr.Button("Fail").click(fail, None, out, api_name="fail")
    gr.Button("Fail at once").click(fail, None, out, api_name="fail_at_once", queue=False)

demo.launch()
