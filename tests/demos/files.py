"""A file goes up, and one made of it comes down."""

from pathlib import Path

import gradio as gr


def upper(file):
    made = Path("upper.txt")
    made.write_text(Path(file).read_text().upper())
    return str(made), gr.DownloadButton("Download", value=str(made))


with gr.Blocks() as demo:
    given = gr.File(label="Given")
    made = gr.File(label="Made")
    down = gr.DownloadButton("Nothing yet")
    given.upload(upper, given, [made, down], api_name="upper")

demo.launch()
