"""A video that is sent in pieces, each made by ffmpeg."""

import subprocess
from pathlib import Path

import gradio as gr

FRAMES = "testsrc=size=64x64:rate=10:duration=1"


def pieces():
    for number in range(2):
        piece = Path(f"piece-{number}.mp4")
        command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "lavfi", "-i", FRAMES, "-pix_fmt", "yuv420p", piece]
        subprocess.run(command, check=True)
        yield str(piece)


with gr.Blocks() as demo:
    video = gr.Video(streaming=True, autoplay=True, label="Video")
    gr.Button("Play").click(pieces, None, video)

demo.launch()
