"""A clock that ticks by itself, and work that says how far it is."""

import time

import gradio as gr


def work(progress=gr.Progress()):  # noqa: B008
    for _ in progress.tqdm(range(5), desc="Working"):
        time.sleep(0.1)
    return "done"


with gr.Blocks() as demo:
    ticks = gr.Number(0, label="Ticks")
    gr.Timer(0.2).tick(lambda count: count + 1, ticks, ticks)
    result = gr.Textbox(label="Result")
    gr.Button("Work").click(work, None, result)

demo.launch()
