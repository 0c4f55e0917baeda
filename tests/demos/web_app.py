"""An app that a browser offers to install."""

import gradio as gr

with gr.Blocks(title="To keep") as demo:
    gr.Markdown("To keep")

demo.launch(pwa=True, favicon_path="look.png")
