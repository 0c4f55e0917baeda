"""What a browser runs of a component: in a chat or behind a deep link, only what the app has made."""

import re
from hashlib import blake2b
from typing import Any

import gradio as gr
from gradio import utils
from gradio.blocks import Block
from gradio.components.chatbot import ComponentMessage
from gradio.components.plot import PlotData

from ui.isolation.gradio_hooks import patch
from ui.isolation.gradio_hooks.running import nodes

SCRIPTS = {"js_on_load": "", "html_template": "${value}", "css_template": "", "head": ""}
"""Properties of a component that a browser runs, and as they are where there is nothing to run."""
SCRIPTS_AT_MOST = 10_000
IN_A_TEMPLATE = re.compile(r"[\\`$]")
"""What ends a text in a template of JavaScript, or begins code in it."""


class OwnScripts:
    """Those that the app has shown. A chat comes back with its components, and who sends it may have written them."""

    def __init__(self) -> None:
        self._shown: Any = utils.LRUCache(SCRIPTS_AT_MOST)

    def note(self, text: object) -> None:
        if isinstance(text, str):
            self._shown[_digest(text)] = None

    def has(self, text: object) -> bool:
        return isinstance(text, str) and _digest(text) in self._shown

    def keep_alone(self, document: Any) -> Any:
        """`document` as it is, but for the scripts of charts and of components in a chat that the app has not shown."""
        for node in nodes(document):
            if not isinstance(node, dict):
                continue
            if node.get("type") == "bokeh" and not self.has(node.get("plot")):
                node["plot"] = ""
            if isinstance(props := node.get("props"), dict) and "component" in node:
                props |= {name: SCRIPTS[name] for name in SCRIPTS.keys() & props.keys() if not self.has(props[name])}
        return document


own_scripts = OwnScripts()


def keep_to_own_scripts() -> None:
    preprocess, postprocess = gr.Chatbot._preprocess_content, gr.Chatbot._postprocess_content
    draw = gr.Plot.postprocess

    def preprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        """It is built without arguments of whoever sends it."""
        if isinstance(message, ComponentMessage):
            sent = own_scripts.keep_alone({**message.model_dump(), "constructor_args": {}})
            message = ComponentMessage(**sent)
        return preprocess(chatbot, message)

    def postprocessed(chatbot: gr.Chatbot, message: Any) -> Any:
        made = postprocess(chatbot, message)
        if isinstance(made, ComponentMessage) and isinstance(message, Block):
            for name in SCRIPTS:
                own_scripts.note(made.props.get(name))
        elif isinstance(made, ComponentMessage):
            made = ComponentMessage(**own_scripts.keep_alone(made.model_dump()))
        return made

    def drawn(plot: gr.Plot, value: Any) -> Any:
        chart = draw(plot, value)
        if chart is not None and not isinstance(value, PlotData):  # else it may be what a caller sent
            own_scripts.note(chart.plot)
        return chart

    patch.replace(gr.Chatbot, "_preprocess_content", preprocessed)
    patch.replace(gr.Chatbot, "_postprocess_content", postprocessed)
    patch.replace(gr.Plot, "postprocess", drawn)


def as_text(component: dict[str, Any]) -> dict[str, Any]:
    """A component's configuration, in which nothing that a template of its shows is code.

    Gradio fills in `{{value}}` first, and then evaluates what has come of it as a template of JavaScript.
    """
    props = component.get("props", {})
    if "{{" in f"{props.get('html_template')}{props.get('css_template')}":
        shown = {name: _escaped(value) for name, value in props.items() if name in ("value", "props")}
        return {**component, "props": {**props, **shown}}
    return component


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return IN_A_TEMPLATE.sub(r"\\\g<0>", value)
    if isinstance(value, dict):
        return {_escaped(name): _escaped(part) for name, part in value.items()}
    return [_escaped(part) for part in value] if isinstance(value, (list, tuple)) else value


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()
