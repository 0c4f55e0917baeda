"""A chat whose answers come word by word, and whose conversations a browser keeps."""

import time

import gradio as gr


def answer(message, history):
    said = ""
    for word in f"You said: {message} ({len(history)} before)".split():
        said += f"{word} "
        time.sleep(0.02)
        yield said


demo = gr.ChatInterface(answer, save_history=True, examples=["hello", "good morning"])

if __name__ == "__main__":
    demo.launch(share=True)
