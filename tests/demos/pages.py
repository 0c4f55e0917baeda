"""Two pages with a bar that leads from one to the other."""

import gradio as gr

with gr.Blocks(title="Pages") as demo:
    gr.Navbar(visible=True, main_page_name="First")
    name = gr.Textbox(label="Name")
    greeting = gr.Textbox(label="Greeting")
    name.submit(lambda text: f"Hello, {text}", name, greeting, api_name="greet")

with demo.route("Second", "/second"):
    number = gr.Number(label="Number")
    double = gr.Number(label="Double")
    number.submit(lambda value: value * 2, number, double, api_name="double")

demo.launch()
