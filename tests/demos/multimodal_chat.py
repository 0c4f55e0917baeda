"""A chat that takes files and answers with a picture, kept in the history."""

import gradio as gr
import numpy as np
from PIL import Image


def answer(message, history):
    names = [str(file).rsplit("/", 1)[-1] for file in message["files"]]
    Image.fromarray(np.full((20, 20, 3), 200, dtype=np.uint8)).save("answer.png")
    return [f"{message['text']}: {', '.join(names) or 'no files'}", gr.Image("answer.png")]


gr.ChatInterface(answer, multimodal=True, save_history=True).launch()
