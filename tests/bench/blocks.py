"""The Blocks that every side serves."""

import gradio as gr

with gr.Blocks(analytics_enabled=False) as demo:
    gr.Markdown("# A bench")
    text, file, answer, copy = gr.Textbox(label="Text"), gr.File(), gr.Textbox(label="Answer"), gr.File()
    on = gr.Button("Send").click
    on(lambda text: text, text, answer, api_name="echo")
    on(lambda text: text, text, answer, api_name="echo_at_once", queue=False)
    on(lambda path: path, file, copy, api_name="file_at_once", queue=False)

if __name__ == "__main__":
    demo.launch()
