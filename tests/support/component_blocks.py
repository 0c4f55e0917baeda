"""Blocks with every component of Gradio's that draws something in its own way, each with a value to show."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair
import gradio as gr
import matplotlib.figure
import numpy
import pandas
import plotly.graph_objects

MEDIA = Path(gr.__file__).parent / "media_assets"
CLICKED = """
element.querySelector("button").onclick = () => { element.querySelector("output").textContent = props.value; };
"""
PROGRAM = "```python\nprint(1)\n```"
DIAGRAM = "```mermaid\ngraph TD; A-->B;\n```"
HEAD_SCRIPT = "<script>document.documentElement.dataset.fromHead = 'yes';</script>"
TABLE = pandas.DataFrame({"x": [1, 2, 3], "y": [2, 4, 8], "kind": ["a", "b", "a"]})


def media(name: str) -> str:
    return str(MEDIA / name)


def drawn() -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure()
    figure.subplots().plot([1, 2, 3], [2, 4, 8])
    return figure


def said() -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "show me"},
        {
            "role": "assistant",
            "content": f"$x^2$, `code`\n\n{PROGRAM}\n\n{DIAGRAM}",
        },
        {"role": "assistant", "content": {"path": media("images/lion.jpg")}},
        {"role": "assistant", "content": gr.HTML("<b>a component</b>")},
    ]


COMPONENTS: dict[str, Callable[[], Any]] = {
    "annotatedimage": lambda: gr.AnnotatedImage((media("images/lion.jpg"), [((10, 10, 90, 90), "box")])),
    "audio": lambda: gr.Audio(media("audio/audio_sample.wav")),
    "audio-shown": lambda: gr.Audio(media("audio/sax.wav"), interactive=False),
    "bar-plot": lambda: gr.BarPlot(TABLE, x="kind", y="y"),
    "browser-state": lambda: gr.BrowserState("kept"),
    "button": lambda: gr.Button("Press", icon=media("images/logo.png")),
    "chatbot": lambda: gr.Chatbot(said(), latex_delimiters=[{"left": "$", "right": "$", "display": False}]),
    "checkbox": lambda: gr.Checkbox(True),
    "checkbox-group": lambda: gr.CheckboxGroup(["a", "b"], value=["a"]),
    "code": lambda: gr.Code("print(1)", language="python"),
    "color-picker": lambda: gr.ColorPicker("#aa3300"),
    "dataframe": lambda: gr.Dataframe(TABLE),
    "dataset": lambda: gr.Dataset(components=["textbox"], samples=[["one"], ["two"]]),
    "date-time": lambda: gr.DateTime("2026-01-02 03:04:05"),
    "dialogue": lambda: gr.Dialogue(speakers=["A", "B"]),
    "download-button": lambda: gr.DownloadButton("Get it", value=media("data/sample.txt")),
    "dropdown": lambda: gr.Dropdown(["a", "b"], value="a"),
    "file": lambda: gr.File(media("data/sample.txt")),
    "file-explorer": lambda: gr.FileExplorer(root_dir=tempfile.mkdtemp()),
    "gallery": lambda: gr.Gallery([media("images/lion.jpg"), media("images/tower.jpg")]),
    "highlighted-text": lambda: gr.HighlightedText([("some", "a"), ("text", None)]),
    "html": lambda: gr.HTML("<i>as it is</i>"),
    "html-with-script": lambda: gr.HTML(
        "clicked", html_template="<button>Go</button><output></output>", js_on_load=CLICKED, elem_id="scripted"
    ),
    "html-with-head": lambda: gr.HTML("<i>head</i>", head=HEAD_SCRIPT),
    "image": lambda: gr.Image(media("images/lion.jpg"), interactive=True, sources=["upload", "webcam", "clipboard"]),
    "image-editor": lambda: gr.ImageEditor(media("images/lion.jpg"), interactive=True),
    "image-slider": lambda: gr.ImageSlider((media("images/lion.jpg"), media("images/tower.jpg"))),
    "json": lambda: gr.JSON({"a": [1, 2]}),
    "label": lambda: gr.Label({"cat": 0.7, "dog": 0.3}),
    "line-plot": lambda: gr.LinePlot(TABLE, x="x", y="y"),
    "markdown": lambda: gr.Markdown(f"# Title\n\n$$x^2$$\n\n{PROGRAM}\n\n<b>bold</b>"),
    "mermaid": lambda: gr.Markdown(DIAGRAM),
    "microphone": lambda: gr.Audio(sources=["microphone"], interactive=True),
    "model3d": lambda: gr.Model3D(media("models3d/Duck.glb")),
    "model3d-obj": lambda: gr.Model3D(media("models3d/Bunny.obj")),
    "model3d-stl": lambda: gr.Model3D(media("models3d/sofia.stl")),
    "multimodal": lambda: gr.MultimodalTextbox({"text": "hello", "files": []}, sources=["upload", "microphone"]),
    "number": lambda: gr.Number(3),
    "plot-altair": lambda: gr.Plot(altair.Chart(TABLE).mark_point().encode(x="x", y="y")),
    "plot-matplotlib": lambda: gr.Plot(drawn()),
    "plot-plotly": lambda: gr.Plot(plotly.graph_objects.Figure(plotly.graph_objects.Bar(x=["a", "b"], y=[1, 2]))),
    "radio": lambda: gr.Radio(["a", "b"], value="a"),
    "scatter-plot": lambda: gr.ScatterPlot(TABLE, x="x", y="y", color="kind"),
    "sketchpad": lambda: gr.Sketchpad(),
    "slider": lambda: gr.Slider(0, 10, 3),
    "streamed-audio": lambda: gr.Audio(numpy_tone(), streaming=True, autoplay=False, interactive=False),
    "textbox": lambda: gr.Textbox("text", buttons=["copy"]),
    "timer": lambda: gr.Timer(60),
    "upload-button": lambda: gr.UploadButton(),
    "video": lambda: gr.Video(media("videos/a.mp4"), sources=["upload", "webcam"]),
    "video-shown": lambda: gr.Video(media("videos/world.mp4"), interactive=False),
}


def numpy_tone() -> tuple[int, Any]:
    return 8000, (numpy.sin(numpy.arange(8000) / 3) * 9000).astype(numpy.int16)


def component_blocks(*names: str) -> gr.Blocks:
    """Those components, all of them where none is named, each in a group that has its name as id."""
    with gr.Blocks() as blocks:
        for name, made in COMPONENTS.items():
            if not names or name in names:
                with gr.Group(elem_id=name):
                    made()
    return blocks
