"""As many boxes as somebody asks for, each with an event of its own."""

import gradio as gr

with gr.Blocks() as demo:
    count = gr.Slider(0, 5, value=2, step=1, label="Boxes")
    total = gr.Textbox(label="Last")

    @gr.render(inputs=count)
    def boxes(number):
        for place in range(int(number)):
            box = gr.Textbox(label=f"Box {place}", key=place)
            box.submit(lambda text, place=place: f"{place}: {text}", box, total)


demo.launch()
