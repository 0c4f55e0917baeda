"""A folder that may be read, but for one file; and uploads of a few bytes."""

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent
for name in ("open", "closed"):
    (HERE / "shelf").mkdir(exist_ok=True)
    (HERE / "shelf" / f"{name}.txt").write_text(name)

with gr.Blocks() as demo:
    gr.HTML(f'<a href="/gradio_api/file={HERE}/shelf/open.txt">Read</a>')
    gr.File(label="Given")

demo.launch(allowed_paths=[str(HERE / "shelf")], blocked_paths=[str(HERE / "shelf/closed.txt")], max_file_size="1kb")
