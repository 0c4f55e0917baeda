"""How it looks is its own: theme, styles, scripts, icon and footer."""

import gradio as gr

with gr.Blocks(css="#words { letter-spacing: 3px }") as demo:
    gr.Markdown("Words", elem_id="words")

demo.launch(
    theme=gr.themes.Monochrome(font=["serif"]),
    css_paths="look.css",
    js="() => { document.body.dataset.js = 'ran' }",
    head="<meta name='color' content='teal'>",
    head_paths=["look.html"],
    favicon_path="look.png",
    footer_links=["settings"],
)
