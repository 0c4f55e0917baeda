"""Two Interfaces, a tab each."""

import gradio as gr

hello = gr.Interface(lambda name: f"Hello, {name}", "text", "text", api_name="hello")
bye = gr.Interface(lambda name: f"Bye, {name}", "text", "text", api_name="bye")

gr.TabbedInterface([hello, bye], ["Hello", "Bye"]).launch()
