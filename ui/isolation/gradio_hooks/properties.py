"""Properties of components: the app alone chooses them, and not whoever calls one of its functions."""

import inspect
import os
from collections.abc import Callable
from fnmatch import fnmatch
from functools import wraps
from typing import Any

import gradio as gr
from gradio import helpers
from gradio.blocks import Block, Blocks

from ui.isolation.gradio_hooks import patch


class Update(dict[str, Any]):
    """What `gr.update()` returns. A plain dictionary that says the same may have been read from a caller's JSON."""


def keep_properties() -> None:
    for name in ("update", "skip"):
        patch.everywhere(helpers, name, _as_update(getattr(helpers, name)))
    patch.replace(helpers.Examples, "load_from_cache", _with_updates(helpers.Examples.load_from_cache))
    patch.replace(Blocks, "postprocess_data", _without_dictionaries(Blocks.postprocess_data))
    patch.replace(gr.FileExplorer, "preprocess", _offered(gr.FileExplorer.preprocess))


def own_properties(block: Block, sent: dict[str, Any]) -> dict[str, Any]:
    """What a function that asks for a component is handed: its value from its caller, all that it was made with from
    the app.
    """
    parameters = inspect.signature(type(block).__init__).parameters.keys() - {"value"}
    config = block.get_config()
    own = {name: config[name] for name in parameters & config.keys()}
    return {name: value for name, value in sent.items() if name not in parameters} | own


def is_update(value: Any) -> bool:
    return isinstance(value, dict) and "update" in str(value.get("__type__"))


def _as_update(make: Callable[..., dict[str, Any]]) -> Callable[..., Update]:
    @wraps(make)
    def made(*args: Any, **kwargs: Any) -> Update:
        return Update(make(*args, **kwargs))

    return made


def _with_updates(load: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """For what reads an example's outputs, which the app's function made and Gradio keeps as text."""

    @wraps(load)
    def load_from_cache(*args: Any) -> list[Any]:
        return [Update(value) if is_update(value) else value for value in load(*args)]

    return load_from_cache


def _without_dictionaries(postprocess: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(postprocess)
    async def postprocess_data(blocks: Blocks, fn: Any, predictions: Any, *args: Any) -> list[Any]:
        by_block = isinstance(predictions, dict) and any(isinstance(key, Block) for key in predictions)
        values = predictions.values() if by_block else predictions if isinstance(predictions, (list, tuple)) else ()
        for value in (predictions, *values):
            if is_update(value) and not isinstance(value, Update):
                sentence = "What a component is like is changed by gr.update(), not by a dictionary of one's own."
                raise gr.Error(sentence, print_exception=False)
        result: list[Any] = await postprocess(blocks, fn, predictions, *args)
        return result

    return postprocess_data


def _offered(preprocess: Callable[..., Any]) -> Callable[..., Any]:
    """Gradio shows the files that match a pattern, and takes any below the folder."""

    @wraps(preprocess)
    def preprocessed(explorer: gr.FileExplorer, payload: Any) -> Any:
        chosen = preprocess(explorer, payload)
        for path in [chosen] if isinstance(chosen, str) else chosen or []:
            is_hidden = explorer.ignore_glob and fnmatch(path, explorer.ignore_glob)
            if not os.path.isdir(path) and (is_hidden or not fnmatch(path, explorer.glob)):
                raise gr.Error("This file is not one of those to choose from.", print_exception=False)
        return chosen

    return preprocessed
