"""An Interface whose examples are run once, when it starts."""

import gradio as gr


def shout(text, times):
    return f"{text.upper()}!" * int(times)


demo = gr.Interface(
    shout,
    [gr.Textbox(label="Text"), gr.Slider(1, 5, value=1, step=1, label="Times")],
    gr.Textbox(label="Shouted"),
    examples=[["hello", 2], ["bye", 3]],
    cache_examples=True,
    title="Shout",
)

demo.launch(server_name="0.0.0.0", server_port=7860, inbrowser=True)
