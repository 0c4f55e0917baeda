"""Labels in the language of whoever looks at them."""

import gradio as gr

words = gr.I18n(en={"greeting": "Good morning"}, de={"greeting": "Guten Morgen"})

with gr.Blocks() as demo:
    gr.Textbox(label=words("greeting"))

demo.launch(i18n=words)
