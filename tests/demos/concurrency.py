"""Two at a time, and one at a time."""

import threading
import time

import gradio as gr

lock = threading.Lock()
running, most = {"two": 0, "one": 0}, {"two": 0, "one": 0}


def work(kind):
    with lock:
        running[kind] += 1
        most[kind] = max(most[kind], running[kind])
    time.sleep(0.3)
    with lock:
        running[kind] -= 1
    return most[kind]


with gr.Blocks() as demo:
    two, one = gr.Number(label="Two"), gr.Number(label="One")
    gr.Button("Two").click(lambda: work("two"), None, two, api_name="two", concurrency_limit=2)
    gr.Button("One").click(lambda: work("one"), None, one, api_name="one")

demo.queue(max_size=20).launch(max_threads=8)
