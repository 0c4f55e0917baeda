"""An app made for a Space: it asks Hugging Face who is there."""

import gradio as gr


def greet(profile: gr.OAuthProfile | None):
    return f"Hello, {profile.name} ({profile.username})" if profile else "Please sign in"


def strict(profile: gr.OAuthProfile):
    return profile["name"]


with gr.Blocks() as demo:
    gr.LoginButton()
    greeting = gr.Textbox(label="Greeting")
    demo.load(greet, None, greeting, api_name="greet")
    gr.Button("Strict").click(strict, None, gr.Textbox(label="Strict"), api_name="strict")

demo.launch()
