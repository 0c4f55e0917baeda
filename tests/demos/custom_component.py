"""A component that others wrote: boxes drawn on a picture."""

import gradio as gr
import numpy as np
from gradio_image_annotation import image_annotator

PICTURE = {
    "image": np.full((60, 80, 3), 120, dtype=np.uint8),
    "boxes": [{"xmin": 5, "ymin": 5, "xmax": 40, "ymax": 30, "label": "here", "color": (255, 0, 0)}],
}

with gr.Blocks() as demo:
    annotator = image_annotator(PICTURE, label_list=["here"], label_colors=[(255, 0, 0)])
    boxes = gr.JSON(label="Boxes")
    gr.Button("Look").click(lambda drawn: drawn["boxes"], annotator, boxes, api_name="look")

demo.launch()
