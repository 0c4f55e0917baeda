"""Components in a chat, which come back from whoever has its history."""

from typing import Any

import gradio as gr
from gradio import utils
from gradio.blocks import Block
from gradio.components.chatbot import ComponentMessage

from ui.isolation.gradio_hooks import patch

SCRIPTS = {"js_on_load": "", "html_template": "${value}", "css_template": "", "head": ""}
"""Properties of a component that a browser runs, and as they are where there is nothing to run."""
SCRIPTS_AT_MOST = 10_000


def keep_to_own_scripts() -> None:
    """A component in a chat comes back with the chat's history, and whoever sends that may have written it. It is built
    without arguments of theirs, and what of it runs in a browser stays if the app has shown it before.
    """
    preprocess, postprocess = gr.Chatbot._preprocess_content, gr.Chatbot._postprocess_content
    shown: Any = utils.LRUCache(SCRIPTS_AT_MOST)

    def known(props: dict[str, Any]) -> dict[str, Any]:
        kept = {
            name: text if isinstance(text := props.get(name), str) and text in shown else SCRIPTS[name]
            for name in SCRIPTS.keys() & props.keys()
        }
        return {**props, **kept}

    def preprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        if isinstance(message, ComponentMessage):
            message = message.model_copy(update={"constructor_args": {}, "props": known(message.props)})
        return preprocess(chatbot, message)

    def postprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        made = postprocess(chatbot, message)
        if isinstance(made, ComponentMessage) and isinstance(message, Block):
            shown.update({text: None for name in SCRIPTS if isinstance(text := made.props.get(name), str)})
        elif isinstance(made, ComponentMessage):
            made.props = known(made.props)
        return made

    patch.replace(gr.Chatbot, "_preprocess_content", preprocessed)
    patch.replace(gr.Chatbot, "_postprocess_content", postprocessed)
