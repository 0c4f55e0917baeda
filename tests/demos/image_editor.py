"""What is drawn is shown again, and counted in layers."""

import gradio as gr


def look(drawn):
    return drawn["composite"], f"{len(drawn['layers'])} layers"


with gr.Blocks() as demo:
    editor = gr.ImageEditor(type="numpy", label="Draw")
    shown = gr.Image(label="Shown")
    said = gr.Textbox(label="Layers")
    gr.Button("Look").click(look, editor, [shown, said])

demo.launch()
