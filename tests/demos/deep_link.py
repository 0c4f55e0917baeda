"""A link to what somebody has made of the page."""

import gradio as gr

with gr.Blocks() as demo:
    word = gr.Textbox(label="Word")
    twice = gr.Textbox(label="Twice")
    word.submit(lambda text: text * 2, word, twice)
    gr.DeepLinkButton()

demo.launch()
