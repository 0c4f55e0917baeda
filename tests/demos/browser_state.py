"""What a browser remembers when it comes back."""

import gradio as gr

with gr.Blocks() as demo:
    kept = gr.BrowserState("", storage_key="demo", secret="a fixed secret")
    word = gr.Textbox(label="Word")
    word.submit(lambda text: text, word, kept)
    demo.load(lambda text: text, kept, word)

demo.launch()
