"""Sound that is heard while it is still being made."""

import gradio as gr
import numpy as np

RATE = 16_000


def tones():
    for pitch in (220, 330, 440):
        at = np.arange(RATE) / RATE
        yield RATE, (np.sin(2 * np.pi * pitch * at) * 12_000).astype(np.int16)


with gr.Blocks() as demo:
    sound = gr.Audio(streaming=True, autoplay=True, label="Tones")
    gr.Button("Play").click(tones, None, sound)

demo.queue().launch()
